//! The routing table: the published phases of objects in migration. A hint, never authority.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{MigrationId, ObjectId, StreamRef};
use crate::migration::{MigrationPhase, PhaseSignal, phase};
use crate::store::{RecordKey, Records, RecordsExt as _};

/// The phase of one object in one migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutingEntry {
    /// The migration.
    pub migration: MigrationId,
    /// Depth of the source in the object's chain of Closes. An entry whose generation is not the
    /// active stream's is out of date and ignored (R20).
    pub generation: u64,
    /// The source of the attempt.
    pub source: StreamRef,
    /// The target of the attempt.
    pub target: StreamRef,
    /// The phase.
    pub phase: MigrationPhase,
}

/// Routing entries over versioned records; ordered by their record numbers.
#[derive(Debug, Clone)]
pub struct RoutingTable {
    records: Arc<dyn Records>,
}

impl RoutingTable {
    /// The routing table in these records.
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// The entry of an object at this generation; none means [`MigrationPhase::Normal`].
    ///
    /// # Errors
    /// `Corrupt`; `Unavailable`.
    pub async fn entry(&self, object: &ObjectId, generation: u64) -> Result<Option<RoutingEntry>> {
        let key = RecordKey::Routing(object.clone());
        let newest = self.records.latest_as::<RoutingEntry>(&key).await?;
        Ok(newest
            .map(|(_, entry)| entry)
            .filter(|entry| entry.generation == generation))
    }

    /// Publishes the phase that a signal leads to, and answers it. `begin` is the entry of this
    /// attempt in phase `Normal`; it counts where no newer one of the same attempt stands.
    ///
    /// # Errors
    /// - `Fenced` when an entry of a later generation or of another attempt stands.
    /// - `Conflict` when another was faster, or when the signal has no place in the phase.
    pub async fn advance(
        &self,
        object: &ObjectId,
        begin: &RoutingEntry,
        signal: PhaseSignal,
    ) -> Result<MigrationPhase> {
        let key = RecordKey::Routing(object.clone());
        let (number, current) = match self.records.latest_as::<RoutingEntry>(&key).await? {
            None => (0, begin.clone()),
            Some((n, e))
                if e.generation < begin.generation || e.phase == MigrationPhase::Normal =>
            {
                (n + 1, begin.clone())
            }
            Some((n, e)) if e.generation == begin.generation && e.target == begin.target => {
                (n + 1, e)
            }
            Some((_, e)) => {
                let message = format!("another attempt has published a phase: {}", e.migration);
                return Err(Error::new(ErrorKind::Fenced, message));
            }
        };
        let phase = phase::next(current.phase, signal).map_err(|illegal| {
            Error::new(ErrorKind::Conflict { actual: None }, illegal.to_string())
        })?;
        self.records
            .put_as(&key, number, &RoutingEntry { phase, ..current })
            .await?;
        Ok(phase)
    }
}
