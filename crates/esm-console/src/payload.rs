//! What of an event may be shown.

use esm_core::event::{Event, Revision};
use esm_core::id::ObjectId;
use esm_core::transform::{Mapper, SampledEvent};

use crate::options::ConsoleOptions;

/// An event as it may be shown, or why it may not.
#[derive(Debug)]
pub(crate) enum Visible {
    Event(Box<SampledEvent>),
    Hidden(&'static str),
}

impl ConsoleOptions {
    /// An event of an object as it may be shown.
    pub(crate) fn visible(
        &self,
        object: &ObjectId,
        revision: Revision,
        event: &SampledEvent,
    ) -> Visible {
        if self.hides_payloads {
            return Visible::Hidden("events are hidden on this console");
        }
        let Some(mask) = &self.mask else {
            return Visible::Event(Box::new(event.clone()));
        };
        let Some(whole) = whole(event) else {
            return Visible::Hidden("the event is too large, or no text, to be masked");
        };
        let mapped = Mapper::new(mask.clone()).map(object, revision, &whole);
        let outputs = mapped.map(|mapped| mapped.outputs).unwrap_or_default();
        match outputs.as_slice() {
            [masked] => Visible::Event(Box::new(SampledEvent::new(masked))),
            _ => Visible::Hidden("the mask hides this event"),
        }
    }
}

fn whole(event: &SampledEvent) -> Option<Event> {
    let payload = event.payload.as_ref().filter(|_| !event.cut)?;
    Some(Event {
        id: event.id.clone(),
        event_type: event.schema.event_type.clone(),
        schema_version: event.schema.version,
        content_type: event.content_type.clone(),
        time: event.time.clone(),
        metadata: event.metadata.clone(),
        payload: payload.clone().into(),
    })
}
