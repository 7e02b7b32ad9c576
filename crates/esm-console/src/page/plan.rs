//! What a migration will do, or did, to events: counts, samples before and after, risks.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use esm_core::Error;
use esm_core::event::Schema;
use esm_core::migration::{MigrationPlan, PlanDepth, PlannedMigration};
use esm_core::transform::{Ledger, MaskKind, MaskedField, MaskingFindings, SampleOutcome};
use esm_view::migration::{Program, Role};
use esm_view::units::{bytes, count, counted};
use maud::{Markup, html};

use super::content::Page;
use super::difference::sample;
use super::migration::load;
use super::parts::{Facts, breakable, command, term, time};
use super::viewer::Viewer;
use crate::model::{Preview, SchemaTally};
use crate::payload::VisibleSample;
use crate::shared::{Read, Shared, Store};
use crate::source::short;

/// Files of a program that are shown.
const FILES: usize = 50;
/// Lines of each that are shown.
const LINES: usize = 2_000;

/// `/s/{store}/migrations/{migration}/plan`
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path((slug, migration)): Path<(String, String)>,
) -> Response {
    let load = async {
        let (store, read) = load(&shared, &slug, &migration).await?;
        let view = &read.as_ref().map_err(Arc::clone)?.value;
        let planned = view.shown.state.plan.as_ref().ok_or_else(|| {
            let error = Error::not_found("the migration has no plan yet");
            Arc::new(error.with_hint("load the page again"))
        })?;
        let preview = shared.preview(store, planned).await;
        let title = format!("Plan of {}", short(planned.migration));
        let body = previewed(&shared, store, planned, &preview);
        let page = Page::new(title, body).of_store(store);
        Ok(page.reading(&read).reading(&preview))
    };
    viewer.answer(&shared, load.await)
}

/// `/plans/{number}`
pub(super) async fn saved(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path(number): Path<usize>,
) -> Response {
    let plans = &shared.options.plans;
    let found = number
        .checked_sub(1)
        .and_then(|at| Some((at, plans.get(at)?)));
    let Some((at, (name, plan))) = found else {
        return viewer.fail(&shared, &Error::not_found("no plan of this number"));
    };
    match shared.plan_samples(at, plan).await {
        Ok(seen) => {
            let body = whole(&shared, name, plan, &seen.value);
            let page = Page::new(format!("Plan {name}"), body);
            viewer.show(&shared, page.with_twin(format!("/api/v1/plans/{number}")))
        }
        Err(error) => viewer.fail(&shared, &error),
    }
}

fn previewed(
    shared: &Shared,
    store: Store,
    planned: &PlannedMigration,
    preview: &Read<Preview>,
) -> Markup {
    let source = shared.source(store);
    let migration = format!("/s/{}/migrations/{}", source.slug(), planned.migration);
    html! {
        header.head {
            h1 { "What happens to the events of " (planned.scope) }
            p.small { a href=(migration) { "Migration " (short(planned.migration)) } " · " (breakable(source.location())) }
        }
        @match preview {
            Err(error) => p.banner role="status" {
                strong { "There are no samples. " } (error)
                @if let Some(hint) = error.hint() { span.hint { " (" (hint) ")" } }
            },
            Ok(seen) => {
                @let preview = &seen.value;
                p.note {
                    "Read " strong { (counted(preview.ledger.source, "event")) } ", the first of "
                    (counted(preview.objects as u64, "object")) ". A whole plan reads all: "
                    (command(&source.command("plan --all --transform PROGRAM.jq --save plan.json")))
                }
                (balance(&preview.ledger))
                (schemas(&tallies(preview)))
                (samples(shared, Some(store), &preview.samples))
            }
        }
        (program(planned))
    }
}

