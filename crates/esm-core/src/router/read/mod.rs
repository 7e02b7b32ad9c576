//! read

pub(crate) mod dual_read;
pub(crate) mod events;
pub(crate) mod fold;
pub(crate) mod reader;
pub(crate) mod tail;
