//! Failures in reports: equal ones are one, with a count.

use std::fmt;

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

/// The objects that failed alike, or the number of those that are not named.
#[derive(Debug)]
pub(crate) enum FailedObjects<'a> {
    Alike(Vec<&'a ObjectFailure>),
    More(u64),
}

/// The failures of objects, those that are alike as one.
pub(crate) fn object_failures(statistics: &Statistics) -> Vec<FailedObjects<'_>> {
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
    let named = statistics.failures.len() as u64;
    let more = statistics.failed.saturating_sub(named);
    let more = (more > 0).then_some(FailedObjects::More(more));
    let groups = groups.into_iter().map(FailedObjects::Alike);
    groups.chain(more).collect()
}

impl FailedObjects<'_> {
    /// Whether this is the failure that an error reports.
    pub(super) fn is(&self, error: Option<&Error>) -> bool {
        let Self::Alike(failures) = self else {
            return false;
        };
        let error = error.map(ToString::to_string);
        // the message of a failure ends with the hint
        let reports = |failure: &&ObjectFailure| {
            error
                .as_ref()
                .is_some_and(|error| failure.message.starts_with(error))
        };
        failures.iter().any(reports)
    }

    /// The objects, and the step that failed.
    pub(super) fn objects(&self) -> String {
        let failures = match self {
            Self::Alike(failures) => failures,
            Self::More(number) => return counted(*number, "more object"),
        };
        let ObjectFailure { object, step, .. } = failures[0];
        if failures.len() == 1 {
            return format!("{object}, {step}");
        }
        let named = failures.iter().take(NAMED).map(|f| f.object.to_string());
        let more = (failures.len() > NAMED).then(|| "…".to_owned());
        let named: Vec<_> = named.chain(more).collect();
        let count = counted(failures.len() as u64, "object");
        format!("{count} ({}), {step}", named.join(", "))
    }
}

impl fmt::Display for FailedObjects<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.objects())?;
        match self {
            Self::Alike(failures) => write!(f, ": {}", failures[0].message),
            Self::More(_) => Ok(()),
        }
    }
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
