//! A transformation as a table of events allows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use esm_core::event::{Event, MetadataValue, Schema};
use esm_core::id::Fingerprint;
use esm_core::transform::{EventTransformer, Masks, TransformContext, TransformError, Transformed};
use esm_layout::{is_plain_version, schema_version};
use serde_json::Value;
use serde_json::value::RawValue;

/// The rule by which an event fails that the table cannot hold.
pub(super) const RULE: &str = "in place";

/// Why an event is not dropped, and what to do instead.
fn dropped() -> TransformError {
    let message = "no output, and an event keeps its number in place; make a placeholder of it, such as: \
                   .type = \"Erased\" | .data = {}";
    TransformError::new(RULE, message)
}

/// What a table of events can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// The column with the name of the class, where there is one.
    pub(super) class_column: Option<String>,
    /// The column of the schema version, where there is one.
    pub(super) version_column: Option<String>,
    /// The member of the metadata with the schema version, where there is one.
    pub(super) version_member: Option<String>,
    pub(super) has_metadata: bool,
    /// Whether rows in the middle of a stream may be removed.
    pub(super) can_drop: bool,
    /// The type of the payload's column.
    pub(super) payload: String,
    /// Whether the payload is an enum with the type as its tag.
    pub(super) type_is_tag: bool,
}

/// A transformation, and what a table can hold of it. Its fingerprint is that of the
/// transformation.
#[derive(Debug)]
pub(super) struct InPlaceTransformer {
    pub(super) inner: Arc<dyn EventTransformer>,
    pub(super) shape: Shape,
}

impl EventTransformer for InPlaceTransformer {
    fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint()
    }

    fn handles(&self, schema: &Schema) -> bool {
        self.inner.handles(schema)
    }

    fn retired_schemas(&self) -> BTreeSet<Schema> {
        self.inner.retired_schemas()
    }

    fn masks(&self) -> Masks {
        self.inner.masks()
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        match self.inner.transform(event, context)? {
            Transformed::Events(outputs) if outputs.len() == 1 => {
                let outputs = outputs.into_iter();
                let fitted = outputs.map(|output| self.shape.fit(event, output));
                let fitted: Result<Vec<_>, _> = fitted.collect();
                let failed = |message: String| TransformError::new(RULE, message);
                Ok(Transformed::Events(fitted.map_err(failed)?))
            }
            Transformed::Events(outputs) if outputs.is_empty() && !self.shape.can_drop => {
                Err(dropped())
            }
            Transformed::Dropped { .. } if !self.shape.can_drop => Err(dropped()),
            other => Ok(other),
        }
    }
}

impl Shape {
    /// Makes an output what the table holds of it.
    ///
    /// # Errors
    /// Why the table cannot hold it.
    fn fit(&self, before: &Event, mut meant: Event) -> Result<Event, String> {
        let stays = [
            ("id", before.id == meant.id),
            ("time", before.time == meant.time),
            ("content type", before.content_type == meant.content_type),
        ];
        if let Some((what, _)) = stays.iter().find(|(_, is_same)| !is_same) {
            return Err(format!("the {what} of an event stays as it is in place"));
        }
        self.check_class(before, &meant)?;
        self.settle_version(before, &mut meant)?;
        if self.type_is_tag && before.event_type != meant.event_type {
            settle_tag(before, &mut meant)?;
        }
        if !self.has_metadata && self.differs_in_metadata(before, &meant) {
            return Err("the table has no column of metadata".to_owned());
        }
        if before.payload != meant.payload {
            self.check_payload(&meant.payload)?;
        }
        Ok(meant)
    }

    fn differs_in_metadata(&self, before: &Event, meant: &Event) -> bool {
        let own = |event: &Event| {
            let mut metadata = event.metadata.clone();
            for column in self.version_column.iter().chain(&self.class_column) {
                metadata.remove(column);
            }
            metadata
        };
        own(before) != own(meant)
    }

