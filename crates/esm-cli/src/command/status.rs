//! `esm status`

use std::collections::BTreeMap;
use std::time::Duration;

use esm_core::id::MigrationId;
use esm_core::migration::{
    MigrationService, MigrationState, MigrationStatus, Progress, Statistics, WatchedMigration,
};
use esm_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::Serialize;

use crate::exit::Exit;
use crate::in_place;
use crate::migration::{
    Condition, DAMAGED, IdPart, Kind, next_step, object_failures, reversed_by, run_figures,
    service, sign_of_life,
};
use crate::output::{
    Facts, Form, InSeconds, Table, count, duration, remaining, short_id, to_the_second,
};
use crate::progress::Unit;
use crate::session::Session;

/// Migrations that are read at most, by default; those at work are read in any case.
const NEWEST: usize = 200;

/// Show migrations: the unfinished ones, all, or one in detail.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm status
  esm status --all --output json | jq '.migrations[] | {migration, status}'
  esm status 0192d3a0-7c1e-7aaa-8bbb-0123456789ab")]
pub(crate) struct Status {
    /// Migration id, or at least 4 characters of its beginning or end.
    #[arg(conflicts_with = "all")]
    migration: Option<IdPart>,
    /// Include finished migrations, and those older than the newest 200.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Migrations {
    migrations: Vec<Shown>,
    /// Number of older migrations that were not read.
    #[serde(skip_serializing_if = "is_none")]
    not_read: u64,
}

/// A migration, and what it does now.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    state: MigrationState,
    #[serde(flatten)]
    condition: Condition,
    /// What its process last published, if the journal does not know more.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    /// How long ago it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_age: Option<Duration>,
}

#[derive(Debug, Serialize)]
struct OneMigration {
    #[serde(flatten)]
    shown: Shown,
    /// Events of retired schemas that the targets stored unchanged, by schema.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    accepted_unchanged: BTreeMap<String, u64>,
    /// The damage that keeps these events from being counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_unchanged_damage: Option<String>,
}

impl Status {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        if let Some(table) = in_place::in_place(session) {
            return in_place::status(session, &table, self.migration.as_ref(), self.all).await;
        }
        let service = service(session)?;
        match &self.migration {
            Some(migration) => show(session, &service, migration.migration(session).await?).await,
            None => self.list(session, &service).await,
        }
    }

    async fn list(&self, session: &Session, service: &MigrationService) -> Result<Exit> {
        let most = if self.all { usize::MAX } else { NEWEST };
        let found = service.newest(most).await?;
        let reversed = reversed_by(&found.migrations);
        let mut migrations = Vec::new();
        for state in found.migrations {
            if self.all || is_unfinished(&state) {
                let by = reversed.get(&state.migration).copied();
                migrations.push(shown(session, service, state, by).await?);
            }
        }
        let migrations = Migrations {
            migrations,
            not_read: found.not_read,
        };
        let none = if self.all {
            "no migrations"
        } else if migrations.not_read > 0 {
            "no unfinished migrations among the newest; add --all to read all"
        } else {
            "no unfinished migrations; add --all to show finished ones"
        };
        session
            .output()
            .result(&InSeconds(&migrations), |InSeconds(all), form| {
                if all.migrations.is_empty() {
                    none.into()
                } else {
                    table(&all.migrations, form).to_text(form)
                }
            })?;
        if migrations.not_read > 0 {
            let older = count(migrations.not_read);
            let note = format!("older migrations not read: {older}; add --all to read them");
            session.output().note(note);
        }
        for damage in migrations
            .migrations
            .iter()
            .filter_map(|shown| shown.state.damage.as_ref())
        {
            session.output().note(damage.as_str());
        }
        for shown in migrations
            .migrations
            .iter()
            .filter(|s| is_unfinished(&s.state))
        {
            for failure in failures(shown) {
                let migration = session.output().id(shown.state.migration);
                session
                    .output()
                    .note(format!("failed in {migration}: {failure}"));
            }
        }
        Ok(Exit::Success)
    }
}

