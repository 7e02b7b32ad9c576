//! The events that a transformation fails on, in reports.

use esm_core::Error;
use esm_core::event::Position;
use esm_core::migration::MigrationPlan;
use esm_core::router::ReadPosition;
use esm_core::transform::{Failure, SampleOutcome, SampledEvent};
use futures::TryStreamExt as _;

use crate::output::{Text, counted};
use crate::sample::value_text;
use crate::session::Session;

/// Failing events that are listed; the counts are complete.
const LISTED: usize = 20;

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
