//! Objects by name and the beginning of their key; and the search, which also finds migrations.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use esm_core::Error;
use esm_view::units::{count, counted};
use maud::{Markup, html};
use serde::Deserialize;

use super::content::Page;
use super::parts::{breakable, command, object_address};
use super::viewer::Viewer;
use crate::model::{Board, ObjectList, ObjectQuery};
use crate::shared::{Read, SHORTEST_PART, Shared, Store};
use crate::source::encoded;

/// `/s/{store}/objects`
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path(slug): Path<String>,
    Query(query): Query<ObjectQuery>,
) -> Response {
    let load = async {
        let store = shared.find(&slug)?;
        let read = shared.list(store, query.clone()).await;
        Ok(Page::of_read(store, &read, |list| {
            let twin = format!("/api/v1/stores/{slug}/objects?q={}", encoded(&query.q));
            Page::new("Objects", body(&shared, store, &query, list)).with_twin(twin)
        }))
    };
    viewer.answer(&shared, load.await)
}

fn body(shared: &Shared, store: Store, query: &ObjectQuery, list: &ObjectList) -> Markup {
    let source = shared.source(store);
    html! {
        header.head {
            h1 { "Objects" }
            p.small { (breakable(source.location())) }
        }
        form.filter method="get" {
            label for="prefix" { "Name and key, or the beginning of one" }
            input #prefix type="text" name="q" value=(query.q) autocomplete="off" spellcheck="false";
            button type="submit" { "Show" }
        }
        (links(&source.slug(), list))
        p.small { (looked(list)) }
        @if list.objects.is_empty() && list.exact.is_none() {
            div.empty {
                p { "No object was found." }
                @if query.q.is_empty() { p { (command(&source.command("import orders.ndjson"))) } }
            }
        }
    }
}

fn links(slug: &str, list: &ObjectList) -> Markup {
    let others = list
        .objects
        .iter()
        .filter(|o| list.exact.as_ref() != Some(o));
    let all = list.exact.iter().chain(others);
    html! {
        ul.objects {
            @for object in all {
                li { a href=(object_address(slug, object)) { (breakable(&object.to_string())) } }
            }
        }
    }
}

/// How far the search looked.
fn looked(list: &ObjectList) -> String {
    let looked = counted(list.looked_at, "name");
    let found = count(list.objects.len() as u64);
    if list.is_cut {
        format!("{found} found among the first {looked}; there are more. Name it more precisely.")
    } else {
        format!("{found} found; read all {looked}.")
    }
}

/// What is searched.
#[derive(Debug, Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    q: String,
    /// The store that the search began in.
    #[serde(default)]
    store: String,
}

/// `/search`: leads to the migration of an id, or lists what fits.
pub(super) async fn search(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Query(search): Query<Search>,
) -> Response {
    let text = search.q.trim();
    let all = 0..shared.sources.len();
    let stores: Vec<_> = match shared.find(&search.store) {
        Ok(first) => [first]
            .into_iter()
            .chain(all.filter(|s| *s != first))
            .collect(),
        Err(_) => all.collect(),
    };
    if text.is_empty() {
        let error = Error::invalid("nothing to search for");
        let hint = "type an object, the beginning of one, or the id of a migration";
        return viewer.fail(&shared, &error.with_hint(hint));
    }
    let mut boards = Vec::new();
    for store in stores
        .iter()
        .copied()
        .filter(|_| text.len() >= SHORTEST_PART)
    {
        boards.push((store, shared.board(store).await));
    }
    let migrations = migrations(&shared, &boards, text);
    if let [(only, _)] = migrations.as_slice() {
        return Redirect::to(only).into_response();
    }
    let query = ObjectQuery { q: text.to_owned() };
    let mut found = Vec::new();
    for store in stores {
        found.push((store, shared.list(store, query.clone()).await));
    }
    let title = format!("Search: {text}");
    let mut page = Page::new(title, results(&shared, text, &migrations, &found));
    for (_, read) in &boards {
        page = page.reading(read);
    }
    for (_, read) in &found {
        page = page.reading(read);
    }
    viewer.show(&shared, page)
}

/// Addresses of the migrations whose id begins or ends like this, with their scopes.
fn migrations(
    shared: &Shared,
    boards: &[(Store, Read<Board>)],
    text: &str,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (store, board) in boards {
        let slug = shared.source(*store).slug();
        let address = |migration: &str| format!("/s/{slug}/migrations/{migration}");
        if let Ok(board) = board {
            for shown in board.value.like(text) {
                let id = shown.state.migration.to_string();
                let plan = shown.state.plan.as_ref();
                let scope = plan.map_or_else(|| id.clone(), |plan| plan.scope.to_string());
                found.push((address(&id), scope));
            }
        }
    }
    found
}

fn results(
    shared: &Shared,
    text: &str,
    migrations: &[(String, String)],
    found: &[(Store, Read<ObjectList>)],
) -> Markup {
    html! {
        header.head { h1 { "Search: " (text) } }
        @if !migrations.is_empty() {
            section.card {
                h2 { "Migrations" }
                ul { @for (address, scope) in migrations { li { a href=(address) { (scope) } } } }
            }
        }
        @for (store, read) in found {
            section.card {
                h2 { "Objects in " (breakable(shared.source(*store).location())) }
                @match read {
                    Err(error) => p.problem { (error) },
                    Ok(seen) => {
                        (links(&shared.source(*store).slug(), &seen.value))
                        p.small { (looked(&seen.value)) }
                    }
                }
            }
        }
    }
}
