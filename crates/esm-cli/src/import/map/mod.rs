//! Makes events of records that are none, with a jq program.
//!
//! - `built_in` is the maps that come with esm, each a file beside it;
//! - `record_map` is the map of an import: a built-in one, or one of the user.

mod built_in;
mod record_map;

pub(crate) use built_in::{BUILT_IN, BuiltIn};
pub(crate) use record_map::RecordMap;
pub(super) use record_map::fields;
