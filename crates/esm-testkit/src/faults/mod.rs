//! Faults: calls that fail, lose their answer, happen twice, stall, or are the caller's last.
//!
//! A [`FaultPlan`] counts every call of every actor on every trait. A test first runs without
//! faults to learn how many calls there are, then again and again with a fault at each of them.
//!
//! A crash is a call that never returns, and neither does any later one of that actor; the test
//! drops the actor's future, see [`Actor::run`]. Nothing is repaired by a drop.
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
//! // one crashes, and what it did stands
//! let one = plan.actor("one");
//! let records = one.records(Arc::new(stored.clone()));
//! let ended = one.run(records.put(&RecordKey::Index, 0, "by one".into())).await;
//! assert!(matches!(ended, Err(Crashed)));
//!
//! // two stands before its call until the gate opens, and comes too late
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

use crate::tap::{TappedBackups, TappedEventStore, TappedLocks, TappedRecords};

pub use actor::{Actor, Crashed, Started};
pub use gate::Gate;
pub use plan::{At, Fault, FaultPlan, Interjection, Violation, Watch};

/// An event store with faults.
pub type FaultyEventStore = TappedEventStore<Actor>;
/// Versioned records with faults.
pub type FaultyRecords = TappedRecords<Actor>;
/// A lock provider with faults.
pub type FaultyLocks = TappedLocks<Actor>;
/// A backup provider with faults, also in its writers and readers.
pub type FaultyBackups = TappedBackups<Actor>;
