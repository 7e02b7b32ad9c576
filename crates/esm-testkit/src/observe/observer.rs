//! The observer: checks everything after every operation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use esm_core::ErrorKind;
use esm_core::event::Event;
use esm_core::id::{BackupId, ObjectId, StreamId};
use esm_core::object::Documents;
use esm_core::store::{Cell, EventStore, EventStoreExt as _, PageLimit, ReadFrom, Records};
use esm_core::transform::{EventTransformer, Identity, Mapper};
use futures::TryStreamExt as _;
use tokio::sync::Mutex;

use super::chain::{self, Chain};
use super::journal::Journals;
use super::streams::{Observed, Streams};
use super::target::{self, Known};
use crate::faults::Watch;
use crate::tap::{Effect, Operation};

/// Checks the protocol's invariants of some objects, from the raw storage and from earlier
/// observations:
///
/// - Every stream is well-formed, no cell changes or vanishes, and nothing follows a Close.
/// - No stream vanishes except a target that was fenced off or superseded ([I5](esm_core::protocol#i5), [R5](esm_core::protocol#r5), [R17](esm_core::protocol#r17), [R22](esm_core::protocol#r22)).
/// - A target holds exactly the transformed source up to its cursor, at all times.
/// - When S is closed to T, T's first M events equal the transformed N of S ([I4](esm_core::protocol#i4)), and S has no
///   Fence of that target ([R17](esm_core::protocol#r17)).
/// - The document names a stream of the chain, never an earlier one than before ([I6](esm_core::protocol#i6)), and only one
///   that its predecessor was closed to.
/// - A journal's epochs never decrease, and nothing follows its terminal record ([I6](esm_core::protocol#i6)).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::id::ObjectId;
/// use esm_testkit::faults::FaultPlan;
/// use esm_testkit::memory::MemoryWorld;
/// use esm_testkit::observe::Observer;
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let order: ObjectId = "order/1".parse()?;
/// world.create_object(&order, []).await?;
///
/// let observer = Observer::new(world.event_store(), world.records()).object(order.clone());
/// let plan = FaultPlan::new().watched_by(Arc::new(observer));
/// let service = plan.actor("migrator").migration_service(&world);
/// service.migrate(order).execute().await?;
/// assert!(plan.violations().is_empty() && !plan.log().is_empty());
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
///
/// Give it the stores without faults. It finds the streams that the object's chain, its Fences and
/// the observed operations name. As a watch it checks after every call that may write.
#[derive(Debug)]
pub struct Observer {
    event_store: Arc<dyn EventStore>,
    records: Arc<dyn Records>,
    objects: Vec<ObjectId>,
    known: Known,
    seen: Mutex<Seen>,
}

/// The observations so far.
#[derive(Debug, Default)]
struct Seen {
    streams: Streams,
    /// Whether the targets among these streams were checked, and are right.
    checked: bool,
    names: BTreeSet<StreamId>,
    chains: BTreeMap<ObjectId, Chain>,
    journals: Journals,
}

impl Observer {
    /// Returns an observer of these stores. It knows the identity as a transformation.
    pub fn new(event_store: Arc<dyn EventStore>, records: Arc<dyn Records>) -> Self {
        Self {
            event_store,
            records,
            objects: Vec::new(),
            known: Known::default(),
            seen: Mutex::default(),
        }
        .transformation(Arc::new(Identity))
    }

    /// Observes this object too.
    #[must_use]
    pub fn object(mut self, object: ObjectId) -> Self {
        self.objects.push(object);
        self
    }

    /// Adds a transformation. A target of an unknown one is a violation.
    #[must_use]
    pub fn transformation(mut self, transformer: Arc<dyn EventTransformer>) -> Self {
        let mapper = Mapper::new(transformer);
        self.known
            .mappers
            .insert(mapper.fingerprint().as_str().to_owned(), mapper);
        self
    }

    /// Adds the events of an object in this backup. A stream that is restored from it holds the
    /// first of them, and all of them once another stream is closed to it ([R19](esm_core::protocol#r19), [I9](esm_core::protocol#i9)).
    #[must_use]
    pub fn backup(mut self, id: &BackupId, events: Vec<Event>) -> Self {
        let fingerprint = format!("restore:{id}");
        self.known.backups.insert(fingerprint, events);
        self
    }

    /// Checks everything once.
    ///
    /// # Errors
    /// The first violation, for people.
    pub async fn check_now(&self) -> Result<(), String> {
        let mut seen = self.seen.lock().await;
        let seen = &mut *seen;
        for object in &self.objects {
            seen.names.insert(StreamId::first(object));
        }
        let now = self.read_all(&seen.streams, &mut seen.names).await?;
        let checked = seen.checked && seen.streams.are(&now);
        seen.checked = false;
        seen.streams.advance(&now)?;
        for object in &self.objects {
            if !checked {
                target::check(object, &now, &self.known)?;
            }
            let before = seen.chains.get(object);
            let documents = Documents::new(Arc::clone(&self.records));
            let chain = chain::check(self.event_store.id(), &documents, object, &now, before);
            seen.chains.insert(object.clone(), chain.await?);
        }
        seen.checked = true;
        seen.journals.advance(&*self.records).await
    }

    /// Reads all streams that are known by name, and those that they name.
    async fn read_all(
        &self,
        last: &Streams,
        names: &mut BTreeSet<StreamId>,
    ) -> Result<Observed, String> {
        let mut now = Observed::new();
        loop {
            let unread: Vec<_> = (names.iter().filter(|name| !now.contains_key(*name)))
                .cloned()
                .collect();
            if unread.is_empty() {
                return Ok(now);
            }
            for name in unread {
                let cells = self.read(&name).await?;
                let stream = last.observe(name.clone(), cells)?;
                names.extend(stream.names());
                now.insert(name, stream);
            }
        }
    }

    async fn read(&self, name: &StreamId) -> Result<Vec<Cell>, String> {
        let store = Arc::clone(&self.event_store);
        let cells = store.cells(name.clone(), ReadFrom::Seq(0), PageLimit::default());
        match cells.try_collect().await {
            Ok(cells) => Ok(cells),
            // the rest of a discarded target that a late write has reached (R17); any other stream
            // must not have vanished
            Err(e) if *e.kind() == ErrorKind::Gone => Ok(Vec::new()),
            Err(e) => Err(format!("{name} cannot be read: {e}")),
        }
    }
}

#[async_trait]
impl Watch for Observer {
    async fn check(&self, operation: &Operation) -> Result<(), String> {
        // an operation that writes a target is the first to name it
        if let Some(stream) = operation.stream() {
            self.seen.lock().await.names.insert(stream);
        }
        match operation.call.effect {
            Effect::Read => Ok(()),
            Effect::Write => self.check_now().await,
        }
    }
}
