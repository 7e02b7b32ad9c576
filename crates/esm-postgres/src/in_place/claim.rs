//! The claim of a table: which migration may rewrite it, and in which epoch.

use std::time::Duration;

use esm_core::id::MigrationId;
use esm_core::{Error, ErrorKind, Result};
use esm_layout::literal;

use super::schema::with_grant;
use super::wire::{Failure, Wire};

/// How long a claim may take: a swap that holds it ends before.
const LONGEST: Duration = Duration::from_secs(10);

/// A table that a migration has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// The table, as `schema.table`.
    pub(super) relation: String,
    pub(super) migration: MigrationId,
    pub(super) epoch: i64,
}

impl Claim {
    /// Claims a table, or raises the epoch of the migration that has claimed it already: whoever
    /// continued it before commits nothing from now on. `also` is a statement of the same
    /// transaction.
    ///
    /// # Errors
    /// `AlreadyExists`, naming the migration that has claimed the table; those of the server.
    pub(super) async fn acquire(
        wire: &Wire,
        relation: &str,
        migration: MigrationId,
        also: &str,
    ) -> Result<Self> {
        let named = literal(relation);
        let statement = format!(
            "SET LOCAL lock_timeout = '8s';
             INSERT INTO esm_in_place.claim AS c (relation, migration, epoch)
             VALUES ({named}, '{migration}', 1)
             ON CONFLICT (relation) DO UPDATE SET migration = excluded.migration,
                 epoch = c.epoch + 1
             WHERE c.migration IS NULL OR c.migration = excluded.migration;
             SELECT 1 / count(*) FROM esm_in_place.claim
             WHERE relation = {named} AND migration = '{migration}';
             {also};
             SELECT 'claimed', epoch FROM esm_in_place.claim WHERE relation = {named}"
        );
        let claimed = wire.write(&statement, LONGEST).await;
        let rows = match claimed {
            Ok(rows) => rows,
            Err(failure) => {
                let error = with_grant(failure.into_error());
                return Err(match holder(wire, relation).await? {
                    Some(other) if other != migration => at_work(relation, other),
                    _ => error,
                });
            }
        };
        let claimed = rows
            .iter()
            .find(|row| row.first().cloned().flatten().as_deref() == Some("claimed"));
        let epoch = claimed.and_then(|row| row.get(1)?.as_deref()?.parse().ok());
        Ok(Self {
            relation: relation.to_owned(),
            migration,
            epoch: epoch.ok_or_else(|| Error::corrupt("the claim of a table has no epoch"))?,
        })
    }

    /// A subquery with one row if this claim is in force, and which keeps it in force until the
    /// commit.
    pub(super) fn fence(&self) -> String {
        format!(
            "SELECT 1 FROM esm_in_place.claim WHERE relation = {} AND migration = '{}' \
             AND epoch = {} FOR SHARE NOWAIT",
            literal(&self.relation),
            self.migration,
            self.epoch
        )
    }

    /// Runs statements in a transaction in which this claim is in force.
    ///
    /// # Errors
    /// `LockLost` if another process continues the migration; those of the server.
    pub(super) async fn write(&self, wire: &Wire, statements: &str) -> Result<()> {
        let fenced = format!(
            "SELECT 1 / count(*) FROM ({}) held; {statements}",
            self.fence()
        );
        match wire.write(&fenced, LONGEST).await {
            Ok(_) => Ok(()),
            Err(failure) => {
                self.ensure_held(wire).await?;
                Err(failure.into_error())
            }
        }
    }

    /// # Errors
    /// `LockLost` if another process continues the migration.
    pub(super) async fn ensure_held(&self, wire: &Wire) -> Result<()> {
        let held = format!(
            "SELECT count(*) FROM esm_in_place.claim WHERE relation = {} AND migration = '{}' \
             AND epoch = {}",
            literal(&self.relation),
            self.migration,
            self.epoch
        );
        let rows = wire.read(&held).await?;
        if rows.first().and_then(|row| row.first()?.as_deref()) == Some("1") {
            return Ok(());
        }
        let message = format!("another process continues the migration {}", self.migration);
        Err(Error::new(ErrorKind::LockLost, message)
            .with_hint("nothing of this process was committed since: see `esm status`"))
    }

    /// The statement that ends the claim; whoever had it commits nothing afterwards.
    pub(super) fn release(&self) -> String {
        format!(
            "UPDATE esm_in_place.claim SET migration = NULL, epoch = epoch + 1 \
             WHERE relation = {} AND migration = '{}' AND epoch = {}",
            literal(&self.relation),
            self.migration,
            self.epoch
        )
    }
}

/// Returns the migration that has claimed a table.
///
/// # Errors
/// Those of the server.
pub(super) async fn holder(wire: &Wire, relation: &str) -> Result<Option<MigrationId>> {
    let query = format!(
        "SELECT migration FROM esm_in_place.claim WHERE relation = {}",
        literal(relation)
    );
    let rows = wire.read(&query).await.map_err(with_grant)?;
    let migration = rows.first().and_then(|row| row.first()?.as_deref());
    migration.map(str::parse).transpose()
}

/// The error about a table that another migration has claimed.
pub(super) fn at_work(relation: &str, other: MigrationId) -> Error {
    let message = format!("another migration is at work on {relation}: {other}");
    Error::new(ErrorKind::AlreadyExists, message)
        .with_hint("complete it with `esm resume` or `esm finish`, or undo it with `esm rollback`")
}

impl Failure {
    /// Whether it may succeed if it is tried again.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::RolledBack { is_transient, .. } => *is_transient,
            Self::TooLong(_) | Self::Unknown(_) => true,
        }
    }
}
