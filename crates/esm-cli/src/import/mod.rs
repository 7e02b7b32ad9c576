//! Imports events of many objects in bounded memory; may be repeated at any time.
//!
//! - `records` reads the records of an input: lines, rows of CSV, or JSON values;
//! - `map` makes events of records that are none, with a jq program;
//! - `reading` decodes a record: events, their objects and sequences;
//! - `events` reads the input into chunks that fit into memory, grouped by object;
//! - `each` reads the events without keeping any, for a preview;
//! - `check` finds gaps, duplicates and ids that are not unique, over the whole input;
//! - `numbers` gives the events of each object new sequences, on request;
//! - `sorter` sorts what `check` collects, in temporary files where it is much;
//! - `tally` counts what was done;
//! - `target` is an object as the store has it, also after it was migrated;
//! - `write` compares an object's events with the stored ones and appends the rest;
//! - `writer` writes the objects of a chunk concurrently while the next chunk is read.
//!
//! A file is checked before anything is written. One that fits into memory is decoded once; a
//! longer one is decoded again while it is written.

mod check;
mod each;
mod events;
mod incoming;
mod map;
mod numbers;
mod reading;
mod records;
mod sorter;
mod tally;
mod target;
mod write;
mod writer;

pub(crate) use each::EachEvent;
pub(crate) use events::Events;
pub(crate) use map::{BUILT_IN, BuiltIn, RecordMap};
pub(crate) use numbers::Numbering;
pub(crate) use reading::Reading;
pub(crate) use records::{Format, delimiter};
pub(crate) use tally::Tally;
pub(crate) use writer::Writer;

use esm_core::{Error, ErrorKind};

fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "stopped on request")
        .with_hint("run the same command again to continue")
}
