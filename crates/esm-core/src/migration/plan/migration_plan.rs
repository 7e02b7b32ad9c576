//! The plan: the outcome of a dry run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cutover::source::schemas::missing_policy;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Schema};
use crate::id::MigrationId;
use crate::migration::plan::way_back::WayBackFindings;
use crate::protocol::plan::{MigrationStrategy, PlannedMigration};
use crate::protocol::statistics::ObjectFailure;
use crate::transform::{EventSample, Failure, Fate, Ledger, Mapped, MaskingFindings};

/// How many events of the sources a dry run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanDepth {
    /// All events, each transformed twice.
    #[default]
    All,
    /// The first events of every stream, each transformed twice.
    Sample {
        /// Maximum number of events of a stream.
        events_per_stream: u64,
    },
    /// No events: only the objects and their streams.
    Nothing,
}

/// Findings of a dry run about one schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SchemaFindings {
    /// Number of events.
    pub events: u64,
    /// Size of the events, uncompressed, in bytes.
    pub bytes: u64,
    /// Events that the transformation changes or splits.
    pub changed: u64,
    /// Events that the transformation drops.
    pub dropped: u64,
    /// Events that the transformation fails on.
    pub failed: u64,
    /// Of the changed events, those that become several events.
    #[serde(default)]
    pub split: u64,
    /// The schemas that changed events get, at most [`MAX_BECOMES`](Self::MAX_BECOMES).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub becomes: BTreeSet<Schema>,
}

impl SchemaFindings {
    /// Maximum number of schemas in `becomes`.
    pub const MAX_BECOMES: usize = 16;

    /// Records a source event of this size and the result of its transformation.
    pub(super) fn record(&mut self, bytes: u64, mapped: &std::result::Result<Mapped, Failure>) {
        self.events += 1;
        self.bytes += bytes;
        match mapped {
            Ok(mapped) => match mapped.fate {
                Fate::Unchanged => {}
                Fate::Changed | Fate::Split => {
                    self.changed += 1;
                    self.split += u64::from(mapped.fate == Fate::Split);
                    self.add_becomes(mapped.outputs.iter().map(Event::schema));
                }
                Fate::Dropped { .. } => self.dropped += 1,
            },
            Err(_) => self.failed += 1,
        }
    }

    fn add_becomes(&mut self, schemas: impl IntoIterator<Item = Schema>) {
        for schema in schemas {
            if self.becomes.len() < Self::MAX_BECOMES {
                self.becomes.insert(schema);
            }
        }
    }

    /// Adds the findings about another part.
    pub(super) fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
        self.changed += other.changed;
        self.dropped += other.dropped;
        self.failed += other.failed;
        self.split += other.split;
        self.add_becomes(other.becomes);
    }
}

/// A schema and the findings about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaReport {
    /// The schema.
    #[serde(flatten)]
    pub schema: Schema,
    /// The findings.
    #[serde(flatten)]
    pub findings: SchemaFindings,
}

/// Expected cost of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Estimates {
    /// Storage writes of the migration itself, without backup, archive and heartbeats.
    pub writes: u64,
    /// Data cells; included in `writes`.
    pub cells: u64,
    /// Bytes written to targets, uncompressed.
    pub target_bytes: u64,
    /// Bytes of events in backups and archives, uncompressed.
    pub backup_bytes: u64,
}

