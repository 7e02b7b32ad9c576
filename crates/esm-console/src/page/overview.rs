//! The migrations of all stores: those that wait for a person first.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use esm_core::migration::Progress;
use esm_view::migration::{Kind, Shown, Unreadable};
use esm_view::units::{count, counted, remaining};
use jiff::SignedDuration;
use maud::{Markup, html};
use serde::Deserialize;

use super::content::Page;
use super::parts::{Tone, bar, breakable, chip, command, state, time};
use super::viewer::Viewer;
use crate::model::Board;
use crate::shared::{Read, Shared, Store};
use crate::source::short;

/// Ended migrations on a page.
const PAGE: usize = 25;

/// Which page of a list is shown, from 0.
#[derive(Debug, Deserialize)]
pub(super) struct Paging {
    #[serde(default)]
    pub(super) page: usize,
}

/// `/`
pub(super) async fn overview(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Query(paging): Query<Paging>,
) -> Response {
    let stores: Vec<_> = (0..shared.sources.len()).collect();
    show(&shared, &viewer, &stores, &paging).await
}

/// `/s/{store}`
pub(super) async fn of_store(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path(slug): Path<String>,
    Query(paging): Query<Paging>,
) -> Response {
    match shared.find(&slug) {
        Ok(store) => show(&shared, &viewer, &[store], &paging).await,
        Err(error) => viewer.fail(&shared, &error),
    }
}

/// A migration in the store that it is of.
type Row = (Store, Arc<Shown>);

async fn show(shared: &Shared, viewer: &Viewer, stores: &[Store], paging: &Paging) -> Response {
    let boards = stores.iter().map(|store| shared.board(*store));
    let boards: Vec<_> = futures::future::join_all(boards).await;
    let read: Vec<_> = stores.iter().copied().zip(&boards).collect();
    let mut page = Page::new("Migrations", body(shared, &read, paging));
    for board in &boards {
        page = page.reading(board);
    }
    if let [store] = stores {
        let slug = shared.source(*store).slug();
        page = page
            .of_store(*store)
            .with_twin(format!("/api/v1/stores/{slug}/migrations"));
    }
    viewer.show(shared, page)
}

fn body(shared: &Shared, boards: &[(Store, &Read<Board>)], paging: &Paging) -> Markup {
    let rows: Vec<Row> = boards
        .iter()
        .filter_map(|(store, board)| Some((*store, &board.as_ref().ok()?.value)))
        .flat_map(|(store, board)| board.migrations.iter().map(move |m| (store, Arc::clone(m))))
        .collect();
    let unreadable: Vec<_> = boards
        .iter()
        .filter_map(|(store, board)| Some((*store, &board.as_ref().ok()?.value)))
        .flat_map(|(store, board)| board.unreadable.iter().map(move |one| (store, one)))
        .collect();
    let (mut waiting, mut running, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match Tone::of(&row.1) {
            Tone::Person | Tone::Wrong => waiting.push(row),
            Tone::Working | Tone::Resting => running.push(row),
            Tone::Done | Tone::Over => ended.push(row),
        }
    }
    waiting.sort_by_key(|(_, shown)| (Tone::of(shown), std::cmp::Reverse(shown.state.migration)));
    ended.sort_by_key(|(_, shown)| std::cmp::Reverse(shown.state.migration));
    html! {
        h1.hidden { "Migrations" }
        @for (store, board) in boards { (place(shared, *store, board)) }
        @if !waiting.is_empty() || !unreadable.is_empty() {
            section {
                h2 { "Waiting for a person " span.count { (waiting.len() + unreadable.len()) } }
                div.cards {
                    @for row in &waiting { (card(shared, row)) }
                    @for (store, unreadable) in &unreadable { (unreadable_card(shared, *store, unreadable)) }
                }
            }
        }
        section {
            h2 { "At work " span.count { (running.len()) } }
            @if running.is_empty() {
                p.empty {
                    @if waiting.is_empty() && unreadable.is_empty() { "No process works on a migration now." }
                    @else { "None besides those above." }
                }
            } @else {
                div.cards { @for row in &running { (card(shared, row)) } }
            }
        }
        (ended_section(shared, &ended, paging))
    }
}

/// What there is to say of a store itself.
fn place(shared: &Shared, store: Store, board: &Read<Board>) -> Markup {
    let source = shared.source(store);
    html! {
        @match board {
            Err(error) => {
                p.banner role="status" {
                    strong { (source.location()) " cannot be read. " } (error)
                    @if let Some(hint) = error.hint() { span.hint { " " (hint) } }
                }
            }
            Ok(seen) => {
                p.place {
                    a href={ "/s/" (source.slug()) } { (breakable(source.location())) }
                    ": " (counted(seen.value.total, "migration"))
                    @if seen.value.unread() > 0 {
                        ", " (count(seen.value.unread())) " of them not read yet"
                    }
                }
                @if seen.value.total == 0 {
                    div.empty {
                        p { "There is no migration in this store yet. A plan shows what one would do; it writes nothing:" }
                        p { (command(&source.command("plan --all --transform v2.jq"))) }
                    }
                }
            }
        }
    }
}

fn address(shared: &Shared, (store, shown): &Row) -> String {
    let slug = shared.source(*store).slug();
    format!("/s/{slug}/migrations/{}", shown.state.migration)
}

