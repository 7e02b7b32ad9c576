//! Appending, from the first try to the last.

use std::sync::Arc;
use std::time::Duration;

use tracing::{Instrument as _, info_span};

use crate::backoff::BackOff;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Position, Revision};
use crate::id::{ObjectId, StreamRef};
use crate::protocol::phase::MigrationPhase;
use crate::router::append::creating::not_appended;
use crate::router::append::mirror::Acknowledged;
use crate::router::append::outcome::Attempt;
use crate::router::append::outcome::{
    AmbiguousAppend, AppendError, Appended, ExpectedRevision, SentCell, exists,
};
use crate::router::append::send::{Sent, Written, send};
use crate::router::client::ObjectClient;
use crate::router::phases::known::{PhaseOptions, Seen};
use crate::router::route::destination::Route;
use crate::router::route::retired::{AppendPlace, Image};
use crate::store::Tail;

/// Attempts of an append that concurrent appends and Closes win against. The first retry comes at
/// once: a single concurrent append, or a cutover, is the common case.
const APPEND: BackOff =
    BackOff::new(64, Duration::from_millis(20), Duration::from_millis(500)).first_retry_at_once();

/// Attempts to find a stream that is not closed while it is loaded.
const LOADS: u32 = 64;

/// The outcome of one attempt to append.
enum Tried {
    Appended(Appended),
    /// Another append won, or the stream was closed. The next attempt follows this route, or finds
    /// one.
    Moved(Option<Box<Route>>),
    /// Nothing was sent. The next attempt follows this route, or finds one.
    Rerouted(Option<Box<Route>>),
}

impl ObjectClient {
    /// Appends events, as one cell: all or none.
    ///
    /// For more events than fit into a cell, see [`batches`](crate::router::batches): append each
    /// at the position that the one before returned.
    ///
    /// # Errors
    /// Nothing was appended, but for `Ambiguous`, whose token [`settle`](Self::settle)s it.
    /// - `Conflict` when the object's events do not end at the expected position: load and decide.
    /// - `AlreadyExists` for [`ExpectedRevision::NoStream`] on an object that exists, also without
    ///   events. The object may have been created, without events, when another error is
    ///   returned.
    /// - `NotFound` for a position in an unknown object, or in a stream that is not one of its own.
    /// - `Invalid` without events, and for events of a retired schema that are refused, naming it
    ///   and the migration ([R11](crate::protocol#r11)); `TransformFailed` for one that its
    ///   transformation fails on; `TooLarge` over the store's limits.
    /// - `Deleted`, `UnknownStore`, `Corrupt` as [`load`](Self::load).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown and nothing to settle it with.
    pub async fn append(
        &self,
        object: &ObjectId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> Result<Appended, AppendError> {
        let span = info_span!("append", %object, events = events.len());
        let appended = self.append_as_expected(object, expected, events);
        self.count(appended.instrument(span).await)
    }

    /// Settles an append with an unknown outcome: reads it back and, where it did not happen,
    /// appends the events as first requested.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn settle(&self, token: AmbiguousAppend) -> Result<Appended, AppendError> {
        let outcome = self.settle_cell(token).await;
        self.count(outcome)
    }

    fn count(&self, outcome: Result<Appended, AppendError>) -> Result<Appended, AppendError> {
        match &outcome {
            Ok(_) => self.counters.appends.add(1),
            Err(_) => self.counters.failed_appends.add(1),
        }
        outcome
    }

