//! An application that appends while its object is migrated.

use esm_core::chain;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, ObjectId, StreamId, StreamRef};
use esm_core::store::{Append, EventStore as _};
use esm_core::{Error, Result};

use crate::memory::MemoryWorld;
use crate::observe::History;

/// Appends one event of a type that no transformation changes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) world: MemoryWorld,
    pub(super) object: ObjectId,
    pub(super) history: History,
    pub(super) environment: Environment,
}

impl Writer {
    /// The type of the events that writers append; no scenario may transform it.
    pub(super) const EVENT_TYPE: &'static str = "AppendedMeanwhile";

    /// Appends wherever the object's stream is, and writes down that it was acknowledged.
    ///
    /// # Panics
    /// When it fails: no migration may keep a writer from appending.
    pub(super) async fn append(&self) {
        let event = self.event().expect("a valid event");
        self.append_this(event).await;
    }

    /// As [`append`](Self::append), this event.
    ///
    /// # Panics
    /// When it fails.
    pub(super) async fn append_this(&self, event: Event) {
        let appended = async {
            let attempted = self.history.begin(vec![event.clone()]);
            self.send(event).await?;
            attempted.acknowledged();
            Ok::<_, Error>(())
        };
        if let Err(error) = appended.await {
            panic!("a writer cannot append to {}: {error:?}", self.object);
        }
    }

    fn event(&self) -> Result<Event> {
        let id = EventId::new(format!("meanwhile-{}", self.environment.uuid_v4()))?;
        Ok(Event::new(id, EventType::new(Self::EVENT_TYPE)?, "{}"))
    }

    /// R8, R9: at the tail of the chain's end.
    async fn send(&self, event: Event) -> Result<()> {
        let first = StreamRef::new(self.world.event_store.id(), StreamId::first(&self.object));
        let end = chain::follow(&self.world.event_store(), first).await?;
        if end.tail.close().is_some() {
            return Err(Error::not_found("the object was deleted"));
        }
        let append = Append::events(self.environment.commit_id(), vec![event.into()]);
        let store = &self.world.event_store;
        store.append(&end.stream.stream, &end.tail, append).await?;
        Ok(())
    }
}
