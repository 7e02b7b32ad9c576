//! In-memory fakes, fault injection, conformance suites and sweeps for esm.
//!
//! - [`memory`] has a fake of every trait of [`esm_core::store`], small enough to be read as the
//!   executable specification of the traits' numbered guarantees.
//! - [`environment()`] makes time, ids and randomness deterministic.

mod environment;
pub mod memory;

pub use environment::{ManualClock, SeededRandomness, environment};
