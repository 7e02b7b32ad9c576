//! The records of an input: lines, rows of CSV, or JSON values.
//!
//! - `format` finds out what an input has, by its first bytes;
//! - `refused` names inputs that have none, with the command that makes some;
//! - `rows` reads CSV; `values` reads JSON values and the elements of JSON arrays. Both use constant
//!   memory: a buffer, and the longest record.

mod format;
mod reader;
mod record;
mod refused;
mod rows;
mod values;

pub(crate) use format::Format;
pub(super) use reader::{Records, Shape};
pub(super) use record::Unit;
pub(crate) use refused::delimiter;
