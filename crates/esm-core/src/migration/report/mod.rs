//! report

pub(crate) mod accepted;
pub(crate) mod progress;
pub(crate) mod result;
