//! Sweeps: a migration, again and again, with a fault at each of its storage operations.
//!
//! A [`Scenario`] says what is migrated and how. A [`Sweep`] first runs it without faults, which
//! tells how many operations there are; then, for each operation, each fault and each way to go on
//! afterwards, once in a fresh world. An [`Observer`](crate::observe::Observer) checks the
//! invariants after every operation; the end is checked too: every event once, in order, through
//! its object; the lock free; nothing left to do.
//!
//! Whatever fails prints a line that replays it alone, with the log of its operations.

mod chaos;
mod continuation;
mod end;
mod reversal;
mod runner;
mod scenario;
mod simulation;
mod spot;
mod writer;
mod zombie;

pub use chaos::{Disturbance, chaos};
pub use runner::{Outcome, Sweep};
pub use scenario::Scenario;
pub use spot::{Spot, SpotFault, Then};