/// The condition of a migration; of an unfinished one also its progress and its commands.
async fn shown(
    session: &Session,
    service: &MigrationService,
    state: MigrationState,
    reversed_by: Option<MigrationId>,
) -> Result<Shown> {
    let now = session.environment().clock.now();
    let (state, mut condition, progress) = if is_unfinished(&state) && state.damage.is_none() {
        let watched = service.observe(state.migration).await?;
        let condition = Condition::of(&watched, now);
        let progress = published(&watched, &condition);
        (watched.state, condition, progress)
    } else {
        let condition = Condition::of_state(&state);
        (state, condition, None)
    };
    condition.reversed_by = reversed_by;
    let age = |progress: &Progress| now.duration_since(progress.at).unsigned_abs();
    Ok(Shown {
        state,
        condition,
        progress_age: progress.as_ref().map(age),
        progress,
    })
}

/// What the process of a migration published. Of one that has ended without recording its end in the
/// journal it is the last that is known, without an estimate.
fn published(watched: &WatchedMigration, condition: &Condition) -> Option<Progress> {
    let mut progress = watched.progress.clone()?;
    if condition.is_current() && watched.is_at_work() {
        return Some(progress);
    }
    let recorded = matches!(
        condition.condition,
        Kind::Failed | Kind::Stopped | Kind::Ended
    );
    progress.eta = None;
    (!recorded && watched.state.updated_at < Some(progress.at)).then_some(progress)
}

fn is_none(number: &u64) -> bool {
    *number == 0
}

fn is_unfinished(state: &MigrationState) -> bool {
    state.damage.is_some() || state.plan.is_some() && !state.status.is_terminal()
}

async fn show(
    session: &Session,
    service: &MigrationService,
    migration: MigrationId,
) -> Result<Exit> {
    let state = service.status(migration).await?;
    let mut damage = None;
    let accepted = if state.damage.is_none() {
        match service.accepted_unchanged(migration).await {
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Gone) => {
                damage = Some(error.to_string());
                BTreeMap::new()
            }
            counted => counted?,
        }
    } else {
        BTreeMap::new()
    };
    let accepted = accepted.into_iter();
    let (reversed, unknown) = if state.status == MigrationStatus::Completed {
        let newest = service.newest(NEWEST).await?.migrations;
        let reversed = reversed_by(&newest).get(&migration).copied();
        // a damaged journal may be that of its rollback
        let damaged = newest.into_iter().find_map(|state| state.damage);
        (reversed, damaged.filter(|_| reversed.is_none()))
    } else {
        (None, None)
    };
    let one = OneMigration {
        shown: shown(session, service, state, reversed).await?,
        accepted_unchanged: accepted.map(|(s, n)| (s.to_string(), n)).collect(),
        accepted_unchanged_damage: damage,
    };
    let now = session.environment().clock.now();
    session
        .output()
        .result(&InSeconds(&one), |InSeconds(one), form| {
            facts(one, now, form).to_text(form)
        })?;
    let state = &one.shown.state;
    if state.damage.is_some() {
        session.output().note(DAMAGED);
    } else if !state.status.is_terminal() {
        session.output().note(next_step(session, migration));
    }
    Ok(unknown.map_or(Exit::Success, |damage| {
        let what = format!("whether {migration} was rolled back is unknown: {damage}");
        session.output().fail(&Error::corrupt(what))
    }))
}

fn table(migrations: &[Shown], form: Form) -> Table {
    let mut table = Table::new([
        "migration",
        "state",
        "scope",
        "done",
        "migrated",
        "failed",
        "last change",
    ]);
    for shown in migrations {
        let state = &shown.state;
        let objects = objects_done(shown);
        table.row([
            short_id(state.migration, form),
            shown.condition.name(status(shown)),
            state
                .plan
                .as_ref()
                .map(|p| p.scope.to_string())
                .unwrap_or_default(),
            done(shown).unwrap_or_default(),
            objects.map(|o| count(o.migrated)).unwrap_or_default(),
            objects.map(|o| count(o.failed)).unwrap_or_default(),
            last_change(shown).map(to_the_second).unwrap_or_default(),
        ]);
    }
    table
}

/// Objects that are done, as far as that is known.
#[derive(Debug, Clone, Copy)]
struct ObjectsDone {
    migrated: u64,
    failed: u64,
}

fn objects_done(shown: &Shown) -> Option<ObjectsDone> {
    let progress = shown.progress.as_ref().map(|p| ObjectsDone {
        migrated: p.objects_done - p.objects_failed,
        failed: p.objects_failed,
    });
    let recorded = shown.state.statistics.as_ref().map(|s| ObjectsDone {
        migrated: s.migrated,
        failed: s.failed,
    });
    progress.or(recorded)
}

