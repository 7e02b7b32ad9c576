//! Imports events of many objects in bounded memory; may be repeated at any time.
//!
//! - `line` decodes a line: an event, its object and its sequence;
//! - `events` reads the input into chunks that fit into memory, grouped by object;
//! - `check` finds gaps, duplicates and ids that are not unique, over the whole input;
//! - `renumber` gives the events of each object new sequences, on request;
//! - `sorter` sorts what `check` collects, in temporary files where it is much;
//! - `tally` counts what was done;
//! - `target` is an object as the store has it, also after it was migrated;
//! - `write` compares an object's events with the stored ones and appends the rest;
//! - `writer` writes the objects of a chunk concurrently while the next chunk is read.
//!
//! A file is checked before anything is written. One that fits into memory is decoded once; a
//! longer one is decoded again while it is written.

mod check;
mod events;
mod line;
mod renumber;
mod sorter;
mod tally;
mod target;
mod write;
mod writer;

pub(crate) use events::Events;
pub(crate) use line::Reading;
pub(crate) use tally::Tally;
pub(crate) use writer::Writer;

use esm_core::{Error, ErrorKind};

fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "stopped on request")
        .with_hint("run the same command again to continue")
}
