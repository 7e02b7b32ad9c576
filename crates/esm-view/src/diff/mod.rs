//! The difference between an event and what becomes of it, field by field.
//!
//! - `fields`: the fields of an event, named as in a jq program;
//! - `changes`: the difference between the fields of two events.

mod changes;
mod fields;

pub use changes::{Change, changes};
pub use fields::{Fields, fields};
