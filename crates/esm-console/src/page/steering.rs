//! What can be done with a migration now: only what is legal, each with the equal command.

use esm_core::migration::WatchedMigration;
use esm_core::protocol::control::{Limit, Settings};
use maud::{Markup, html};

use super::parts::command;
use super::viewer::Viewer;
use crate::control::{Act, legal};
use crate::model::MigrationView;
use crate::shared::{Shared, Store};
use crate::source::{Source, short};

/// The buttons, where control is allowed and the migration has not ended.
pub(super) fn steering(
    shared: &Shared,
    viewer: &Viewer,
    store: Store,
    view: &MigrationView,
) -> Markup {
    let watched = &view.watched.watched;
    let acts = legal(watched, view.situation);
    if !viewer.controls(shared) || acts.is_empty() {
        return html! {};
    }
    let source = shared.source(store);
    html! {
        section.card.steering aria-label="Control" {
            h2 { "Control" }
            @if !watched.is_at_work() {
                p.small { "No process works on it. A command is kept until one resumes it." }
            }
            div.buttons {
                @for act in &acts {
                    button type="button" class=[act.is_final().then_some("danger")] data-dialog=(act.name()) { (act.title()) }
                }
            }
            @for act in &acts { (dialog(source, watched, *act)) }
            noscript { p { "The buttons need the console's script. The commands below do the same." } }
        }
    }
}

fn dialog(source: &Source, watched: &WatchedMigration, act: Act) -> Markup {
    let migration = watched.state.migration;
    let id = short(migration);
    let address = format!("/s/{}/migrations/{migration}/{}", source.slug(), act.name());
    html! {
        dialog id={ "dialog-" (act.name()) } aria-labelledby={ "title-" (act.name()) } data-static {
            form method="dialog" data-post=(address) {
                h2 id={ "title-" (act.name()) } { (act.title()) }
                p { (act.meaning()) }
                @if act == Act::Set { (settings(watched)) }
                label {
                    "Reason, recorded with the command"
                    input type="text" name="reason" required maxlength="500" autocomplete="off";
                }
                @if act.is_final() {
                    label {
                        span { "Type " code { (id) } " to confirm" }
                        input type="text" name="confirm" required autocomplete="off" spellcheck="false" data-expected=(id);
                    }
                }
                p.small { "The same from a terminal:" }
                p { (command(&source.command(&act.command(&id)))) }
                p.problem role="alert" hidden {}
                div.buttons {
                    button type="submit" class=[act.is_final().then_some("danger")] { (act.title()) }
                    button type="button" data-close { "Do nothing" }
                }
            }
        }
    }
}

/// The settings that can be changed, as they are.
fn settings(watched: &WatchedMigration) -> Markup {
    let planned = watched.state.plan.as_ref().map(|plan| Settings {
        cell_events: plan.copy.cell_events,
        cell_bytes: plan.copy.cell_bytes,
        concurrency: plan.bulk.concurrency,
        ..Settings::default()
    });
    let planned = planned.unwrap_or_default();
    let begun = watched.state.plan.as_ref();
    let begun = begun.map_or(planned, |plan| plan.throttle.applied_to(planned));
    let now = watched.desired.settings(begun);
    let limit = |name: &'static str, title: &'static str, limit: Limit| {
        html! {
            label {
                (title)
                input type="text" name=(name) value=(limit) pattern="[1-9][0-9]*|unlimited" data-setting data-before=(limit);
            }
        }
    };
    html! {
        div.settings {
            (limit("events_per_second", "Events per second", now.events_per_second))
            (limit("bytes_per_second", "Bytes per second", now.bytes_per_second))
            (limit("requests_in_flight", "Requests in flight", now.requests_in_flight))
            (limit("concurrency", "Objects at the same time", Limit::At(now.concurrency as u64)))
        }
    }
}
