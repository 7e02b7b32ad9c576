//! JSON values as jq sees them: strictly read, exactly compared, strictly written.

mod equal;
mod number;
mod read;
mod write;

pub(crate) use equal::same;
pub(crate) use number::integer;
pub(crate) use read::{Fault as ReadFault, read};
pub(crate) use write::write;

/// The deepest nesting of arrays and objects that is read or written.
///
/// Reading, comparing, writing and dropping a value recurse; this bounds the stack that they take.
pub(crate) const MAX_DEPTH: usize = 128;

/// What a value is, for messages.
pub(crate) fn kind(value: &jaq_json::Val) -> &'static str {
    use jaq_json::Val;
    match value {
        Val::Null => "null",
        Val::Bool(_) => "a boolean",
        Val::Num(_) => "a number",
        Val::TStr(_) => "a string",
        Val::BStr(_) => "a byte string",
        Val::Arr(_) => "an array",
        Val::Obj(_) => "an object",
    }
}
