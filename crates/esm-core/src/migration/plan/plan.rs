//! Plans: what a migration would do, found out without writing anything.

use serde::{Deserialize, Serialize};

use crate::cutover::schemas::missing_policy;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Schema;
use crate::id::MigrationId;
use crate::migration::plan::way_back::WayBackFindings;
use crate::protocol::planned::PlannedMigration;
use crate::protocol::statistics::ObjectFailure;
use crate::transform::Ledger;

/// How much of the sources a dry run looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanDepth {
    /// All events, each transformed twice.
    #[default]
    All,
    /// The first events of every stream, each transformed twice.
    Sample {
        /// Most events of a stream.
        events_per_stream: u64,
    },
    /// No events: only which objects and streams there are.
    Nothing,
}

/// What a dry run found out about one schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SchemaFindings {
    /// Number of events.
    pub events: u64,
    /// Their size, uncompressed, in bytes.
    pub bytes: u64,
    /// Of them, those that the transformation changes or splits.
    pub changed: u64,
    /// Of them, those that it drops.
    pub dropped: u64,
    /// Of them, those that it fails on.
    pub failed: u64,
}

/// A schema and what was found out about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaReport {
    /// The schema.
    #[serde(flatten)]
    pub schema: Schema,
    /// What was found.
    #[serde(flatten)]
    pub findings: SchemaFindings,
}

/// What a migration is expected to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Estimates {
    /// Storage writes of the migration itself, without backup, archive and heartbeats.
    pub writes: u64,
    /// Of them, data cells.
    pub cells: u64,
    /// Bytes written to targets, uncompressed.
    pub target_bytes: u64,
    /// Bytes of events in backups and archives, uncompressed.
    pub backup_bytes: u64,
}

/// What a migration would do. Made by [`MigrationBuilder::dry_run`](crate::migration::MigrationBuilder::dry_run),
/// kept as JSON, executed by
/// [`MigrationBuilder::execute_plan`](crate::migration::MigrationBuilder::execute_plan).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MigrationPlan {
    /// Version of the format, [`MigrationPlan::FORMAT`]. A reader refuses a newer one.
    pub format: u32,
    /// What would be done.
    pub planned: PlannedMigration,
    /// How much of the sources was looked at.
    pub depth: PlanDepth,
    /// Number of objects to migrate.
    pub objects: u64,
    /// Number of objects that went through this transformation already.
    pub up_to_date: u64,
    /// Number of events in the sources.
    pub events: u64,
    /// Number of events that were looked at.
    pub sampled_events: u64,
    /// Size of the events that were looked at, uncompressed, in bytes.
    pub bytes: u64,
    /// The schemas of the events that were looked at.
    pub schemas: Vec<SchemaReport>,
    /// The earliest time of those events, as it was written.
    pub earliest: Option<String>,
    /// The latest time of those events, as it was written.
    pub latest: Option<String>,
    /// What became of them.
    pub ledger: Ledger,
    /// What it is expected to cost.
    pub estimates: Estimates,
    /// What must be given for it to work, and is.
    pub prerequisites: Vec<String>,
    /// What a careful operator should know.
    pub risks: Vec<String>,
    /// What can be undone until when.
    pub reversibility: String,
    /// Whether, and until which event, it can be undone after its pivot.
    #[serde(default)]
    pub way_back: WayBackFindings,
    /// Number of objects that cannot be migrated.
    #[serde(default)]
    pub blocked: u64,
    /// The first of them, and why.
    #[serde(default)]
    pub blockers: Vec<ObjectFailure>,
    /// A digest of which streams there are and where they end.
    pub sources: String,
}

impl MigrationPlan {
    /// The format that this version writes.
    pub const FORMAT: u32 = 1;

    /// The migration that would be begun.
    pub fn migration(&self) -> MigrationId {
        self.planned.migration
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.objects == 0
    }

    /// Whether no event and no object was found that stops the migration.
    pub fn is_executable(&self) -> bool {
        self.ledger.failed.is_empty() && self.blocked == 0
    }

    /// # Errors
    /// `PlanOutdated`, naming what differs; `Invalid` for a plan that found failures, or that leaves
    /// open what must be chosen.
    pub(crate) fn ensure_fits(&self, now: &PlannedMigration) -> Result<()> {
        if self.format > Self::FORMAT {
            let message = format!(
                "the plan has format {}, known is {}",
                self.format,
                Self::FORMAT
            );
            return Err(Error::invalid(message).with_hint("use a newer version of esm"));
        }
        if !self.is_executable() {
            return Err(Error::invalid(
                "the plan found events that cannot be transformed",
            ));
        }
        let planned = &self.planned;
        // ids and moments differ, and so do retentions, which count from now
        let comparable = |p: &PlannedMigration| {
            let mut p = p.clone();
            p.migration = planned.migration;
            p.created_at = planned.created_at;
            let archive = p.close_books.iter_mut().filter_map(|b| b.archive.as_mut());
            archive
                .chain(p.backup.iter_mut())
                .for_each(|b| b.keep_until = None);
            p
        };
        let what = if planned.store != now.store {
            "store"
        } else if planned.fingerprint != now.fingerprint {
            "transformation"
        } else if comparable(planned) != comparable(now) {
            "options"
        } else if let (None, Some(schema)) = (now.on_retired, self.ledger.reused.first()) {
            return Err(missing_policy(schema));
        } else {
            return Ok(());
        };
        Err(outdated(what))
    }

    /// # Errors
    /// `PlanOutdated` when a source has changed.
    pub(crate) fn ensure_current(&self, now: &Self) -> Result<()> {
        match self.sources == now.sources {
            true => Ok(()),
            false => Err(outdated("source")),
        }
    }
}

fn outdated(what: &str) -> Error {
    Error::new(
        ErrorKind::PlanOutdated,
        format!("{what} has changed since the plan was made"),
    )
    .with_hint("make a new plan")
}
