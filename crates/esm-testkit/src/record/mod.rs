//! Decorators that record calls: those of the traits into an [`OperationLog`], that of the router's
//! client into a [`History`](crate::observe::History).
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//!
//! use esm_core::store::{RecordKey, Records};
//! use esm_testkit::memory::MemoryRecords;
//! use esm_testkit::record::{RecordedRecords, Recorder};
//! use esm_testkit::tap::OperationLog;
//!
//! let log = OperationLog::new();
//! let recorder = Recorder::new("me", log.clone());
//! let records = RecordedRecords::new(Arc::new(MemoryRecords::new()), recorder);
//! records.put(&RecordKey::Index, 0, "{}".into()).await?;
//! assert_eq!(log.names()["records.put"], 1);
//! assert_eq!(log.counts()["records"].writes, 1);
//! assert_eq!(log.to_string(), "0 me records.put Index #0\n");
//! # Ok::<(), esm_core::Error>(())
//! # }).unwrap();
//! ```

mod client;

use esm_core::Result;

pub use client::RecordedClient;

use crate::tap::{
    Call, Operation, OperationLog, Outcome, Tap, TappedBackups, TappedEventStore, TappedLocks,
    TappedNativeStore, TappedRecords,
};

/// An event store whose calls are recorded.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use esm_core::id::StreamId;
/// use esm_core::store::EventStore as _;
/// use esm_testkit::memory::MemoryWorld;
/// use esm_testkit::record::{RecordedEventStore, Recorder};
/// use esm_testkit::tap::OperationLog;
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let log = OperationLog::new();
/// let store = RecordedEventStore::new(world.event_store(), Recorder::new("app", log.clone()));
/// store.tail(&StreamId::new("orders")?).await?;
/// assert_eq!(log.to_string(), "0 app event_store.tail orders\n");
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
pub type RecordedEventStore = TappedEventStore<Recorder>;
/// Versioned records whose calls are recorded.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::memory::MemoryRecords;
/// use esm_testkit::record::{RecordedRecords, Recorder};
/// use esm_testkit::tap::OperationLog;
///
/// let log = OperationLog::new();
/// let recorder = Recorder::new("app", log.clone());
/// let records = RecordedRecords::new(Arc::new(MemoryRecords::new()), recorder);
/// records.latest(&RecordKey::Index).await?;
/// assert_eq!((log.counts()["records"].reads, log.counts()["records"].writes), (1, 0));
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
pub type RecordedRecords = TappedRecords<Recorder>;
/// A lock provider whose calls are recorded.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use esm_core::store::LockProvider as _;
/// use esm_testkit::memory::MemoryWorld;
/// use esm_testkit::record::{RecordedLocks, Recorder};
/// use esm_testkit::tap::OperationLog;
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let log = OperationLog::new();
/// let locks = RecordedLocks::new(world.locks(), Recorder::new("operator", log.clone()));
/// locks.list().await?;
/// assert_eq!(log.names()["locks.list"], 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
pub type RecordedLocks = TappedLocks<Recorder>;
/// A backup provider whose calls, and those of its writers and readers, are recorded.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::id::BackupId;
/// use esm_core::store::BackupProvider as _;
/// use esm_testkit::memory::MemoryBackups;
/// use esm_testkit::record::{RecordedBackups, Recorder};
/// use esm_testkit::tap::OperationLog;
///
/// let log = OperationLog::new();
/// let recorder = Recorder::new("app", log.clone());
/// let backups = RecordedBackups::new(Arc::new(MemoryBackups::new()), recorder);
/// assert!(backups.open(&BackupId::new("b")?).await.is_err());
/// assert_eq!(log.names()["backups.open"], 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
pub type RecordedBackups = TappedBackups<Recorder>;
/// A native store whose calls are recorded: the requests of the event store that is built on it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_foreign::{CloseProof, ForeignEventStore, Profile};
/// use esm_testkit::memory::MemoryNativeStore;
/// use esm_testkit::record::{RecordedNativeStore, Recorder};
/// use esm_testkit::tap::OperationLog;
///
/// let memory = MemoryNativeStore::new(Profile::new(CloseProof::StoreRefuses));
/// let (environment, log) = (esm_testkit::environment(1), OperationLog::new());
/// for _ in ["first", "second"] {
///     let recorder = Recorder::new("app", log.clone());
///     let native = RecordedNativeStore::new(Arc::new(memory.clone()), recorder);
///     ForeignEventStore::open(Arc::new(native), &environment).await?;
/// }
/// assert_eq!(log.names()["native_store.append_as_old_writer"], 4);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
pub type RecordedNativeStore = TappedNativeStore<Recorder>;

/// Records the calls of one actor in a log.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::memory::MemoryRecords;
/// use esm_testkit::record::{RecordedRecords, Recorder};
/// use esm_testkit::tap::OperationLog;
///
/// // one log for two processes
/// let (log, stored) = (OperationLog::new(), MemoryRecords::new());
/// for name in ["adam", "eve"] {
///     let recorder = Recorder::new(name, log.clone());
///     let records = RecordedRecords::new(Arc::new(stored.clone()), recorder);
///     records.latest(&RecordKey::Index).await?;
/// }
/// let callers: Vec<_> = log.operations().into_iter().map(|call| call.actor).collect();
/// assert_eq!(callers, ["adam", "eve"]);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Recorder {
    actor: String,
    log: OperationLog,
}

impl Recorder {
    /// Returns a recorder of this actor's calls in this log.
    pub fn new(actor: impl Into<String>, log: OperationLog) -> Self {
        Self {
            actor: actor.into(),
            log,
        }
    }

    /// Returns the log.
    pub fn log(&self) -> &OperationLog {
        &self.log
    }
}

impl Tap for Recorder {
    type Started = Operation;

    async fn begin(&self, call: Call) -> Result<Operation> {
        Ok(self.log.begin(&self.actor, call))
    }

    fn twice(&self, _started: &Operation) -> bool {
        false
    }

    async fn end<T: Send>(&self, mut started: Operation, result: Result<T>) -> Result<T> {
        self.log.end(&mut started, Outcome::of(&result));
        result
    }
}
