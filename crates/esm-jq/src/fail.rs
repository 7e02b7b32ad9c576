//! How an evaluation ends before its end: errors of the language, breaks, and stops.

use crate::value::{Val, kind, message, shown};

/// Why an evaluation ends early.
#[derive(Debug)]
pub(crate) enum Exit {
    /// An error, which `try` catches.
    Fail(Fail),
    /// A `break` to the label of this number.
    Break(u64),
    /// The budget does not suffice; nothing catches that.
    Stop,
}

/// An error of the language.
#[derive(Debug, PartialEq)]
pub(crate) struct Fail(Box<Inner>);

#[derive(Debug, PartialEq)]
struct Inner {
    cause: Cause,
    /// Where in the program it arose, in bytes.
    at: Option<usize>,
}

#[derive(Debug, PartialEq)]
enum Cause {
    /// The program's own, by `error`.
    Program(Val),
    /// Without any value in it.
    Text(String),
    /// What the program sees, with values, and what people see.
    Said(String, String),
    /// A text, then a value.
    About(&'static str, Val),
    /// A value, then a text.
    One(Val, &'static str),
    Two(Val, Val, &'static str),
    Index(&'static str, Val),
    Access(Val, Val),
    Key(Val),
}

impl From<Fail> for Exit {
    fn from(fail: Fail) -> Self {
        Self::Fail(fail)
    }
}

impl Exit {
    /// The same, of this place in the program unless it has one.
    pub(crate) fn at(mut self, place: usize) -> Self {
        if let Self::Fail(fail) = &mut self {
            fail.0.at.get_or_insert(place);
        }
        self
    }
}

impl Fail {
    fn new(cause: Cause) -> Self {
        Self(Box::new(Inner { cause, at: None }))
    }

    pub(crate) fn program(value: Val) -> Self {
        Self::new(Cause::Program(value))
    }

    /// A message that has no value in it.
    pub(crate) fn text(message: impl Into<String>) -> Self {
        Self::new(Cause::Text(message.into()))
    }

    /// A message with values in it, and what people see of it.
    pub(crate) fn said(message: impl Into<String>, shown: impl Into<String>) -> Self {
        Self::new(Cause::Said(message.into(), shown.into()))
    }

    /// `Cannot iterate over number (1)`.
    pub(crate) fn about(what: &'static str, value: Val) -> Self {
        Self::new(Cause::About(what, value))
    }

    /// `number (1) cannot be negated`.
    pub(crate) fn one(value: Val, what: &'static str) -> Self {
        Self::new(Cause::One(value, what))
    }

    /// `number (1) and string ("a") cannot be added`.
    pub(crate) fn two(left: Val, right: Val, what: &'static str) -> Self {
        Self::new(Cause::Two(left, right, what))
    }

    /// `Cannot index number with string ("a")`.
    pub(crate) fn index(value: &Val, key: &Val) -> Self {
        Self::new(Cause::Index(value.type_name(), key.clone()))
    }

    /// A key of an object that is no text.
    pub(crate) fn object_key(key: Val) -> Self {
        Self::new(Cause::Key(key))
    }

    /// An access to what is no path.
    pub(crate) fn access(value: &Val, key: &Val) -> Self {
        Self::new(Cause::Access(value.clone(), key.clone()))
    }

    /// Where in the program it arose, in bytes, if that says more than its message.
    pub(crate) fn place(&self) -> Option<usize> {
        self.0
            .at
            .filter(|_| !matches!(self.0.cause, Cause::Program(_)))
    }

    /// What `catch` sees.
    pub(crate) fn into_value(self) -> Val {
        let of = |value: &Val| format!("{} ({})", value.type_name(), shown(value));
        Val::from(match self.0.cause {
            Cause::Program(value) => return value,
            Cause::Text(text) | Cause::Said(text, _) => text,
            Cause::About(what, value) if what.ends_with("result") => {
                format!("{what} {}", shown(&value))
            }
            Cause::About(what, value) => format!("{what} {}", of(&value)),
            Cause::One(value, what) => format!("{} {what}", of(&value)),
            Cause::Two(left, right, what) => format!("{} and {} {what}", of(&left), of(&right)),
            Cause::Index(kind, key) => format!("Cannot index {kind} with {}", of(&key)),
            Cause::Key(key) => format!("Cannot use {} as object key", of(&key)),
            Cause::Access(value, Val::Null) => format!(
                "Invalid path expression near attempt to iterate through {}",
                shown(&value)
            ),
            Cause::Access(value, key) => format!(
                "Invalid path expression near attempt to access element {} of {}",
                shown(&key),
                shown(&value)
            ),
        })
    }

    /// What people see: the kinds of values instead of the values, as messages are kept in journals,
    /// which contain no data. Names of fields stay, and so does a message of the program's own.
    pub(crate) fn message(&self) -> String {
        match &self.0.cause {
            Cause::Program(Val::Str(text)) => text.to_str().into_owned(),
            Cause::Program(value) => message(value),
            Cause::Text(text) => uncapitalised(text),
            Cause::Said(_, shown) => shown.clone(),
            Cause::About(what, value) => format!("{} {}", uncapitalised(what), kind(value)),
            Cause::One(value, what) => format!("{} {what}", kind(value)),
            Cause::Two(left, right, what) => format!("{} and {} {what}", kind(left), kind(right)),
            Cause::Index(of, key) => format!("cannot index {} with {}", article(of), name(key)),
            Cause::Key(key) => format!("cannot use {} as object key", kind(key)),
            Cause::Access(value, Val::Null) => format!(
                "invalid path expression near attempt to iterate through {}",
                kind(value)
            ),
            Cause::Access(value, key) => format!(
                "invalid path expression near attempt to access element {} of {}",
                name(key),
                kind(value)
            ),
        }
    }
}

/// The name of a field, or the kind of another key.
fn name(key: &Val) -> String {
    match key {
        Val::Str(_) => shown(key),
        other => kind(other).to_owned(),
    }
}

fn article(kind: &str) -> String {
    match kind {
        "null" => kind.to_owned(),
        "array" | "object" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

fn uncapitalised(text: &str) -> String {
    match text.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_lowercase() + rest,
        None => text.to_owned(),
    }
}