fn scope(shown: &Shown) -> String {
    let plan = shown.state.plan.as_ref();
    plan.map_or("not planned yet".to_owned(), |plan| plan.scope.to_string())
}

fn card(shared: &Shared, row: &Row) -> Markup {
    let (store, shown) = row;
    let tone = Tone::of(shown);
    let source = shared.source(*store);
    html! {
        article class={ "card migration " (tone.class()) } data-key=(shown.state.migration) {
            header {
                (state(shown))
                h3 { a href=(address(shared, row)) { (scope(shown)) } }
                span.id { (short(shown.state.migration)) }
            }
            @if let Some(progress) = &shown.progress { (amounts(progress)) }
            @if let Some(damage) = &shown.state.damage { p.problem { (damage) } }
            @if let Some((step, reason)) = shown.state.stopped.as_ref().filter(|_| shown.progress.is_none()) {
                p.problem { (step) ": " (reason) }
            }
            @if let Some(what) = &shown.condition.waits_for { p { "Waits for " (what) "." } }
            @if let Some(next) = shown.condition.continued_by {
                @let next = next.trim_start_matches("esm ");
                @let line = format!("{next} {}", short(shown.state.migration));
                p { (command(&source.command(&line))) }
            }
            @if let Some(damage) = &shown.commands_damage {
                p.problem { "Its commands cannot be read: " (damage) }
            }
            p.small {
                @if shared.sources.len() > 1 { (breakable(source.location())) " · " }
                @if is_old(shared, shown) { "read " (time(shown.observed_at)) " · " }
                @if let Some(at) = shown.last_change() { "last change " (time(at)) }
                @if matches!(shown.condition.condition, Kind::Dead | Kind::ProbablyDead) {
                    " · nobody works on it"
                }
            }
        }
    }
}

/// Age from which a row says how old it is: with many unfinished migrations not all are read at once.
const OLD: SignedDuration = SignedDuration::from_secs(10);

fn is_old(shared: &Shared, shown: &Shown) -> bool {
    shared
        .environment
        .clock
        .now()
        .duration_since(shown.observed_at)
        > OLD
}

fn unreadable_card(shared: &Shared, store: Store, unreadable: &Unreadable) -> Markup {
    let source = shared.source(store);
    let address = format!("/s/{}/migrations/{}", source.slug(), unreadable.migration);
    html! {
        article.card.migration.wrong data-key=(unreadable.migration) {
            header {
                (chip(Tone::Wrong, "cannot be read"))
                h3 { a href=(address) { "Migration " (short(unreadable.migration)) } }
            }
            p.problem { (unreadable.reason) }
            @if let Some(hint) = &unreadable.hint { p.hint { (hint) } }
            @if shared.sources.len() > 1 { p.small { (breakable(source.location())) } }
        }
    }
}

fn amounts(progress: &Progress) -> Markup {
    html! {
        (bar(progress.percent))
        p.amounts {
            @match progress.percent {
                Some(percent) => { strong { (percent) " %" } " " }
                None => "How far it is, is not known yet. ",
            }
            @if let Some(eta) = progress.eta { (remaining(eta)) " · " }
            (count(progress.events_per_second)) " events/s"
            @if let Some(total) = progress.objects_total.filter(|total| *total > 1) {
                " · " (count(progress.objects_done)) " of " (counted(total, "object"))
            }
        }
    }
}

fn ended_section(shared: &Shared, ended: &[Row], paging: &Paging) -> Markup {
    let pages = ended.len().div_ceil(PAGE);
    let page = paging.page.min(pages.saturating_sub(1));
    let shown = ended.iter().skip(page * PAGE).take(PAGE);
    html! {
        section {
            h2 { "Ended " span.count { (ended.len()) } }
            @if ended.is_empty() {
                p.empty { "None has ended yet." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Ended migrations" {
                    table {
                        thead { tr { th { "state" } th { "scope" } th.number { "objects" } th.number { "failed" }
                            th.number { "events" } th { "ended" } th { "migration" } } }
                        tbody { @for row in shown { (ended_row(shared, row)) } }
                    }
                }
                (pager(page, pages, "Newer", "Older"))
            }
        }
    }
}

fn ended_row(shared: &Shared, row: &Row) -> Markup {
    let shown = &row.1;
    let statistics = shown.state.statistics.as_ref();
    let number = |value: Option<u64>| value.map_or("unknown".to_owned(), count);
    html! {
        tr data-key=(shown.state.migration) {
            td { (state(shown)) }
            td { a href=(address(shared, row)) { (scope(shown)) } }
            td.number { (number(statistics.map(|s| s.migrated))) }
            td.number { (number(statistics.map(|s| s.failed))) }
            td.number { (number(statistics.map(|s| s.counts.ledger.source))) }
            td { @if let Some(at) = shown.last_change() { (time(at)) } }
            td { code { (short(shown.state.migration)) } }
        }
    }
}

/// Links to the pages beside this one.
pub(super) fn pager(page: usize, pages: usize, before: &str, after: &str) -> Markup {
    html! {
        @if pages > 1 {
            nav.pager aria-label="Pages" {
                @if page > 0 { a href={ "?page=" (page - 1) } rel="prev" { (before) } }
                span { "page " (page + 1) " of " (pages) }
                @if page + 1 < pages { a href={ "?page=" (page + 1) } rel="next" { (after) } }
            }
        }
    }
}
