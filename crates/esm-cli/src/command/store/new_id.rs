//! `esm store new-id`

use esm_core::Result;
use esm_core::id::StoreId;
use serde::Serialize;

use crate::confirm::confirmed;
use crate::exit::Exit;
use crate::session::Session;

#[derive(Debug, Serialize)]
struct Renewed {
    store: String,
    id: StoreId,
    aliases: Vec<StoreId>,
}

/// Gives the store a new id; asks first, unless `yes`.
///
/// # Errors
/// Those of confirming and of `Store::renew_id`.
pub(super) async fn give_new_id(session: &Session, yes: bool) -> Result<Exit> {
    let previous = session.events().id();
    if !yes {
        let location = session.location();
        session
            .output()
            .note(format!("{location} has the id {previous}"));
        let question = "give it a new id? only if it is a copy of another store";
        if !confirmed(session.output(), session.interrupt(), question).await? {
            session.output().note("nothing was changed");
            return Ok(Exit::Success);
        }
    }
    let id = session.renew_id().await?;
    let mut aliases = session.events().aliases().to_vec();
    aliases.push(previous);
    let renewed = Renewed {
        store: session.location().to_owned(),
        id,
        aliases,
    };
    session.output().result(&renewed, |renewed, _| {
        format!("{} has the new id {}", renewed.store, renewed.id)
    })?;
    Ok(Exit::Success)
}
