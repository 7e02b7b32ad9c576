//! An object, and a page of its events.

use std::sync::Arc;

use esm_core::Result;
use esm_core::event::{Event, Position, Revision, Schema};
use esm_core::id::{ObjectId, StreamId};
use esm_core::router::ReadPosition;
use esm_view::object::{ShownObject, StreamDepth};
use futures::TryStreamExt as _;
use serde::Deserialize;

use crate::cache::Load;
use crate::payload::{Payloads, Visible};
use crate::source::Source;

/// Streams of an object that are shown: each costs a few requests.
const STREAMS: usize = 8;
/// Events of a page.
const PAGE: usize = 25;
/// Bytes after which a page ends.
const PAGE_BYTES: u64 = 4 << 20;
/// Events that a page with a filter reads.
const LOOKED_AT: u64 = 500;

/// Loads an object with its newest streams.
#[derive(Debug)]
pub(crate) struct ObjectLoad {
    pub(crate) source: Arc<Source>,
    pub(crate) object: ObjectId,
}

impl Load for ObjectLoad {
    type Value = ShownObject;

    async fn load(&mut self) -> Result<ShownObject> {
        let (reader, routing) = (self.source.reader(), self.source.routing());
        ShownObject::load(
            &reader,
            &routing,
            &self.object,
            StreamDepth::Newest(STREAMS),
        )
        .await
    }
}

/// Which events are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub(crate) struct EventQuery {
    /// The first revision.
    pub(crate) from: u64,
    /// Only events of this type, if it is not empty.
    pub(crate) r#type: String,
}

/// An event of a page.
#[derive(Debug)]
pub(crate) struct ShownEvent {
    pub(crate) revision: Revision,
    pub(crate) schema: Schema,
    pub(crate) time: Option<String>,
    /// What of it may be shown.
    pub(crate) visible: Visible,
    /// The whole event, for the twin in JSON.
    pub(crate) whole: Event,
}

/// A page of events of an object's active stream.
#[derive(Debug)]
pub(crate) struct EventPage {
    pub(crate) events: Vec<ShownEvent>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<u64>,
    /// What its events hold.
    bytes: u64,
}

/// Loads a page of events.
#[derive(Debug)]
pub(crate) struct EventPageLoad {
    pub(crate) source: Arc<Source>,
    pub(crate) payloads: Payloads,
    pub(crate) object: ObjectId,
    /// The stream at the end of the object's chain.
    pub(crate) stream: StreamId,
    pub(crate) query: EventQuery,
}

/// Events as they were read, and where the next page begins.
#[derive(Debug, Default)]
struct Found {
    events: Vec<(Revision, Event)>,
    next: Option<u64>,
    bytes: u64,
}

impl EventPageLoad {
    async fn find(&self) -> Result<Found> {
        let from = ReadPosition::At(Position {
            stream: self.stream.clone(),
            revision: Revision(self.query.from),
        });
        let mut stream = self.source.reader().read(&self.object, from);
        let mut found = Found::default();
        let mut looked_at = 0;
        while let Some(recorded) = stream.try_next().await? {
            let Position { stream, revision } = recorded.position;
            if stream != self.stream {
                // it was closed meanwhile; the next load of the object names its continuation
                break;
            }
            let is_full = found.events.len() == PAGE || found.bytes >= PAGE_BYTES;
            if is_full || looked_at == LOOKED_AT {
                found.next = Some(revision.0);
                break;
            }
            looked_at += 1;
            let event = recorded.event;
            if self.query.r#type.is_empty() || event.event_type.as_str() == self.query.r#type {
                found.bytes += event.approximate_size();
                found.events.push((revision, event));
            }
        }
        Ok(found)
    }
}

impl Load for EventPageLoad {
    type Value = EventPage;

    fn bytes(page: &EventPage) -> u64 {
        page.bytes
    }

    async fn load(&mut self) -> Result<EventPage> {
        let found = self.find().await?;
        let object = self.object.clone();
        let shown = self.payloads.on_a_thread(move |payloads| {
            let events = found
                .events
                .into_iter()
                .map(|(revision, whole)| ShownEvent {
                    revision,
                    schema: whole.schema(),
                    time: whole.time.clone(),
                    visible: payloads.event(&object, revision, &whole),
                    whole,
                });
            EventPage {
                events: events.collect(),
                next: found.next,
                bytes: found.bytes,
            }
        });
        shown.await
    }
}
