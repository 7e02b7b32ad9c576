//! The originals that a reverse migration restores, and the numbering of the restored history.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::cutover::source::cells::CellScan;
use crate::cutover::source::down::Down;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Revision, Schema};
use crate::id::{Fingerprint, MigrationId, StreamRef};
use crate::store::{Cell, CellKind, EventStore, EventStoreExt as _, ReadFrom, Restores, Stores};
use crate::transform::Mapper;

/// The originals of one object, which a reverse migration restores.
#[derive(Debug)]
pub(crate) struct Originals {
    /// The migration to reverse.
    pub(crate) migration: MigrationId,
    /// S: the stream of the originals.
    pub(crate) stream: StreamRef,
    pub(crate) store: Arc<dyn EventStore>,
    /// N: the number of originals.
    pub(crate) events: Revision,
    /// T: the target that S was closed to.
    pub(crate) continuation: StreamRef,
    continuation_store: Arc<dyn EventStore>,
    /// M: the number of events in T at the Close.
    pub(crate) continuation_events: Revision,
    /// Whether the migration changed no event, so that every event goes back unchanged.
    pub(crate) unchanged: bool,
    /// Identity of the transformation of the events since the Close.
    down: Fingerprint,
    known: OnceCell<Arc<BTreeSet<Schema>>>,
}

impl Originals {
    pub(crate) fn new(
        stores: &Stores,
        entry: &crate::object::TerminatedStream,
        unchanged: bool,
        down: Fingerprint,
    ) -> Result<Self> {
        Ok(Self {
            migration: entry.migration,
            stream: entry.stream.clone(),
            store: Arc::clone(stores.of(&entry.stream)?),
            events: entry.events,
            continuation: entry.continuation.clone(),
            continuation_store: Arc::clone(stores.of(&entry.continuation)?),
            continuation_events: entry.continuation_events,
            unchanged,
            down,
            known: OnceCell::new(),
        })
    }

    /// Returns the record of the originals for the first cell of the target.
    pub(crate) fn restores(&self) -> Restores {
        Restores {
            migration: self.migration,
            originals: self.stream.clone(),
            events: self.events,
            source_from: self.continuation_events,
            down: self.down.clone(),
        }
    }

    /// Returns the revision in the restored history of the source's event at this revision.
    pub(crate) fn restored(&self, source: Revision) -> Revision {
        let since = source.0.saturating_sub(self.continuation_events.0);
        self.events.plus(since)
    }

    /// Returns the revision in the source of the event at this revision of the restored history;
    /// `None` for an original.
    pub(crate) fn in_source(&self, restored: Revision) -> Option<Revision> {
        let since = restored.0.checked_sub(self.events.0)?;
        Some(self.continuation_events.plus(since))
    }

    /// Returns a mapper that applies `down` and refuses events that need one and have none.
    ///
    /// # Errors
    /// Those of the store, when the originals' schemas must be read.
    pub(crate) async fn down(&self, down: &Mapper) -> Result<Mapper> {
        if self.unchanged {
            return Ok(down.clone());
        }
        let known = self.known.get_or_try_init(|| self.read_known()).await?;
        Ok(down.over(|transformer| Arc::new(Down::new(transformer, Arc::clone(known)))))
    }

    /// Reads the schemas that old code knows: those of the originals without those that the
    /// migration changed or dropped, of which the source may hold events in their new form.
    async fn read_known(&self) -> Result<Arc<BTreeSet<Schema>>> {
        let mut known = BTreeSet::new();
        let mut cells = CellScan::start(&self.store, &self.stream, ReadFrom::Seq(0));
        while let Some(page) = cells.next().await? {
            for cell in &page.cells {
                self.refuse_deleted(cell)?;
                for event in &cell.events {
                    let schema = event.event.schema();
                    if !known.contains(&schema) {
                        known.insert(schema);
                    }
                }
            }
        }
        let target = &self.continuation_store;
        let origin = target.origin(&self.continuation.stream).await?;
        let retired = origin.map(|origin| origin.retired).unwrap_or_default();
        known.retain(|schema| !retired.contains(schema));
        Ok(Arc::new(known))
    }

    /// Refuses a cell without its events.
    ///
    /// # Errors
    /// `Gone` for a cell whose events were deleted.
    pub(crate) fn refuse_deleted(&self, cell: &Cell) -> Result<()> {
        if cell.header.kind != CellKind::Tombstone || cell.header.count == 0 {
            return Ok(());
        }
        let message = format!(
            "the originals were deleted, from revision {} on: {}",
            cell.header.first_revision, self.stream
        );
        Err(Error::new(ErrorKind::Gone, message)
            .with_hint("restore an archive or a backup of the originals"))
    }
}
