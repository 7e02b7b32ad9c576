//! Changes a field of a JSON text and keeps every other byte of what it holds.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// The most names that a path has.
const MAX_NAMES: usize = 64;

/// The way to a field: the names of the fields around it and its own, each after a `/`. `*` means
/// every element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldPath(Vec<String>);

/// What becomes of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Edit {
    Same,
    Removed,
    /// This JSON text.
    Value(String),
}

/// What is done to the value that a path leads to: the JSON text it has.
pub(super) type Change<'c> = dyn Fn(&RawValue) -> Result<Edit, String> + 'c;

impl FieldPath {
    /// # Errors
    /// `Invalid` for a path that does not begin with `/`, has an empty name or too many of them.
    pub(super) fn new(path: &str) -> Result<Self> {
        let invalid = |what: &str| {
            Err(Error::invalid(format!("path of a field {what}: {path:?}"))
                .with_hint("write the names from the outside in, e.g. /customer/email"))
        };
        let Some(names) = path.strip_prefix('/') else {
            return invalid("does not begin with a slash");
        };
        let names: Vec<_> = names.split('/').map(str::to_owned).collect();
        if names.iter().any(String::is_empty) {
            return invalid("has an empty name");
        }
        if names.len() > MAX_NAMES {
            return invalid("is too long");
        }
        Ok(Self(names))
    }

    /// The JSON text with the field changed; `None` where there is no such field or it stays as it
    /// is.
    ///
    /// # Errors
    /// A text that is no JSON, and what the change refuses, with the path.
    pub(super) fn edit(&self, json: &[u8], change: &Change<'_>) -> Result<Option<String>, String> {
        let json: &RawValue =
            serde_json::from_slice(json).map_err(|e| format!("the payload is no JSON: {e}"))?;
        match edited(json, &self.0, change).map_err(|what| format!("field {self} {what}"))? {
            Edit::Same => Ok(None),
            Edit::Removed => unreachable!("a path has a name, and what has it stays"),
            Edit::Value(text) => Ok(Some(text)),
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

fn edited(json: &RawValue, path: &[String], change: &Change<'_>) -> Result<Edit, String> {
    let Some((name, rest)) = path.split_first() else {
        return change(json);
    };
    match json.get().as_bytes().first() {
        Some(b'{') => in_object(json, name, rest, change),
        Some(b'[') if name == "*" => in_array(json, rest, change),
        _ => Ok(Edit::Same),
    }
}

fn in_object(
    json: &RawValue,
    name: &str,
    rest: &[String],
    change: &Change<'_>,
) -> Result<Edit, String> {
    let Fields(fields) = serde_json::from_str(json.get()).map_err(|e| e.to_string())?;
    let mut members = Vec::with_capacity(fields.len());
    let mut same = true;
    for (key, value) in fields {
        // A repeated key is changed everywhere: whichever a reader takes is masked.
        let edit = if key == name {
            edited(value, rest, change)?
        } else {
            Edit::Same
        };
        same &= edit == Edit::Same;
        let value = match edit {
            Edit::Same => Cow::Borrowed(value.get()),
            Edit::Removed => continue,
            Edit::Value(text) => Cow::Owned(text),
        };
        members.push(format!("{}:{value}", serde_json::Value::from(&*key)));
    }
    Ok(whole(same, '{', &members, '}'))
}

fn in_array(json: &RawValue, rest: &[String], change: &Change<'_>) -> Result<Edit, String> {
    let elements: Vec<&RawValue> = serde_json::from_str(json.get()).map_err(|e| e.to_string())?;
    let mut members = Vec::with_capacity(elements.len());
    let mut same = true;
    for element in elements {
        let edit = edited(element, rest, change)?;
        same &= edit == Edit::Same;
        match edit {
            Edit::Same => members.push(element.get().to_owned()),
            Edit::Removed => {}
            Edit::Value(text) => members.push(text),
        }
    }
    Ok(whole(same, '[', &members, ']'))
}

fn whole(same: bool, open: char, members: &[String], close: char) -> Edit {
    if same {
        Edit::Same
    } else {
        Edit::Value(format!("{open}{}{close}", members.join(",")))
    }
}

/// The fields of an object, in their order, with those that are repeated.
struct Fields<'j>(Vec<(Cow<'j, str>, &'j RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((key, value)) = map.next_entry::<Key<'de>, _>()? {
                    fields.push((key.0, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A name that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'j>(#[serde(borrow)] Cow<'j, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(path: &str, json: &str, to: &str) -> Result<Option<String>, String> {
        let path = FieldPath::new(path).expect("a path");
        let to = to.to_owned();
        path.edit(json.as_bytes(), &move |_| {
            Ok(match &*to {
                "" => Edit::Removed,
                to => Edit::Value(to.to_owned()),
            })
        })
    }

    fn changed(path: &str, json: &str, to: &str) -> String {
        edit(path, json, to)
            .expect("it is JSON")
            .expect("it changes")
    }

    #[test]
    fn a_field_is_changed_and_the_others_keep_their_bytes() {
        let json = r#"{"n":1.10, "a":{"b":"x","c":[1e400,{"z":1,"a":2}]},"m":{}}"#;
        assert_eq!(
            changed("/a/b", json, "\"y\""),
            r#"{"n":1.10,"a":{"b":"y","c":[1e400,{"z":1,"a":2}]},"m":{}}"#
        );
        assert_eq!(changed("/a", json, ""), r#"{"n":1.10,"m":{}}"#);
    }

    #[test]
    fn elements_of_arrays_and_repeated_names_are_all_changed() {
        assert_eq!(
            changed("/a/*/b", r#"{"a":[{"b":1},{"c":2},{"b":3}]}"#, ""),
            r#"{"a":[{},{"c":2},{}]}"#
        );
        assert_eq!(changed("/a/*", r#"{"a":[1,2]}"#, ""), r#"{"a":[]}"#);
        assert_eq!(changed("/b", r#"{"b":1,"b":2}"#, "0"), r#"{"b":0,"b":0}"#);
        assert_eq!(changed("/e\"é", r#"{"e\"\u00e9":1}"#, "0"), r#"{"e\"é":0}"#);
        assert_eq!(changed("/*", r#"{"*":1}"#, "0"), r#"{"*":0}"#);
    }

    #[test]
    fn what_is_not_there_stays_as_it_is() {
        for json in [
            r#"{"a":1}"#,
            r#"{"a":{"c":1}}"#,
            "[1]",
            "1",
            "null",
            r#"{"a":[{"b":1}]}"#,
        ] {
            assert_eq!(edit("/a/b", json, "0"), Ok(None), "{json}");
        }
        assert!(edit("/a", "{", "0").is_err());
    }

    #[test]
    fn a_path_that_is_none_is_refused() {
        for path in ["", "a", "/", "/a/", "//a"] {
            assert!(FieldPath::new(path).is_err(), "{path}");
        }
        assert!(FieldPath::new(&"/a".repeat(65)).is_err());
    }
}
