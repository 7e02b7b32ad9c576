//! The report of a plan.

use esm_core::migration::{MigrationPlan, PlanDepth, SchemaFindings};
use esm_core::transform::{EventSample, MaskKind, MaskingFindings, SampleOutcome};

use super::failures::failing_events;
use super::report::add_ledger;
use crate::exit::Exit;
use crate::output::{Facts, Form, Table, Text, bytes, count, counted};
use crate::sample::sample_text;

/// Blocked objects that are listed; the count is complete.
const LISTED: usize = 20;

/// The exit code of a command that made a plan.
pub(crate) fn plan_exit(plan: &MigrationPlan) -> Exit {
    if plan.is_executable() {
        Exit::Success
    } else if plan.ledger.failed.is_empty() {
        Exit::Conflict
    } else {
        Exit::Transform
    }
}

/// A plan as text, with at most this many samples.
pub(crate) fn plan_text(plan: &MigrationPlan, samples: usize, form: Form) -> Text {
    if plan.is_empty() {
        return nothing_to_do(plan).into();
    }
    let mut text = facts(plan).to_text(form);
    if !plan.schemas.is_empty() {
        text = add_schemas(text, plan, form);
    }
    if !plan.masking.fields.is_empty() {
        text = text
            .and_section("masked fields:")
            .and(masked(&plan.masking).to_text(form));
    }
    text = add_samples(text, plan, samples);
    if !plan.ledger.failures.is_empty() {
        text = text
            .and_section("failing events:")
            .and(failing_events(plan));
    }
    let blockers = plan.blockers.iter();
    let blockers = blockers.map(|b| format!("{}: {}", b.object, b.message));
    add_list(&mut text, "blocked objects", blockers.take(LISTED));
    add_list(&mut text, "assumptions", plan.prerequisites.iter().cloned());
    add_list(&mut text, "risks", plan.risks.iter().cloned());
    let reversibility = std::iter::once(plan.reversibility.clone());
    add_list(&mut text, "reversibility", reversibility);
    text.and_section(if plan.is_executable() {
        "nothing was written"
    } else {
        "this plan cannot be executed; nothing was written"
    })
}

/// Adds the first samples: those that fail, then changed, split and dropped events.
fn add_samples(mut text: Text, plan: &MigrationPlan, most: usize) -> Text {
    let order = |sample: &&EventSample| match sample.outcome {
        SampleOutcome::Failed { .. } => 0,
        SampleOutcome::Changed => 1,
        SampleOutcome::Split => 2,
        SampleOutcome::Dropped { .. } => 3,
    };
    let mut samples: Vec<_> = plan.samples.iter().collect();
    samples.sort_by_key(order);
    for sample in samples.iter().take(most) {
        text = text.and_section(sample_text(sample));
    }
    if samples.len() > most {
        let all = samples.len();
        let command = format!("add --show {all} to see them before and after");
        text = text.and_section(format!("{}: {command}", counted(all as u64, "sample")));
    }
    text
}

fn nothing_to_do(plan: &MigrationPlan) -> String {
    let why = match plan.planned.reverses {
        Some(_) => "already rolled back, or not moved by the migration",
        None => "already transformed",
    };
    format!(
        "nothing to do: {} {why}",
        counted(plan.up_to_date, "object")
    )
}

fn add_list(text: &mut Text, heading: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_some() {
        text.push("");
        text.push(format!("{heading}:"));
    }
    for item in items {
        text.push(format!("- {item}"));
    }
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
        facts.add("already up to date", count(plan.up_to_date));
    }
    match plan.depth {
        PlanDepth::All => {}
        PlanDepth::Sample { .. } => {
            facts.add("events in total", count(plan.events));
            facts.add("events sampled", count(plan.sampled_events));
        }
        PlanDepth::Nothing => {
            facts.add("events in total", count(plan.events));
        }
    }
    add_ledger(&mut facts, &plan.ledger);
    // the size of originals that a rollback restores is not read
    facts.add_some(
        "bytes",
        Some(plan.bytes).filter(|size| *size > 0).map(bytes),
    );
    if let (Some(earliest), Some(latest)) = (&plan.earliest, &plan.latest) {
        facts.add("time range", format!("{earliest} to {latest}"));
    }
    add_estimates(&mut facts, plan);
    facts
}

fn add_estimates(facts: &mut Facts, plan: &MigrationPlan) {
    let estimates = &plan.estimates;
    let mut to_write = format!("about {} requests", count(estimates.writes));
    if estimates.target_bytes > 0 {
        to_write = format!("{to_write}, {}", bytes(estimates.target_bytes));
    }
    // events that are rewritten in place need no cells
    if estimates.cells > 0 {
        to_write = format!("{to_write} in {}", counted(estimates.cells, "cell"));
    }
    facts.add("to write", to_write);
    if estimates.backup_bytes > 0 {
        let size = bytes(estimates.backup_bytes);
        facts.add("to back up", format!("{size} before compression"));
    }
}

/// Adds the schemas. What they become is a list of its own where the names do not fit side by side.
fn add_schemas(text: Text, plan: &MigrationPlan, form: Form) -> Text {
    let table = schemas(plan, Becoming::Column);
    if table.is_whole(form) {
        return text.and_section(table.to_text(form));
    }
    let text = text.and_section(schemas(plan, Becoming::List).to_text(form));
    let changing = plan.schemas.iter();
    let mut changing = changing
        .filter(|report| !report.findings.becomes.is_empty())
        .peekable();
    if changing.peek().is_none() {
        return text;
    }
    let mut becoming = Text::line("becomes:");
    for report in changing {
        let becomes = becomes(&report.findings);
        becoming.push(format!("- {} -> {becomes}", report.schema));
    }
    text.and_section(becoming)
}

/// Where it is said what schemas become.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Becoming {
    Column,
    List,
}

fn schemas(plan: &MigrationPlan, becoming: Becoming) -> Table {
    let columns = [
        "type", "v", "events", "changed", "split", "dropped", "failed",
    ];
    let last = (becoming == Becoming::Column).then_some("becomes");
    let mut table = Table::new(columns.into_iter().chain(last));
    for report in &plan.schemas {
        let found = &report.findings;
        let cells = [
            report.schema.event_type.to_string(),
            report.schema.version.to_string(),
            count(found.events),
            count(found.changed.saturating_sub(found.split)),
            count(found.split),
            count(found.dropped),
            count(found.failed),
        ];
        let last = last.map(|_| becomes(found));
        table.row(cells.into_iter().chain(last));
    }
    table
}

fn masked(found: &MaskingFindings) -> Table {
    let mut table = Table::new(["type", "v", "field", "how", "values"]);
    for field in &found.fields {
        let masks: Vec<_> = field.masks.iter().copied().map(MaskKind::name).collect();
        table.row([
            field.schema.event_type.to_string(),
            field.schema.version.to_string(),
            field.field.clone(),
            masks.join(", "),
            count(field.values),
        ]);
    }
    for field in &found.alike {
        table.row([
            field.schema.event_type.to_string(),
            field.schema.version.to_string(),
            field.field.clone(),
            "not masked".to_owned(),
            count(field.values),
        ]);
    }
    table
}

fn becomes(found: &SchemaFindings) -> String {
    let schemas: Vec<_> = found.becomes.iter().map(ToString::to_string).collect();
    if schemas.len() < SchemaFindings::MAX_BECOMES {
        schemas.join(", ")
    } else {
        format!("{}, …", schemas.join(", "))
    }
}
