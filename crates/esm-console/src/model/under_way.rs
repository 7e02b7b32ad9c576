//! The objects that a migration works on now: their phases, and how far their targets are behind.
//!
//! The index of published phases names them. Each costs three requests: its phase, and the ends of its
//! source and of its target. Objects that are too small for phases are not in the index; each of them
//! takes less than a second.

use std::sync::Arc;
use std::time::Duration;

use esm_core::id::{MigrationId, ObjectId};
use esm_core::protocol::phase::MigrationPhase;
use esm_core::{ErrorKind, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use crate::cache::Load;
use crate::source::Source;

/// Objects of a page.
pub(crate) const PAGE: usize = 12;
/// Objects that are read at once.
const AT_ONCE: usize = 4;

/// A page of the objects that a migration works on.
#[derive(Debug, Default, Serialize)]
pub(crate) struct UnderWay {
    /// Those that are behind the most come first.
    pub(crate) objects: Vec<ObjectUnderWay>,
    /// Number of all.
    pub(crate) total: usize,
}

/// An object that a migration works on.
#[derive(Debug, Serialize)]
pub(crate) struct ObjectUnderWay {
    pub(crate) object: ObjectId,
    pub(crate) phase: MigrationPhase,
    /// Events of its source.
    pub(crate) events: u64,
    /// Source events that its target is not complete for; unknown where an application has written
    /// the end of the target.
    pub(crate) lag: Option<u64>,
}

/// Loads such a page.
#[derive(Debug)]
pub(crate) struct UnderWayLoad {
    pub(crate) source: Arc<Source>,
    pub(crate) migration: MigrationId,
    pub(crate) page: usize,
}

impl UnderWayLoad {
    /// The objects that the index names; none where it cannot be read, as it only informs.
    async fn named(&self) -> Result<Vec<ObjectId>> {
        use ErrorKind::{Corrupt, Gone, Unsupported};
        match self.source.routing().index().await {
            Ok(mut index) => {
                let objects = index.migrations.remove(&self.migration);
                Ok(objects.unwrap_or_default().into_iter().collect())
            }
            Err(error) if matches!(error.kind(), Corrupt | Gone | Unsupported) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// An object; nothing where the migration has published no phase of it yet.
    async fn read(&self, object: ObjectId) -> Result<Option<ObjectUnderWay>> {
        let entry = self.source.routing().newest(&object).await?;
        let Some(entry) = entry.filter(|entry| entry.migration == self.migration) else {
            return Ok(None);
        };
        let tail = async |stream| {
            let store = self.source.stores().of(stream)?;
            store.tail(&stream.stream).await
        };
        let (source, target) = (tail(&entry.source).await?, tail(&entry.target).await?);
        let events = source.next_revision().0;
        let covered = match &target.last {
            None => Some(0),
            Some(last) => last.cursor().map(|cursor| cursor.0),
        };
        Ok(Some(ObjectUnderWay {
            object,
            phase: entry.phase,
            events,
            lag: covered.map(|covered| events.saturating_sub(covered)),
        }))
    }
}

impl Load for UnderWayLoad {
    type Value = UnderWay;

    const FRESH: Duration = Duration::from_millis(4_900);

    async fn load(&mut self) -> Result<UnderWay> {
        let named = self.named().await?;
        let total = named.len();
        let page = named.into_iter().skip(self.page * PAGE).take(PAGE);
        let read = futures::stream::iter(page).map(|object| self.read(object));
        let read: Vec<_> = read.buffered(AT_ONCE).try_collect().await?;
        let mut objects: Vec<_> = read.into_iter().flatten().collect();
        objects.sort_by_key(|object| std::cmp::Reverse(object.lag));
        Ok(UnderWay { objects, total })
    }
}
