//! Rewriting the tables of other libraries in place.

mod bench;
mod fences;
mod layouts;
mod writers;

pub(crate) use bench::*;
