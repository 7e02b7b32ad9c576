//! One migration, live.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use esm_core::Error;
use esm_core::migration::{CutoverMode, PlannedMigration, Progress, Statistics, WatchedMigration};
use esm_core::protocol::control::{Answer, ControlAction};
use esm_view::units::{bytes, count, counted, duration};
use maud::{Markup, html};

use super::answers::answers;
use super::chart::charts;
use super::content::Page;
use super::parts::{Facts, Tone, bar, breakable, chip, object_address, state, term, time};
use super::steering::steering;
use super::viewer::Viewer;
use crate::model::MigrationView;
use crate::shared::{Read, Shared, Store};
use crate::source::short;

/// `/s/{store}/migrations/{migration}`
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path((slug, migration)): Path<(String, String)>,
) -> Response {
    let load = async {
        let (store, read) = load(&shared, &slug, &migration).await?;
        Ok(Page::of_read(store, &read, |view| {
            let migration = view.shown.state.migration;
            Page::new(
                format!("Migration {}", short(migration)),
                body(&shared, &viewer, store, view),
            )
            .with_twin(format!("/api/v1/stores/{slug}/migrations/{migration}"))
        }))
    };
    viewer.answer(&shared, load.await)
}

/// The store of an address, and its migration as it is now.
///
/// # Errors
/// `NotFound` for a store that is not shown; those of [`Shared::migration_of`].
pub(super) async fn load(
    shared: &Shared,
    slug: &str,
    migration: &str,
) -> Result<(Store, Read<MigrationView>), Arc<Error>> {
    let store = shared.find(slug)?;
    let migration = shared.migration_of(store, migration).await?;
    Ok((store, shared.migration(store, migration).await))
}

fn body(shared: &Shared, viewer: &Viewer, store: Store, view: &MigrationView) -> Markup {
    let shown = &view.shown;
    let source = shared.source(store);
    let migration = shown.state.migration;
    let plan = shown.state.plan.as_ref();
    html! {
        header.head {
            h1 {
                @match plan { Some(plan) => { "Migration of " (plan.scope) } None => "Migration, not planned yet" }
            }
            p.small { (breakable(source.location())) " · " code { (migration) } }
        }
        (hero(view))
        (answers(source, view))
        (steering(shared, viewer, store, view))
        @if let Some(progress) = &view.watched.watched.progress { (work(source.slug(), view, progress)) }
        (charts(&view.history))
        @if let Some(statistics) = &shown.state.statistics {
            // while it works these are as of its last batch
            @if shown.progress.is_none() { (outcome(statistics)) }
            (failures(source.slug(), view, statistics))
        }
        (audit(&view.watched.watched))
        @if let Some(plan) = plan { (planned(source.slug(), plan)) }
        (journal(view))
    }
}

/// The few numbers that are read from afar.
fn hero(view: &MigrationView) -> Markup {
    let shown = &view.shown;
    let progress = shown.progress.as_ref();
    let tile = |name: &'static str, value: Markup| {
        html! { div { dt { (term(name)) } dd { (value) } } }
    };
    html! {
        dl class={ "hero " (Tone::of(shown).class()) } {
            (tile("state", state(shown)))
            @if let Some(progress) = progress {
                (tile("done", html! {
                    @match progress.percent {
                        Some(percent) => { (percent) span.unit { " %" } }
                        None => span.unknown { "not known yet" }
                    }
                }))
                (tile("time left", html! {
                    @match progress.eta {
                        Some(eta) => (coarse(eta)),
                        None => span.unknown { (if progress.waiting_for.is_some() { "waits" } else { "not known yet" }) }
                    }
                }))
                (tile("rate", html! { (count(progress.events_per_second)) span.unit { " events/s" } }))
                (tile("lag", html! {
                    @match progress.lag {
                        Some(lag) => { (count(lag)) span.unit { " events" } }
                        None => span.unknown { "not known yet" }
                    }
                }))
            } @else if let Some(statistics) = &shown.state.statistics {
                (tile("objects", html! { (count(statistics.migrated)) }))
                (tile("failed", html! { (count(statistics.failed)) }))
                (tile("events", html! { (count(statistics.counts.ledger.source)) }))
            }
        }
        @if let Some(progress) = progress { (bar(progress.percent)) }
    }
}

/// A duration that is read from afar: without seconds where they do not matter.
fn coarse(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..3600 => format!("{} min", (seconds + 30) / 60),
        _ => duration(time),
    }
}

