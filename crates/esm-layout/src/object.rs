//! The object of a stream, and the stream of an object.

use esm_core::id::{ObjectId, ObjectKey, ObjectName};
use esm_core::{Error, Result};

use crate::layout::ObjectRule;

/// The name of objects whose stream's name cannot be split.
const WHOLE: &str = "(stream)";

/// The values of the columns that name an object, in the order of [`ObjectRule::columns`]. The name
/// is null where [`ObjectRule::default_name`] replaces it.
pub type StreamKey = Vec<Option<String>>;

impl ObjectRule {
    /// Returns the object of a stream. Distinct streams have distinct objects.
    ///
    /// A qualifier that differs from its default is part of the name: `order@tenant_id=acme/1`. A
    /// stream whose name cannot be split is `(stream)/NAME`.
    ///
    /// # Errors
    /// `Unsupported` where the values make no object.
    pub fn object(&self, values: &[Option<String>]) -> Result<ObjectId> {
        let object = self.compose(values).map_err(|e| unnameable(values, e))?;
        if self.values(&object).as_deref() == Some(&self.with_default(values)) {
            return Ok(object);
        }
        let reason = Error::invalid("another stream would have the same object");
        Err(unnameable(values, reason))
    }

    fn compose(&self, values: &[Option<String>]) -> Result<ObjectId> {
        let mut values = values.iter();
        let mut next = || values.next().cloned().flatten();
        let null = || Error::invalid("its key is null");
        let (mut name, key) = match (&self.name, &self.split) {
            (Some(_), _) => {
                let name = next().or_else(|| self.default_name.clone());
                (name.ok_or_else(null)?, next().ok_or_else(null)?)
            }
            (None, Some(separator)) => split(&next().ok_or_else(null)?, separator),
            (None, None) => (
                self.default_name.clone().unwrap_or_default(),
                next().ok_or_else(null)?,
            ),
        };
        for qualifier in &self.qualifiers {
            let value = next().unwrap_or_else(|| qualifier.default.clone());
            if value != qualifier.default {
                name = format!("{name}@{}={value}", qualifier.column);
            }
        }
        Ok(ObjectId::new(ObjectName::new(name)?, ObjectKey::new(key)?))
    }

    /// The values with the default name and the defaults of qualifiers in place of nulls.
    fn with_default(&self, values: &[Option<String>]) -> StreamKey {
        let mut values = values.to_vec();
        if self.name.is_some() && values.first() == Some(&None) {
            values[0].clone_from(&self.default_name);
        }
        let first = values.len() - self.qualifiers.len();
        for (value, qualifier) in values[first..].iter_mut().zip(&self.qualifiers) {
            value.get_or_insert_with(|| qualifier.default.clone());
        }
        values
    }

    /// Returns the values of the columns that name an object; `None` if no stream has this object.
    pub fn values(&self, object: &ObjectId) -> Option<StreamKey> {
        let (base, qualifiers) = self.base(object.name());
        let key = object.key().as_str().to_owned();
        let mut values = match (&self.name, &self.split) {
            (Some(_), _) => vec![base, key],
            (None, Some(_)) if base == WHOLE => vec![key],
            (None, Some(separator)) => vec![format!("{base}{separator}{key}")],
            (None, None) if self.default_name.as_ref() == Some(&base) => vec![key],
            (None, None) => return None,
        };
        values.extend(qualifiers);
        Some(values.into_iter().map(Some).collect())
    }

    /// Splits an object's name into what it is without qualifiers, and their values.
    pub(crate) fn base(&self, name: &ObjectName) -> (String, Vec<String>) {
        let mut base = name.as_str();
        let mut values = Vec::new();
        for qualifier in self.qualifiers.iter().rev() {
            let marker = format!("@{}=", qualifier.column);
            let value = match base.rsplit_once(&marker) {
                Some((before, value)) => {
                    base = before;
                    value.to_owned()
                }
                None => qualifier.default.clone(),
            };
            values.insert(0, value);
        }
        (base.to_owned(), values)
    }