/// The outcome of a dry run: the planned migration, its findings, cost and risks.
///
/// [`MigrationBuilder::dry_run`](crate::migration::MigrationBuilder::dry_run) makes it, JSON stores
/// it, [`MigrationBuilder::execute_plan`](crate::migration::MigrationBuilder::execute_plan)
/// executes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MigrationPlan {
    /// Version of the format, [`MigrationPlan::FORMAT`]. A reader refuses a newer one.
    pub format: u32,
    /// The planned migration.
    pub planned: PlannedMigration,
    /// How many events of the sources were read.
    pub depth: PlanDepth,
    /// Number of objects to migrate.
    pub objects: u64,
    /// Number of objects whose active stream is already the output of this transformation.
    pub up_to_date: u64,
    /// Number of events in the sources.
    pub events: u64,
    /// Number of events that were read.
    pub sampled_events: u64,
    /// Size of the events that were read, uncompressed, in bytes.
    pub bytes: u64,
    /// The schemas of the events that were read.
    pub schemas: Vec<SchemaReport>,
    /// The earliest time of these events, as stored.
    pub earliest: Option<String>,
    /// The latest time of these events, as stored.
    pub latest: Option<String>,
    /// The effect of the transformation on these events.
    pub ledger: Ledger,
    /// The fields that the transformation masks, and others that have the same values.
    #[serde(default, skip_serializing_if = "MaskingFindings::is_empty")]
    pub masking: MaskingFindings,
    /// The expected cost.
    pub estimates: Estimates,
    /// The assumptions that the migration relies on.
    pub prerequisites: Vec<String>,
    /// The risks that an operator should know.
    pub risks: Vec<String>,
    /// What can be undone, and until when.
    pub reversibility: String,
    /// Whether, and up to which event, the migration can be rolled back after its pivot.
    #[serde(default)]
    pub way_back: WayBackFindings,
    /// Number of objects that cannot be migrated.
    #[serde(default)]
    pub blocked: u64,
    /// The first of these objects, with the reasons.
    #[serde(default)]
    pub blockers: Vec<ObjectFailure>,
    /// The first changed, split and dropped event of each schema, and the first event of each kind of
    /// failure, at most 20. They contain data: a saved plan needs the same protection as the events.
    /// Values that a transformation for personal data masks are not in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<EventSample>,
    /// Number of samples that are omitted because the others take all the space.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub samples_omitted: u64,
    /// A digest of the source streams and their tails.
    pub sources: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl MigrationPlan {
    /// The format that this version writes.
    pub const FORMAT: u32 = 1;

    /// Returns the id of the planned migration.
    pub fn migration(&self) -> MigrationId {
        self.planned.migration
    }

    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.objects == 0
    }

    /// Returns whether no event and no object was found that stops the migration.
    pub fn is_executable(&self) -> bool {
        self.ledger.failed.is_empty() && self.blocked == 0
    }

    /// Checks that a plan made now, of the same description, has the same options, transformation and
    /// sources. In place, where both plans read all events, it finds every event that was changed.
    ///
    /// # Errors
    /// `PlanOutdated`, naming the difference; `Invalid` for a plan with failures.
    pub fn ensure_same(&self, now: &Self) -> Result<()> {
        self.ensure_fits(&now.planned)?;
        self.ensure_current(now)
    }

    /// Checks the plan against the present description.
    ///
    /// # Errors
    /// `PlanOutdated`, naming the difference; `Invalid` for a plan with failures, or without a
    /// required `on_retired`.
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
            return Err(
                Error::invalid("the plan lists events or objects that cannot be migrated")
                    .with_hint("correct the transformation or the scope, and make a new plan"),
            );
        }
        let planned = &self.planned;
        // ids and times differ, and so do retentions, which count from now
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
        } else if let (MigrationStrategy::CopyAndTransform, None, Some(schema)) =
            (now.strategy, now.on_retired, self.ledger.reused.first())
        {
            return Err(missing_policy(schema));
        } else {
            return Ok(());
        };
        Err(outdated(what))
    }

    /// Checks that no source has changed.
    ///
    /// # Errors
    /// `PlanOutdated` if one has.
    pub(crate) fn ensure_current(&self, now: &Self) -> Result<()> {
        if self.sources != now.sources {
            return Err(outdated("source"));
        }
        Ok(())
    }
}

fn outdated(what: &str) -> Error {
    Error::new(
        ErrorKind::PlanOutdated,
        format!("changed since the plan was made: {what}"),
    )
    .with_hint("make a new plan")
}