fn work(slug: String, view: &MigrationView, progress: &Progress) -> Markup {
    let is_current = view.shown.progress.is_some();
    let of_total = |done: u64| match progress.events_total {
        Some(total) if progress.events_total_at_least => {
            format!("{} of at least {}", count(done), count(total))
        }
        Some(total) => format!("{} of {}", count(done), count(total)),
        None => count(done),
    };
    let objects = progress.objects_total.map_or_else(
        || {
            format!(
                "{} so far; the total is not known yet",
                count(progress.objects_done)
            )
        },
        |total| format!("{} of {}", count(progress.objects_done), count(total)),
    );
    let facts = Facts::new()
        .add("step", progress.step.to_string())
        .add("objects", objects)
        .add("events copied", of_total(progress.events_copied))
        .add("events verified", of_total(progress.events_verified))
        .add("bytes copied", bytes(progress.bytes_copied))
        .add("bytes per second", bytes(progress.bytes_per_second))
        .add_some(
            "events backed up",
            Some(progress.events_backed_up)
                .filter(|n| *n > 0)
                .map(count),
        )
        .add_some(
            "now at",
            progress.object.as_ref().map(|o| breakable(&o.to_string())),
        )
        .add("phase", progress.phase.to_string())
        .add_some(
            "limit",
            progress.throttled_by.as_ref().map(ToString::to_string),
        )
        .add_some(
            "close attempts lost",
            Some(progress.lost_close_attempts)
                .filter(|n| *n > 0)
                .map(count),
        )
        .add(
            if is_current { "running for" } else { "ran for" },
            duration(progress.elapsed),
        );
    let stages = progress.stages;
    html! {
        section.split {
            div.card {
                h2 { "The work" @if !is_current { " of the last run" } }
                (facts)
                @if is_current {
                    p { a href={ "/s/" (slug) "/migrations/" (view.shown.state.migration) "/objects" } {
                        "Phase and lag of each large object"
                    } }
                } @else {
                    p.small { "As its process last published it, " (time(progress.at)) ". Nobody works on it now." }
                }
            }
            div.card {
                h2 { "Where the time goes" }
                (shares(&[
                    ("reading", stages.read),
                    ("transforming", stages.transform),
                    ("writing", stages.append),
                    ("held by a limit", stages.throttled),
                ]))
            }
        }
    }
}

/// Parts of a whole as bars with their names and values.
fn shares(parts: &[(&str, std::time::Duration)]) -> Markup {
    let all: f64 = parts.iter().map(|(_, time)| time.as_secs_f64()).sum();
    if all <= 0.0 {
        return html! { p.empty { "Nothing is measured yet." } };
    }
    html! {
        dl.shares {
            @for (name, time) in parts {
                @let percent = (100.0 * time.as_secs_f64() / all).round() as u8;
                div {
                    dt { (name) }
                    dd { (bar(Some(percent))) span { (percent) " %, " (duration(*time)) } }
                }
            }
        }
        p.small { "Summed over the objects that are worked on at the same time." }
    }
}

fn outcome(statistics: &Statistics) -> Markup {
    let ledger = &statistics.counts.ledger;
    let some = |number: u64| Some(number).filter(|n| *n > 0).map(count);
    let named = |rules: &std::collections::BTreeMap<String, u64>| {
        let parts: Vec<_> = rules
            .iter()
            .map(|(rule, n)| format!("{} by {rule}", count(*n)))
            .collect();
        Some(parts.join(", ")).filter(|text| !text.is_empty())
    };
    let objects = Facts::new()
        .add("migrated", count(statistics.migrated))
        .add_some("already up to date", some(statistics.up_to_date))
        .add_some("failed", some(statistics.failed))
        .add_some("rolled back", some(statistics.rolled_back))
        .add_some("abandoned", some(statistics.abandoned))
        .add_some(
            "created meanwhile, in the old schema",
            some(statistics.created_meanwhile),
        )
        .add_some("close attempts lost", some(statistics.lost_close_attempts));
    let events = Facts::new()
        .add(
            "events",
            format!("{} → {}", count(ledger.source), count(ledger.outputs)),
        )
        .add("unchanged", count(ledger.unchanged))
        .add_some("changed", some(ledger.changed))
        .add_some("split", some(ledger.split))
        .add_some("dropped", named(&ledger.dropped))
        .add_some("failed", named(&ledger.failed))
        .add(
            "bytes",
            format!(
                "{} → {}",
                bytes(statistics.counts.source_bytes),
                bytes(statistics.counts.target_bytes)
            ),
        );
    html! {
        section.split {
            div.card { h2 { "Objects" } (objects) }
            div.card { h2 { (term("ledger")) } (events) }
        }
    }
}

