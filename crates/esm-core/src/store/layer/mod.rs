//! Decorators of stores and records: one piece forwards the calls, a layer says what happens before.

mod layered;
mod read_only;

pub(crate) use layered::{Call, Layer, Layered};
pub(crate) use read_only::ReadOnly;
