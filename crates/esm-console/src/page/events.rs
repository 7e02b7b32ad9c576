//! A page of events of an object's active stream.

use esm_core::transform::SampledEvent;
use esm_view::diff::fields;
use esm_view::units::{bytes, shortened};
use maud::{Markup, html};

use crate::model::{EventPage, EventQuery, ShownEvent};
use crate::payload::Visible;
use crate::shared::Read;

/// Characters of a payload in the table.
const SHOWN: usize = 100;
/// Fields of an event that are shown.
const FIELDS: usize = 200;

pub(super) fn events(query: &EventQuery, read: &Read<EventPage>) -> Markup {
    html! {
        section #events {
            h2 { "Events" }
            form.filter method="get" {
                label for="from" { "From revision" }
                input #from type="number" name="from" min="0" value=(query.from);
                label for="type" { "Only of type" }
                input #type type="text" name="type" value=(query.r#type) autocomplete="off" spellcheck="false";
                button type="submit" { "Show" }
            }
            @match read {
                Err(error) => p.problem { (error) @if let Some(hint) = error.hint() { span.hint { " " (hint) } } },
                Ok(seen) => {
                    @let page = &seen.value;
                    @if page.events.is_empty() {
                        p.empty {
                            @if query.from > 0 || !query.r#type.is_empty() { "No such event in this part of the stream." }
                            @else { "The stream has no events." }
                        }
                    }
                    ol.events {
                        @for event in &page.events { (line(event)) }
                    }
                    (pager(query, page))
                }
            }
        }
    }
}

fn line(shown: &ShownEvent) -> Markup {
    let visible = &shown.visible;
    html! {
        li data-key=(shown.revision) {
            details {
                summary {
                    span.revision { (shown.revision) }
                    strong { (shown.schema) }
                    @if let Some(at) = &shown.time { span.small { (at) } }
                    @match visible {
                        Visible::Event(event) => code.beginning { (beginning(event)) },
                        Visible::Hidden(why) => span.empty { (why) }
                    }
                }
                @if let Visible::Event(event) = visible { (inside(event)) }
            }
        }
    }
}

fn beginning(event: &SampledEvent) -> String {
    match &event.payload {
        Some(payload) => shortened(payload, SHOWN),
        None => format!("({} that are not text)", bytes(event.payload_bytes)),
    }
}

fn inside(event: &SampledEvent) -> Markup {
    let fields = fields(event);
    html! {
        dl.fields {
            @for (path, value) in fields.iter().take(FIELDS) {
                div { dt { code { (path) } } dd { code { (shortened(value, 2_000)) } } }
            }
        }
        @if fields.len() > FIELDS { p.small { "and " (fields.len() - FIELDS) " more fields" } }
        @if event.cut { p.small { "Only the beginning is shown: the payload has " (bytes(event.payload_bytes)) "." } }
    }
}

fn pager(query: &EventQuery, page: &EventPage) -> Markup {
    const BACK: u64 = 25;
    html! {
        nav.pager aria-label="Pages of events" {
            @if query.from > 0 {
                (turn(query, query.from.saturating_sub(BACK), "Earlier"))
            }
            @if let Some(next) = page.next { (turn(query, next, "Later")) }
        }
    }
}

/// A link to another page of the same filter.
fn turn(query: &EventQuery, from: u64, word: &str) -> Markup {
    html! {
        form method="get" action="#events" {
            input type="hidden" name="from" value=(from);
            @if !query.r#type.is_empty() { input type="hidden" name="type" value=(query.r#type); }
            button type="submit" { (word) }
        }
    }
}
