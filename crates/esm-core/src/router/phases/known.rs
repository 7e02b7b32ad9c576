//! What a client knows of the phases of its objects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Environment;
use crate::error::Result;
use crate::id::{ObjectId, StreamRef};
use crate::protocol::phase::MigrationPhase;
use crate::protocol::routing::RoutingEntry;
use crate::router::phases::table::RoutingTable;
use crate::router::route::cache::RouteCache;
use crate::router::statistics::Counters;
use crate::store::Origin;

/// Which acknowledged cells a client also writes to the target of a migration that asks for dual
/// writes ([R16](crate::protocol#r16)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mirroring {
    /// None.
    Off,
    /// Those whose events each become exactly one event.
    #[default]
    OneToOne,
    /// All that the registered transformation can be applied to.
    All,
}

/// Which stream serves [`fold`](crate::router::ObjectClient::fold) while a migration asks for dual
/// reads ([R15](crate::protocol#r15)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DualReads {
    /// The source, as ever.
    Source,
    /// The target, as far as it covers the source. The application must know the new schemas.
    #[default]
    Target,
    /// The source; then the target is read too, and compared with it.
    Shadow,
}

/// How a client takes part in the phases of migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseOptions {
    pub(in crate::router) poll: Option<Duration>,
    pub(in crate::router) mirroring: Mirroring,
    pub(in crate::router) reads: DualReads,
    pub(in crate::router) mirror_deadline: Duration,
    pub(in crate::router) shadow_deadline: Duration,
    pub(in crate::router) give_way: Duration,
}

impl Default for PhaseOptions {
    /// Polls about every two seconds, mirrors what is one to one for at most 250 ms, reads from the
    /// target, gives way to a cutover for about 50 ms.
    fn default() -> Self {
        Self {
            poll: Some(Duration::from_secs(2)),
            mirroring: Mirroring::default(),
            reads: DualReads::default(),
            mirror_deadline: Duration::from_millis(250),
            shadow_deadline: Duration::from_secs(1),
            give_way: Duration::from_millis(50),
        }
    }
}

impl PhaseOptions {
    /// How long an append is at most held up by one cutover, however long its phase lasts or the
    /// client has not learned of its end.
    pub const LONGEST_GIVING_WAY: Duration = Duration::from_secs(10);

    /// Time between polls of the index of migrations, jittered.
    #[must_use]
    pub fn poll(mut self, every: Duration) -> Self {
        self.poll = Some(every);
        self
    }

    /// Polls only on [`refresh_phases`](crate::router::ObjectClient::refresh_phases).
    #[must_use]
    pub fn manual(mut self) -> Self {
        self.poll = None;
        self
    }

    /// Which cells are mirrored.
    #[must_use]
    pub fn mirroring(mut self, mirroring: Mirroring) -> Self {
        self.mirroring = mirroring;
        self
    }

    /// Who answers reads while a migration asks for dual reads.
    #[must_use]
    pub fn reads(mut self, reads: DualReads) -> Self {
        self.reads = reads;
        self
    }

    /// How long a mirror may keep an acknowledged append from returning.
    #[must_use]
    pub fn mirror_deadline(mut self, deadline: Duration) -> Self {
        self.mirror_deadline = deadline;
        self
    }

    /// How long a shadow read may keep the source's answer from returning.
    #[must_use]
    pub fn shadow_deadline(mut self, deadline: Duration) -> Self {
        self.shadow_deadline = deadline;
        self
    }

    /// About how long each append to an object waits while it is cut over, so that the migrator
    /// gets its turn ([R6](crate::protocol#r6)); zero means not at all.
    #[must_use]
    pub fn give_way(mut self, pause: Duration) -> Self {
        self.give_way = pause;
        self
    }
}

/// The phases of the objects that the index names and this client uses. Hints: everything is
/// correct whatever they say, and however old they are.
#[derive(Debug)]
pub(in crate::router) struct Phases {
    table: RoutingTable,
    pub(in crate::router) options: PhaseOptions,
    routes: Arc<RouteCache>,
    counters: Counters,
    known: Mutex<HashMap<ObjectId, Known>>,
}

/// What is known of an object that the index names.
#[derive(Debug, Clone)]
enum Known {
    /// This client does not know it, and has not used it since.
    Named,
    /// It is in use: its entry is to be read.
    Used,
    /// Its entry, and when it came into this phase.
    Entry(Arc<Seen>),
}

