//! The harnesses that a provider implements for its conformance suites.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use esm_core::id::{BackupId, StreamId};
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};

/// An empty storage for one case.
///
/// ```
/// use std::sync::Arc;
///
/// use esm_core::store::EventStore;
/// use esm_testkit::conformance::{EventStoreHarness, event_store, run_case};
/// use esm_testkit::memory::MemoryWorld;
///
/// struct Mine(MemoryWorld); // your storage
///
/// #[async_trait::async_trait]
/// impl EventStoreHarness for Mine {
///     async fn open(&self) -> Arc<dyn EventStore> {
///         self.0.event_store()
///     }
/// }
///
/// for case in event_store::CASES {
///     let mine = Mine(MemoryWorld::new(esm_testkit::environment(1)));
///     let verdict = run_case(async { (case.run)(&mine).await });
///     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
/// }
/// ```
#[async_trait]
pub trait EventStoreHarness: Send + Sync {
    /// Opens a handle on the storage, as a process does that has just started.
    async fn open(&self) -> Arc<dyn EventStore>;
}

/// An empty storage for one case.
///
/// ```
/// use std::sync::Arc;
///
/// use esm_core::store::Records;
/// use esm_testkit::conformance::{RecordsHarness, records, run_case};
/// use esm_testkit::memory::MemoryRecords;
///
/// struct Mine(MemoryRecords); // your storage
///
/// #[async_trait::async_trait]
/// impl RecordsHarness for Mine {
///     async fn open(&self) -> Arc<dyn Records> {
///         Arc::new(self.0.clone())
///     }
/// }
///
/// for case in records::CASES {
///     let mine = Mine(MemoryRecords::new());
///     let verdict = run_case(async { (case.run)(&mine).await });
///     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
/// }
/// ```
#[async_trait]
pub trait RecordsHarness: Send + Sync {
    /// Opens a handle on the storage, as a process does that has just started.
    async fn open(&self) -> Arc<dyn Records>;
}

/// An empty storage for one case, and its time.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use esm_core::store::LockProvider;
/// use esm_testkit::SteppedClock;
/// use esm_testkit::conformance::{LockHarness, lock, run_case};
/// use esm_testkit::memory::MemoryLocks;
///
/// struct Mine {
///     locks: MemoryLocks, // your storage
///     clock: SteppedClock,
/// }
///
/// impl Mine {
///     fn new() -> Self {
///         let clock = SteppedClock::new();
///         let locks = MemoryLocks::new(Arc::new(clock.clone()));
///         Self { locks, clock }
///     }
/// }
///
/// #[async_trait::async_trait]
/// impl LockHarness for Mine {
///     async fn open(&self) -> Arc<dyn LockProvider> {
///         Arc::new(self.locks.clone())
///     }
///
///     async fn pass(&self, duration: Duration) {
///         self.clock.advance(duration);
///     }
/// }
///
/// for case in lock::CASES {
///     let mine = Mine::new();
///     let verdict = run_case(async { (case.run)(&mine).await });
///     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
/// }
/// ```
#[async_trait]
pub trait LockHarness: Send + Sync {
    /// Opens a handle on the storage, as a process does that has just started. All handles share a
    /// clock.
    async fn open(&self) -> Arc<dyn LockProvider>;

