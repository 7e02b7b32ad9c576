//! `esm status`

use esm_core::id::MigrationId;
use esm_core::migration::{MigrationService, Statistics};
use esm_core::{Error, Result};
use esm_view::migration::{Migrations, OneMigration, Shown, is_unfinished, transformation_fails};
use jiff::Timestamp;

use crate::exit::Exit;
use crate::in_place;
use crate::migration::{
    Condition, DAMAGED, IdPart, mend_the_program, next_step, run_figures, service, sign_of_life,
};
use crate::output::{
    Facts, Form, InSeconds, Table, Text, count, duration, remaining, short_id, to_the_second,
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
        let clock = &*session.environment().clock;
        let migrations = Migrations::load(service, clock, most, self.all).await?;
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
                if all.migrations.is_empty() && all.unreadable.is_empty() {
                    none.into()
                } else {
                    table(&all.migrations, form).to_text(form)
                }
            })?;
        for unreadable in &migrations.unreadable {
            let migration = session.output().id(unreadable.migration);
            let hint = unreadable.hint.as_ref();
            let hint = hint.map_or(String::new(), |hint| format!(" ({hint})"));
            let note = format!("{migration} cannot be read: {}{hint}", unreadable.reason);
            session.output().note(note);
        }
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
            for failure in shown.failures() {
                let migration = session.output().id(shown.state.migration);
                session
                    .output()
                    .note(format!("failed in {migration}: {failure}"));
            }
        }
        Ok(Exit::Success)
    }
}

async fn show(
    session: &Session,
    service: &MigrationService,
    migration: MigrationId,
) -> Result<Exit> {
    let clock = &*session.environment().clock;
    let (one, unknown) = OneMigration::load(service, clock, migration, NEWEST).await?;
    let now = clock.now();
    session
        .output()
        .result(&InSeconds(&one), |InSeconds(one), form| {
            facts(one, now, form).to_text(form)
        })?;
    let state = &one.shown.state;
    if state.damage.is_some() {
        session.output().note(DAMAGED);
    } else if !state.status.is_terminal() {
        session.output().note(next(session, &one.shown));
    }
    Ok(unknown.map_or(Exit::Success, |damage| {
        let what = format!("whether {migration} was rolled back is unknown: {damage}");
        session.output().fail(&Error::corrupt(what))
    }))
}

/// Suggests commands for a migration that has not ended.
fn next(session: &Session, shown: &Shown) -> Text {
    let state = &shown.state;
    if shown.condition.is_current() {
        // it may continue although an object has failed
        return steer(session, &shown.condition, state.migration);
    }
    match (&state.plan, &state.statistics) {
        (Some(plan), Some(statistics)) if transformation_fails(state) => {
            mend_the_program(session, plan, statistics)
        }
        _ => next_step(session, state.migration),
    }
}

/// Suggests commands for the process that works on a migration.
fn steer(session: &Session, condition: &Condition, migration: MigrationId) -> Text {
    let (store, migration) = (session.store_argument(), session.output().id(migration));
    let (what, command) = match condition.continued_by {
        Some(command) => ("continue:", command),
        None => ("follow:  ", "esm watch"),
    };
    Text::whole(format_args!("{what}  {command} {migration}{store}")).and(Text::whole(
        format_args!("undo:      esm cancel {migration}{store}"),
    ))
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
            shown.condition.name(shown.status()),
            state
                .plan
                .as_ref()
                .map(|p| p.scope.to_string())
                .unwrap_or_default(),
            done(shown).unwrap_or_default(),
            objects.map(|o| count(o.migrated)).unwrap_or_default(),
            objects.map(|o| count(o.failed)).unwrap_or_default(),
            shown.last_change().map(to_the_second).unwrap_or_default(),
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

fn facts(one: &OneMigration, now: Timestamp, form: Form) -> Facts {
    let (shown, state) = (&one.shown, &one.shown.state);
    let reverses = state.plan.as_ref().and_then(|p| p.reverses.as_ref());
    let mut facts = Facts::new();
    facts
        .add("migration", short_id(state.migration, form))
        .add("state", shown.condition.name(shown.status()))
        .add_some("waits for", shown.condition.needs())
        .add_some("damaged", state.damage.as_ref())
        .add_some("commands damaged", shown.commands_damage.as_ref())
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
        .add_some("last change", shown.last_change().map(to_the_second));
    let failures = shown.failures();
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