fn whole(shared: &Shared, name: &str, plan: &MigrationPlan, visible: &[VisibleSample]) -> Markup {
    let store = shared
        .sources
        .iter()
        .position(|source| source.stores().home().id() == plan.planned.store);
    html! {
        header.head {
            h1 { "What happens to the events of " (plan.planned.scope) }
            p.small { "Saved plan " (name) ", made " (time(plan.planned.created_at)) ". Events that came since are not in it." }
        }
        @if plan.is_empty() {
            p.note { "Nothing to do: " (counted(plan.up_to_date, "object")) " already transformed." }
        }
        @if !plan.is_executable() {
            p.banner role="status" { strong { "This plan cannot be executed. " }
                "Correct the transformation or the scope, and make a new plan." }
        }
        (balance(&plan.ledger))
        (schemas(&reports(plan)))
        (masked(&plan.masking))
        (samples(shared, store, visible))
        @if plan.samples_omitted > 0 {
            p.small { (counted(plan.samples_omitted, "more sample")) " had no place in the plan." }
        }
        (blockers(plan))
        section.split {
            div.card { h2 { "Size and cost" } (cost(plan)) }
            div.card { h2 { (term("reversibility")) } p.sentence { (plan.reversibility) } }
        }
        section.split {
            (list("Risks", &plan.risks, "None is known."))
            (list("Assumptions", &plan.prerequisites, "None."))
        }
        (program(&plan.planned))
    }
}

fn masked(masking: &MaskingFindings) -> Markup {
    let masks = |field: &MaskedField| {
        let masks: Vec<_> = field.masks.iter().copied().map(MaskKind::name).collect();
        masks.join(", ")
    };
    html! {
        @if !masking.fields.is_empty() {
            section.card {
                h2 { "Masked fields" }
                ul {
                    @for field in &masking.fields {
                        li { (field.schema) " " code { (field.field) } ": " (masks(field)) ", " (counted(field.values, "value")) }
                    }
                    @for field in &masking.alike {
                        li { (field.schema) " " code { (field.field) } ": " strong { "not masked" } ", "
                            (counted(field.values, "value")) " that " @if field.values == 1 { "is" } @else { "are" } " masked elsewhere" }
                    }
                }
            }
        }
    }
}

fn cost(plan: &MigrationPlan) -> Facts {
    let read = match plan.depth {
        PlanDepth::All => "all events, each transformed twice".to_owned(),
        PlanDepth::Sample { events_per_stream } => {
            format!(
                "the first {} of each stream",
                counted(events_per_stream, "event")
            )
        }
        PlanDepth::Nothing => "no events".to_owned(),
    };
    let estimates = &plan.estimates;
    let range = plan.earliest.as_ref().zip(plan.latest.as_ref());
    Facts::new()
        .add("objects", count(plan.objects))
        .add("already up to date", count(plan.up_to_date))
        .add("events", count(plan.events))
        .add("read for this plan", read)
        .add("bytes", bytes(plan.bytes))
        .add_some(
            "time range",
            range.map(|(from, to)| format!("{from} to {to}")),
        )
        .add(
            "requests to write",
            format!("about {}", count(estimates.writes)),
        )
        .add("bytes to write", bytes(estimates.target_bytes))
        .add_some(
            "bytes to back up",
            Some(estimates.backup_bytes).filter(|n| *n > 0).map(bytes),
        )
}

fn blockers(plan: &MigrationPlan) -> Markup {
    html! {
        @if plan.blocked > 0 {
            section.card {
                h2 { "Objects that cannot be migrated " span.count { (count(plan.blocked)) } }
                ul { @for blocker in &plan.blockers { li { (blocker.object) ": " (blocker.message) } } }
            }
        }
    }
}

fn list(title: &str, items: &[String], none: &str) -> Markup {
    html! {
        div.card {
            h2 { (title) }
            @if items.is_empty() { p.empty { (none) } }
            ul.sentences { @for item in items { li { (item) } } }
        }
    }
}

/// The parts of a ledger as a bar with a legend.
fn balance(ledger: &Ledger) -> Markup {
    let dropped: u64 = ledger.dropped.values().sum();
    let parts = [
        ("unchanged", ledger.unchanged),
        ("changed", ledger.changed),
        ("split", ledger.split),
        ("dropped", dropped),
        ("failed", ledger.failed()),
    ];
    let all = ledger.source.max(1) as f64;
    let mut x = 0.0;
    let rects: Vec<_> = parts
        .iter()
        .map(|(name, number)| {
            let width = 100.0 * *number as f64 / all;
            let rect = (*name, x, width);
            x += width;
            rect
        })
        .collect();
    html! {
        @if ledger.source > 0 {
            section.card {
                h2 { (term("ledger")) }
                svg.balance viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
                    @for (name, x, width) in rects { rect class=(name) x=(x) width=(width) height="6" {} }
                }
                ul.legend {
                    @for (name, number) in parts {
                        li class=(name) { span.swatch aria-hidden="true" {} strong { (count(number)) } " " (name) }
                    }
                    li { strong { (count(ledger.outputs)) } " events come out" }
                }
            }
        }
    }
}

