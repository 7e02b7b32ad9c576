//! A transformer that masks fields.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::{Edit, FieldPath};
use super::{DateUnit, MaskingKey};
use crate::error::{Error, Result};
use crate::event::{Event, Schema};
use crate::id::{EventType, Fingerprint};
use crate::transform::masking::masks::{MaskKind, Masks};
use crate::transform::{EventTransformer, TransformContext, TransformError, Transformed};

/// Masks fields of JSON payloads.
///
/// A field is named by the way to it, each name after a `/`; `*` means every element of an
/// array: `/customer/email`, `/passengers/*/name`. The fields are masked in the order in which they
/// were named.
///
/// # Guarantees
/// 1. All other fields keep their order and every digit. An event in which nothing was masked is
///    [`Unchanged`](Transformed::Unchanged), to the byte. Id, type, schema version, time and
///    metadata stay.
/// 2. A field that is absent, or `null` where a text is needed, stays so. One of another kind fails
///    the event, and with it the migration: a field that is not masked is never passed over.
/// 3. Where an object has a name twice, both fields are masked.
/// 4. The [`fingerprint`](EventTransformer::fingerprint) covers the types, the fields, what is done
///    to them, and the id of the key: never the key.
///
/// # Errors
/// A [`TransformError`] has the rule that was given, and names the field: never its value.
///
/// # Example
/// ```
/// use esm_core::event::{Event, Revision};
/// use esm_core::id::{EventId, EventType, ObjectId};
/// use esm_core::transform::{DateUnit, EventTransformer as _, Masking, MaskingKey};
/// use esm_core::transform::{TransformContext, Transformed};
///
/// let key = MaskingKey::new(b"read this from a file that is kept apart")?;
/// let masking = Masking::new("erase-customers")?
///     .only_types([EventType::new("Registered")?])
///     .remove("/phone")?
///     .replace("/name", "(erased)")?
///     .pseudonym("/email", &key)?
///     .floor_date("/born", DateUnit::Year)?
///     .truncate("/zip", 2)?;
///
/// let object: ObjectId = "customer/7".parse()?;
/// let event = Event::new(
///     EventId::new("1")?,
///     EventType::new("Registered")?,
///     r#"{"name":"Ada","phone":"555","email":"ada@example.com","born":"1990-12-10","zip":"10115"}"#,
/// );
/// let context = TransformContext::new(&object, Revision::START);
/// let Transformed::Events(events) = masking.transform(&event, &context)? else {
///     panic!("it was masked");
/// };
/// let pseudonym = key.pseudonym(b"ada@example.com");
/// assert_eq!(
///     events[0].payload,
///     format!(r#"{{"name":"(erased)","email":"{pseudonym}","born":"1990-01-01","zip":"10"}}"#)
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Masking {
    rule: String,
    types: Option<BTreeSet<EventType>>,
    steps: Vec<(FieldPath, Mask)>,
}

/// What is done to a field.
#[derive(Debug, Clone)]
enum Mask {
    Remove,
    Replace(Value),
    Pseudonym(MaskingKey),
    Floor(DateUnit),
    Truncate(usize),
}

impl Masking {
    /// Masks nothing yet. `rule` names it in errors and reports.
    ///
    /// # Errors
    /// `Invalid` for an empty rule.
    pub fn new(rule: impl Into<String>) -> Result<Self> {
        let rule = rule.into();
        if rule.is_empty() {
            return Err(Error::invalid("the rule of a masking is empty"));
        }
        Ok(Self {
            rule,
            types: None,
            steps: Vec::new(),
        })
    }

    /// Leaves events of all other types as they are.
    #[must_use]
    pub fn only_types(mut self, types: impl IntoIterator<Item = EventType>) -> Self {
        self.types = Some(types.into_iter().collect());
        self
    }

    /// Removes a field.
    ///
    /// # Errors
    /// `Invalid` for a path that is none, as all methods that name a field.
    pub fn remove(self, field: &str) -> Result<Self> {
        self.with(field, Mask::Remove)
    }

