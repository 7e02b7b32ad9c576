//! In-memory fakes, fault injection, conformance suites and sweeps for esm.
//!
//! - [`World`] tests a transformation and its migration: begin here to test your own.
//! - [`memory`] has a fake of every trait of [`esm_core::store`], and of native stores, small enough
//!   to be read as the executable specification of the traits' numbered guarantees.
//! - [`environment()`] makes time, ids and randomness deterministic; [`event()`] makes an event.
//! - [`conformance`] has the suites that every provider must pass.
//! - [`faults`] makes calls fail, lose their answers, happen twice, stall, or be the caller's last.
//! - [`observe`] checks the protocol's invariants after every operation, and histories.
//! - [`sweep`] runs a migration again and again, with a fault at each of its operations.
//! - [`strategies`] generates names, events, streams, workloads, transformations and faults.
//! - [`mod@record`] writes down what is called, and counts it.
//! - `containers` (a feature) has real servers to test against, and [`intercept`] gives the answers
//!   that these never give.

#[cfg(doctest)]
#[doc = include_str!("../../../docs/testing.md")]
struct Guide;

pub mod conformance;
#[cfg(all(feature = "containers", unix))]
pub mod containers;
mod environment;
mod events;
pub mod faults;
pub mod intercept;
pub mod memory;
mod not_tested;
pub mod observe;
pub mod record;
mod rules;
pub mod strategies;
pub mod sweep;
pub mod tap;
mod world;

pub use environment::{ManualClock, SeededRandomness, SteppedClock, environment};
pub use events::{event, events, ids};
pub use not_tested::not_tested;
pub use rules::{Rule, Rules};
pub use world::{World, WorldOutcome};
