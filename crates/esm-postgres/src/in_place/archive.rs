//! What rewrites keep of the rows that they wrote: the backup, and the personal data.

use std::time::Duration;

use esm_core::id::MigrationId;
use esm_core::{Error, Result};
use serde::Serialize;

use super::migration::{Rewrite, RewriteStatus};
use super::place::InPlace;
use super::wire::Failure;

/// Rows that are removed in one transaction.
const BATCH: u32 = 500;
/// How long removing them may take.
const LONGEST: Duration = Duration::from_secs(5);

/// The archive of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Archive {
    /// The migration.
    pub migration: MigrationId,
    /// How far the migration is.
    pub status: RewriteStatus,
    /// When it began.
    pub began_at: String,
    /// Number of archived events.
    pub events: u64,
    /// Size of the archived events as they are stored, in bytes.
    pub bytes: u64,
    /// When it was dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_at: Option<String>,
}

impl InPlace {
    /// Returns the archives of the table's migrations, the newest first.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn archives(&self) -> Result<Vec<Archive>> {
        let mut archives = Vec::new();
        for known in self.migrations().await? {
            let query = format!(
                "SELECT count(*), coalesce(sum(pg_column_size(a.*)), 0) \
                 FROM esm_in_place.archive a WHERE a.migration = '{}'",
                known.migration
            );
            let rows = self.0.wire.read(&query).await?;
            let number = |column: usize| {
                let text = rows.first().and_then(|row| row.get(column)?.as_deref());
                text.and_then(|text| text.parse().ok()).unwrap_or(0)
            };
            archives.push(Archive {
                migration: known.migration,
                status: known.status,
                began_at: known.began_at,
                events: number(0),
                bytes: number(1),
                dropped_at: known.archive_dropped_at,
            });
        }
        Ok(archives)
    }

    /// Removes the archive of a migration that has ended, and returns how many events it held. The
    /// migration cannot be undone afterwards.
    ///
    /// # Errors
    /// `Invalid` for a migration that has not ended; those of the server.
    pub async fn drop_archive(&self, known: &Rewrite) -> Result<u64> {
        let (wire, migration) = (&self.0.wire, known.migration);
        if !known.status.is_terminal() {
            let message = format!(
                "migration has not ended, it is {}: {migration}",
                known.status.name()
            );
            return Err(Error::invalid(message)
                .with_hint("end it with `esm finish` or `esm rollback` first"));
        }
        // from here on it cannot be undone, also if this process ends
        let mark = format!(
            "UPDATE esm_in_place.migration SET archive_dropped_at = clock_timestamp()
             WHERE id = '{migration}' AND archive_dropped_at IS NULL
               AND status IN ('finished', 'rolled_back')"
        );
        wire.write(&mark, LONGEST)
            .await
            .map_err(Failure::into_error)?;
        let remove = format!(
            "WITH gone AS (DELETE FROM esm_in_place.archive WHERE ctid = ANY (ARRAY(
                 SELECT a.ctid FROM esm_in_place.archive a JOIN esm_in_place.migration m
                     ON m.id = a.migration
                 WHERE a.migration = '{migration}' AND m.archive_dropped_at IS NOT NULL
                 LIMIT {BATCH})) RETURNING 1)
             SELECT count(*) FROM gone"
        );
        let mut removed = 0;
        loop {
            self.0.check_stop()?;
            let rows = wire.write(&remove, LONGEST).await;
            let rows = rows.map_err(Failure::into_error)?;
            let gone = rows
                .iter()
                .find_map(|row| row.first()?.as_deref()?.parse().ok());
            match gone.unwrap_or(0) {
                0 => return Ok(removed),
                gone => removed += gone,
            }
        }
    }
}
