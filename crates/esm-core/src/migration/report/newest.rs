//! The newest migrations of a store, without reading the journal of every one that there ever was.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use tracing::warn;

use crate::error::{ErrorKind, Result};
use crate::id::MigrationId;
use crate::migration::service::{MigrationService, MigrationState};
use crate::router::RoutingTable;
use crate::store::{RecordCollection, RecordKey};

/// Journals read at once.
const READ_AT_ONCE: usize = 8;

/// The newest migrations of a store, and those that are at work.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewestMigrations {
    /// The migrations, by id, which is in the order of planning.
    pub migrations: Vec<MigrationState>,
    /// Number of older migrations whose journals were not read.
    pub not_read: u64,
}

impl MigrationService {
    /// Returns this many of the newest migrations by id, and of the older ones those that a held lock
    /// or the index of published phases names. Writes nothing.
    ///
    /// Reads the journals of these alone, but lists the keys of all. Reads the locks and the index
    /// only if there are older migrations. [`migrations`](Self::migrations) returns all.
    ///
    /// # Errors
    /// Those of the records and the locks.
    pub async fn newest(&self, most: usize) -> Result<NewestMigrations> {
        let mut all = 0_u64;
        let mut newest = BTreeSet::new();
        let mut keys = self.records.list(RecordCollection::Journals);
        while let Some(key) = keys.try_next().await? {
            if let RecordKey::Journal(migration) = key {
                all += 1;
                newest.insert(migration);
                if newest.len() > most {
                    newest.pop_first();
                }
            }
        }
        if all > newest.len() as u64 {
            newest.extend(self.at_work().await?);
        }
        let states: Vec<_> = futures::stream::iter(newest)
            .map(|migration| self.status_if_known(migration))
            .buffered(READ_AT_ONCE)
            .try_collect()
            .await?;
        let migrations: Vec<_> = states.into_iter().flatten().collect();
        let not_read = all.saturating_sub(migrations.len() as u64);
        Ok(NewestMigrations {
            migrations,
            not_read,
        })
    }

    /// The migrations that a held lock or the index names. The index informs: without it the locks
    /// have to do.
    async fn at_work(&self) -> Result<BTreeSet<MigrationId>> {
        let held = self.locks.list().await?;
        let mut named: BTreeSet<_> = held.iter().filter_map(|lock| lock.migration).collect();
        match RoutingTable::new(self.records.clone()).index().await {
            Ok(index) => named.extend(index.migrations.into_keys()),
            // damaged, or of a newer version
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Corrupt | ErrorKind::Gone | ErrorKind::Unsupported
                ) =>
            {
                warn!(%error, "the index names no migrations");
            }
            Err(error) => return Err(error),
        }
        Ok(named)
    }

    async fn status_if_known(&self, migration: MigrationId) -> Result<Option<MigrationState>> {
        match self.status(migration).await {
            Ok(state) => Ok(Some(state)),
            // a lock is held before the journal begins
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