    /// Gives a field this value, whatever it had.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn replace(self, field: &str, value: impl Into<Value>) -> Result<Self> {
        self.with(field, Mask::Replace(value.into()))
    }

    /// Gives a text its [pseudonym](MaskingKey::pseudonym).
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn pseudonym(self, field: &str, key: &MaskingKey) -> Result<Self> {
        self.with(field, Mask::Pseudonym(key.clone()))
    }

    /// Gives a date or a time the [first one of its year, month, day or hour](DateUnit::floor).
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn floor_date(self, field: &str, unit: DateUnit) -> Result<Self> {
        self.with(field, Mask::Floor(unit))
    }

    /// Keeps so many characters from the beginning of a text.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn truncate(self, field: &str, characters: usize) -> Result<Self> {
        self.with(field, Mask::Truncate(characters))
    }

    fn with(mut self, field: &str, mask: Mask) -> Result<Self> {
        self.steps.push((FieldPath::new(field)?, mask));
        Ok(self)
    }

    /// The payload with all fields masked; `None` if none was there.
    fn masked(&self, event: &Event) -> Result<Option<String>, String> {
        let mut masked: Option<String> = None;
        for (path, mask) in &self.steps {
            let json = masked.as_ref().map_or(&event.payload[..], String::as_bytes);
            if let Some(text) = path.edit(json, &|value| mask.apply(value))? {
                masked = Some(text);
            }
        }
        Ok(masked)
    }
}

impl Mask {
    fn apply(&self, value: &RawValue) -> Result<Edit, String> {
        let masked = match self {
            Self::Remove => return Ok(Edit::Removed),
            Self::Replace(with) => with.clone(),
            Self::Pseudonym(key) => match text(value)? {
                Some(text) => key.pseudonym(text.as_bytes()).into(),
                None => return Ok(Edit::Same),
            },
            Self::Floor(unit) => match text(value)? {
                Some(text) => unit.floor(&text).ok_or("is no date")?.into(),
                None => return Ok(Edit::Same),
            },
            Self::Truncate(characters) => match text(value)? {
                Some(text) => text.chars().take(*characters).collect::<String>().into(),
                None => return Ok(Edit::Same),
            },
        };
        Ok(if equal(value, &masked) {
            Edit::Same
        } else {
            Edit::Value(masked.to_string())
        })
    }

    /// What it does, for the fingerprint: its name and its setting.
    fn identity(&self) -> [String; 2] {
        match self {
            Self::Remove => ["remove".to_owned(), String::new()],
            Self::Replace(value) => ["replace".to_owned(), value.to_string()],
            Self::Pseudonym(key) => ["pseudonym".to_owned(), key.id().to_owned()],
            Self::Floor(unit) => ["floor".to_owned(), unit.to_string()],
            Self::Truncate(characters) => ["truncate".to_owned(), characters.to_string()],
        }
    }
}

/// The text that a value is; `None` for `null`.
fn text(value: &RawValue) -> Result<Option<String>, String> {
    let kind = match value.get().as_bytes().first() {
        Some(b'"') => {
            let text = serde_json::from_str(value.get());
            return text.map(Some).map_err(|e| format!("is no text: {e}"));
        }
        Some(b'n') => return Ok(None),
        Some(b't' | b'f') => "a boolean",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        _ => "a number",
    };
    Err(format!("is {kind}, not a text"))
}

fn equal(value: &RawValue, masked: &Value) -> bool {
    match masked {
        // a number may have other digits and be another to a reader with more of them
        Value::Number(number) => value.get() == number.to_string(),
        masked => serde_json::from_str::<Value>(value.get()).is_ok_and(|value| value == *masked),
    }
}

