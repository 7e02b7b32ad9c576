//! `esm store`

use clap::Subcommand;
use esm_core::Result;
use esm_core::id::StoreId;
use esm_core::store::StoreLimits;
use futures::TryStreamExt as _;
use serde::Serialize;

use crate::exit::Exit;
use crate::output::{Facts, Text, bytes, count};
use crate::session::{Access, Session};

/// Create or show a store.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  esm store init --store s3://bucket/prefix
  esm store show")]
pub(crate) enum StoreCommand {
    /// Create a store; does nothing if it exists.
    ///
    /// Checks that the storage supports conditional creates: of two processes that create the same
    /// file, exactly one succeeds.
    #[command(after_help = "\
Examples:
  esm store init --store s3://bucket/prefix")]
    Init,
    /// Show the id and the limits of a store, and its number of objects.
    #[command(after_help = "\
Examples:
  esm store show")]
    Show,
}

#[derive(Debug, Serialize)]
struct ShownStore {
    store: String,
    id: StoreId,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<u64>,
    max_event_bytes: u64,
    max_cell_bytes: u64,
    max_cell_events: u64,
}

impl StoreCommand {
    /// Access to the store.
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Init => Access::Create,
            Self::Show => Access::Read,
        }
    }

    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let objects = match self {
            Self::Init => None,
            Self::Show => Some(count_objects(session).await?),
        };
        let StoreLimits {
            max_event_bytes,
            max_cell_bytes,
            max_cell_events,
            ..
        } = session.events().limits();
        let shown = ShownStore {
            store: session.location().to_owned(),
            id: session.events().id(),
            objects,
            max_event_bytes,
            max_cell_bytes,
            max_cell_events,
        };
        session.output().result(&shown, text)?;
        Ok(Exit::Success)
    }
}

async fn count_objects(session: &Session) -> Result<u64> {
    let objects = session.documents().objects(None);
    objects
        .try_fold(0, |n, _| {
            let checked = session.interrupt().check();
            std::future::ready(checked.map(|()| n + 1))
        })
        .await
}

fn text(shown: &ShownStore, terminal: bool) -> Text {
    let mut facts = Facts::new();
    facts
        .add("store", &shown.store)
        .add("id", shown.id)
        .add_some("objects", shown.objects.map(count))
        .add("maximum event size", bytes(shown.max_event_bytes))
        .add("maximum cell size", bytes(shown.max_cell_bytes))
        .add("maximum events per cell", count(shown.max_cell_events));
    facts.to_text(terminal)
}
