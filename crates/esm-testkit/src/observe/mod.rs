//! Checks of the protocol's invariants, made from the raw storage.
//!
//! An [`Observer`] looks after every operation, because a wrong state that is mended before the end
//! has been seen by somebody in between. A [`History`] compares what writers were told with what
//! is there.

mod chain;
mod history;
mod journal;
mod observer;
mod streams;
mod target;

pub use history::{Attempted, History};
pub use observer::Observer;
