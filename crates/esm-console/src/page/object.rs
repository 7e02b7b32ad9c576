//! An object: its document, its chain of streams, its events.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use esm_core::Error;
use esm_core::id::ObjectId;
use esm_view::object::{ShownObject, ShownStream};
use esm_view::units::{count, counted};
use maud::{Markup, html};

use super::content::Page;
use super::events::events;
use super::parts::{Facts, Tone, breakable, chip, command, time};
use super::viewer::Viewer;
use crate::model::EventQuery;
use crate::shared::{Shared, Store};
use crate::source::{Source, encoded, quoted, short};

/// `/s/{store}/objects/{object}`
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path((slug, object)): Path<(String, String)>,
    Query(query): Query<EventQuery>,
) -> Response {
    let page = load(&shared, &slug, &object, query).await;
    viewer.answer(&shared, page)
}

async fn load(
    shared: &Shared,
    slug: &str,
    object: &str,
    query: EventQuery,
) -> Result<Page, Arc<Error>> {
    let store = shared.find(slug)?;
    let object: ObjectId = object.parse().map_err(Arc::new)?;
    let read = shared.object(store, &object).await;
    let seen = read.as_ref().map_err(Arc::clone)?;
    let stream = &seen.value.current_stream().stream;
    let page = shared.events(store, &object, stream, query.clone()).await;
    let body = html! {
        (head(shared, store, &seen.value))
        (chain(shared.source(store), &seen.value))
        (events(&query, &page))
        (documents(&seen.value))
    };
    Ok(Page::new(object.to_string(), body)
        .of_store(store)
        .with_twin(format!(
            "/api/v1/stores/{slug}/objects/{}",
            encoded(&object.to_string())
        ))
        .reading(&read)
        .reading(&page))
}

fn head(shared: &Shared, store: Store, shown: &ShownObject) -> Markup {
    let facts = Facts::new()
        .add("events", count(shown.events.0))
        .add("phase", shown.phase.to_string())
        .add("generation", shown.document.generation())
        .add("created", time(shown.document.created_at));
    html! {
        header.head {
            h1 { (breakable(&shown.object.to_string())) }
            p.small { (breakable(shared.source(store).location())) }
        }
        @if shown.is_damaged() {
            p.banner role="status" {
                strong { "Damaged. " }
                @if let Some(damage) = &shown.document_damage { (damage) " " }
                @for damage in shown.streams.iter().filter_map(|s| s.damage.as_ref()) { (damage) " " }
            }
        }
        @if shown.document_is_behind {
            p.note { "The document is behind the streams; the next append or migration updates it." }
        }
        section.card { (facts) }
    }
}

/// The chain of streams as a drawing: each closed to the next.
fn chain(source: &Source, shown: &ShownObject) -> Markup {
    let all = shown.document.generation() + 1;
    let hidden = all.saturating_sub(shown.streams.len()) as u64;
    html! {
        section {
            h2 { "Streams" }
            ol.chain {
                @if hidden > 0 { li.earlier { p { (counted(hidden, "earlier stream")) } } }
                @for stream in &shown.streams { (link(source, shown, stream)) }
            }
            @if hidden > 0 {
                p.small { "All of them: " (command(&source.command(&format!("show {}", quoted(&shown.object.to_string()))))) }
            }
        }
    }
}

fn link(source: &Source, shown: &ShownObject, stream: &ShownStream) -> Markup {
    let tone = match stream.state {
        "active" => Tone::Working,
        "damaged" => Tone::Wrong,
        _ => Tone::Over,
    };
    let entry = shown.document.terminated(&stream.stream);
    html! {
        li class=(stream.state) {
            div.card.stream {
                (chip(tone, stream.state))
                p.name { code { (breakable(stream.stream.stream.as_str())) } }
                p.amounts { strong { (count(stream.events.0)) } " events in " (counted(stream.cells, "cell")) }
                @if let Some(damage) = &stream.damage { p.problem { (damage) } }
                @if let Some(archive) = entry.and_then(|entry| entry.archive.as_ref()) {
                    p.small { "archived: " code { (archive.id) } }
                }
            }
            @if let Some(migration) = stream.closed_by {
                p.closing {
                    span aria-hidden="true" { "→ " }
                    "closed by "
                    a href={ "/s/" (source.slug()) "/migrations/" (migration) } { (short(migration)) }
                    @if let Some(at) = stream.continues_at { ", continues at revision " (at) }
                }
            }
        }
    }
}

fn documents(shown: &ShownObject) -> Markup {
    let json = serde_json::to_string_pretty(&shown.document).unwrap_or_default();
    html! {
        section.card {
            details {
                summary { "The document, version " (shown.document_version) }
                div.scroll tabindex="0" role="region" aria-label="Document" { pre { code { (json) } } }
            }
        }
    }
}
