//! Failures in reports: equal ones are one, with a count.

use esm_core::Error;
use esm_core::event::Position;
use esm_core::migration::{MigrationPlan, ObjectFailure, Statistics};
use esm_core::router::ReadPosition;
use esm_core::transform::{Failure, SampleOutcome, SampledEvent};
use futures::TryStreamExt as _;

use crate::diff::value_text;
use crate::output::{Text, counted};
use crate::session::Session;

/// Failing events that are listed; the counts are complete.
const LISTED: usize = 20;

/// Objects that a line names.
const NAMED: usize = 3;

/// The failures of objects, a line for those that are alike.
pub(crate) fn object_failures(statistics: &Statistics) -> Vec<String> {
    let mut groups: Vec<Vec<&ObjectFailure>> = Vec::new();
    for failure in &statistics.failures {
        let group = groups.iter_mut().find(|group| are_alike(group[0], failure));
        match group {
            Some(group) => group.push(failure),
            None => groups.push(vec![failure]),
        }
    }
    // they ended in any order
    for group in &mut groups {
        group.sort_by_key(|failure| &failure.object);
    }
    let mut lines: Vec<_> = groups.iter().map(|group| alike(group)).collect();
    let named = statistics.failures.len() as u64;
    if statistics.failed > named {
        let more = counted(statistics.failed - named, "more object");
        lines.push(more);
    }
    lines
}

/// A line for failures that are alike.
fn alike(failures: &[&ObjectFailure]) -> String {
    let ObjectFailure {
        object,
        step,
        message,
        ..
    } = failures[0];
    let objects = if failures.len() == 1 {
        object.to_string()
    } else {
        let named = failures.iter().take(NAMED).map(|f| f.object.to_string());
        let more = (failures.len() > NAMED).then(|| "…".to_owned());
        let named: Vec<_> = named.chain(more).collect();
        let count = counted(failures.len() as u64, "object");
        format!("{count} ({})", named.join(", "))
    };
    format!("{objects}, {step}: {message}")
}

fn are_alike(one: &ObjectFailure, other: &ObjectFailure) -> bool {
    let failures = one.failure.as_ref().zip(other.failure.as_ref());
    one.step == other.step && failures.is_some_and(|(one, other)| one.is_like(other))
}

/// The failing events of a plan, those that are alike as one, with the value of the first.
pub(super) fn failing_events(plan: &MigrationPlan) -> Text {
    let mut text = Text::default();
    for failure in plan.ledger.failures.iter().take(LISTED) {
        let Failure { rule, message, .. } = failure;
        let count = counted(failure.count, "event");
        text.push(format!("- {count} by {rule}: {message}"));
        text.push(format!("  first: {}", place(failure)));
        if let Some(event) = sampled(plan, failure) {
            text.push(format!("  value: {}", value_text(event)));
        }
    }
    text
}

fn place(failure: &Failure) -> String {
    let object = failure.object.as_deref();
    let object = object.map_or(String::new(), |object| format!("{object} "));
    let (schema, event) = (&failure.schema, &failure.event);
    format!(
        "{object}revision {}, {schema}, id {event}",
        failure.revision
    )
}

fn sampled<'a>(plan: &'a MigrationPlan, failure: &Failure) -> Option<&'a SampledEvent> {
    let mut samples = plan.samples.iter();
    let sample = samples.find(|sample| {
        matches!(sample.outcome, SampleOutcome::Failed { .. })
            && failure.object.as_deref() == Some(&sample.object)
            && failure.revision == sample.revision
    });
    sample.map(|sample| &sample.before)
}

/// The beginning of the payload of the event that caused an error; it is read again. `None` where
/// no event did, or it cannot be read.
pub(super) async fn value_of(session: &Session, error: &Error) -> Option<String> {
    let failure = Failure::of(error)?;
    let object = failure.object.as_deref()?;
    let reader = session.reader();
    let active = reader.load(object).await.ok()?.document.active;
    let position = Position {
        stream: active.stream,
        revision: failure.revision,
    };
    let mut events = reader.read(object, ReadPosition::At(position));
    let event = events.try_next().await.ok()??.event;
    (event.id == failure.event).then(|| value_text(&SampledEvent::new(&event)))
}
