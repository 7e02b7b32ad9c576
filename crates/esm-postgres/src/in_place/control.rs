//! The control logs of migrations in place: commands from any process, and their answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::id::MigrationId;
use esm_core::migration::ControlLog;
use esm_core::protocol::control::SettingsChange;
use esm_core::store::{Record, RecordCollection, RecordKey, Records};
use esm_core::{Error, ErrorKind, Result};
use esm_layout::literal;
use futures::stream::{self, BoxStream, StreamExt as _};

use super::claim::Claim;
use super::wire::{Row, Wire};

/// How long writing a command or an answer may take.
const LONGEST: Duration = Duration::from_secs(5);

/// The control logs of migrations in place, as records.
pub(super) struct ControlRecords {
    wire: Wire,
    /// The claim that must be in force where something is written; none for commands.
    claim: Option<Claim>,
}

impl std::fmt::Debug for ControlRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlRecords")
            .field("claim", &self.claim)
            .finish_non_exhaustive()
    }
}

impl ControlRecords {
    /// The log of a migration.
    pub(super) fn log(wire: Wire, claim: Option<Claim>, migration: MigrationId) -> ControlLog {
        ControlLog::new(Arc::new(Self { wire, claim }), migration)
    }

    async fn put(&self, migration: MigrationId, number: u64, body: &str) -> Result<()> {
        let fence = match &self.claim {
            Some(claim) => format!("SELECT 1 / count(*) FROM ({}) held; ", claim.fence()),
            None => String::new(),
        };
        let insert = format!(
            "{fence}INSERT INTO esm_in_place.control (migration, number, body)
             VALUES ('{migration}', {number}, {}) ON CONFLICT DO NOTHING
             RETURNING 'written'",
            literal(body)
        );
        let rows = match self.wire.write(&insert, LONGEST).await {
            Ok(rows) => rows,
            Err(failure) => {
                if let Some(claim) = &self.claim {
                    claim.ensure_held(&self.wire).await?;
                }
                return Err(failure.into_error());
            }
        };
        let is_written = |row: &Row| row.first().and_then(Option::as_deref) == Some("written");
        if rows.iter().any(is_written) {
            return Ok(());
        }
        let message = format!("control record {number} of migration {migration} exists");
        Err(Error::new(ErrorKind::Conflict { actual: None }, message))
    }
}

fn migration_of(key: &RecordKey) -> Result<MigrationId> {
    match key {
        RecordKey::Control(migration) => Ok(*migration),
        other => Err(Error::unsupported(format!("not kept in place: {other}"))),
    }
}

#[async_trait]
impl Records for ControlRecords {
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        let migration = migration_of(key)?;
        let newest =
            format!("SELECT max(number) FROM esm_in_place.control WHERE migration = '{migration}'");
        let rows = self.wire.read(&newest).await?;
        let number = rows
            .first()
            .and_then(|row| row.first()?.as_deref()?.parse().ok());
        match number {
            Some(number) => self.get(key, number).await,
            None => Ok(None),
        }
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        let migration = migration_of(key)?;
        let query = format!(
            "SELECT body FROM esm_in_place.control WHERE migration = '{migration}' \
             AND number = {number}"
        );
        let rows = self.wire.read(&query).await?;
        let body = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next()?);
        Ok(body.map(|body| Record {
            number,
            body: Bytes::from(body),
        }))
    }

    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        let migration = migration_of(key)?;
        let text = std::str::from_utf8(&body)
            .map_err(|e| Error::invalid("a command is not text").with_source(e))?;
        self.put(migration, number, text).await
    }

    fn list(&self, _collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        stream::empty().boxed()
    }
}

/// The settings that mean something in place; the others are named.
pub(super) fn without_meaning(change: &SettingsChange) -> Option<&'static str> {
    let others = [
        ("requests-in-flight", change.requests_in_flight.is_some()),
        ("target-latency-ms", change.target_latency_ms.is_some()),
        ("observed-latency-ms", change.observed_latency_ms.is_some()),
        ("cell-events", change.cell_events.is_some()),
        ("cell-bytes", change.cell_bytes.is_some()),
    ];
    others
        .into_iter()
        .find(|(_, given)| *given)
        .map(|(name, _)| name)
}
