//! JSON values as jq sees them: strictly read, exactly compared, strictly written.

mod arithmetic;
mod equal;
mod number;
mod order;
mod path;
mod read;
mod show;
mod text;
mod tojson;
mod val;
mod write;

pub(crate) use arithmetic::{Math, add, calculate, has_element, negate, split};
pub(crate) use equal::same;
pub(crate) use number::Num;
pub(crate) use order::{forget_depth, not_too_deep};
pub(crate) use path::{
    bounds, delete_paths, get, get_path, indices, not_too_long, set_path, take_path,
};
pub(crate) use read::{Fault as ReadFault, number as read_number, read};
pub(crate) use show::{message, shown};
pub(crate) use text::Text;
pub(crate) use tojson::{json, text_of};
use val::DEEPEST;
pub(crate) use val::{MAX_DEPTH, Map, Val, kind};
pub(crate) use write::write;