/// The part that is done.
fn done(shown: &Shown) -> Option<String> {
    let percent = shown.progress.as_ref()?.percent?;
    Some(format!("{percent} %"))
}

/// When it was last seen to change: by its journal or by its published progress.
fn last_change(shown: &Shown) -> Option<Timestamp> {
    let published = shown.progress.as_ref().map(|progress| progress.at);
    shown.state.updated_at.max(published)
}

/// The status by the running process, which knows more than the journal.
fn status(shown: &Shown) -> MigrationStatus {
    match &shown.progress {
        Some(progress) if progress.status != MigrationStatus::Pending => progress.status,
        _ => shown.state.status,
    }
}

fn facts(one: &OneMigration, now: Timestamp, form: Form) -> Facts {
    let (shown, state) = (&one.shown, &one.shown.state);
    let reverses = state.plan.as_ref().and_then(|p| p.reverses.as_ref());
    let mut facts = Facts::new();
    facts
        .add("migration", short_id(state.migration, form))
        .add("state", shown.condition.name(status(shown)))
        .add_some("waits for", shown.condition.needs())
        .add_some("damaged", state.damage.as_ref())
        .add_some("scope", state.plan.as_ref().map(|p| &p.scope))
        .add_some(
            "rolls back",
            reverses.map(|reverses| short_id(reverses.migration, form)),
        )
        .add_some(
            "reversed by",
            (shown.condition.reversed_by).map(|by| short_id(by, form)),
        )
        .add_some("holder", state.holder.as_ref())
        .add_some("started", state.started_at.map(to_the_second))
        .add_some("last change", last_change(shown).map(to_the_second));
    let failures = failures(shown);
    if let Some((step, reason)) = &state.stopped {
        // where a failure below says why, this does not
        let recorded = state.statistics.iter().flat_map(|s| &s.failures);
        let mut recorded = recorded.filter(|_| !failures.is_empty());
        let is_named = recorded.any(|failure| failure.message.starts_with(reason));
        let reason = Some(reason).filter(|_| !is_named);
        let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
        facts.add("stopped", format!("{step}{reason}"));
    }
    if let Some(lock) = state
        .lock
        .as_ref()
        .filter(|lock| lock.held || lock.abandoned)
    {
        let (holder, since) = (&lock.holder, to_the_second(lock.acquired_at));
        let life = sign_of_life(lock, now).map_or(String::new(), |life| format!("; {life}"));
        facts.add("lock", format!("held by {holder} since {since}{life}"));
    }
    if let Some(progress) = &shown.progress {
        let figures = run_figures(progress);
        let left = figures.left.map(remaining);
        let left = left.map_or(String::new(), |left| format!(", {left}"));
        let amounts = figures.amounts(Unit::Events);
        let text = format!("{amounts}{left}; {}", figures.about.join(", "));
        match shown.progress_age.filter(|_| !shown.condition.is_current()) {
            Some(age) => facts.add("last published", format!("{text}; {} ago", duration(age))),
            None => facts.add("progress", text),
        };
    }
    if let Some(statistics) = &state.statistics {
        add_statistics(&mut facts, statistics);
    }
    if shown.progress.is_some() {
        let at = state
            .updated_at
            .map_or(String::new(), |at| format!(" until {}", to_the_second(at)));
        facts.add(
            "counted",
            format!("what the journal recorded{at}, batch by batch"),
        );
    }
    for failure in failures {
        facts.add("failure", failure);
    }
    for (schema, events) in &one.accepted_unchanged {
        let events = count(*events);
        facts.add("accepted unchanged", format!("{schema}: {events}"));
    }
    if let Some(damage) = &one.accepted_unchanged_damage {
        facts.add("accepted unchanged", format!("unknown: {damage}"));
    }
    facts
}

fn add_statistics(facts: &mut Facts, statistics: &Statistics) {
    let ledger = &statistics.counts.ledger;
    let events = format!("{} -> {}", count(ledger.source), count(ledger.outputs));
    facts
        .add("objects migrated", count(statistics.migrated))
        .add("already up to date", count(statistics.up_to_date))
        .add("failed", count(statistics.failed))
        .add("events", events);
}

/// The failures of objects; none while a process works on the migration and tries them again.
fn failures(shown: &Shown) -> Vec<String> {
    let recorded = (shown.state.statistics.as_ref()).filter(|_| shown.progress.is_none());
    let failures = recorded.map(object_failures).unwrap_or_default();
    failures.iter().map(ToString::to_string).collect()
}
