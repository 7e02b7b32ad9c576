//! The five questions of somebody who has just come: what happens, is it healthy, how long yet, what
//! does it wait for, what can I do.

use esm_core::migration::{MigrationStatus, Progress};
use esm_view::migration::{Kind, sign_of_life};
use esm_view::units::{count, counted, remaining};
use maud::{Markup, html};

use super::parts::{command, time};
use crate::model::MigrationView;
use crate::source::{Source, short};

pub(super) fn answers(source: &Source, view: &MigrationView) -> Markup {
    html! {
        dl.answers {
            div { dt { "What is happening?" } dd { (happening(view)) } }
            div { dt { "Is it healthy?" } dd { (health(view)) } }
            div { dt { "How long yet?" } dd { (how_long(view)) } }
            div { dt { "What does it wait for?" } dd { (waits(view)) } }
            div { dt { "What can I do?" } dd { (next(source, view)) } }
        }
    }
}

fn happening(view: &MigrationView) -> Markup {
    let shown = &view.shown;
    let state = &shown.state;
    html! {
        @if let Some(damage) = &state.damage {
            "Its journal cannot be read to its end: " (damage)
        } @else if let Some(progress) = &shown.progress {
            (running(progress))
        } @else {
            @match (shown.condition.condition, state.status) {
                (Kind::Ended, MigrationStatus::Completed) => {
                    "It has ended. Every event was copied, transformed and verified"
                    @if shown.condition.reversed_by.is_some() { "; later it was rolled back" }
                    "."
                }
                (Kind::Ended, status) => { "It has ended: " (status) ". The sources are as they were." }
                (Kind::Failed, _) => "It stopped at an error. The streams that were not cut over are as they were.",
                (Kind::Stopped, _) => "It was stopped on request. What is done is kept.",
                (Kind::Running | Kind::Waiting, _) => "It has just begun; its first numbers come in a few seconds.",
                _ => "Nobody works on it. What is done is kept."
            }
        }
    }
}

fn running(progress: &Progress) -> Markup {
    let objects = progress.objects_total.filter(|total| *total > 1);
    html! {
        (sentence(&progress.step.to_string()))
        @if let Some(object) = progress.object.as_ref().filter(|_| objects.is_none()) { " of " (object) }
        @if let Some(total) = objects {
            ": " (count(progress.objects_done)) " of " (counted(total, "object")) " done"
        }
        @if progress.objects_failed > 0 { ", " (count(progress.objects_failed)) " failed" }
        "."
    }
}

/// A step as the beginning of a sentence.
fn sentence(step: &str) -> String {
    let verb = match step {
        "acquire lock" => "Acquiring the lock",
        "back up" => "Backing up",
        "analyse" => "Analysing the sources",
        "copy" => "Copying and transforming events",
        "verify" => "Comparing source and target event by event",
        "cut over" => "Cutting over",
        "close books" => "Closing the books",
        "roll back" => "Undoing",
        other => other,
    };
    verb.to_owned()
}

fn health(view: &MigrationView) -> Markup {
    let state = &view.shown.state;
    let failed = state.statistics.as_ref().map_or(0, |s| s.failed);
    let now = view.watched.watched.progress.as_ref().map(|p| p.at);
    let life = state
        .lock
        .as_ref()
        .zip(now)
        .and_then(|(lock, at)| sign_of_life(lock, at));
    html! {
        @match view.shown.condition.condition {
            Kind::Damaged => "No: its journal is damaged. The events are not affected.",
            Kind::Failed => {
                "No. "
                @if let Some((step, reason)) = &state.stopped { (sentence(&step.to_string())) " failed: " (reason) }
            }
            Kind::Dead => "Nobody works on it: its process has ended. No event is at risk.",
            Kind::ProbablyDead => "Its process gives no sign of life. No event is at risk; another process may take over.",
            Kind::Stopped | Kind::Paused => "Yes; it rests on request.",
            Kind::Ended if failed > 0 => { "Not wholly: " (counted(failed, "object")) " failed." }
            Kind::Ended => "Yes.",
            Kind::Running | Kind::Ready | Kind::Waiting => {
                @if failed > 0 { (counted(failed, "object")) " failed before; it tries them again. " }
                "Yes: a process works on it"
                @if let Some(at) = now { "; last sign of life " (time(at)) }
                @else if let Some(life) = life { ", " (life) }
                "."
            }
        }
    }
}

fn how_long(view: &MigrationView) -> Markup {
    let Some(progress) = &view.shown.progress else {
        return match view.shown.condition.condition {
            Kind::Ended => {
                html! { "It has ended" @if let Some(at) = view.shown.state.updated_at { ", " (time(at)) } "." }
            }
            _ => html! { "That is not known while nobody works on it." },
        };
    };
    html! {
        @match progress.eta {
            Some(eta) => {
                (sentence_case(&remaining(eta)))
                @if progress.events_total_at_least { ", as far as the objects are counted" }
                "."
            }
            None if progress.waiting_for.is_some() => "Until what it waits for has come.",
            None => "Not known yet: it takes some seconds of work to estimate."
        }
        @if let Some(limit) = &progress.throttled_by { " It would be faster without " (limit) "." }
    }
}

fn sentence_case(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

fn waits(view: &MigrationView) -> Markup {
    let condition = &view.shown.condition;
    html! {
        @match (&condition.waits_for, condition.condition) {
            (Some(what), Kind::Ready) => { "For a person: " (what) "." }
            (Some(what), _) => { (sentence_case(what)) "." }
            (None, Kind::Paused) => "For a person to resume it.",
            (None, Kind::Stopped | Kind::Failed | Kind::Dead | Kind::ProbablyDead) => {
                "For somebody to resume it or to roll it back."
            }
            (None, Kind::Damaged) => "For nothing: its journal cannot be read.",
            (None, _) => "Nothing."
        }
    }
}

fn next(source: &Source, view: &MigrationView) -> Markup {
    let id = short(view.shown.state.migration);
    let line = |verb: &str| command(&source.command(&format!("{verb} {id}")));
    let status = view.shown.state.status;
    html! {
        @match view.shown.condition.condition {
            Kind::Ready => { "Let it cut over: " (line("cutover")) }
            Kind::Paused | Kind::Stopped | Kind::Dead | Kind::ProbablyDead => {
                "Continue it: " (line("resume")) " or undo it: " (line("rollback"))
            }
            Kind::Failed => { "Mend the cause, then continue: " (line("resume")) " or undo: " (line("rollback")) }
            Kind::Running | Kind::Waiting => { "Nothing needs to be done. To pause it: " (line("pause")) }
            Kind::Ended if status == MigrationStatus::Completed && view.shown.condition.reversed_by.is_none() => {
                "If it was a mistake, migrate back: " (line("rollback"))
            }
            Kind::Ended => "Nothing needs to be done.",
            Kind::Damaged => {
                (sentence_case(view.shown.state.damage_hint.as_deref().unwrap_or("migrate the same objects again"))) "."
            }
        }
    }
}
