//! The undo after the pivot (R18), from end to end on the in-memory fakes. An observer checks the
//! invariants after every operation.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

mod bulk;
mod chains;
mod fixture;
mod planned;
mod refused;
mod restored;
mod rivals;
mod schemas;
mod writers;
