//! A file of events into many streams, in bounded memory, as often as one likes.
//!
//! - `line` says which event a line is, of which object, at which place;
//! - `sequences` finds gaps and duplicates within the input;
//! - `lanes` decides what is written when, within a budget of memory;
//! - `target` knows what the store has of an object, also after it was migrated;
//! - `write` compares what is there and appends the rest;
//! - `validate` reads a whole file before anything is written;
//! - `engine` drives them.

mod engine;
mod lanes;
mod line;
mod sequences;
mod target;
mod validate;
mod write;

pub(crate) use engine::{Engine, Tally};
pub(crate) use line::Reading;
pub(crate) use validate::{Checked, validate};
