//! An object, and a page of its events.

use std::sync::Arc;

use esm_core::event::{Event, Position, Revision};
use esm_core::id::{ObjectId, StreamId};
use esm_core::router::ReadPosition;
use esm_core::transform::SampledEvent;
use esm_core::{Error, Result};
use esm_view::object::{ShownObject, StreamDepth};
use futures::TryStreamExt as _;
use serde::Deserialize;

use crate::cache::Load;
use crate::source::Source;

/// Streams of an object that are shown: each costs a few requests.
const STREAMS: usize = 8;
/// Events of a page.
const PAGE: usize = 25;
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
    pub(crate) event: SampledEvent,
    /// The whole event, for the twin in JSON.
    pub(crate) whole: Event,
}

/// A page of events of an object's active stream.
#[derive(Debug)]
pub(crate) struct EventPage {
    pub(crate) events: Vec<ShownEvent>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<u64>,
}

/// Loads a page of events.
#[derive(Debug)]
pub(crate) struct EventPageLoad {
    pub(crate) source: Arc<Source>,
    pub(crate) object: ObjectId,
    pub(crate) stream: StreamId,
    pub(crate) query: EventQuery,
}

impl Load for EventPageLoad {
    type Value = EventPage;

    async fn load(&mut self) -> Result<EventPage> {
        let from = ReadPosition::At(Position {
            stream: self.stream.clone(),
            revision: Revision(self.query.from),
        });
        let mut stream = self.source.reader().read(&self.object, from);
        let (mut events, mut revision) = (Vec::new(), self.query.from);
        while let Some(recorded) = stream.try_next().await? {
            if events.len() == PAGE || revision >= self.query.from.saturating_add(LOOKED_AT) {
                return Ok(EventPage {
                    events,
                    next: Some(revision),
                });
            }
            let whole = recorded.event;
            if self.query.r#type.is_empty() || whole.event_type.as_str() == self.query.r#type {
                events.push(ShownEvent {
                    revision: Revision(revision),
                    event: SampledEvent::new(&whole),
                    whole,
                });
            }
            revision = revision
                .checked_add(1)
                .ok_or_else(|| Error::invalid("revision is too large"))?;
        }
        Ok(EventPage { events, next: None })
    }
}
