//! An application that appends while its object is migrated.

use std::collections::VecDeque;
use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::transform::EventTransformer;
use tokio::sync::Mutex;

use super::Place;
use crate::event;
use crate::observe::History;

/// An instance of an application, which caches the place of the object's stream.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) object: ObjectId,
    history: History,
    client: ObjectClient,
    environment: Environment,
    source: Mutex<Source>,
}

/// The source of its events.
#[derive(Debug)]
enum Source {
    /// Generated, of a type that no transformation changes.
    MadeUp,
    /// Given. They end where one is refused, because the next ones depend on it.
    Given(VecDeque<Event>),
}

impl Writer {
    /// The type of generated events; no scenario may transform it.
    pub(super) const EVENT_TYPE: &'static str = "AppendedMeanwhile";

    /// Returns a writer to this object, which appends these events, or generated ones.
    pub(super) fn new(
        place: &Place,
        object: &ObjectId,
        history: &History,
        environment: Environment,
        given: Option<Vec<Event>>,
    ) -> Self {
        let client = ObjectClient::new(
            Arc::clone(&place.records),
            Arc::clone(&place.event_store),
            environment.clone(),
        );
        let source = given.map_or(Source::MadeUp, |events| Source::Given(events.into()));
        Self {
            object: object.clone(),
            history: history.clone(),
            client,
            environment,
            source: Mutex::new(source),
        }
    }

    /// Registers this transformation, as code of the old schema should (R11).
    pub(super) fn registering(mut self, transformer: Arc<dyn EventTransformer>) -> Self {
        self.client = self.client.with_transformer(transformer);
        self
    }

    /// Appends one event to the object's active stream, and records the outcome. Returns whether
    /// there was an event left.
    ///
    /// # Panics
    /// When the append fails: no migration may keep a writer from appending, except an event of a
    /// schema that it retires (R11).
    pub(super) async fn append(&self) -> bool {
        let mut source = self.source.lock().await;
        let event = match &mut *source {
            Source::MadeUp => Some(self.make_up()),
            Source::Given(events) => events.pop_front(),
        };
        let Some(event) = event else {
            return false;
        };
        if !self.append_this(event).await {
            *source = Source::Given(VecDeque::new());
        }
        true
    }

    /// Appends this event, and records the outcome; `false` where it was refused (R11).
    ///
    /// # Panics
    /// As [`append`](Self::append).
    pub(super) async fn append_this(&self, event: Event) -> bool {
        let attempted = self.history.begin(vec![event.clone()]);
        let appending = self
            .client
            .append(&self.object, ExpectedRevision::Any, vec![event]);
        match appending.await {
            Ok(_) => attempted.acknowledged(),
            Err(error) if *error.kind() == ErrorKind::Invalid => {
                attempted.failed();
                return false;
            }
            Err(error) => panic!("a writer cannot append to {}: {error:?}", self.object),
        }
        true
    }

    fn make_up(&self) -> Event {
        let id = format!("meanwhile-{}", self.environment.uuid_v4());
        event(id, Self::EVENT_TYPE)
    }
}
