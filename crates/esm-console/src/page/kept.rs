//! Locks, and backups with archives.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use esm_core::store::HolderState;
use esm_view::backup::{ShownBackup, ShownBackups};
use esm_view::lock::{Held, Locks};
use esm_view::units::{bytes, count, duration};
use maud::{Markup, html};

use super::content::Page;
use super::parts::{Tone, breakable, chip, command, term, time};
use super::viewer::Viewer;
use crate::model::BackupPlace;
use crate::shared::Shared;
use crate::source::{Source, quoted, short};

/// `/s/{store}/locks`
pub(super) async fn locks(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path(slug): Path<String>,
) -> Response {
    let load = async {
        let store = shared.find(&slug)?;
        let read = shared.locks(store).await;
        Ok(Page::of_read(store, &read, |locks| {
            Page::new("Locks", lock_table(shared.source(store), locks))
                .with_twin(format!("/api/v1/stores/{slug}/locks"))
        }))
    };
    viewer.answer(&shared, load.await)
}

fn lock_table(source: &Source, locks: &Locks) -> Markup {
    html! {
        header.head {
            h1 { "Locks" }
            p.small { "A lock keeps two processes from doing the same work. Events are safe without it." }
        }
        @if locks.locks.is_empty() {
            p.empty { "No lock is held: no process works on a migration of this store." }
        } @else {
            div.cards {
                @for held in &locks.locks { (lock(source, held)) }
            }
        }
    }
}

fn lock(source: &Source, held: &Held) -> Markup {
    let (tone, word) = match held.holder_state {
        HolderState::Alive => (Tone::Working, "holder is alive"),
        HolderState::Dead => (Tone::Wrong, "holder has ended"),
        HolderState::ProbablyDead => (Tone::Wrong, "probably dead"),
        HolderState::Free => (Tone::Over, "free"),
        _ => (Tone::Resting, "no sign of life known"),
    };
    let name = held.lock.name.to_string();
    let is_breakable = matches!(
        held.holder_state,
        HolderState::Dead | HolderState::ProbablyDead
    );
    html! {
        article.card data-key=(name) {
            header { (chip(tone, word)) h2 { (name) } }
            dl.facts {
                div { dt { (term("holder")) } dd { (held.lock.holder) } }
                div { dt { "held since" } dd { (time(held.lock.acquired_at)) } }
                @if let Some(at) = held.lock.renewed_at { div { dt { "renewed" } dd { (time(at)) } } }
                div { dt { (term("lease")) } dd { (duration(held.lock.lease)) } }
                @if let Some(migration) = held.lock.migration {
                    div { dt { "migration" } dd {
                        a href={ "/s/" (source.slug()) "/migrations/" (migration) } { (short(migration)) }
                    } }
                }
                @if let Some(damage) = &held.lock.damage { div { dt { "damaged" } dd { (damage) } } }
            }
            @if is_breakable || held.lock.damage.is_some() {
                p { "It expires by itself. If its holder is certainly dead: "
                    (command(&source.command(&format!("lock break {}", quoted(&name))))) }
            }
        }
    }
}

/// `/s/{store}/backups`
pub(super) async fn backups(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path(slug): Path<String>,
) -> Response {
    let load = async {
        let store = shared.find(&slug)?;
        let read = shared.backups(store).await;
        Ok(Page::of_read(store, &read, |backups| {
            Page::new("Backups", places(shared.source(store), backups))
                .with_twin(format!("/api/v1/stores/{slug}/backups"))
        }))
    };
    viewer.answer(&shared, load.await)
}

fn places(source: &Source, places: &[BackupPlace]) -> Markup {
    html! {
        header.head {
            h1 { "Backups and archives" }
            p.small { "A backup is a verified copy of streams. An archive is the backup of a closed stream." }
        }
        @for place in places {
            section.card {
                h2 { (breakable(&place.location)) }
                @match &place.backups {
                    Err(error) => p.problem { (error) },
                    Ok(shown) => (backup_table(source, place, shown)),
                }
            }
        }
    }
}

fn backup_table(source: &Source, place: &BackupPlace, shown: &ShownBackups) -> Markup {
    let at = if place.location == source.location() {
        String::new()
    } else {
        format!(" --backup {}", quoted(&place.location))
    };
    html! {
        @if shown.backups.is_empty() {
            p.empty { "There is no backup here. One of all objects: " }
            p { (command(&source.command(&format!("backup create --all{at}")))) }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Backups" {
                table {
                    thead { tr { th { "backup" } th { "kind" } th { "objects" } th.number { "events" }
                        th.number { "stored" } th { "created" } th { "kept" } } }
                    tbody { @for backup in shown.backups.iter().rev() { (backup_row(backup)) } }
                }
            }
            @if place.is_cut() {
                p.small { "More than these may be there: " (command(&source.command(&format!("backup list{at}")))) }
            }
            h3 { "Check, and restore" }
            @if let Some(newest) = shown.backups.last() {
                p { (command(&source.command(&format!("backup verify {}{at}", newest.id)))) }
                p { (command(&source.command(&format!("backup restore {}{at}", newest.id)))) }
            }
        }
        @for damage in &shown.damaged { p.problem { (damage) } }
    }
}

fn backup_row(backup: &ShownBackup) -> Markup {
    html! {
        tr data-key=(backup.id) {
            td { code { (backup.id) } }
            td { (backup.kind()) }
            td { (backup.of()) }
            td.number { (count(backup.events)) }
            td.number { (bytes(backup.stored_bytes)) }
            td { (time(backup.created_at)) }
            td { (backup.retained()) }
        }
    }
}
