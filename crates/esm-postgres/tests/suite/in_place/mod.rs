//! Rewriting the tables of other libraries in place.

mod altered;
mod bench;
mod cuts;
mod drops;
mod fences;
mod killed;
mod layouts;
mod refusals;
mod refusing;
mod refusing_checks;
mod steered;
mod surroundings;
mod writers;

pub(crate) use bench::*;