    /// Returns the lease of the cases: short where time passes for real, yet far longer than a call
    /// takes. Defaults to a minute.
    fn lease(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Lets this much time pass: advances a clock, such as a [`SteppedClock`](crate::SteppedClock),
    /// or waits.
    async fn pass(&self, duration: Duration);
}

/// An empty storage for one case.
///
/// ```
/// use std::sync::Arc;
///
/// use esm_core::id::{BackupId, StreamId};
/// use esm_core::store::BackupProvider;
/// use esm_testkit::conformance::{BackupHarness, backup, run_case};
/// use esm_testkit::memory::MemoryBackups;
///
/// struct Mine(MemoryBackups); // your storage
///
/// #[async_trait::async_trait]
/// impl BackupHarness for Mine {
///     async fn open(&self) -> Arc<dyn BackupProvider> {
///         Arc::new(self.0.clone())
///     }
///
///     async fn corrupt(&self, id: &BackupId) -> bool {
///         self.0.corrupt(id)
///     }
///
///     async fn truncate(&self, id: &BackupId) -> bool {
///         self.0.truncate(id)
///     }
/// }
///
/// for case in backup::CASES {
///     let mine = Mine(MemoryBackups::new());
///     let verdict = run_case(async { (case.run)(&mine).await });
///     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
/// }
/// ```
#[async_trait]
pub trait BackupHarness: Send + Sync {
    /// Opens a handle on the storage, as a process does that has just started.
    async fn open(&self) -> Arc<dyn BackupProvider>;

    /// Changes a byte of this backup's stored events, bypassing the provider. Returns whether it
    /// could. Otherwise [`not_tested`](crate::not_tested()) reports the case.
    async fn corrupt(&self, id: &BackupId) -> bool;

    /// Cuts off the end of this backup's stored events, bypassing the provider. Returns the same as
    /// [`corrupt`](Self::corrupt).
    async fn truncate(&self, id: &BackupId) -> bool;

    /// Changes until when this backup is kept, bypassing the provider, as a changed byte of its
    /// manifest would. Returns the same as [`corrupt`](Self::corrupt). Defaults to changing nothing.
    async fn change_retention(&self, _id: &BackupId) -> bool {
        false
    }
}

/// The services of one storage, as a process gets them that has just started.
///
/// ```
/// use esm_core::store::EventStore as _;
/// use esm_testkit::conformance::Services;
/// use esm_testkit::memory::MemoryWorld;
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let services = Services {
///     events: world.event_store(),
///     records: world.records(),
///     locks: world.locks(),
///     backups: world.backups(),
/// };
/// assert_eq!(services.events.id(), world.event_store.id());
/// ```
#[derive(Debug, Clone)]
pub struct Services {
    /// The streams.
    pub events: Arc<dyn EventStore>,
    /// The documents, journals and the index.
    pub records: Arc<dyn Records>,
    /// The locks.
    pub locks: Arc<dyn LockProvider>,
    /// The backups and archives.
    pub backups: Arc<dyn BackupProvider>,
}

/// An empty storage for one case, whose cells can be lost and exchanged, bypassing the provider.
///
/// ```
/// use esm_core::id::StreamId;
/// use esm_testkit::conformance::{DamageHarness, Services, damage, run_case};
/// use esm_testkit::memory::MemoryWorld;
///
/// struct Mine(MemoryWorld); // your storage
///
/// #[async_trait::async_trait]
/// impl DamageHarness for Mine {
///     async fn open(&self) -> Services {
///         Services {
///             events: self.0.event_store(),
///             records: self.0.records(),
///             locks: self.0.locks(),
///             backups: self.0.backups(),
///         }
///     }
///
///     async fn lose_from(&self, stream: &StreamId, seq: u64) {
///         self.0.event_store.lose_from(stream, seq);
///     }
///
///     async fn exchange_first(&self, one: &StreamId, other: &StreamId) {
///         self.0.event_store.exchange_first(one, other);
///     }
/// }
///
/// for case in damage::CASES {
///     let mine = Mine(MemoryWorld::new(esm_testkit::environment(1)));
///     let verdict = run_case(async { (case.run)(&mine).await });
///     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
/// }
/// ```
#[async_trait]
pub trait DamageHarness: Send + Sync {
    /// Opens handles on the storage, as a process does that has just started.
    async fn open(&self) -> Services;

    /// Removes the cells of a stream from this number on. There is at least one.
    async fn lose_from(&self, stream: &StreamId, seq: u64);

    /// Exchanges the first cells of two streams. Both have one.
    async fn exchange_first(&self, one: &StreamId, other: &StreamId);
}