    async fn append_as_expected(
        &self,
        object: &ObjectId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> Result<Appended, AppendError> {
        if events.is_empty() {
            return Err(Error::invalid(format!("no events to append: {object}")).into());
        }
        let mut attempt = Attempt {
            object: object.clone(),
            expected: None,
            creates: false,
            events: events.into_iter().map(Into::into).collect(),
        };
        let route = match expected {
            ExpectedRevision::Any => self.known_or_created(object).await?,
            ExpectedRevision::At(position) => {
                attempt.expected = Some(position);
                self.known(&attempt)
            }
            ExpectedRevision::NoStream => {
                let documents = self.counted.documents();
                let created = self.put_document(documents, object).await;
                let created = created
                    .map_err(not_appended)?
                    .ok_or_else(|| exists(object))?;
                attempt.expected = Some(created.position());
                attempt.creates = true;
                Some(Route::to(self.counted.stores(), &created).await?)
            }
        };
        self.append_along(attempt, route).await
    }

    async fn settle_cell(&self, token: AmbiguousAppend) -> Result<Appended, AppendError> {
        let AmbiguousAppend { cell, attempt } = token;
        let store = self.counted.stores().of(&cell.stream)?;
        let (stream, image) = (cell.stream.clone(), cell.image.clone());
        match send(&self.environment, &**store, &attempt, cell, true).await? {
            Sent::Written(written) => {
                self.count_retired(&image);
                Ok(appended(
                    &stream,
                    &written.header.first_revision,
                    image.events.len(),
                ))
            }
            Sent::Moved { .. } => self.append_along(attempt, None).await,
        }
    }

    async fn append_along(
        &self,
        attempt: Attempt,
        mut known: Option<Route>,
    ) -> Result<Appended, AppendError> {
        let mut back_off = APPEND;
        let mut first = true;
        loop {
            let tried = self.try_once(&attempt, known.take(), first).await?;
            first = false;
            let again = match tried {
                Tried::Appended(appended) => return Ok(appended),
                Tried::Moved(route) => {
                    known = route.map(|route| *route);
                    back_off.pause(&self.environment).await
                }
                Tried::Rerouted(route) => {
                    known = route.map(|route| *route);
                    back_off.retry_at_once()
                }
            };
            if !again {
                let loaded = self.counted.load(&attempt.object).await?;
                return Err(attempt.conflict(&loaded.position()).into());
            }
        }
    }

    async fn try_once(
        &self,
        attempt: &Attempt,
        known: Option<Route>,
        first: bool,
    ) -> Result<Tried, AppendError> {
        let remembered = known.is_some();
        let route = match known {
            Some(route) => route,
            None => self.find_route(attempt).await?,
        };
        let image = match self.image(&route, attempt).await {
            Ok(image) => image,
            // a stream that is closed by now does not refuse: its continuation may accept it (R18)
            Err(error) if remembered && is_refusal(&error) => return Ok(Tried::Rerouted(None)),
            Err(error) => {
                self.counters.retired_refused.add(is_refusal(&error).into());
                return Err(error.into());
            }
        };
        if image.events.is_empty() {
            return Ok(self.append_nothing(attempt, &route, &image).await?);
        }
        let object = &attempt.object;
        let seen = (self.phases()).and_then(|p| p.of(object, &route.stream, route.generation));
        if let Some(seen) = seen.as_deref().filter(|_| first) {
            self.give_way(seen).await;
        }
        let store = self.counted.stores().of(&route.stream)?;
        let cell = SentCell {
            stream: route.stream.clone(),
            tail: route.tail.clone(),
            commit: self.environment.commit_id(),
            image: image.clone(),
        };
        match send(&self.environment, &**store, attempt, cell, false).await? {
            Sent::Written(written) => {
                self.count_retired(&image);
                let appended = self.acknowledged(object, route, *written, &image, seen);
                Ok(Tried::Appended(appended.await))
            }
            Sent::Moved {
                closed: Some(close),
            } => {
                self.counters.redirects.add(1);
                let behind = self.route_behind(attempt, &route, &close).await;
                Ok(Tried::Moved(behind.map(Box::new)))
            }
            Sent::Moved { closed: None } => {
                let seen = store.seen_tail(&route.stream.stream);
                let seen =
                    seen.filter(|tail| attempt.expected.is_none() && is_behind(tail, &route.tail));
                Ok(Tried::Moved(seen.map(|tail| Box::new(route.after(tail)))))
            }
        }
    }

    /// Writes nothing, because the transformation dropped every event. The expectation must hold
    /// nevertheless.
    async fn append_nothing(
        &self,
        attempt: &Attempt,
        route: &Route,
        image: &Image,
    ) -> Result<Tried> {
        let fresh = self.find_route(attempt).await?;
        if fresh.stream != route.stream {
            return Ok(Tried::Rerouted(Some(Box::new(fresh))));
        }
        self.count_retired(image);
        let next = fresh.tail.next_revision();
        Ok(Tried::Appended(appended(&fresh.stream, &next, 0)))
    }

    /// Remembers the route after an acknowledged cell, and mirrors the cell.
    async fn acknowledged(
        &self,
        object: &ObjectId,
        route: Route,
        written: Written,
        image: &Image,
        seen: Option<Arc<Seen>>,
    ) -> Appended {
        let header = &written.header;
        let appended = appended(&route.stream, &header.first_revision, image.events.len());
        if let Some(tail) = written.tail {
            self.routes.put(object, route.after(tail));
        }
        if let Some((phases, seen)) = self.phases().zip(seen) {
            let events = &image.events;
            let cell = Acknowledged {
                object,
                header,
                events,
            };
            self.mirror(phases, &seen, cell).await;
        }
        appended
    }

    /// The events as they are stored there ([R11](crate::protocol#r11)).
    async fn image(&self, route: &Route, attempt: &Attempt) -> Result<Image> {
        let Some(retired) = &route.retired else {
            return Ok(Image::same(&attempt.events));
        };
        let place = AppendPlace {
            stores: self.counted.stores(),
            transformers: &self.transformers,
            object: &attempt.object,
            revision: route.tail.next_revision(),
        };
        retired.image(&place, &attempt.events).await
    }

    fn count_retired(&self, image: &Image) {
        self.counters.retired_transformed.add(image.transformed);
        self.counters.retired_accepted.add(image.accepted);
    }

    /// Waits a little while the object is cut over, so that the migrator gets its turn
    /// ([R6](crate::protocol#r6)).
    async fn give_way(&self, seen: &Seen) {
        let Some(pause) = self.phases().map(|phases| phases.options.give_way) else {
            return;
        };
        let elapsed = self
            .environment
            .clock
            .monotonic()
            .saturating_sub(seen.since);
        let over = elapsed >= PhaseOptions::LONGEST_GIVING_WAY;
        if seen.entry.phase != MigrationPhase::Cutover || pause.is_zero() || over {
            return;
        }
        self.counters.slowed.add(1);
        self.environment.sleep_jittered(pause).await;
    }

    /// What this process remembers, if it fits what is expected.
    fn known(&self, attempt: &Attempt) -> Option<Route> {
        let route = self.routes.take(&attempt.object)?;
        let fits = attempt.expected.as_ref().is_none_or(|expected| {
            expected.stream == route.stream.stream
                && expected.revision == route.tail.next_revision()
        });
        fits.then_some(route)
    }

    async fn known_or_created(&self, object: &ObjectId) -> Result<Option<Route>> {
        if let Some(route) = self.routes.take(object) {
            return Ok(Some(route));
        }
        let loaded = match self.load_and_help(&self.counted, object).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                let created = self.put_document(self.counted.documents(), object).await;
                match created.map_err(not_appended)? {
                    Some(created) => created,
                    None => self.load_and_help(&self.counted, object).await?.0,
                }
            }
            loaded => loaded?.0,
        };
        Ok(Some(Route::to(self.counted.stores(), &loaded).await?))
    }

    /// Loads where the append goes, and checks that its expectation holds there.
    async fn find_route(&self, attempt: &Attempt) -> Result<Route> {
        for _ in 0..LOADS {
            let reader = &self.counted;
            let (loaded, end) = self.load_and_help(reader, &attempt.object).await?;
            if let Some(expected) = &attempt.expected {
                let chain = reader.chain_of(&loaded, end, &expected.stream).await?;
                if chain.stream != *loaded.stream() {
                    // closed since it was loaded
                    continue;
                }
                if chain.carry(expected.revision) != Some(loaded.tail.next_revision()) {
                    return Err(attempt.conflict(&loaded.position()));
                }
            }
            return Route::to(reader.stores(), &loaded).await;
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "stream was closed each time it was loaded: {}",
                attempt.object
            ),
        ))
    }
}

/// These many events at this revision.
fn appended(stream: &StreamRef, first: &Revision, count: usize) -> Appended {
    let position = |revision| Position {
        stream: stream.stream.clone(),
        revision,
    };
    Appended {
        stream: stream.clone(),
        first: position(*first),
        next: position(first.plus(count as u64)),
    }
}

/// Whether a tail is of the same open stream, with more cells.
fn is_behind(tail: &Tail, earlier: &Tail) -> bool {
    tail.close().is_none() && tail.next_seq() > earlier.next_seq()
}

/// Whether an append was refused because of its schema ([R11](crate::protocol#r11)).
fn is_refusal(error: &Error) -> bool {
    *error.kind() == ErrorKind::Invalid
}
