//! The difference between an event and what becomes of it, field by field.
//!
//! - `fields`: the fields of an event, named as in a jq program;
//! - `changes`: the difference between the fields of two events;
//! - `sample`: an event and its outputs as text.

mod changes;
mod fields;
mod sample;

pub(crate) use sample::{sample_text, value_text};
