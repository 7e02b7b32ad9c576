//! Decorators of stores and records: one piece forwards the calls, a layer says what happens before.
//! A lane bounds the requests of such calls, where providers send them.

mod lane;
mod layered;
mod read_only;

pub use lane::{Lane, Turn};
pub(crate) use layered::{Call, Layer, Layered};
pub(crate) use read_only::ReadOnly;
