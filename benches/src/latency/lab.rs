//! A storage in memory whose requests take a given time, and actors that use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use esm_bench::counting::{Count, CountingObjectStore, Counts, Latency};
use esm_core::clock::Environment;
use esm_objectstore::{OpenOptions, Store};
use object_store::memory::InMemory;
use tokio::time::Instant;

use crate::world::World;

/// How long a request takes.
const LATENCY: Duration = Duration::from_millis(20);

/// A storage and the requests to it.
pub(super) struct Lab {
    storage: Arc<InMemory>,
    counts: Counts,
    latency: Latency,
    actors: AtomicU64,
    /// Whether each request is printed.
    traced: bool,
}

/// What was measured, for each of what the row is about.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// Requests one after the other: the time that passed, divided by that of a request.
    pub(super) round_trips: f64,
    /// Requests in all.
    pub(super) requests: f64,
    /// The most requests in flight at the same time, not divided by anything.
    pub(super) in_flight: u64,
}

/// A measurement under way.
pub(super) struct Watch<'a> {
    lab: &'a Lab,
    begun: Instant,
}

/// What a measurement is divided by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    pub(super) objects: u64,
    pub(super) lanes: u64,
}

impl Shares {
    /// The whole.
    pub(super) const ONE: Self = Self {
        objects: 1,
        lanes: 1,
    };
}

impl Lab {
    /// An empty storage. Requests take no time, and are not printed, until [`watch`](Self::watch).
    pub(super) fn new(traced: bool) -> Self {
        Self {
            storage: Arc::default(),
            counts: Counts::new(),
            latency: Latency::default(),
            actors: AtomicU64::new(0),
            traced,
        }
    }

    /// A process of its own: nothing that others have learned is known to it.
    pub(super) async fn actor(&self) -> Result<World> {
        let (store, environment) = self.store(true).await?;
        Ok(World::over(&store, environment))
    }

    /// Opens the store, or creates it.
    pub(super) async fn store(&self, create: bool) -> Result<(Store, Environment)> {
        // each draws ids and pauses of its own
        let number = self.actors.fetch_add(1, Ordering::Relaxed);
        let environment = esm_testkit::environment(number);
        let options = OpenOptions::new().with_environment(environment.clone());
        let storage = Arc::clone(&self.storage);
        let client = CountingObjectStore::new(storage, self.counts.clone())
            .with_latency(self.latency.clone());
        let client = Arc::new(client);
        let store = if create {
            esm_objectstore::open_or_create_with_client(client, "", options).await?
        } else {
            esm_objectstore::open_with_client(client, "", options).await?
        };
        Ok((store, environment))
    }

    /// From now on requests take their time.
    pub(super) fn watch(&self) -> Watch<'_> {
        self.latency.set(LATENCY);
        self.counts.take();
        self.latency.take_most_in_flight();
        let begun = Instant::now();
        if self.traced {
            self.counts.trace(begun);
        }
        Watch { lab: self, begun }
    }

    /// Lets the time of so many requests pass.
    pub(super) async fn pass(&self, requests: u32) {
        let clock = Environment::system().clock;
        clock.sleep(LATENCY * requests).await;
    }

    /// Requests since the last call.
    pub(super) fn requests(&self) -> u64 {
        let counts = self.counts.take();
        counts.iter().map(|count: &Count| count.number).sum()
    }

    /// The most requests that were in flight at the same time since the last call.
    pub(super) fn most_in_flight(&self) -> u64 {
        self.latency.take_most_in_flight()
    }
}

impl Watch<'_> {
    /// Ends the measurement. Each lane worked on its share of the objects.
    pub(super) fn end(self, shares: Shares) -> Measured {
        let took = self.begun.elapsed();
        self.lab.latency.set(Duration::ZERO);
        let share = shares.lanes as f64 / shares.objects as f64;
        Measured {
            round_trips: round_trips(took) * share,
            requests: self.lab.requests() as f64 / shares.objects as f64,
            in_flight: self.lab.most_in_flight(),
        }
    }
}

/// The requests one after the other that take this time.
pub(super) fn round_trips(took: Duration) -> f64 {
    took.as_secs_f64() / LATENCY.as_secs_f64()
}
