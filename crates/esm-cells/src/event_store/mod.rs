//! Streams as numbered cells, each created only if absent.

mod append;
mod cells;
mod discard;
mod read;
mod search;
mod tail;

pub(crate) use cells::ObjectEventStore;
