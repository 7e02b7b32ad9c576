//! Checks of the protocol's invariants, made from the raw storage.
//!
//! An [`Observer`] checks after every operation, because a wrong state that is mended before the
//! end can have been read meanwhile. A [`History`] compares the outcomes that writers got with the
//! events that are stored.

mod chain;
mod history;
mod journal;
mod observer;
mod streams;
mod target;

pub use history::{Attempted, History};
pub use observer::Observer;
