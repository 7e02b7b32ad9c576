//! Faults: calls that fail, lose their answer, happen twice, stall, or are the caller's last.
//!
//! A [`FaultPlan`] counts every call of every actor on every trait. A test first runs without
//! faults to learn how many calls there are, then again and again with a fault at each of them.
//!
//! A crash is a call that never returns, and neither does any later one of that actor; the test
//! drops the actor's future, see [`Actor::run`]. Nothing is repaired by a drop.

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