impl EventTransformer for Masking {
    /// `mask:v1:{BLAKE3 of what it masks}`.
    fn fingerprint(&self) -> Fingerprint {
        let mut hash = blake3::Hasher::new_derive_key("esm masking v1");
        let mut part = |text: &str| {
            hash.update(&(text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        part(&self.rule);
        match &self.types {
            None => part("all types"),
            Some(types) => {
                part(&types.len().to_string());
                types.iter().for_each(|name| part(name.as_str()));
            }
        }
        for (path, mask) in &self.steps {
            part(&path.to_string());
            mask.identity().iter().for_each(|text| part(text));
        }
        Fingerprint::new(format!("mask:v1:{}", hash.finalize().to_hex()))
            .unwrap_or_else(|_| unreachable!("short and without controls"))
    }

    fn handles(&self, schema: &Schema) -> bool {
        self.types
            .as_ref()
            .is_none_or(|types| types.contains(&schema.event_type))
    }

    fn masks(&self) -> Masks {
        let mut masks = Masks {
            personal: !self.steps.is_empty(),
            ..Masks::default()
        };
        for (_, mask) in &self.steps {
            let kind = match mask {
                Mask::Replace(value) => {
                    masks.add_replacement(value.clone());
                    continue;
                }
                Mask::Remove => MaskKind::Removed,
                Mask::Pseudonym(_) => MaskKind::Pseudonym,
                Mask::Floor(_) => MaskKind::Date,
                Mask::Truncate(_) => MaskKind::Truncated,
            };
            masks.kinds.insert(kind);
        }
        masks
    }

    fn transform(
        &self,
        event: &Event,
        _context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let failed = |what: String| TransformError::new(&self.rule, what);
        if !event.is_json() {
            return Err(failed("the payload is not JSON".to_owned()));
        }
        Ok(match self.masked(event).map_err(failed)? {
            None => Transformed::Unchanged,
            Some(payload) => Transformed::Events(vec![Event {
                payload: payload.into(),
                ..event.clone()
            }]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Revision;
    use crate::id::EventId;

    fn key() -> MaskingKey {
        MaskingKey::new(b"a secret of the tests").expect("it is long enough")
    }

    fn masking() -> Masking {
        Masking::new("gdpr").expect("a rule")
    }

    fn transform(masking: &Masking, payload: &str) -> Result<Transformed, TransformError> {
        let object = "customer/7".parse().expect("an object");
        let [id, event_type] = ["1", "Registered"];
        let event = Event::new(
            EventId::new(id).expect("an id"),
            EventType::new(event_type).expect("a type"),
            payload.to_owned(),
        );
        masking.transform(&event, &TransformContext::new(&object, Revision::START))
    }

    fn payload(masking: &Masking, payload: &str) -> String {
        match transform(masking, payload) {
            Ok(Transformed::Events(events)) => {
                String::from_utf8(events[0].payload.to_vec()).expect("JSON is UTF-8")
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fields_are_masked_in_their_order() {
        let masking = masking()
            .truncate("/a", 2)
            .unwrap()
            .pseudonym("/a", &key())
            .unwrap();
        let expected = format!("{{\"a\":\"{}\"}}", key().pseudonym("éü".as_bytes()));
        assert_eq!(payload(&masking, r#"{"a":"éüß"}"#), expected);
    }

    #[test]
    fn what_is_absent_null_or_masked_already_is_unchanged() {
        let masking = masking()
            .pseudonym("/a", &key())
            .unwrap()
            .floor_date("/b", DateUnit::Year)
            .unwrap()
            .replace("/c", 1)
            .unwrap();
        for json in [
            "{ }",
            r#"{"a":null, "b":null,"c":1}"#,
            r#"{"b":"2020-01-01"}"#,
            "[]",
        ] {
            assert_eq!(
                transform(&masking, json),
                Ok(Transformed::Unchanged),
                "{json}"
            );
        }
        assert_eq!(payload(&masking, r#"{"c":1.0}"#), r#"{"c":1}"#);
    }

    #[test]
    fn a_field_of_another_kind_fails_without_its_value() {
        let masking = masking().floor_date("/born", DateUnit::Year).unwrap();
        for (json, what) in [
            (
                r#"{"born":19901210}"#,
                "field /born is a number, not a text",
            ),
            (
                r#"{"born":{"secret":1}}"#,
                "field /born is an object, not a text",
            ),
            (r#"{"born":"10.12.1990"}"#, "field /born is no date"),
        ] {
            let error = transform(&masking, json).unwrap_err();
            assert_eq!((&*error.rule, &*error.message), ("gdpr", what));
        }
    }

    #[test]
    fn each_setting_makes_another_fingerprint() {
        let other = MaskingKey::new(b"another secret of the tests").expect("it is long enough");
        let name = |name| EventType::new(name).expect("a type");
        let all = [
            masking(),
            masking().only_types([]),
            masking().only_types([name("A")]),
            masking().remove("/a").unwrap(),
            masking().remove("/b").unwrap(),
            masking().replace("/a", 1).unwrap(),
            masking().replace("/a", "1").unwrap(),
            masking().pseudonym("/a", &key()).unwrap(),
            masking().pseudonym("/a", &other).unwrap(),
            masking().truncate("/a", 1).unwrap(),
            masking().floor_date("/a", DateUnit::Day).unwrap(),
            Masking::new("other").expect("a rule"),
        ];
        let prints: BTreeSet<_> = all.iter().map(EventTransformer::fingerprint).collect();
        assert_eq!(prints.len(), all.len());
    }
}