    /// A type of another name is read by another class: both change together.
    fn check_class(&self, before: &Event, meant: &Event) -> Result<(), String> {
        let Some(column) = &self.class_column else {
            return Ok(());
        };
        let (old, new) = (before.metadata.get(column), meant.metadata.get(column));
        if !matches!(new, None | Some(MetadataValue::Text(_))) {
            return Err(format!("{column} is not a text"));
        }
        if before.event_type == meant.event_type || old.is_none() || old != new {
            return Ok(());
        }
        Err(format!(
            "the type changes and {column} does not: set .{column} to the name of the new class, or \
             delete it, del(.{column}), where the type alone says it"
        ))
    }

    /// The text of a version that a number does not say is an attribute of the event: it follows the
    /// schema version, unless the transformation sets it.
    fn settle_version(&self, before: &Event, meant: &mut Event) -> Result<(), String> {
        if before.schema_version == meant.schema_version {
            return Ok(());
        }
        let Some(place) = self
            .version_column
            .as_ref()
            .or(self.version_member.as_ref())
        else {
            return Err(
                "the table has no place for a schema version, so it stays as it is".to_owned(),
            );
        };
        let (old, new) = (before.metadata.get(place), meant.metadata.get(place));
        let version = meant.schema_version.0;
        if old != new {
            return match new {
                Some(MetadataValue::Text(text)) if schema_version(text) == Some(version) => Ok(()),
                Some(MetadataValue::Integer(n)) if *n == i64::from(version) => Ok(()),
                _ => Err(format!("{place} does not say the schema version {version}")),
            };
        }
        let text = match old {
            Some(MetadataValue::Text(text)) => Some(version_text(text, version)),
            _ => None,
        };
        let failed = |e: esm_core::Error| e.to_string();
        let metadata = &mut meant.metadata;
        if self.version_column.is_some() {
            match text.filter(|text| !is_plain_version(text)) {
                Some(text) => drop(metadata.insert(place, text.as_str()).map_err(failed)?),
                None => drop(metadata.remove(place)),
            }
            return Ok(());
        }
        let value = match text {
            Some(text) => MetadataValue::Text(text),
            None => MetadataValue::Integer(i64::from(version)),
        };
        metadata.insert(place, value).map(drop).map_err(failed)
    }

    fn check_payload(&self, payload: &Bytes) -> Result<(), String> {
        match self.payload.as_str() {
            "bytea" => Ok(()),
            "text" => match std::str::from_utf8(payload) {
                Ok(text) if !text.contains('\0') => Ok(()),
                Ok(_) => Err("text cannot hold the character U+0000".to_owned()),
                Err(_) => Err("the payload is not UTF-8".to_owned()),
            },
            _ if payload.is_empty() => Ok(()),
            "json" => serde_json::from_slice::<Box<RawValue>>(payload)
                .map(drop)
                .map_err(|e| format!("the payload is not JSON: {e}")),
            _ => match serde_json::from_slice::<Value>(payload) {
                Ok(value) if has_nul(&value) => {
                    Err("jsonb cannot hold the character U+0000".to_owned())
                }
                Ok(_) => Ok(()),
                Err(e) => Err(format!("the payload is not JSON: {e}")),
            },
        }
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => {
            let mut members = members.iter();
            members.any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        _ => false,
    }
}

/// The tag of a serde enum follows the type: `{"Placed": …}` or `"Placed"`.
fn settle_tag(before: &Event, meant: &mut Event) -> Result<(), String> {
    let (old, new) = (before.event_type.as_str(), meant.event_type.as_str());
    if Tagged::of(&before.payload).is_none_or(|tagged| tagged.tag != old) {
        return Ok(());
    }
    let renamed = match Tagged::of(&meant.payload) {
        Some(tagged) if tagged.tag == new => None,
        Some(tagged) if tagged.tag == old => Some(tagged.renamed(new)),
        _ => return Err(format!("the tag of the payload is not the type {new}")),
    };
    if let Some(payload) = renamed {
        meant.payload = Bytes::from(payload);
    }
    Ok(())
}

/// A payload that serde wrote of an enum.
struct Tagged {
    tag: String,
    /// The content of the variant; none of one without.
    content: Option<Box<RawValue>>,
}

impl Tagged {
    fn of(payload: &[u8]) -> Option<Self> {
        if let Ok(tag) = serde_json::from_slice::<String>(payload) {
            return Some(Self { tag, content: None });
        }
        let members: std::collections::BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(payload).ok()?;
        let mut members = members.into_iter();
        let (tag, content) = members.next()?;
        members.next().is_none().then_some(Self {
            tag,
            content: Some(content),
        })
    }

