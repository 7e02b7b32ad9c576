//! The comparison of two events, field by field.

use crate::event::{Event, MetadataValue};

/// Describes the first field in which an event differs from the expected one; `None` if they are
/// equal.
///
/// Of payloads it names the first differing byte and the lengths, never the content: the text ends up
/// in journals and logs.
pub fn difference(expected: &Event, found: &Event) -> Option<String> {
    if expected == found {
        return None;
    }
    let field = |name: &str, a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| {
        Some(format!("{name} differs: expected {a:?}, found {b:?}"))
    };
    if expected.id != found.id {
        return field("id", &expected.id.as_str(), &found.id.as_str());
    }
    if expected.event_type != found.event_type {
        return field(
            "type",
            &expected.event_type.as_str(),
            &found.event_type.as_str(),
        );
    }
    if expected.schema_version != found.schema_version {
        return field(
            "schema version",
            &expected.schema_version.0,
            &found.schema_version.0,
        );
    }
    if expected.time != found.time {
        return field("time", &expected.time, &found.time);
    }
    if expected.content_type != found.content_type {
        return field("content type", &expected.content_type, &found.content_type);
    }
    if expected.metadata != found.metadata {
        let changed = expected
            .metadata
            .iter()
            .find(|(k, v)| found.metadata.get(k) != Some(*v));
        let key = changed.map(|(k, _)| k.to_owned()).or_else(|| {
            found
                .metadata
                .iter()
                .map(|(k, _)| k.to_owned())
                .find(|k| expected.metadata.get(k).is_none())
        })?;
        let value = |e: &Event| {
            e.metadata
                .get(&key)
                .map(|v: &MetadataValue| format!("{v:?}"))
        };
        return field(
            &format!("metadata {key:?}"),
            &value(expected),
            &value(found),
        );
    }
    let same = expected
        .payload
        .iter()
        .zip(&found.payload)
        .take_while(|(a, b)| a == b)
        .count();
    Some(format!(
        "payload differs from byte {same} on: expected {} bytes, found {}",
        expected.payload.len(),
        found.payload.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::id::{EventId, EventType};

    #[test]
    fn a_mismatch_says_what_differs() -> Result<()> {
        let mut expected = Event::new(EventId::new("1")?, EventType::new("T")?, "{\"a\":1}");
        expected.metadata.insert("k", "v")?;
        let mut found = expected.clone();
        assert_eq!(difference(&expected, &found), None);
        found.payload = "{\"a\":2}".into();
        assert_eq!(
            difference(&expected, &found).as_deref(),
            Some("payload differs from byte 5 on: expected 7 bytes, found 7")
        );
        found = expected.clone();
        found.metadata.insert("extra", "x")?;
        assert!(difference(&expected, &found).is_some_and(|d| d.contains("metadata \"extra\"")));
        found = expected.clone();
        found.time = Some("now".to_owned());
        assert!(difference(&expected, &found).is_some_and(|d| d.starts_with("time differs")));
        Ok(())
    }
}
