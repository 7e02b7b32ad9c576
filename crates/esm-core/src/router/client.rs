//! Creating objects and appending to them.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;

use super::append::{
    AmbiguousAppend, AppendError, Appended, Attempt, ExpectedRevision, SentCell, exists,
};
use super::cache::RouteCache;
use super::events::{ReadPosition, RecordedEvent};
use super::reader::{LoadedObject, ObjectReader};
use super::route::Route;
use super::send::{Sent, send};
use crate::chain::{ChainEnd, follow_all};
use crate::clock::Environment;
use crate::document::ObjectDocument;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Position};
use crate::id::{ObjectId, StreamId, StreamRef};
use crate::store::{CellHeader, Records, Stores, Tail};

/// What an application uses: everything that an [`ObjectReader`] does, and creating and appending.
///
/// # Guarantees
/// 1. An append that knows the object's stream is exactly one write to the storage while no
///    migration closes it (R7).
/// 2. An append is atomic, and goes on in the target when a migration closes the stream under it
///    (R8, R9): the caller sees no error that it would not see without the migration, but for
///    events of a schema that the migration retired, which are refused (R11).
/// 3. An append whose outcome is unknown is settled by reading back before anything else is sent.
///    Where that fails too, the error carries a token that a retry settles (R10).
/// 4. A document that names a closed stream is made to name the chain's end, keeping every other
///    field (R12). When that fails the append goes on; the next one tries again.
///
/// A handle: clones share what they remember of the objects' streams.
///
/// # Example
/// ```
/// # use std::sync::Arc;
/// # use esm_core::clock::Environment;
/// # use esm_core::event::Event;
/// # use esm_core::id::{EventId, EventType};
/// # use esm_core::store::{EventStore, Records};
/// use esm_core::router::{ExpectedRevision, ObjectClient};
///
/// # async fn example(store: Arc<dyn EventStore>, records: Arc<dyn Records>) -> esm_core::Result<()> {
/// let client = ObjectClient::new(records, store, Environment::system());
/// let order = "order/123".parse()?;
/// let placed = Event::new(EventId::new("e1")?, EventType::new("OrderPlaced")?, "{}");
/// let appended = client.append(&order, ExpectedRevision::NoStream, vec![placed]).await?;
/// let paid = Event::new(EventId::new("e2")?, EventType::new("OrderPaid")?, "{}");
/// client.append(&order, ExpectedRevision::At(appended.next), vec![paid]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ObjectClient {
    reader: ObjectReader,
    environment: Environment,
    routes: Arc<RouteCache>,
}