    /// Returns whether streams that cannot be split have this base name.
    pub(crate) fn is_whole(&self, base: &str) -> bool {
        self.split.is_some() && base == WHOLE
    }
}

/// Name and key of a stream's name; a stream that cannot be split is the key of [`WHOLE`].
fn split(stream: &str, separator: &str) -> (String, String) {
    match stream.split_once(separator) {
        Some((name, key))
            if !name.is_empty() && !key.is_empty() && name != WHOLE && !name.contains('/') =>
        {
            (name.to_owned(), key.to_owned())
        }
        _ => (WHOLE.to_owned(), stream.to_owned()),
    }
}

fn unnameable(values: &[Option<String>], reason: Error) -> Error {
    let shown: Vec<_> = values
        .iter()
        .map(|v| v.as_deref().unwrap_or("null"))
        .collect();
    let message = format!("stream cannot be an object, {reason}: {}", shown.join(", "));
    Error::unsupported(message).with_hint(
        "a name or key has 1 to 512 bytes and no control character, and a name no '/'; another \
         rule in a layout file may fit: esm layout show",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BuiltIn;

    fn rule(name: &str) -> ObjectRule {
        BuiltIn::find(name).unwrap().layout().object
    }

    fn texts(values: &[&str]) -> StreamKey {
        values.iter().map(|v| Some((*v).to_owned())).collect()
    }

    #[test]
    fn a_stream_and_its_object_name_each_other() {
        for (layout, values, object) in [
            ("cqrs-es", vec!["order", "1/2"], "order/1/2"),
            ("message-db", vec!["account-12-3"], "account/12-3"),
            ("message-db", vec!["account"], "(stream)/account"),
            ("message-db", vec!["account-"], "(stream)/account-"),
            ("message-db", vec!["a/b-c"], "(stream)/a/b-c"),
            ("message-db", vec!["(stream)-x"], "(stream)/(stream)-x"),
            ("marten", vec!["order", "7", "*DEFAULT*"], "order/7"),
            (
                "marten",
                vec!["order", "7", "acme"],
                "order@tenant_id=acme/7",
            ),
            ("emmett", vec!["cart-7", "emt:default", "false"], "cart/7"),
            (
                "emmett",
                vec!["cart-7", "a", "true"],
                "cart@partition=a@is_archived=true/7",
            ),
            (
                "emmett",
                vec!["cart-7", "emt:default", "true"],
                "cart@is_archived=true/7",
            ),
        ] {
            let (rule, values) = (rule(layout), texts(&values));
            let named = rule.object(&values).unwrap();
            assert_eq!(named.to_string(), object);
            assert_eq!(rule.values(&named), Some(values), "{object}");
        }
    }

    #[test]
    fn a_null_name_is_the_default_name() {
        let values = [None, Some("7".to_owned()), None];
        let object = rule("marten").object(&values).unwrap();
        assert_eq!(object.to_string(), "stream/7");
    }

    #[test]
    fn two_streams_never_have_one_object() {
        let odd = texts(&["order@tenant_id=acme", "7", "*DEFAULT*"]);
        let error = rule("marten").object(&odd).unwrap_err();
        assert!(error.to_string().contains("same object"), "{error}");
        for values in [
            texts(&["", "7", "*DEFAULT*"]),
            texts(&["a/b", "7", "*DEFAULT*"]),
        ] {
            assert!(rule("marten").object(&values).is_err(), "{values:?}");
        }
        let fixed = ObjectRule {
            name: None,
            default_name: Some("order".to_owned()),
            key: "id".to_owned(),
            split: None,
            qualifiers: Vec::new(),
        };
        assert_eq!(fixed.values(&"invoice/7".parse().unwrap()), None);
        assert!(fixed.values(&"order/7".parse().unwrap()).is_some());
    }
}
