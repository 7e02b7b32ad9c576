//! What a value is.

use std::sync::Arc;

use super::{Num, Text};

/// The deepest nesting of arrays and objects that is read or written.
///
/// Reading, comparing, writing and dropping a value recurse; this bounds the stack that they take.
pub(crate) const MAX_DEPTH: usize = 128;

/// The deepest nesting of values that programs compare, merge or write inside of themselves.
pub(super) const DEEPEST: usize = 10_000;

/// An object: keys in the order in which they were added.
pub(crate) type Map = indexmap::IndexMap<Text, Val, foldhash::fast::RandomState>;

/// A JSON value. Copies share what they are made of.
#[derive(Clone, Debug, Default)]
pub(crate) enum Val {
    #[default]
    Null,
    Bool(bool),
    Num(Num),
    Str(Text),
    Arr(Arc<Vec<Val>>),
    Obj(Arc<Map>),
}

impl Val {
    pub(crate) fn obj(map: Map) -> Self {
        Self::Obj(Arc::new(map))
    }

    pub(crate) fn int(value: i64) -> Self {
        Self::Num(Num::Int(value))
    }

    pub(crate) fn float(value: f64) -> Self {
        Self::Num(Num::of_f64(value))
    }

    /// Whether `if` takes it for true.
    pub(crate) fn is_true(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    /// The name of its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Num(_) => "number",
            Self::Str(_) => "string",
            Self::Arr(_) => "array",
            Self::Obj(_) => "object",
        }
    }
}

impl From<&str> for Val {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<Vec<Val>> for Val {
    fn from(elements: Vec<Val>) -> Self {
        Self::Arr(Arc::new(elements))
    }
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// What a value is, for messages.
pub(crate) fn kind(value: &Val) -> &'static str {
    match value {
        Val::Null => "null",
        Val::Bool(_) => "a boolean",
        Val::Num(_) => "a number",
        Val::Str(_) => "a string",
        Val::Arr(_) => "an array",
        Val::Obj(_) => "an object",
    }
}