/// How often an append starts over because others were faster.
const TRIES: u32 = 64;
/// How often a document is put again whose creation has an unknown outcome.
const CREATE_TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl ObjectClient {
    /// Number of objects whose streams a client remembers unless told otherwise.
    pub const REMEMBERED: usize = 8192;

    /// Writes to these records and event stores; new objects begin in the home store.
    pub fn new(
        records: Arc<dyn Records>,
        stores: impl Into<Stores>,
        environment: Environment,
    ) -> Self {
        Self {
            reader: ObjectReader::new(records, stores),
            environment,
            routes: Arc::new(RouteCache::new(Self::REMEMBERED)),
        }
    }

    /// Remembers the streams of at least this many objects, and at most twice as many. About
    /// 500 bytes each.
    #[must_use]
    pub fn remembering(mut self, objects: usize) -> Self {
        self.routes = Arc::new(RouteCache::new(objects));
        self
    }

    /// The reader, which never writes.
    pub fn reader(&self) -> &ObjectReader {
        &self.reader
    }

    /// Creates an object without events, or loads the one that exists.
    ///
    /// # Idempotence
    /// May be repeated, by anybody: all get the same object.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn create(&self, object: &ObjectId) -> Result<LoadedObject> {
        match self.put_document(object).await? {
            Some(created) => Ok(created),
            None => self.load(object).await,
        }
    }

    /// An object's document and the end of its chain. A document that has fallen behind is helped
    /// (R12).
    ///
    /// # Errors
    /// As [`ObjectReader::load`].
    pub async fn load(&self, object: &ObjectId) -> Result<LoadedObject> {
        Ok(self.load_and_help(object).await?.0)
    }

    /// As [`ObjectReader::read`]. Never writes.
    pub fn read(
        &self,
        object: &ObjectId,
        from: ReadPosition,
    ) -> BoxStream<'static, Result<RecordedEvent>> {
        self.reader.read(object, from)
    }

    async fn load_and_help(&self, object: &ObjectId) -> Result<(LoadedObject, ChainEnd)> {
        let (loaded, end) = self.reader.follow(object).await?;
        if !end.closes.is_empty() {
            let documents = self.reader.documents();
            let helped = documents
                .update(object, |document| follow_all(document, &end))
                .await;
            if let Err(error) = helped {
                // nothing rests on it: whoever comes next helps
                tracing::warn!(%object, %error, "document still names a closed stream");
            }
        }
        Ok((loaded, end))
    }

    /// Appends events, as one cell: all or none.
    ///
    /// For more events than fit into a cell, see [`batches`](super::batches): append each at the
    /// position that the one before returned.
    ///
    /// # Errors
    /// Nothing was appended, but for `Ambiguous`, whose token [`settle`](Self::settle)s it.
    /// - `Conflict` when the object's events do not end at the expected position: load and decide.
    /// - `AlreadyExists` for [`ExpectedRevision::NoStream`] on an object that exists, also without
    ///   events. The object may have been created, without events, when another error is answered.
    /// - `NotFound` for a position in an unknown object, or in a stream that is none of its own.
    /// - `Invalid` without events, and for events of a retired schema, naming it and the migration
    ///   (R11); `TooLarge` over the store's limits.
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
                let created = self.put_document(object).await.map_err(not_appended)?;
                let created = created.ok_or_else(|| exists(object))?;
                attempt.expected = Some(created.position());
                attempt.creates = true;
                Some(Route::to(self.reader.stores(), &created).await?)
            }
        };
        self.append_along(attempt, route).await
    }

    /// Finds out what became of an append, and where it did not happen appends the events as was
    /// asked for first.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn settle(&self, token: AmbiguousAppend) -> Result<Appended, AppendError> {
        let AmbiguousAppend { cell, attempt } = token;
        let store = self.reader.stores().of(&cell.stream)?;
        let stream = cell.stream.clone();
        match send(&self.environment, &**store, &attempt, cell, true).await? {
            Sent::Written(written) => Ok(appended(&stream, &written.header)),
            Sent::Moved => self.append_along(attempt, None).await,
        }
    }

    async fn append_along(
        &self,
        attempt: Attempt,
        mut known: Option<Route>,
    ) -> Result<Appended, AppendError> {
        let object = &attempt.object;
        for round in 0..TRIES {
            let route = match known.take() {
                Some(route) => route,
                None => self.find_route(&attempt).await?,
            };
            route.refuse_retired(&attempt.events)?;
            let store = self.reader.stores().of(&route.stream)?;
            let cell = SentCell {
                stream: route.stream.clone(),
                tail: route.tail.clone(),
                commit: self.environment.commit_id(),
            };
            match send(&self.environment, &**store, &attempt, cell, false).await? {
                Sent::Written(written) => {
                    let appended = appended(&route.stream, &written.header);
                    if let Some(tail) = written.tail {
                        self.routes.put(object, route.after(tail));
                    }
                    return Ok(appended);
                }
                Sent::Moved => self.back_off(round).await,
            }
        }
        let loaded = self.reader.load(object).await?;
        Err(attempt.conflict(&loaded.position()).into())
    }

    /// The first retry comes at once: a single faster writer, or a cutover, is the common case.
    async fn back_off(&self, round: u32) {
        if round > 0 {
            let pause = (PAUSE * (1 << round.min(8))).min(LONGEST_PAUSE);
            let pause = self.environment.jittered(pause);
            self.environment.clock.sleep(pause).await;
        }
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
        let loaded = match self.load(object).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                self.create(object).await.map_err(not_appended)?
            }
            loaded => loaded?,
        };
        Ok(Some(Route::to(self.reader.stores(), &loaded).await?))
    }

    /// Loads where the append goes, and checks that its expectation holds there.
    async fn find_route(&self, attempt: &Attempt) -> Result<Route> {
        for _ in 0..TRIES {
            let (loaded, end) = self.load_and_help(&attempt.object).await?;
            if let Some(expected) = &attempt.expected {
                let reader = &self.reader;
                let chain = reader.chain_of(&loaded, end, &expected.stream).await?;
                if chain.stream != *loaded.stream() {
                    // closed since it was loaded
                    continue;
                }
                if chain.carry(expected.revision) != Some(loaded.tail.next_revision()) {
                    return Err(attempt.conflict(&loaded.position()));
                }
            }
            return Route::to(self.reader.stores(), &loaded).await;
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "stream was closed while it was loaded, again and again: {}",
                attempt.object
            ),
        ))
    }

    /// Creates the document of a new object; nothing when it has one.
    async fn put_document(&self, object: &ObjectId) -> Result<Option<LoadedObject>> {
        let home = self.reader.stores().home().id();
        let stream = StreamRef::new(home, StreamId::first(object));
        let created_at = self.environment.clock.now();
        let document = ObjectDocument::new(object.clone(), stream, created_at);
        let created = LoadedObject {
            document,
            tail: Tail::default(),
        };
        let documents = self.reader.documents();
        for round in 0..CREATE_TRIES {
            match documents.create(&created.document).await {
                Ok(()) => return Ok(Some(created)),
                Err(error) if error.may_have_applied() => {}
                Err(error) if matches!(error.kind(), ErrorKind::Conflict { .. }) => {
                    if round == 0 {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
            // an answer was lost: the conflict may be with ourselves
            self.back_off(round).await;
            match documents.find(object).await? {
                // where two create the very same, the first append decides
                Some(found) if found.document == created.document => return Ok(Some(created)),
                Some(_) => return Ok(None),
                None => {}
            }
        }
        Err(Error::new(
            ErrorKind::Ambiguous,
            format!("creating has an unknown outcome: {object}"),
        )
        .with_hint("create it again: that is safe"))
    }
}

/// An unknown outcome of creating the object leaves none of appending to it.
fn not_appended(error: Error) -> Error {
    match error.may_have_applied() {
        true => Error::new(ErrorKind::Unavailable, "object could not be created")
            .with_source(error)
            .with_hint("nothing was appended: try again"),
        false => error,
    }
}

fn appended(stream: &StreamRef, header: &CellHeader) -> Appended {
    let position = |revision| Position {
        stream: stream.stream.clone(),
        revision,
    };
    Appended {
        stream: stream.clone(),
        first: position(header.first_revision),
        next: position(header.next_revision()),
    }
}
