//! Loading an object: all of its events, and the position to append at.

use std::time::Duration;

use crate::RollingHash;
use crate::error::{Error, Result};
use crate::event::{Event, Position};
use crate::id::ObjectId;
use crate::object::KnownStream;
use crate::router::client::ObjectClient;
use crate::router::phases::known::{DualReads, Phases, Seen};
use crate::router::read::events::Reading;
use crate::transform::Mapper;

/// An object's state, and the position that it is the state at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded<S> {
    /// What the events come to.
    pub state: S,
    /// What an append expects that was decided on this state.
    ///
    /// Of the stream that appends go to, also where the events came from the target of a migration
    /// that is still under way: their number says nothing about it.
    pub position: Position,
}

impl ObjectClient {
    /// Loads an object: applies all of its events, in order, to a state, and returns it together
    /// with the position to append at.
    ///
    /// `begin` makes the state without events. It is called again, and the events are applied anew,
    /// when a read from a migration's target turns out not to be possible half-way.
    ///
    /// # Guarantees
    /// 1. The state has every event that was acknowledged before the call exactly once, in order,
    ///    and none beyond the position: an append at it conflicts if there is another.
    /// 2. While a migration asks for dual reads, the events may come from its target: the images of
    ///    the source's events up to the position, and not more, however far the target has come
    ///    ([R15](crate::protocol#r15)). Only from one that is complete, or can be completed by the
    ///    registered transformation, and was not taken back; else from the source. See
    ///    [`DualReads`](crate::router::DualReads).
    /// 3. A shadow read never changes the answer, and delays it at most by its deadline.
    /// 4. Memory holds the state and one page.
    ///
    /// No request more than [`ObjectReader::read`](crate::router::ObjectReader::read) where no
    /// migration asks for dual reads.
    ///
    /// # Errors
    /// As [`ObjectReader::read`](crate::router::ObjectReader::read).
    ///
    /// # Example
    /// ```
    /// # use esm_core::event::Event;
    /// # use esm_core::id::ObjectId;
    /// # use esm_core::router::{AppendError, ExpectedRevision, ObjectClient};
    /// # async fn example(client: ObjectClient, order: ObjectId, shipped: Event)
    /// # -> Result<(), AppendError> {
    /// let order_ = client
    ///     .fold(&order, || 0, |total, event| *total += event.payload.len())
    ///     .await?;
    /// if order_.state > 0 {
    ///     let expected = ExpectedRevision::At(order_.position);
    ///     client.append(&order, expected, vec![shipped]).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fold<S: Send>(
        &self,
        object: &ObjectId,
        begin: impl Fn() -> S + Send,
        mut apply: impl FnMut(&mut S, Event) + Send,
    ) -> Result<Folded<S>> {
        let document = self.reader.documents().load(object).await?.document;
        let generation = document.generation() as u64;
        let phases = self.phases();
        let seen = phases.and_then(|p| p.of(object, &document.active, generation));
        let mut known = KnownStream::of(&document, &document.active);
        let dual = phases.zip(seen).filter(|(_, seen)| seen.is_read());
        if let Some((phases, seen)) = &dual
            && phases.options.reads == DualReads::Target
        {
            let mut state = begin();
            let mut sink = |event| apply(&mut state, event);
            match self.dual_read(&mut known, seen, &mut sink).await {
                Ok(Some(position)) => {
                    self.counters.dual_reads_target.add(1);
                    return Ok(Folded { state, position });
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(%object, %error, "the source answers instead"),
            }
            self.counters.dual_reads_source.add(1);
        }
        let mut shadow = match &dual {
            Some((phases, seen)) if phases.options.reads == DualReads::Shadow => {
                Some(self.shadow(phases, seen, object).await)
            }
            _ => None,
        };
        let mut state = begin();
        let mut reading = Reading::from_start(self.reader.clone(), document, known);
        while let Some(events) = reading.next().await? {
            for recorded in events {
                if let Some(shadow) = &mut shadow {
                    shadow.add(&recorded.position, &recorded.event);
                }
                apply(&mut state, recorded.event);
            }
        }
        let end = reading.end();
        let end = end.ok_or_else(|| Error::corrupt("reading ended before its end"))?;
        let position = Position {
            stream: end.stream().stream.clone(),
            revision: end.next,
        };
        if let Some(shadow) = shadow {
            self.compare(shadow, &position).await;
        }
        Ok(Folded { state, position })
    }

    /// Prepares to compare what is read from the source with the target.
    async fn shadow<'a>(
        &'a self,
        phases: &Phases,
        seen: &'a Seen,
        object: &'a ObjectId,
    ) -> Shadow<'a> {
        let deadline = phases.options.shadow_deadline;
        let clock = &self.environment.clock;
        let begun = clock.monotonic();
        let origin = self.environment.within(deadline, self.target_origin(seen));
        let origin = match origin.await {
            Some(Ok(origin)) => origin,
            Some(Err(_)) | None => None,
        };
        let left = deadline.saturating_sub(clock.monotonic().saturating_sub(begun));
        let mapper = origin.and_then(|origin| self.transformers.of(&origin.fingerprint));
        Shadow {
            left,
            seen,
            object,
            mapper,
            hash: RollingHash::new(),
        }
    }

    async fn compare(&self, shadow: Shadow<'_>, position: &Position) {
        let (seen, object) = (shadow.seen, shadow.object);
        let comparable = shadow.mapper.is_some() && position.stream == seen.entry.source.stream;
        let target = async {
            if comparable {
                self.hash_target(seen, position.revision).await
            } else {
                Ok(None)
            }
        };
        let counter = match self.environment.within(shadow.left, target).await {
            Some(Ok(Some(hash))) if hash == shadow.hash => &self.counters.shadow_equal,
            Some(Ok(Some(_))) => {
                let target = &seen.entry.target;
                tracing::warn!(%object, %position, %target, "shadow read: the target differs");
                &self.counters.shadow_different
            }
            _ => &self.counters.shadow_skipped,
        };
        counter.add(1);
    }
}

/// What a shadow read remembers of the source's events.
struct Shadow<'a> {
    /// How long the answer may still be delayed.
    left: Duration,
    seen: &'a Seen,
    object: &'a ObjectId,
    /// Absent where nothing can be compared.
    mapper: Option<&'a Mapper>,
    /// Over the images of the events so far.
    hash: RollingHash,
}

impl Shadow<'_> {
    fn add(&mut self, position: &Position, event: &Event) {
        let Some(mapper) = self.mapper else { return };
        match mapper.map(self.object, position.revision, event) {
            Ok(mapped) => mapped.outputs.iter().for_each(|image| self.hash.add(image)),
            Err(_) => self.mapper = None,
        }
    }
}
