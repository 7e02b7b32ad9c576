//! What is shown of a plan.

use std::fmt::Write as _;

use esm_core::migration::{MigrationPlan, PlanDepth};

use super::report::add_ledger;
use crate::exit::Exit;
use crate::output::{Facts, Table, bytes, count};

/// How a command ends that made a plan: a plan with events that fail cannot be executed.
pub(crate) fn plan_exit(plan: &MigrationPlan) -> Exit {
    match plan.is_executable() {
        true => Exit::Success,
        false if plan.ledger.failed.is_empty() => Exit::Conflict,
        false => Exit::Transform,
    }
}

/// A plan for people.
pub(crate) fn plan_text(plan: &MigrationPlan, terminal: bool) -> String {
    if plan.is_empty() && plan.planned.reverses.is_some() {
        return format!(
            "nothing to do: {} objects are rolled back already, or it did not move them",
            count(plan.up_to_date)
        );
    }
    if plan.is_empty() {
        return format!(
            "nothing to do: {} objects went through this transformation already",
            count(plan.up_to_date)
        );
    }
    let mut text = facts(plan).to_text(terminal);
    if !plan.schemas.is_empty() {
        let _ = write!(text, "\n\n{}", schemas(plan).to_text(terminal));
    }
    for failure in plan.ledger.failures.iter().take(20) {
        let _ = write!(text, "\nfails: {failure}");
    }
    for blocked in plan.blockers.iter().take(20) {
        let _ = write!(text, "\ncannot: {}: {}", blocked.object, blocked.message);
    }
    for (what, sentences) in [("given", &plan.prerequisites), ("risk", &plan.risks)] {
        for sentence in sentences {
            let _ = write!(text, "\n{what}: {sentence}");
        }
    }
    let _ = write!(text, "\nundo: {}", plan.reversibility);
    match plan.is_executable() {
        true => text.push_str("\nnothing was written"),
        false => text.push_str("\nthis plan cannot be executed; nothing was written"),
    }
    text
}

fn facts(plan: &MigrationPlan) -> Facts {
    let mut facts = Facts::new();
    let what = match plan.planned.reverses {
        Some(_) => "roll back",
        None => "migrate",
    };
    facts
        .add(what, &plan.planned.scope)
        .add("objects", count(plan.objects));
    if plan.up_to_date > 0 {
        facts.add("up to date already", count(plan.up_to_date));
    }
    match plan.depth {
        PlanDepth::All => {}
        PlanDepth::Sample { .. } => {
            facts.add("events in all", count(plan.events));
            facts.add(
                "looked at",
                format!("a sample of {}", count(plan.sampled_events)),
            );
        }
        PlanDepth::Nothing => {
            facts.add("events in all", count(plan.events));
        }
    }
    add_ledger(&mut facts, &plan.ledger);
    facts.add("bytes", bytes(plan.bytes));
    if let (Some(earliest), Some(latest)) = (&plan.earliest, &plan.latest) {
        facts.add("time", format!("{earliest} to {latest}"));
    }
    let estimates = &plan.estimates;
    facts.add(
        "to write",
        format!(
            "about {} requests, {} in {} cells",
            count(estimates.writes),
            bytes(estimates.target_bytes),
            count(estimates.cells)
        ),
    );
    if estimates.backup_bytes > 0 {
        let size = bytes(estimates.backup_bytes);
        facts.add("to back up", format!("{size} before compression"));
    }
    facts
}

fn schemas(plan: &MigrationPlan) -> Table {
    let mut table = Table::new(["type", "version", "events", "changed", "dropped", "failed"]);
    for report in &plan.schemas {
        let found = &report.findings;
        table.row([
            report.schema.event_type.to_string(),
            report.schema.version.to_string(),
            count(found.events),
            count(found.changed),
            count(found.dropped),
            count(found.failed),
        ]);
    }
    table
}
