//! The handle that applications hold.

use std::sync::Arc;

use futures::stream::BoxStream;

use crate::clock::Environment;
use crate::error::Result;
use crate::id::ObjectId;
use crate::object::ChainEnd;
use crate::object::chain::follow_all;
use crate::router::phases::known::{PhaseOptions, Phases, Subscription};
use crate::router::phases::table::RoutingTable;
use crate::router::read::events::{ReadPosition, RecordedEvent};
use crate::router::read::reader::{LoadedObject, ObjectReader};
use crate::router::read::tail::{TailOptions, tail};
use crate::router::route::cache::RouteCache;
use crate::router::statistics::{ClientStatistics, Counters};
use crate::router::transformers::Transformers;
use crate::store::{Layered, PageLimit, Records, Stores};
use crate::transform::EventTransformer;

/// What an application uses: everything that an [`ObjectReader`] does, and creating and appending.
///
/// # Guarantees
/// 1. An append that knows the object's stream is exactly one write to the storage while no
///    migration closes it or asks for a mirror ([R7](crate::protocol#r7)).
/// 2. An append is atomic, and continues in the target when a migration closes the stream under it
///    ([R8](crate::protocol#r8), [R9](crate::protocol#r9)): the caller sees no error that it would
///    not see without the migration, but for events of a schema that the migration retired, where
///    the plan refuses them and no transformation is registered ([R11](crate::protocol#r11)).
/// 3. An append whose outcome is unknown is settled by reading back before anything else is sent.
///    Where that fails too, the error carries a token that a retry settles
///    ([R10](crate::protocol#r10)).
/// 4. A document that names a closed stream is made to name the chain's end, keeping every other
///    field ([R12](crate::protocol#r12)). When that fails the append continues; the next one tries
///    again.
/// 5. Phases affect speed, never correctness: all of this holds with phases of any age, and without
///    them. A mirror comes after the acknowledgement of the source, at the target's exact tail,
///    only where the target is complete for exactly what came before, and never first; what becomes
///    of it is only counted ([R16](crate::protocol#r16)). It holds an append up by at most its
///    deadline.
/// 6. An append to an object that is being cut over waits a little first, so that the migrator gets
///    its turn ([R6](crate::protocol#r6)): half to one and a half of [`PhaseOptions::give_way`],
///    and no longer than [`PhaseOptions::LONGEST_GIVING_WAY`] after the client learned of the
///    cutover.
///
/// A handle: clones share what they remember of the objects' streams, the phases and the counts.
///
/// # Example
/// ```
/// # use std::sync::Arc;
/// # use esm_core::clock::Environment;
/// # use esm_core::event::Event;
/// # use esm_core::id::{EventId, EventType};
/// # use esm_core::store::{EventStore, Records};
/// use esm_core::router::{ExpectedRevision, ObjectClient, PhaseOptions};
///
/// # async fn example(store: Arc<dyn EventStore>, records: Arc<dyn Records>) -> esm_core::Result<()> {
/// let client = ObjectClient::new(records, store, Environment::system())
///     .with_phases(PhaseOptions::default());
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
    pub(super) reader: ObjectReader,
    /// The same, for appends, which counts their requests.
    pub(super) counted: ObjectReader,
    pub(super) environment: Environment,
    pub(super) routes: Arc<RouteCache>,
    pub(super) transformers: Arc<Transformers>,
    pub(super) counters: Counters,
    records: Arc<dyn Records>,
    subscription: Option<Arc<Subscription>>,
    tails: TailOptions,
}

impl ObjectClient {
    /// Default for the most objects whose streams a client remembers.
    pub const REMEMBERED: usize = 8192;

    /// Writes to these records and event stores; new objects begin in the home store.
    pub fn new(
        records: Arc<dyn Records>,
        stores: impl Into<Stores>,
        environment: Environment,
    ) -> Self {
        let (stores, counters) = (stores.into(), Counters::default());
        let requests = &counters.append_requests;
        let counted = ObjectReader::new(
            Layered::new(requests.clone(), &records),
            stores.through(requests),
        );
        Self {
            counted,
            reader: ObjectReader::new(Arc::clone(&records), stores),
            environment,
            routes: Arc::new(RouteCache::new(Self::REMEMBERED)),
            transformers: Arc::default(),
            counters,
            records,
            subscription: None,
            tails: TailOptions::default(),
        }
    }

    /// Remembers the streams of at most this many objects, those used last. About 500 bytes each.
    #[must_use]
    pub fn remembering(self, objects: usize) -> Self {
        self.routes.resize(objects);
        self
    }

    /// Reads pages of this size.
    #[must_use]
    pub fn with_pages(mut self, limit: PageLimit) -> Self {
        self.reader = self.reader.with_pages(limit);
        self
    }

