//! A target: writing its cells, and reading them again.

pub(crate) mod reader;
pub(crate) mod writer;
