//! The values of a JSON payload, each with the name of its field.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

/// Levels of nesting that are followed.
const MAX_DEPTH: usize = 128;
/// Values of a payload that are read.
const MAX_LEAVES: usize = 50_000;
/// Characters of a name that is shown.
const MAX_NAME: usize = 64;

/// A text, a number or a truth value in an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Leaf {
    /// The field, as jq names it: `.data.items[].email`. A name that may be a value itself is `[…]`.
    pub(super) field: Arc<str>,
    pub(super) kind: LeafKind,
    /// The text, or the digits of the number.
    pub(super) text: String,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum LeafKind {
    Text,
    Number,
    Bool,
}

impl Leaf {
    /// Whether equal values are hardly a coincidence.
    pub(super) fn is_telling(&self) -> bool {
        let least = match self.kind {
            LeafKind::Text => 4,
            LeafKind::Number => 6,
            LeafKind::Bool => return false,
        };
        self.text.chars().nth(least - 1).is_some()
    }

    /// The value as compact JSON.
    pub(super) fn json(&self) -> String {
        match self.kind {
            LeafKind::Text => Value::from(self.text.as_str()).to_string(),
            LeafKind::Number | LeafKind::Bool => self.text.clone(),
        }
    }
}

/// The values of a payload.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    pub(super) all: Vec<Leaf>,
    /// Whether there are more than can be read, or it is no JSON.
    pub(super) incomplete: bool,
    /// Each name once: a long array has as many values of one field.
    fields: HashSet<Arc<str>>,
}

impl Leaves {
    pub(super) fn of(payload: &[u8]) -> Self {
        let mut leaves = Self::default();
        match serde_json::from_slice::<Value>(payload) {
            Ok(value) => leaves.collect(&value, ".data", 0),
            Err(_) => leaves.incomplete = !payload.is_empty(),
        }
        leaves
    }

    fn collect(&mut self, value: &Value, field: &str, depth: usize) {
        if depth == MAX_DEPTH || self.all.len() >= MAX_LEAVES {
            self.incomplete = true;
            return;
        }
        match value {
            Value::Array(all) => {
                let field = format!("{field}[]");
                for value in all {
                    self.collect(value, &field, depth + 1);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    if !is_name(name) {
                        self.push(&keys_of(field), LeafKind::Text, name.clone());
                    }
                    self.collect(value, &inner(field, name), depth + 1);
                }
            }
            value => {
                if let Some((kind, text)) = scalar(value) {
                    self.push(field, kind, text);
                }
            }
        }
    }

    fn push(&mut self, field: &str, kind: LeafKind, text: String) {
        let field = match self.fields.get(field) {
            Some(known) => Arc::clone(known),
            None => {
                let field: Arc<str> = field.into();
                self.fields.insert(Arc::clone(&field));
                field
            }
        };
        self.all.push(Leaf { field, kind, text });
    }
}

fn scalar(value: &Value) -> Option<(LeafKind, String)> {
    match value {
        Value::String(text) => Some((LeafKind::Text, text.clone())),
        Value::Number(number) => Some((LeafKind::Number, number.to_string())),
        Value::Bool(truth) => Some((LeafKind::Bool, truth.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The field of a member of an object.
fn inner(field: &str, name: &str) -> String {
    if is_name(name) {
        format!("{field}.{name}")
    } else {
        format!("{field}[…]")
    }
}

/// The field of the names of an object's members that may be values themselves.
fn keys_of(field: &str) -> String {
    format!("{field} | keys")
}

/// Whether it is the name of a field, and hardly a value: a letter, then letters, digits and `_`.
fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= MAX_NAME
}

/// The payload with the values for which `hides` holds replaced by a text; `None` if it is no JSON or
/// too deep to be read.
pub(super) fn hidden(payload: &str, hides: &impl Fn(&Leaf) -> bool, by: &str) -> Option<String> {
    let value = serde_json::from_str(payload).ok()?;
    Some(hide(value, ".data", 0, hides, by)?.to_string())
}

fn hide(
    value: Value,
    field: &str,
    depth: usize,
    hides: &impl Fn(&Leaf) -> bool,
    by: &str,
) -> Option<Value> {
    if depth == MAX_DEPTH {
        return None;
    }
    let is_hidden = |field: &str, kind, text| {
        let field = field.into();
        hides(&Leaf { field, kind, text })
    };
    Some(match value {
        Value::Array(all) => {
            let field = format!("{field}[]");
            let all = all.into_iter();
            let all = all.map(|value| hide(value, &field, depth + 1, hides, by));
            Value::Array(all.collect::<Option<_>>()?)
        }
        Value::Object(members) => {
            let mut shown = serde_json::Map::new();
            for (name, value) in members {
                let value = hide(value, &inner(field, &name), depth + 1, hides, by)?;
                if is_name(&name) || !is_hidden(&keys_of(field), LeafKind::Text, name.clone()) {
                    shown.insert(name, value);
                } else {
                    shown.insert(format!("{by} {}", shown.len() + 1), value);
                }
            }
            Value::Object(shown)
        }
        value => match scalar(&value) {
            Some((kind, text)) => {
                if is_hidden(field, kind, text) {
                    Value::from(by)
                } else {
                    value
                }
            }
            None => value,
        },
    })
}
