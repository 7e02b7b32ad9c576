//! The records of migrations in place.

use std::collections::BTreeSet;

use esm_core::event::Schema;
use esm_core::id::{Fingerprint, MigrationId};
use esm_core::migration::{MigrationPlan, SchemaReport};
use esm_core::protocol::plan::PlannedMigration;
use esm_core::store::HolderProcess;
use esm_core::{Error, Result};
use esm_layout::literal;
use serde::{Deserialize, Serialize};

use super::schema;
use super::wire::{Row, Wire};

/// How far a migration in place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewriteStatus {
    /// Its events are being rewritten.
    Rewriting,
    /// All events that it found are rewritten; old code may still write.
    Rewritten,
    /// It has ended.
    Finished,
    /// It is being undone.
    RollingBack,
    /// It was undone.
    RolledBack,
}

impl RewriteStatus {
    /// Returns its name in outputs and in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rewriting => "rewriting",
            Self::Rewritten => "rewritten",
            Self::Finished => "finished",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
        }
    }

    /// Returns whether nothing is left to do.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::RolledBack)
    }

    fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::Rewriting,
            Self::Rewritten,
            Self::Finished,
            Self::RollingBack,
            Self::RolledBack,
        ];
        all.into_iter().find(|status| status.name() == name)
    }
}

/// What a migration in place is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The planned migration; its annotations hold what a command needs to resume it.
    pub planned: PlannedMigration,
    /// The schemas of the events before it.
    pub before: BTreeSet<Schema>,
    /// The schemas that it introduces.
    pub introduced: BTreeSet<Schema>,
    /// The schemas that it changes: old code writes them.
    pub retired: BTreeSet<Schema>,
    /// The schemas that changed events keep: old code and new code write them.
    pub reused: BTreeSet<Schema>,
    /// The schemas that it changes and that other events become: new code writes them.
    pub chained: BTreeSet<Schema>,
    /// The schemas of which it changes some events and leaves others: new code may write them.
    pub partial: BTreeSet<Schema>,
    /// Number of events that it drops.
    pub dropped: u64,
}

impl From<MigrationPlan> for Description {
    fn from(plan: MigrationPlan) -> Self {
        let dropped = plan.ledger.dropped();
        let retired = &plan.ledger.retired;
        let others = |s: &SchemaReport| {
            s.findings
                .becomes
                .iter()
                .filter(|b| **b != s.schema)
                .cloned()
                .collect::<Vec<_>>()
        };
        let made: BTreeSet<Schema> = plan.schemas.iter().flat_map(others).collect();
        // of those that changed events keep, the policy was chosen knowingly
        let distinct: BTreeSet<Schema> = retired.difference(&plan.ledger.reused).cloned().collect();
        let is_partial = |s: &&SchemaReport| {
            let found = &s.findings;
            retired.contains(&s.schema)
                && found.events > found.changed + found.dropped + found.failed
        };
        let partial = plan.schemas.iter().filter(is_partial);
        Self {
            chained: made.intersection(&distinct).cloned().collect(),
            partial: partial.map(|s| s.schema.clone()).collect(),
            before: plan.schemas.into_iter().map(|s| s.schema).collect(),
            introduced: plan.way_back.needs_down,
            retired: plan.ledger.retired,
            dropped,
            reused: plan.ledger.reused,
            planned: plan.planned,
        }
    }
}

/// The schemas of a migration, as its record holds them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Schemas {
    pub(super) before: BTreeSet<Schema>,
    pub(super) introduced: BTreeSet<Schema>,
    pub(super) retired: BTreeSet<Schema>,
}

impl From<&Description> for Schemas {
    fn from(description: &Description) -> Self {
        Self {
            before: description.before.clone(),
            introduced: description.introduced.clone(),
            retired: description.retired.clone(),
        }
    }
}

/// A migration in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rewrite {
    /// The migration.
    pub migration: MigrationId,
    /// The table, as `schema.table`.
    pub table: String,
    /// How far it is.
    pub status: RewriteStatus,
    /// The transformation.
    pub fingerprint: Fingerprint,
    /// Who runs it, or ran it last.
    pub holder: String,
    /// Why it is undone, or stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began.
    pub began_at: String,
    /// When its status changed last.
    pub changed_at: String,
    /// Number of events that it rewrote and that were not restored.
    pub rewritten: u64,
    /// Number of events that were restored.
    pub restored: u64,
    /// Whether a process runs it now, as far as the database and this machine know.
    pub is_at_work: bool,
    /// What the process that runs it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The trigger that refuses old code, and its table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuses_by: Option<String>,
    /// The trigger that refused old code before the undo, and its table: it lets everything pass, and
    /// is removed at the end of the undo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passes_by: Option<String>,
    /// When its archive was dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_dropped_at: Option<String>,
    /// The planned migration.
    #[serde(skip)]
    pub planned: Box<PlannedMigration>,
    #[serde(skip)]
    pub(super) schemas: Schemas,
    #[serde(skip)]
    pub(super) process: Option<HolderProcess>,
}

