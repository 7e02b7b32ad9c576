//! `esm store link`

use std::sync::Arc;

use esm_core::Result;
use esm_core::id::StoreId;
use esm_core::object::{KnownStores, StoreLink};
use serde::Serialize;

use crate::exit::Exit;
use crate::session::{Access, Session};

#[derive(Debug, Serialize)]
struct Linked {
    store: String,
    linked: String,
    id: StoreId,
}

/// Writes the address of another store into the list of the session's store.
///
/// # Errors
/// Those of opening the other store, also for an address with credentials; those of the records.
pub(super) async fn link(session: &Session, address: &str) -> Result<Exit> {
    let (other, location) = session.target_at(address, Access::Read).await?;
    let link = StoreLink {
        store: other.id(),
        aliases: other.aliases().iter().copied().collect(),
        address: location,
    };
    let known = KnownStores::new(Arc::clone(session.records()));
    known.link(&link).await?;
    let linked = Linked {
        store: session.location().to_owned(),
        linked: link.address,
        id: link.store,
    };
    session.output().result(&linked, |linked, _| {
        format!(
            "linked: commands on {} open {} when they need it",
            linked.store, linked.linked
        )
    })?;
    Ok(Exit::Success)
}