    /// Registers the transformation of a migration, known by its fingerprint. Any number may be.
    ///
    /// Needed to mirror ([R16](crate::protocol#r16)), to compare or complete dual reads
    /// ([R15](crate::protocol#r15)), and to transform the appends of code that knows only the old
    /// schemas ([R11](crate::protocol#r11)). For an application whose code is that old: events of
    /// new schemas are never transformed.
    #[must_use]
    pub fn with_transformer(mut self, transformer: Arc<dyn EventTransformer>) -> Self {
        let known = Arc::unwrap_or_clone(self.transformers);
        self.transformers = Arc::new(known.with(transformer));
        self
    }

    /// Takes part in the phases of migrations: polls the index of those that publish them, off the
    /// path of appends and reads, and reads the entries of the objects that it names and this
    /// client uses. Polling ends with the last clone of the client.
    ///
    /// Without it nothing is lost but speed: a cutover finds more left to copy, and competes with
    /// the writers.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, unless [manual](PhaseOptions::manual).
    #[must_use]
    pub fn with_phases(mut self, options: PhaseOptions) -> Self {
        let table = RoutingTable::new(Arc::clone(&self.records));
        let routes = Arc::clone(&self.routes);
        let phases = Phases::new(table, options, routes, self.counters.clone());
        let subscription = Subscription::begin(phases, self.environment.clone());
        self.subscription = Some(Arc::new(subscription));
        self
    }

    /// How [`tail`](Self::tail) looks for new events.
    #[must_use]
    pub fn with_tails(mut self, options: TailOptions) -> Self {
        self.tails = options;
        self
    }

    /// The reader, which never writes.
    pub fn reader(&self) -> &ObjectReader {
        &self.reader
    }

    /// What this client and its clones have done.
    pub fn statistics(&self) -> ClientStatistics {
        self.counters.read()
    }

    /// Reads the index of migrations now, and the entries of the objects that this client uses.
    /// Without [`with_phases`](Self::with_phases) it does nothing.
    ///
    /// # Errors
    /// Those of the records; what was known stays.
    pub async fn refresh_phases(&self) -> Result<()> {
        match self.phases() {
            Some(phases) => phases.refresh(&self.environment).await,
            None => Ok(()),
        }
    }

    pub(super) fn phases(&self) -> Option<&Phases> {
        self.subscription.as_ref().map(|s| &*s.phases)
    }

    /// An object's document and the end of its chain. A document that has fallen behind is helped
    /// ([R12](crate::protocol#r12)).
    ///
    /// # Errors
    /// As [`ObjectReader::load`].
    pub async fn load(&self, object: &ObjectId) -> Result<LoadedObject> {
        Ok(self.load_and_help(&self.reader, object).await?.0)
    }

    pub(super) async fn load_and_help(
        &self,
        reader: &ObjectReader,
        object: &ObjectId,
    ) -> Result<(LoadedObject, ChainEnd)> {
        let (loaded, end) = reader.follow(object).await?;
        if end.closes.is_empty() {
            return Ok((loaded, end));
        }
        let mut changed = false;
        let helped = reader.documents().update(object, |document| {
            changed = follow_all(document, &end);
            changed
        });
        match helped.await {
            Ok(_) => self.counters.helps.add(changed.into()),
            // nothing rests on it: whoever comes next helps
            Err(error) => {
                tracing::warn!(%object, %error, "document still names a closed stream");
            }
        }
        Ok((loaded, end))
    }

    /// As [`ObjectReader::read`]. Never writes.
    pub fn read(
        &self,
        object: &ObjectId,
        from: ReadPosition,
    ) -> BoxStream<'static, Result<RecordedEvent>> {
        self.reader.read(object, from)
    }

    /// Reads an object's events in order from a position on, and then follows them as they come:
    /// the stream has no end of its own. Never writes.
    ///
    /// # Guarantees
    /// 1. Every event at or after the position comes exactly once, in order, also those that are
    ///    appended meanwhile, and over every migration: at a Close it continues in the target
    ///    ([R14](crate::protocol#r14)), as [`read`](Self::read) does.
    /// 2. It polls again after a pause that grows while nothing is appended; see [`TailOptions`].
    ///    Each poll is one read.
    /// 3. While the storage is unavailable it waits, a bounded number of times. After an error it
    ///    has ended; to continue, begin another at the [next](RecordedEvent::next) position of the
    ///    last event.
    ///
    /// # Errors
    /// As [`ObjectReader::read`]; `Invalid` for a position beyond the end.
    pub fn tail(
        &self,
        object: &ObjectId,
        from: ReadPosition,
    ) -> BoxStream<'static, Result<RecordedEvent>> {
        let reader = self.reader.clone();
        let environment = self.environment.clone();
        tail(reader, environment, self.tails, object.clone(), from)
    }
}
