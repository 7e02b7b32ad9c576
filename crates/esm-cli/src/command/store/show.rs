//! What is printed about a store.

use esm_core::Result;
use esm_core::id::StoreId;
use esm_core::store::StoreLimits;
use futures::TryStreamExt as _;
use serde::Serialize;

use super::adopt::Adopted;
use crate::exit::Exit;
use crate::output::{Facts, Form, Text, bytes, count};
use crate::session::Session;

#[derive(Debug, Serialize)]
struct ShownStore {
    store: String,
    id: StoreId,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<StoreId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<u64>,
    max_event_bytes: u64,
    max_cell_bytes: u64,
    max_cell_events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    adopted: Option<Adopted>,
}

/// Prints a store.
///
/// # Errors
/// Those of writing to standard output.
pub(super) fn show(
    session: &Session,
    objects: Option<u64>,
    adopted: Option<Adopted>,
) -> Result<Exit> {
    let StoreLimits {
        max_event_bytes,
        max_cell_bytes,
        max_cell_events,
        ..
    } = session.events().limits();
    let shown = ShownStore {
        store: session.location().to_owned(),
        id: session.events().id(),
        aliases: session.events().aliases().to_vec(),
        objects,
        max_event_bytes,
        max_cell_bytes,
        max_cell_events,
        adopted,
    };
    session.output().result(&shown, text)?;
    Ok(Exit::Success)
}

/// The number of objects of a store.
///
/// # Errors
/// `Cancelled` on an interrupt; those of the store.
pub(super) async fn count_objects(session: &Session) -> Result<u64> {
    let objects = session.documents().objects(None);
    objects
        .try_fold(0, |n, _| {
            let checked = session.interrupt().check();
            std::future::ready(checked.map(|()| n + 1))
        })
        .await
}

fn text(shown: &ShownStore, form: Form) -> Text {
    let mut facts = Facts::new();
    facts.add("store", &shown.store).add("id", shown.id);
    for alias in &shown.aliases {
        facts.add("alias", alias);
    }
    facts
        .add_some("objects", shown.objects.map(count))
        .add("maximum event size", bytes(shown.max_event_bytes))
        .add("maximum cell size", bytes(shown.max_cell_bytes))
        .add("maximum events per cell", count(shown.max_cell_events));
    if let Some(adopted) = &shown.adopted {
        adopted.describe(&mut facts);
    }
    facts.to_text(form)
}
