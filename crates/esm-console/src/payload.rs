//! What of events may be shown.

use std::fmt;
use std::sync::Arc;

use esm_core::event::{Event, Revision};
use esm_core::id::ObjectId;
use esm_core::transform::{EventSample, EventTransformer, Mapper, SampledEvent};
use esm_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

use crate::options::ConsoleOptions;

/// Programs that run at the same time: they take a processor each.
const THREADS: usize = 2;

/// An event as it may be shown, or why it may not.
#[derive(Debug, Clone)]
pub(crate) enum Visible {
    Event(Box<SampledEvent>),
    Hidden(&'static str),
}

/// A sample, with what of its events may be shown.
#[derive(Debug, Clone)]
pub(crate) struct VisibleSample {
    pub(crate) sample: EventSample,
    pub(crate) before: Visible,
    pub(crate) after: Vec<Visible>,
}

/// What of events may be shown. Programs run on threads of their own, never on those that answer
/// requests.
#[derive(Clone)]
pub(crate) struct Payloads {
    is_hidden: bool,
    mask: Option<Arc<dyn EventTransformer>>,
    threads: Arc<Semaphore>,
}

impl fmt::Debug for Payloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payloads").finish_non_exhaustive()
    }
}

impl Payloads {
    pub(crate) fn new(options: &ConsoleOptions) -> Self {
        Self {
            is_hidden: options.hides_payloads,
            mask: options.mask.clone(),
            threads: Arc::new(Semaphore::new(THREADS)),
        }
    }

    /// Whether events are shown as they are.
    pub(crate) fn are_whole(&self) -> bool {
        !self.is_hidden && self.mask.is_none()
    }

    /// Runs programs on a thread of their own, and waits until one is free.
    ///
    /// # Errors
    /// `TransformFailed` where a program did not end properly.
    ///
    /// # Cancel safety
    /// Safe to drop. What has begun keeps its thread until it ends; the next waits for that.
    pub(crate) async fn on_a_thread<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::TransformFailed, "a program did not end").with_source(error)
        };
        let permit = Arc::clone(&self.threads).acquire_owned().await;
        let permit = permit.map_err(|error| failed(error.into()))?;
        let payloads = self.clone();
        let ran = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            run(&payloads)
        });
        ran.await.map_err(|error| failed(error.into()))
    }

    /// An event of an object as it may be shown. Runs the mask.
    pub(crate) fn event(&self, object: &ObjectId, revision: Revision, event: &Event) -> Visible {
        if self.is_hidden {
            return Visible::Hidden("events are hidden on this console");
        }
        let Some(mask) = &self.mask else {
            return Visible::Event(Box::new(SampledEvent::new(event)));
        };
        let mapped = Mapper::new(mask.clone()).map(object, revision, event);
        let outputs = mapped.map(|mapped| mapped.outputs).unwrap_or_default();
        match outputs.as_slice() {
            [masked] => Visible::Event(Box::new(SampledEvent::new(masked))),
            _ => Visible::Hidden("the mask hides this event"),
        }
    }

    /// A sample with what may be shown of it. Runs the mask.
    pub(crate) fn sample(&self, sample: EventSample) -> VisibleSample {
        let visible = |event: &SampledEvent| match whole(event) {
            _ if self.are_whole() => Visible::Event(Box::new(event.clone())),
            Some(whole) => self.event(&sample.object, sample.revision, &whole),
            None => Visible::Hidden("the event is too large, or no text, to be masked"),
        };
        VisibleSample {
            before: visible(&sample.before),
            after: sample.after.iter().map(visible).collect(),
            sample,
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
