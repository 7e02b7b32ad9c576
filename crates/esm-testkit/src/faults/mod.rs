//! Faults: calls that fail, lose their response, happen twice, stall, or crash their caller.
//!
//! A [`FaultPlan`] counts every call of every actor on every trait. A test first runs without
//! faults to learn how many calls there are, then again and again with a fault at each of them.
//!
//! A crash is a call that never returns, and neither does any later one of that actor. The test
//! drops the actor's future, see [`Actor::run`]. A drop repairs nothing.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//!
//! use esm_core::store::{RecordKey, Records};
//! use esm_testkit::faults::{At, Crashed, Fault, FaultPlan, Gate};
//! use esm_testkit::memory::MemoryRecords;
//!
//! let stored = MemoryRecords::new();
//! let gate = Gate::new();
//! let plan = FaultPlan::new()
//!     .with(At::OfActor("one".into(), 0), Fault::CrashAfter)
//!     .with(At::OfActor("two".into(), 0), Fault::Stall(gate.clone()));
//!
//! // one crashes, and its write stays
//! let one = plan.actor("one");
//! let records = one.records(Arc::new(stored.clone()));
//! let ended = one.run(records.put(&RecordKey::Index, 0, "by one".into())).await;
//! assert!(matches!(ended, Err(Crashed)));
//!
//! // two stalls before its call until the gate opens, and comes too late
//! let records = plan.actor("two").records(Arc::new(stored.clone()));
//! let late = tokio::spawn(async move { records.put(&RecordKey::Index, 0, "by two".into()).await });
//! gate.reached().await;
//! gate.open();
//! assert!(late.await.unwrap().is_err());
//! assert_eq!(stored.snapshot(&RecordKey::Index), ["by one"]);
//! # });
//! ```

mod actor;
mod gate;
mod plan;

use crate::tap::{TappedBackups, TappedEventStore, TappedLocks, TappedNativeStore, TappedRecords};

pub use actor::{Actor, Crashed, Started};
pub use gate::Gate;
pub use plan::{At, Fault, FaultPlan, Interjection, Violation, Watch};

/// An event store with faults.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::id::StreamId;
/// use esm_core::store::EventStore as _;
/// use esm_testkit::faults::{At, Fault, FaultPlan, FaultyEventStore};
/// use esm_testkit::memory::MemoryWorld;
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let plan = FaultPlan::new().with(At::Named("event_store.tail", 0), Fault::FailBefore);
/// let store = FaultyEventStore::new(world.event_store(), plan.actor("app"));
/// assert!(store.tail(&StreamId::new("orders")?).await.is_err());
/// assert!(store.tail(&StreamId::new("orders")?).await.is_ok());
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
pub type FaultyEventStore = TappedEventStore<Actor>;
/// Versioned records with faults.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::faults::{At, Fault, FaultPlan, FaultyRecords};
/// use esm_testkit::memory::MemoryRecords;
///
/// let plan = FaultPlan::new().with(At::Named("records.put", 0), Fault::Duplicate);
/// let records = FaultyRecords::new(Arc::new(MemoryRecords::new()), plan.actor("app"));
/// // made twice: the second conflicts, and its result is lost
/// assert!(records.put(&RecordKey::Index, 0, "{}".into()).await.is_ok());
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
pub type FaultyRecords = TappedRecords<Actor>;
/// A lock provider with faults.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use esm_core::store::LockProvider as _;
/// use esm_testkit::faults::{At, Fault, FaultPlan, FaultyLocks};
/// use esm_testkit::memory::MemoryWorld;
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let plan = FaultPlan::new().with(At::Named("locks.list", 0), Fault::FailAfter);
/// let locks = FaultyLocks::new(world.locks(), plan.actor("operator"));
/// assert!(locks.list().await.is_err());
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
pub type FaultyLocks = TappedLocks<Actor>;
/// A backup provider with faults, also in its writers and readers.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::ErrorKind;
/// use esm_core::id::BackupId;
/// use esm_core::store::BackupProvider as _;
/// use esm_testkit::faults::{At, Fault, FaultPlan, FaultyBackups};
/// use esm_testkit::memory::MemoryBackups;
///
/// let plan = FaultPlan::new().with(At::Named("backups.open", 0), Fault::FailBefore);
/// let backups = FaultyBackups::new(Arc::new(MemoryBackups::new()), plan.actor("app"));
/// let failed = backups.open(&BackupId::new("b")?).await.unwrap_err();
/// assert_eq!(*failed.kind(), ErrorKind::Unavailable);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
pub type FaultyBackups = TappedBackups<Actor>;
/// A native store with faults, which hit below the event store built on it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_foreign::{CloseProof, ForeignEventStore, Profile};
/// use esm_core::id::StreamId;
/// use esm_core::store::{Append, EventStore as _, Tail};
/// use esm_testkit::event;
/// use esm_testkit::faults::{At, Fault, FaultPlan, FaultyNativeStore};
/// use esm_testkit::memory::MemoryNativeStore;
///
/// let environment = esm_testkit::environment(1);
/// let memory = MemoryNativeStore::new(Profile::new(CloseProof::StoreRefuses));
/// let plan = FaultPlan::new();
/// let native = FaultyNativeStore::new(Arc::new(memory.clone()), plan.actor("app"));
/// let store = ForeignEventStore::open(Arc::new(native), &environment).await?;
///
/// // the response to the next native append is lost, and the event store finds out by itself
/// let appends = plan.log().names()["native_store.append"];
/// plan.inject(At::Named("native_store.append", appends), Fault::FailAfter);
/// let orders = StreamId::new("orders")?;
/// let placed = vec![event("e1", "Placed").into()];
/// let append = Append::events(environment.commit_id(), placed);
/// store.append(&orders, &Tail::default(), append).await?;
/// assert_eq!(memory.snapshot(&orders).len(), 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
pub type FaultyNativeStore = TappedNativeStore<Actor>;
