//! The report of a run.

use std::fmt::Write as _;

use esm_core::id::MigrationId;
use esm_core::migration::{
    MigrationResult, MigrationStatus, ObjectReport, PlannedMigration, Statistics,
};
use esm_core::transform::Ledger;
use esm_core::{ErrorKind, Result};
use esm_view::migration::{FailedObjects, object_failures};
use serde::Serialize;

use super::failures::value_of;
use super::places::Places;
use crate::exit::Exit;
use crate::output::{
    ErrorReport, Facts, Form, InSeconds, Text, bytes, count, counted, duration, short_id,
};
use crate::session::Session;

/// The report as JSON.
#[derive(Debug, Serialize)]
struct RunReport<'a> {
    migration: MigrationId,
    success: bool,
    status: MigrationStatus,
    statistics: &'a Statistics,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a ObjectReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport>,
    elapsed_seconds: f64,
}

/// Prints the report of a run; returns the exit code.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) async fn finish(
    session: &Session,
    result: &MigrationResult,
    expected: Expected,
) -> Result<Exit> {
    let error = match &result.error {
        Some(error) => {
            let value = value_of(session, error).await;
            let failures = object_failures(&result.statistics);
            let failure = failures.iter().find(|failure| failure.is(Some(error)));
            let report = ErrorReport::new(error).with_value(value);
            Some(report.with_objects(failure.map(FailedObjects::objects)))
        }
        None => None,
    };
    let report = RunReport {
        migration: result.migration,
        success: result.is_success(),
        status: result.status,
        statistics: &result.statistics,
        object: result.object.as_ref(),
        error,
        elapsed_seconds: result.elapsed.as_secs_f64(),
    };
    let output = session.output();
    output.result(&InSeconds(&report), |_, form| text(result, form))?;
    let exit = match &result.error {
        Some(error) => error.kind().into(),
        None if result.is_success() => Exit::Success,
        None if is_undone(result.status) => match expected {
            Expected::Undone => Exit::Success,
            // undone by another process
            Expected::Migrated => Exit::Interrupted,
        },
        None => Exit::Failure,
    };
    if let Some(error) = &report.error {
        output.note(error.to_text());
    }
    if let Some(note) = elsewhere(session, &result.plan) {
        output.note(note);
    }
    if !result.status.is_terminal() {
        output.note(match &result.error {
            Some(error) if *error.kind() == ErrorKind::TransformFailed => {
                mend_the_program(session, &result.plan, &result.statistics)
            }
            _ => next_step(session, result.migration),
        });
    }
    Ok(exit)
}

/// The outcome that a command is meant to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The objects are migrated.
    Migrated,
    /// The migration is undone.
    Undone,
}

fn is_undone(status: MigrationStatus) -> bool {
    matches!(
        status,
        MigrationStatus::RolledBack | MigrationStatus::Abandoned | MigrationStatus::Cancelled
    )
}

/// What to add to the next commands if streams have moved to a store that is opened only because the
/// migration names it.
fn elsewhere(session: &Session, plan: &PlannedMigration) -> Option<Text> {
    let target = plan.target_store?;
    if session.stores().get(target).is_ok() {
        return None;
    }
    let place = Places::of_plan(plan).target_place()?;
    let store = session.store_argument();
    Some(
        Text::line(format_args!("the streams are in {place}"))
            .and(Text::whole(format_args!(
                "add to each command:  --other-store {place}"
            )))
            .and(Text::whole(format_args!(
                "or, once for all:     esm store link {place}{store}"
            ))),
    )
}

/// Suggests commands for a migration that has not ended.
pub(crate) fn next_step(session: &Session, migration: MigrationId) -> Text {
    let (store, migration) = (session.store_argument(), session.output().id(migration));
    let resume = format_args!("continue:  esm resume {migration}{store}");
    let undo = format_args!("undo:      esm rollback {migration}{store}");
    Text::whole(resume).and(Text::whole(undo))
}

/// Suggests commands for a migration whose program fails: to resume it would fail again.
pub(crate) fn mend_the_program(
    session: &Session,
    plan: &PlannedMigration,
    statistics: &Statistics,
) -> Text {
    let store = session.store_argument();
    let migration = session.output().id(plan.migration);
    let undo = Text::whole(format_args!("undo:      esm rollback {migration}{store}"));
    if plan.reverses.is_some() {
        return undo.and("then:      roll back again, with a --down that handles the event");
    }
    if statistics.migrated == 0 {
        return Text::line("mend the program, then undo this migration and begin another:")
            .and(Text::whole(format_args!(
                "both:      esm migrate --amend FILE.jq{store}"
            )))
            .and(undo);
    }
    let moved = counted(statistics.migrated, "object");
    Text::line(format_args!(
        "{moved} already cut over, which another migration would transform again. To start over:"
    ))
    .and(Text::whole(format_args!(
        "1.         esm rollback {migration}{store}    # undoes the rest"
    )))
    .and(Text::whole(format_args!(
        "2.         esm rollback {migration}{store}    # reverses what was cut over"
    )))
    .and("3.         mend the program, and migrate again")
}

