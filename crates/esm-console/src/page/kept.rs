//! Locks, and backups with archives.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use esm_core::ErrorKind;
use esm_core::store::HolderState;
use esm_view::backup::{ShownBackup, ShownBackups};
use esm_view::lock::{Held, Locks};
use esm_view::units::{bytes, count, duration};
use maud::{Markup, html};

use super::content::Page;
use super::parts::{Tone, breakable, chip, command, term, time};
use super::viewer::Viewer;
use crate::model::{BackupAt, BackupPlace, Verification};
use crate::shared::{Shared, Store};
use crate::source::{Source, quoted, short};
use crate::upkeep::is_breakable;

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
            Page::new("Locks", lock_table(&shared, &viewer, store, locks))
                .with_twin(format!("/api/v1/stores/{slug}/locks"))
        }))
    };
    viewer.answer(&shared, load.await)
}

fn lock_table(shared: &Shared, viewer: &Viewer, store: Store, locks: &Locks) -> Markup {
    let (source, controls) = (shared.source(store), viewer.controls(shared));
    html! {
        header.head {
            h1 { "Locks" }
            p.small { "A lock keeps two processes from doing the same work. Events are safe without it." }
        }
        @if locks.locks.is_empty() {
            p.empty {
                "No lock is held: no process works on a migration of this store. "
                a href={ "/s/" (source.slug()) } { "Its migrations" }
            }
        } @else {
            div.cards {
                @for held in &locks.locks { (lock(source, held, controls)) }
            }
        }
    }
}

fn lock(source: &Source, held: &Held, controls: bool) -> Markup {
    let (tone, word) = match held.holder_state {
        HolderState::Alive => (Tone::Working, "holder is alive"),
        HolderState::Dead => (Tone::Wrong, "holder has ended"),
        HolderState::ProbablyDead => (Tone::Wrong, "probably dead"),
        HolderState::Free => (Tone::Over, "free"),
        _ => (Tone::Resting, "no sign of life known"),
    };
    let name = held.lock.name.to_string();
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
            @if is_breakable(held) {
                @let line = source.command(&format!("lock break {}", quoted(&name)));
                @if controls {
                    p { "It expires by itself. If its holder is certainly dead, it can be broken." }
                    (breaking(source, held, &line))
                } @else {
                    p { "It expires by itself. If its holder is certainly dead: " (command(&line)) }
                }
            }
        }
    }
}

/// The button that breaks a lock, and its dialog.
fn breaking(source: &Source, held: &Held, line: &str) -> Markup {
    let name = held.lock.name.to_string();
    let id = format!("break-{}", &blake3::hash(name.as_bytes()).to_hex()[..8]);
    html! {
        div.buttons { button.danger type="button" data-dialog=(id) { "Break the lock" } }
        dialog id={ "dialog-" (id) } aria-labelledby={ "title-" (id) } data-static {
            form method="dialog" data-post={ "/s/" (source.slug()) "/locks/break" } {
                h2 id={ "title-" (id) } { "Break the lock" }
                p { "The lock is taken from " strong { (held.lock.holder) } ", which stops at its next renewal if it "
                    "still works. Another process can work at once. Events are safe either way." }
                input type="hidden" name="name" value=(name);
                input type="hidden" name="token" value=(held.lock.token.0);
                p.small { "The same from a terminal:" }
                p { (command(line)) }
                p.problem role="alert" hidden {}
                div.buttons {
                    button.danger type="submit" { "Break the lock" }
                    button type="button" data-close { "Do nothing" }
                }
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
            Page::new("Backups", places(&shared, &viewer, store, backups))
                .with_twin(format!("/api/v1/stores/{slug}/backups"))
        }))
    };
    viewer.answer(&shared, load.await)
}

fn places(shared: &Shared, viewer: &Viewer, store: Store, places: &[BackupPlace]) -> Markup {
    let controls = viewer.controls(shared);
    html! {
        header.head {
            h1 { "Backups and archives" }
            p.small { "A backup is a verified copy of streams. An archive is the backup of a closed stream." }
        }
        @for (at, place) in places.iter().enumerate() {
            section.card {
                h2 { (breakable(&place.location)) }
                @match &place.backups {
                    Err(error) => p.problem { (error) },
                    Ok(shown) => (backup_table(&Shelf { shared, store, at, place, controls }, shown)),
                }
            }
        }
    }
}

/// A place of backups, as it is shown.
struct Shelf<'a> {
    shared: &'a Shared,
    store: Store,
    /// Its number among the places of the store.
    at: usize,
    place: &'a BackupPlace,
    /// Whether its backups are verified from here.
    controls: bool,
}

fn backup_table(shelf: &Shelf<'_>, shown: &ShownBackups) -> Markup {
    let (source, place) = (shelf.shared.source(shelf.store), shelf.place);
    let is_verified_here = shelf.controls;
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
                        th.number { "stored" } th { "created" } th { "kept" }
                        @if is_verified_here { th { "verified here" } } } }
                    tbody { @for backup in shown.backups.iter().rev() { (backup_row(shelf, backup)) } }
                }
            }
            @if place.is_cut() {
                p.small { "More than these may be there: " (command(&source.command(&format!("backup list{at}")))) }
            }
            h3 { @if is_verified_here { "Restore" } @else { "Verify, and restore" } }
            @if let Some(newest) = shown.backups.last() {
                @if !is_verified_here { p { (command(&source.command(&format!("backup verify {}{at}", newest.id)))) } }
                p { (command(&source.command(&format!("backup restore {}{at}", newest.id)))) }
            }
        }
        @for damage in &shown.damaged { p.problem { (damage) } }
    }
}

fn backup_row(shelf: &Shelf<'_>, backup: &ShownBackup) -> Markup {
    html! {
        tr data-key=(backup.id) {
            td { code { (backup.id) } }
            td { (backup.kind()) }
            td { (backup.of()) }
            td.number { (count(backup.events)) }
            td.number { (bytes(backup.stored_bytes)) }
            td { (time(backup.created_at)) }
            td { (backup.retained()) }
            @if shelf.controls { td { (verification(shelf, backup)) } }
        }
    }
}

/// What is known of the verification of a backup, or the button to begin one.
fn verification(shelf: &Shelf<'_>, backup: &ShownBackup) -> Markup {
    let known = shelf.shared.verifications.of(&BackupAt {
        store: shelf.store,
        place: shelf.at,
        id: backup.id.clone(),
    });
    let source = shelf.shared.source(shelf.store);
    html! {
        @match &known {
            Some(Verification::Running { events, total }) => {
                (chip(Tone::Working, "is verified"))
                " " (count(*events)) @if let Some(total) = total { " of " (count(*total)) } " events"
            }
            Some(Verification::Sound { at }) => { (chip(Tone::Done, "sound")) " " (time(*at)) }
            Some(Verification::Failed { error, at }) => {
                @let word = if *error.kind() == ErrorKind::Corrupt { "damaged" } else { "not verified" };
                (chip(Tone::Wrong, word)) " " (time(*at)) ": " (error)
            }
            None => {}
        }
        @if !matches!(known, Some(Verification::Running { .. })) {
            form.inline data-post={ "/s/" (source.slug()) "/backups/verify" } {
                input type="hidden" name="place" value=(shelf.at);
                input type="hidden" name="id" value=(backup.id);
                button type="submit" aria-label={ "Verify " (backup.id) } { "Verify" @if known.is_some() { " again" } }
                p.problem role="alert" hidden {}
            }
        }
    }
}
