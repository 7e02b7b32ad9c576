//! `esm store`

use clap::Subcommand;
use esm_core::Result;
use esm_core::id::StoreId;
use esm_core::store::StoreLimits;
use futures::TryStreamExt as _;
use serde::Serialize;

use crate::args::Global;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output::{Facts, Output, bytes, count};
use crate::session::{Access, Session};

/// Create a store, or show what it is.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  esm store init --store s3://bucket/prefix
  esm store show")]
pub(crate) enum StoreCommand {
    /// Create a store where there is none; one that is there is left as it is.
    ///
    /// Tries whether the storage keeps its promise: that of two that create the same file only one
    /// succeeds.
    Init,
    /// Show a store: its id, its limits, how many objects it has.
    Show,
}

#[derive(Debug, Serialize)]
struct Shown {
    store: String,
    id: StoreId,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<u64>,
    max_event_bytes: u64,
    max_cell_bytes: u64,
    max_cell_events: u64,
}

impl StoreCommand {
    pub(crate) async fn run(
        &self,
        global: Global,
        output: Output,
        interrupt: Interrupt,
    ) -> Result<Exit> {
        let access = match self {
            Self::Init => Access::Create,
            Self::Show => Access::Read,
        };
        let session = Session::open(global, output, interrupt, access).await?;
        let objects = match self {
            Self::Init => None,
            Self::Show => Some(count_objects(&session).await?),
        };
        let StoreLimits {
            max_event_bytes,
            max_cell_bytes,
            max_cell_events,
            ..
        } = session.events().limits();
        let shown = Shown {
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

fn text(shown: &Shown, terminal: bool) -> String {
    let mut facts = Facts::new();
    facts
        .add("store", &shown.store)
        .add("id", shown.id)
        .add_some("objects", shown.objects.map(count))
        .add("largest event", bytes(shown.max_event_bytes))
        .add("largest cell", bytes(shown.max_cell_bytes))
        .add("events in a cell", count(shown.max_cell_events));
    facts.to_text(terminal)
}
