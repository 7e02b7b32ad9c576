//! The protocol's decisions, pure: no I/O, no clock, no async.

pub mod control;
pub mod decisions;
pub mod gate;
pub mod journal;
pub mod phase;
pub mod planned;
pub mod reversal;
pub mod routing;
pub mod statistics;
pub mod status;
