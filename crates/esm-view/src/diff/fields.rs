//! The fields of an event, named as in a jq program.

use std::collections::BTreeMap;

use esm_core::transform::SampledEvent;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::units::bytes;

/// Nested objects and arrays that are taken apart. A deeper one is a field.
const DEEPEST: usize = 32;

/// The fields of an event: a path such as `.data.items[0].price`, and its value as JSON, exactly as
/// it is written.
pub type Fields = BTreeMap<String, String>;

/// Returns the fields of an event.
pub fn fields(event: &SampledEvent) -> Fields {
    let mut fields = Fields::new();
    let mut add = |path: &str, value: String| fields.insert(path.to_owned(), value);
    add(".id", json(&event.id.as_str()));
    add(".type", json(&event.schema.event_type.as_str()));
    add(".schemaversion", event.schema.version.to_string());
    if let Some(time) = &event.time {
        add(".time", json(time));
    }
    if let Some(content_type) = &event.content_type {
        add(".datacontenttype", json(content_type));
    }
    for (key, value) in event.metadata.iter() {
        add(&format!(".{}", name(key)), json(value));
    }
    add_payload(&mut fields, event);
    fields
}

fn add_payload(fields: &mut Fields, event: &SampledEvent) {
    let path = ".data".to_owned();
    let Some(payload) = &event.payload else {
        let size = bytes(event.payload_bytes);
        fields.insert(path, format!("({size} that are not text)"));
        return;
    };
    if event.payload_bytes == 0 {
        return;
    }
    match serde_json::from_str::<&RawValue>(payload) {
        Ok(value) if !event.cut => take_apart(path, value, 0, fields),
        _ => {
            fields.insert(path, json(payload));
        }
    }
}

fn take_apart(path: String, value: &RawValue, depth: usize, fields: &mut Fields) {
    let text = value.get();
    let parts = match text.as_bytes().first() {
        Some(b'{') if depth < DEEPEST => members(text),
        Some(b'[') if depth < DEEPEST => elements(text),
        _ => Vec::new(),
    };
    if parts.is_empty() {
        fields.insert(path, text.to_owned());
        return;
    }
    for (step, part) in parts {
        take_apart(format!("{path}{step}"), part, depth + 1, fields);
    }
}

fn members(text: &str) -> Vec<(String, &RawValue)> {
    // anything else than an object was ruled out by the caller
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let step = |key: String| match name(&key) {
        quoted if quoted.starts_with('"') => format!("[{quoted}]"),
        name => format!(".{name}"),
    };
    let members = members.into_iter();
    members.map(|(key, value)| (step(key), value)).collect()
}

fn elements(text: &str) -> Vec<(String, &RawValue)> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    let elements = elements.into_iter().enumerate();
    elements
        .map(|(at, value)| (format!("[{at}]"), value))
        .collect()
}

/// A key as jq takes it behind a dot: as it is, or quoted.
fn name(key: &str) -> String {
    let is_plain = |(at, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || at > 0 && c.is_ascii_digit()
    };
    if !key.is_empty() && key.chars().enumerate().all(is_plain) {
        key.to_owned()
    } else {
        json(&key)
    }
}

fn json(value: &impl Serialize) -> String {
    // text, numbers and booleans always have a form in JSON
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use esm_core::event::Event;
    use esm_core::id::{EventId, EventType};

    fn of(payload: &str) -> Vec<(String, String)> {
        let event_type = EventType::new("T").expect("a type");
        let event = Event::new(
            EventId::new("7").expect("an id"),
            event_type,
            payload.to_owned(),
        );
        let all = fields(&SampledEvent::new(&event)).into_iter();
        all.filter(|(path, _)| path.starts_with(".data") && path != ".datacontenttype")
            .collect()
    }

    #[test]
    fn a_field_is_named_as_in_jq_and_keeps_its_text() {
        for (payload, expected) in [
            (
                r#"{"a": 1.10, "b": {"c d": [true, {"e": "x"}]}}"#,
                vec![
                    (".data.a", "1.10"),
                    (r#".data.b["c d"][0]"#, "true"),
                    (r#".data.b["c d"][1].e"#, "\"x\""),
                ],
            ),
            (
                r#"{"": {}, "f": []}"#,
                vec![(".data.f", "[]"), (r#".data[""]"#, "{}")],
            ),
            (
                "12345678901234567890123",
                vec![(".data", "12345678901234567890123")],
            ),
            ("not json", vec![(".data", "\"not json\"")]),
            ("", vec![]),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(path, value)| (path.to_owned(), value.to_owned()))
                .collect();
            assert_eq!(of(payload), expected, "{payload}");
        }
    }

    #[test]
    fn what_is_nested_deeply_ends() {
        let payload = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let fields = of(&payload);
        assert_eq!(fields.len(), 1);
        assert_eq!(fields[0].0.matches('[').count(), DEEPEST);
    }
}
