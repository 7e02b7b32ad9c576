//! The progress of a run in figures and words, the same in every display of it.

use esm_core::migration::{Progress, Step};

use crate::output::{count, counted};
use crate::progress::Figures;

/// The figures of a run, in events.
pub(crate) fn run_figures(run: &Progress) -> Figures {
    Figures {
        done: run.events_verified,
        total: run.events_total,
        at_least: run.events_total_at_least,
        percent: Some(run.percent.unwrap_or(0)),
        left: run.eta,
        about: activity(run),
    }
}

/// What a run does, the most important first: what it waits for, what slows it down, what has failed,
/// its step, and its objects.
fn activity(run: &Progress) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(what) = &run.waiting_for {
        parts.push(format!("waiting for {what}"));
    }
    if let Some(reason) = &run.throttled_by {
        parts.push(format!("throttled by {reason}"));
    }
    if run.objects_failed > 0 {
        parts.push(format!("{} failed", counted(run.objects_failed, "object")));
    }
    let events = match run.step {
        Step::BackUp => run.events_backed_up,
        Step::Analyse => run.events_analysed,
        Step::Copy => run.events_copied,
        Step::Verify => run.events_verified,
        _ => 0,
    };
    parts.push(match (run.objects_total, events) {
        (Some(1), 1..) => format!("{} {}", run.step, counted(events, "event")),
        _ => run.step.to_string(),
    });
    match run.objects_total {
        Some(1) => {}
        Some(total) => parts.push(format!(
            "{} of {}",
            count(run.objects_done),
            counted(total, "object")
        )),
        None if run.objects_done > 0 => parts.push(counted(run.objects_done, "object")),
        None => {}
    }
    parts
}
