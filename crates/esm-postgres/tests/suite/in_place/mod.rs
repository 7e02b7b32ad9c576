//! Rewriting the tables of other libraries in place.

mod bench;
mod layouts;

pub(crate) use bench::*;