/// A row of the table of schemas: the tally, and the schemas that its events get.
type Tallies = BTreeMap<Schema, (SchemaTally, Vec<String>)>;

fn tallies(preview: &Preview) -> Tallies {
    let becomes = |schema: &Schema| {
        let of_schema = preview
            .samples
            .iter()
            .map(|visible| &visible.sample)
            .filter(|s| s.before.schema == *schema);
        let after = of_schema.flat_map(|s| s.after.iter().map(|event| event.schema.to_string()));
        let mut after: Vec<_> = after.collect();
        after.sort();
        after.dedup();
        after
    };
    let all = preview.schemas.iter();
    all.map(|(schema, tally)| (schema.clone(), (tally.clone(), becomes(schema))))
        .collect()
}

fn reports(plan: &MigrationPlan) -> Tallies {
    let all = plan.schemas.iter().map(|report| {
        let found = &report.findings;
        let touched = found.changed + found.dropped + found.failed;
        let tally = SchemaTally {
            events: found.events,
            unchanged: found.events.saturating_sub(touched),
            changed: found.changed.saturating_sub(found.split),
            split: found.split,
            dropped: found.dropped,
            failed: found.failed,
        };
        let becomes = found.becomes.iter().map(ToString::to_string).collect();
        (report.schema.clone(), (tally, becomes))
    });
    all.collect()
}

fn schemas(tallies: &Tallies) -> Markup {
    let cell = |number: u64| {
        html! { td class={ "number " @if number == 0 { "zero" } } { (count(number)) } }
    };
    html! {
        @if !tallies.is_empty() {
            section.card {
                h2 { "By schema" }
                div.scroll tabindex="0" role="region" aria-label="Schemas" {
                    table {
                        thead { tr {
                            th { "schema" } th.number { "events" } th.number { "unchanged" } th.number { "changed" }
                            th.number { "split" } th.number { "dropped" } th.number { "failed" } th { "becomes" }
                        } }
                        tbody {
                            @for (schema, (tally, becomes)) in tallies {
                                tr {
                                    td { (schema) }
                                    (cell(tally.events)) (cell(tally.unchanged)) (cell(tally.changed))
                                    (cell(tally.split)) (cell(tally.dropped)) (cell(tally.failed))
                                    td { (becomes.join(", ")) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Samples: those that fail first.
fn samples(shared: &Shared, store: Option<Store>, all: &[VisibleSample]) -> Markup {
    let order = |outcome: &SampleOutcome| match outcome {
        SampleOutcome::Failed { .. } => 0,
        SampleOutcome::Changed => 1,
        SampleOutcome::Split => 2,
        SampleOutcome::Dropped { .. } => 3,
    };
    let mut all: Vec<_> = all.iter().collect();
    all.sort_by(|a, b| {
        let key = |s: &VisibleSample| (order(&s.sample.outcome), s.sample.before.schema.clone());
        key(a).cmp(&key(b))
    });
    html! {
        section {
            h2 { "Events before and after " span.count { (all.len()) } }
            @if all.is_empty() {
                p.empty { "No event that was read is changed, split, dropped or fails." }
            }
            div.samples { @for one in all { (sample(shared, store, one)) } }
        }
    }
}

fn program(planned: &PlannedMigration) -> Markup {
    let program = Program::of_plan(&planned.annotations, Role::Transform);
    let fingerprint = breakable(planned.fingerprint.as_str());
    html! {
        section.card {
            h2 { (term("transformation")) }
            @match program {
                Err(error) => p { (error) }
                Ok(Some(program)) => {
                    @let files = program.files();
                    p.small { @if !program.name().is_empty() { code { (program.name()) } ", " } "fingerprint " code { (fingerprint) } }
                    @for (file, text) in files.iter().take(FILES) {
                        @if files.len() > 1 { h3 { code { (file) } } }
                        div.scroll tabindex="0" role="region" aria-label={ "Program " (file) } {
                            pre.program { @for line in text.lines().take(LINES) { code { (line) "\n" } } }
                        }
                    }
                    @if files.len() > FILES { p.small { "and " (files.len() - FILES) " other files" } }
                }
                Ok(None) => p { "It is part of a Rust program, or changes nothing. Fingerprint "
                    code { (fingerprint) } },
            }
        }
    }
}