    fn renamed(&self, tag: &str) -> String {
        let tag = Value::from(tag);
        match &self.content {
            Some(content) => format!("{{{tag}:{content}}}"),
            None => tag.to_string(),
        }
    }
}

/// The text of another version in the form of this one: `1.0` becomes `2.0`, `v1` becomes `v2`.
pub(super) fn version_text(form: &str, version: u32) -> String {
    let form = form.trim();
    if schema_version(form).is_none() {
        return version.to_string();
    }
    let prefix: String = form.chars().take_while(char::is_ascii_alphabetic).collect();
    let further = form.matches('.').count();
    format!("{prefix}{version}{}", ".0".repeat(further))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_keeps_its_form() {
        for (form, text) in [
            ("1", "3"),
            ("1.0", "3.0"),
            ("2.1.7", "3.0.0"),
            ("v2", "v3"),
            ("", "3"),
        ] {
            assert_eq!(version_text(form, 3), text, "{form}");
        }
    }

    fn event(event_type: &str, payload: &str) -> Event {
        let id = esm_core::id::EventId::new("1").unwrap();
        let event_type = esm_core::id::EventType::new(event_type).unwrap();
        Event::new(id, event_type, payload.to_owned())
    }

    #[test]
    fn the_tag_of_a_serde_enum_follows_the_type() {
        for (before, after, settled) in [
            (
                r#"{"A": {"n":  1}}"#,
                r#"{"A": {"n":  1}}"#,
                Some(r#"{"B":{"n":  1}}"#),
            ),
            (r#"{"A": 1}"#, r#"{"B": 2}"#, Some(r#"{"B": 2}"#)),
            (r#""A""#, r#""A""#, Some(r#""B""#)),
            (r#"{"A": 1}"#, r#"{"C": 1}"#, None),
            // no tag of this type before: the payload is as the program made it
            (r#"{"n": 1}"#, r#"{"n": 1}"#, Some(r#"{"n": 1}"#)),
            (r#"{"A": 1, "n": 1}"#, r#"{"C": 1}"#, Some(r#"{"C": 1}"#)),
        ] {
            let mut meant = event("B", after);
            let done = settle_tag(&event("A", before), &mut meant);
            assert_eq!(done.is_ok(), settled.is_some(), "{before} {after}");
            if let Some(settled) = settled {
                assert_eq!(meant.payload, settled.as_bytes(), "{before} {after}");
            }
        }
    }

    #[test]
    fn what_a_table_cannot_hold_is_refused_with_the_reason() {
        let shape = Shape {
            class_column: Some("class".to_owned()),
            version_column: None,
            version_member: None,
            has_metadata: false,
            can_drop: false,
            payload: "jsonb".to_owned(),
            type_is_tag: false,
        };
        let before = event("A", "{}");
        let with = |change: fn(&mut Event)| {
            let mut meant = event("B", "{}");
            change(&mut meant);
            shape.fit(&before, meant)
        };
        assert!(with(|_| {}).is_ok());
        for (change, said) in [
            (
                (|e| e.schema_version.0 = 2) as fn(&mut Event),
                "no place for a schema version",
            ),
            (
                |e| e.time = Some("2024-01-01".to_owned()),
                "the time of an event stays",
            ),
            (|e| e.payload = r#"{"a":"\u0000"}"#.into(), "U+0000"),
            (|e| e.payload = "{".into(), "not JSON"),
            (
                |e| drop(e.metadata.insert("user", "7").unwrap()),
                "no column of metadata",
            ),
            (
                |e| {
                    drop(
                        e.metadata
                            .insert("class", MetadataValue::Boolean(true))
                            .unwrap(),
                    )
                },
                "class is not a text",
            ),
        ] {
            let reason = with(change).unwrap_err();
            assert!(reason.contains(said), "{reason}");
        }
    }
}