/// Columns of a migration, and how many of its rows are in the archive. A process that has not
/// been seen for this long is not at work.
const SELECT: &str = "SELECT m.id, m.relation, m.status, m.plan, m.schemas, m.holder, m.process, \
     m.reason, to_char(m.began_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
     to_char(m.changed_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
     coalesce(clock_timestamp() - m.seen_at < interval '15 s', false), \
     to_char(m.archive_dropped_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
     (SELECT count(*) FROM esm_in_place.archive a WHERE a.migration = m.id AND a.kind <> 'down' \
      AND a.undone_at IS NULL), \
     (SELECT count(*) FROM esm_in_place.archive a WHERE a.migration = m.id AND a.kind <> 'down' \
      AND a.undone_at IS NOT NULL), \
     (SELECT min(format('trigger %s on %s', t.tgname, t.tgrelid::regclass)) FROM pg_trigger t \
      WHERE t.tgname = 'esm_refuse_' || replace(m.id::text, '-', '') AND t.tgparentid = 0), \
     m.waits_for \
     FROM esm_in_place.migration m";

impl Rewrite {
    /// The migrations of a table, the newest first.
    pub(super) async fn all(wire: &Wire, relation: &str) -> Result<Vec<Self>> {
        let relation = literal(relation);
        let query =
            format!("{SELECT} WHERE m.relation = {relation} ORDER BY m.began_at DESC, m.id DESC");
        wire.read(&query).await?.iter().map(Self::of).collect()
    }

    fn of(row: &Row) -> Result<Self> {
        let damaged = || Error::corrupt("the record of a migration in place cannot be read");
        let text = |column: usize| row.get(column).cloned().flatten();
        let required = |column: usize| text(column).ok_or_else(damaged);
        let number =
            |column: usize| -> Result<u64> { required(column)?.parse().map_err(|_| damaged()) };
        let unreadable = |e: serde_json::Error| damaged().with_source(e);
        let planned: PlannedMigration = serde_json::from_str(&required(3)?).map_err(unreadable)?;
        let process = text(6).map(|text| serde_json::from_str(&text));
        let status = RewriteStatus::parse(&required(2)?).ok_or_else(damaged)?;
        // an undo opens it first
        let is_undone = matches!(
            status,
            RewriteStatus::RollingBack | RewriteStatus::RolledBack
        );
        let (refuses_by, passes_by) = if is_undone {
            (None, text(14))
        } else {
            (text(14), None)
        };
        Ok(Self {
            migration: required(0)?.parse()?,
            table: required(1)?,
            status,
            fingerprint: planned.fingerprint.clone(),
            schemas: serde_json::from_str(&required(4)?).map_err(unreadable)?,
            planned: Box::new(planned),
            holder: required(5)?,
            process: process.transpose().map_err(unreadable)?,
            reason: text(7),
            began_at: required(8)?,
            changed_at: required(9)?,
            is_at_work: required(10)? == "t",
            archive_dropped_at: text(11),
            rewritten: number(12)?,
            restored: number(13)?,
            refuses_by,
            passes_by,
            waits_for: text(15),
        })
    }
}

/// The statement that creates the record of a migration.
pub(super) fn insert(
    description: &Description,
    relation: &str,
    holder: &str,
    process: Option<&HolderProcess>,
) -> Result<String> {
    let (planned, schemas) = (&description.planned, Schemas::from(description));
    Ok(format!(
        "INSERT INTO esm_in_place.migration (id, relation, status, fingerprint, plan, schemas, \
         holder, process, seen_at) VALUES ('{}', {}, 'rewriting', {}, {}, {}, {}, {}, \
         clock_timestamp())",
        planned.migration,
        literal(relation),
        literal(planned.fingerprint.as_ref()),
        literal(&json(planned)?),
        literal(&json(&schemas)?),
        literal(holder),
        process_of(process)?
    ))
}

/// The statement that makes this process the holder of a migration.
pub(super) fn take(
    migration: MigrationId,
    holder: &str,
    process: Option<&HolderProcess>,
) -> Result<String> {
    Ok(format!(
        "UPDATE esm_in_place.migration SET holder = {}, process = {}, seen_at = clock_timestamp() \
         WHERE id = '{migration}'",
        literal(holder),
        process_of(process)?
    ))
}

fn process_of(process: Option<&HolderProcess>) -> Result<String> {
    match process {
        Some(process) => Ok(literal(&json(process)?)),
        None => Ok("NULL".to_owned()),
    }
}

pub(super) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::invalid("a migration cannot be written as JSON").with_source(e))
}

/// Checks that the archive of a migration has every row that its swaps wrote.
///
/// # Errors
/// `Corrupt` where rows are missing; `Unsupported` where it was dropped.
pub(super) async fn ensure_whole(wire: &Wire, known: &Rewrite) -> Result<()> {
    let migration = known.migration;
    if known.archive_dropped_at.is_some() {
        return Err(Error::unsupported(format!(
            "the archive of the migration was dropped: {migration}"
        ))
        .with_hint("restore the events from a backup"));
    }
    let query = format!(
        "SELECT (SELECT coalesce(sum(rows), 0) FROM esm_in_place.swap WHERE migration = '{migration}'), \
                (SELECT count(*) FROM esm_in_place.archive WHERE migration = '{migration}')"
    );
    let rows = wire.read(&query).await.map_err(schema::with_grant)?;
    let Some([Some(written), Some(kept)]) = rows.first().map(Vec::as_slice) else {
        return Err(Error::corrupt("the archive cannot be counted"));
    };
    if written == kept {
        return Ok(());
    }
    let message =
        format!("the archive of migration {migration} is incomplete: {kept} of {written} events");
    Err(Error::corrupt(message).with_hint(
        "somebody removed rows of esm_in_place.archive; the migration can neither be continued nor \
         undone without them",
    ))
}