fn text(result: &MigrationResult, form: Form) -> Text {
    let statistics = &result.statistics;
    if result.was_up_to_date() && result.plan.reverses.is_some() {
        return format!(
            "nothing to do: {} already rolled back, or not moved by the migration",
            counted(statistics.up_to_date, "object")
        )
        .into();
    }
    if result.was_up_to_date() {
        return format!(
            "nothing to do: {} already transformed",
            counted(statistics.up_to_date, "object")
        )
        .into();
    }
    let mut text = Text::line(headline(result, form)).and(facts(result, form).to_text(form));
    // the error below names the failure that it is
    for failure in object_failures(statistics) {
        if !failure.is(result.error.as_ref()) {
            text.push(format!("failed: {failure}"));
        }
    }
    text
}

fn headline(result: &MigrationResult, form: Form) -> String {
    let statistics = &result.statistics;
    let time = duration(result.elapsed);
    let mut text = match result.status {
        MigrationStatus::RolledBack => format!("rolled back after {time}"),
        MigrationStatus::Abandoned => {
            format!("abandoned after {time}: the store cannot fence a source, so targets remain")
        }
        MigrationStatus::Completed if result.plan.reverses.is_some() => format!(
            "rolled back {} in {time}: the events from before it are restored",
            counted(statistics.migrated, "object")
        ),
        MigrationStatus::Completed => {
            format!(
                "migrated {} in {time}",
                counted(statistics.migrated, "object")
            )
        }
        MigrationStatus::Paused => format!(
            "stopped on request after {time}: {} migrated so far",
            counted(statistics.migrated, "object")
        ),
        other => format!(
            "{other} after {time}: {} migrated so far",
            counted(statistics.migrated, "object")
        ),
    };
    let undone = is_undone(result.status);
    let cut_over = statistics.migrated * u64::from(undone);
    let remain = format!(
        "already cut over and remain migrated; to reverse them: esm rollback {}",
        short_id(result.migration, form)
    );
    let up_to_date = match result.plan.reverses {
        Some(_) => "already rolled back, or not moved by the migration",
        None => "already up to date",
    };
    for (number, what) in [
        (cut_over, &*remain),
        (statistics.up_to_date, up_to_date),
        (statistics.failed, "FAILED"),
        (statistics.rolled_back, "rolled back"),
        (statistics.abandoned, "abandoned"),
        (
            statistics.created_meanwhile,
            "created during the migration, in the old schema",
        ),
    ] {
        if number > 0 {
            let _ = write!(text, "; {} {what}", count(number));
        }
    }
    text
}

fn facts(result: &MigrationResult, form: Form) -> Facts {
    let statistics = &result.statistics;
    let mut facts = Facts::new();
    facts.add("migration", short_id(result.migration, form));
    add_ledger(&mut facts, &statistics.counts.ledger);
    if statistics.counts.source_bytes > 0 {
        let (from, to) = (
            statistics.counts.source_bytes,
            statistics.counts.target_bytes,
        );
        facts.add("bytes", format!("{} -> {}", bytes(from), bytes(to)));
        facts.add("cells written", count(statistics.cells));
    }
    if let Some(object) = &result.object {
        facts.add("target", &object.target.stream);
    }
    for (what, handles) in [
        ("backup", &statistics.backups),
        ("archive", &statistics.archives),
    ] {
        const SHOWN: usize = 3;
        for handle in handles.iter().take(SHOWN) {
            facts.add(
                what,
                format!(
                    "{} ({})",
                    short_id(&handle.id, form),
                    counted(handle.events, "event")
                ),
            );
        }
        if handles.len() > SHOWN {
            facts.add(what, format!("and {} more", handles.len() - SHOWN));
        }
    }
    if !statistics.longest_redirect.is_zero() {
        let longest = duration(statistics.longest_redirect);
        facts.add("writers redirected for", format!("at most {longest}"));
    }
    if statistics.lost_close_attempts > 0 {
        facts.add("close attempts lost", count(statistics.lost_close_attempts));
    }
    facts
}

/// Adds the numbers of transformed, dropped and failed events.
pub(super) fn add_ledger(facts: &mut Facts, ledger: &Ledger) {
    if ledger.source == 0 {
        return;
    }
    facts.add(
        "events",
        format!("{} -> {}", count(ledger.source), count(ledger.outputs)),
    );
    for (what, number) in [
        ("unchanged", ledger.unchanged),
        ("changed", ledger.changed),
        ("split", ledger.split),
    ] {
        if number > 0 {
            facts.add(format!("  {what}"), count(number));
        }
    }
    for (rule, number) in &ledger.dropped {
        facts.add("  dropped", format!("{} by {rule}", count(*number)));
    }
    for (rule, number) in &ledger.failed {
        facts.add("  failed", format!("{} by {rule}", count(*number)));
    }
}