fn failures(slug: String, view: &MigrationView, statistics: &Statistics) -> Markup {
    let rest = statistics
        .failed
        .saturating_sub(statistics.failures.len() as u64);
    html! {
        @if !statistics.failures.is_empty() {
            section.card {
                h2 { "Failures " span.count { (count(statistics.failed)) } }
                @if view.shown.progress.is_some() {
                    p.small { "Recorded before this run, which tries these objects again." }
                }
                ul.failures {
                    @for failure in &statistics.failures {
                        li {
                            a href=(object_address(&slug, &failure.object)) { (breakable(&failure.object.to_string())) }
                            ", " (failure.step) ": " (failure.message)
                            @if let Some(event) = &failure.failure {
                                p.small {
                                    a href={ (object_address(&slug, &failure.object)) "?from=" (event.revision) } {
                                        "revision " (event.revision)
                                    }
                                    ", " (event.schema) ", by " (event.rule)
                                }
                            }
                        }
                    }
                }
                @if rest > 0 { p { "and " (counted(rest, "more object")) } }
            }
        }
    }
}

fn audit(watched: &WatchedMigration) -> Markup {
    let commands = &watched.commands;
    html! {
        section.card {
            h2 { "Commands" }
            @if let Some(damage) = &watched.commands_damage {
                p.problem { "They cannot be read to their end: " (damage) ". What they come to is not known, so none is offered." }
            }
            @if commands.is_empty() {
                p.empty { "Nobody has given a command to this migration." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Commands" {
                    table {
                        thead { tr { th { "when" } th { "who" } th { "command" } th { "reason" } th { "answer" } } }
                        tbody {
                            @for tracked in commands.iter().rev() {
                                tr data-key=(tracked.command.id) {
                                    td { (time(tracked.command.at)) }
                                    td { (tracked.command.author) }
                                    td { (tracked.command.action) (details(&tracked.command.action)) }
                                    td { @match tracked.command.reason() {
                                        "" => span.unknown { "none given" },
                                        reason => q { (reason) },
                                    } }
                                    td { (answer(tracked.answer.as_ref())) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn details(action: &ControlAction) -> Markup {
    html! {
        @match action {
            ControlAction::Set(change) => {
                ": " (serde_json::to_string(change).unwrap_or_default())
            }
            _ => {}
        }
    }
}

fn answer(answer: Option<&Answer>) -> Markup {
    match answer {
        None => chip(Tone::Resting, "not answered yet"),
        Some(Answer::Accepted) => chip(Tone::Working, "accepted"),
        Some(Answer::Done) => chip(Tone::Done, "done"),
        Some(Answer::Refused { reason }) => html! { (chip(Tone::Wrong, "refused")) " " (reason) },
    }
}

fn planned(slug: String, plan: &PlannedMigration) -> Markup {
    let cutover = match plan.cutover.mode {
        CutoverMode::Manual { max_wait } => max_wait.map_or_else(
            || "on command".to_owned(),
            |wait| format!("on command, given up {} after it is ready", duration(wait)),
        ),
        CutoverMode::At { from, until } => {
            let until = until
                .map(|until| format!(" until {until}"))
                .unwrap_or_default();
            format!("in a window, from {from}{until}")
        }
        _ => "at once when it is ready".to_owned(),
    };
    let facts = Facts::new()
        .add("scope", plan.scope.to_string())
        .add("cutover", cutover)
        .add("backup", if plan.backup.is_some() { "before it begins" } else { "none" })
        .add_some(
            "reverses",
            plan.reverses.as_ref().map(|reverses| {
                html! { a href={ "/s/" (slug) "/migrations/" (reverses.migration) } { (short(reverses.migration)) } }
            }),
        )
        .add("planned", time(plan.created_at));
    html! {
        section.card {
            h2 { "The plan" }
            (facts)
            p.small { (term("fingerprint")) " " code { (breakable(plan.fingerprint.as_str())) } }
            p { a.button href={ "/s/" (slug) "/migrations/" (plan.migration) "/plan" } { "See what it does to events" } }
        }
    }
}

fn journal(view: &MigrationView) -> Markup {
    let state = &view.shown.state;
    let lock = state
        .lock
        .as_ref()
        .filter(|lock| lock.held || lock.abandoned);
    let facts = Facts::new()
        .add_some("holder", state.holder.as_ref().map(ToString::to_string))
        .add_some("started", state.started_at.map(time))
        .add_some("last record", state.updated_at.map(time))
        .add_some("lock", lock.map(|lock| lock.name.to_string()))
        .add_some("renewed", lock.and_then(|lock| lock.renewed_at).map(time))
        .add_some("lease", lock.map(|lock| duration(lock.lease)))
        .add_some("reversed by", view.shown.condition.reversed_by.map(short));
    html! {
        @if !facts.is_empty() {
            section.card { h2 { (term("journal")) } (facts) }
        }
    }
}