/// An entry as this client has seen it.
#[derive(Debug)]
pub(in crate::router) struct Seen {
    pub(in crate::router) entry: RoutingEntry,
    /// When this client first saw it in this phase.
    pub(in crate::router) since: Duration,
    /// What the target's first cell says, once it was read.
    pub(in crate::router) origin: tokio::sync::OnceCell<Option<Origin>>,
}

impl Seen {
    /// Whether writes are mirrored.
    pub(in crate::router) fn is_mirrored(&self) -> bool {
        use MigrationPhase::{Cutover, DualRead, DualWrite};
        matches!(self.entry.phase, DualWrite | DualRead | Cutover)
    }

    /// Whether the target may answer reads.
    pub(in crate::router) fn is_read(&self) -> bool {
        use MigrationPhase::{Cutover, DualRead};
        matches!(self.entry.phase, DualRead | Cutover)
    }
}

/// Entries that are read at the same time.
const CONCURRENCY: usize = 8;

impl Phases {
    pub(in crate::router) fn new(
        table: RoutingTable,
        options: PhaseOptions,
        routes: Arc<RouteCache>,
        counters: Counters,
    ) -> Self {
        Self {
            table,
            options,
            routes,
            counters,
            known: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectId, Known>> {
        // hints cannot be left half changed
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of an object whose active stream is this one, of this generation; notes that the
    /// object is in use. Makes no request.
    pub(in crate::router) fn of(
        &self,
        object: &ObjectId,
        stream: &StreamRef,
        generation: u64,
    ) -> Option<Arc<Seen>> {
        let mut known = self.lock();
        match known.get_mut(object)? {
            used @ Known::Named => {
                *used = Known::Used;
                None
            }
            Known::Used => None,
            Known::Entry(seen) => {
                let entry = &seen.entry;
                let fits = entry.generation == generation && entry.source == *stream;
                fits.then(|| Arc::clone(seen))
            }
        }
    }

    /// Reads the index, and the entries of the objects that it names and this client uses.
    ///
    /// # Errors
    /// Those of the records; what was known stays.
    pub(in crate::router) async fn refresh(&self, environment: &Environment) -> Result<()> {
        self.counters.phase_polls.add(1);
        let refreshed = self.read(environment).await;
        if refreshed.is_err() {
            self.counters.phase_poll_failures.add(1);
        }
        refreshed
    }

    async fn read(&self, environment: &Environment) -> Result<()> {
        let index = self.table.index().await?;
        let used: Vec<ObjectId> = {
            let mut known = self.lock();
            known.retain(|object, _| index.names(object));
            for object in index.migrations.values().flatten() {
                known.entry(object.clone()).or_insert_with(|| {
                    if self.routes.knows(object) {
                        Known::Used
                    } else {
                        Known::Named
                    }
                });
            }
            let used = known.iter().filter(|(_, k)| !matches!(k, Known::Named));
            used.map(|(object, _)| object.clone()).collect()
        };
        let mut entries = stream::iter(used)
            .map(|object| async move { (self.table.newest(&object).await, object) })
            .buffer_unordered(CONCURRENCY);
        let mut outcome = Ok(());
        while let Some((entry, object)) = entries.next().await {
            match entry {
                Ok(Some(entry)) => self.learn(&object, entry, environment.clock.monotonic()),
                Ok(None) => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn learn(&self, object: &ObjectId, entry: RoutingEntry, now: Duration) {
        if let Some(known) = self.lock().get_mut(object) {
            match known {
                Known::Entry(seen) if seen.entry == entry => {}
                _ => {
                    *known = Known::Entry(Arc::new(Seen {
                        entry,
                        since: now,
                        origin: tokio::sync::OnceCell::new(),
                    }));
                }
            }
        }
    }
}

/// Phases that are polled for as long as somebody holds this.
#[derive(Debug)]
pub(in crate::router) struct Subscription {
    pub(in crate::router) phases: Arc<Phases>,
    _poller: Option<AbortOnDropHandle<()>>,
}

impl Subscription {
    /// Begins to poll where the options want it.
    ///
    /// # Panics
    /// Then, outside of a Tokio runtime.
    pub(in crate::router) fn begin(phases: Phases, environment: Environment) -> Self {
        let phases = Arc::new(phases);
        let poller = phases.options.poll.map(|every| {
            let phases = Arc::clone(&phases);
            AbortOnDropHandle::new(tokio::spawn(async move {
                loop {
                    if let Err(error) = phases.refresh(&environment).await {
                        tracing::debug!(%error, "phases could not be refreshed");
                    }
                    environment.sleep_jittered(every).await;
                }
            }))
        });
        Self {
            phases,
            _poller: poller,
        }
    }
}
