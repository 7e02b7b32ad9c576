//! Sweeps: a migration, again and again, with a fault at each of its storage operations.
//!
//! A [`Scenario`] describes a migration. A [`Sweep`] first runs it without faults, to count its
//! operations. Then it runs it once for each operation, fault and continuation, each time in a
//! fresh world. An [`Observer`](crate::observe::Observer) checks the invariants after every
//! operation. The end is checked, too: every event once, in order, through its object; the lock
//! free; nothing left to do.
//!
//! A failure prints a line that replays that run alone, with the log of its operations.
//!
//! ```
//! use esm_testkit::sweep::{Scenario, Sweep};
//! use esm_testkit::{Rule, Rules, event};
//!
//! let scenario = Scenario::new("order/1".parse()?, vec![vec![event("e1", "Placed")]])
//!     .transform(Rules::new([("Placed", Rule::Split(2))]))
//!     .describe(|migration| migration.with_rollback());
//! let outcome = Sweep::of_writers(scenario).replayed_by("cargo test my_sweep").check();
//! assert!(outcome.runs as u64 == outcome.operations && outcome.failures.is_empty());
//! # Ok::<(), esm_core::Error>(())
//! ```

mod chaos;
mod continuation;
mod disturbance;
mod end;
mod place;
mod reversal;
mod runner;
mod scenario;
mod simulation;
mod spot;
mod writer;
mod zombie;

pub use chaos::chaos;
pub(crate) use chaos::{Ended, Happened, disturbed};
pub use disturbance::Disturbance;
pub use place::Place;
pub use runner::{Outcome, Sweep, is_full};
pub use scenario::Scenario;
pub use spot::{Spot, SpotFault, Then};
