//! In what two events differ that should be the same.

use esm_core::event::Event;

/// Names what differs, with both values where they are short; nothing when the events are equal.
///
/// `words` say of which of the two a value is: `found` and `expected`.
pub(crate) fn difference(stored: &Event, incoming: &Event, words: [&str; 2]) -> Option<String> {
    if stored == incoming {
        return None;
    }
    let mut parts = Vec::new();
    let mut compare = |what: &str, stored: String, incoming: String| {
        if stored != incoming {
            parts.push(format!(
                "{what} {} {}, {} {}",
                words[0],
                shortened(&stored),
                words[1],
                shortened(&incoming)
            ));
        }
    };
    compare("id", stored.id.to_string(), incoming.id.to_string());
    compare(
        "type",
        stored.event_type.to_string(),
        incoming.event_type.to_string(),
    );
    compare(
        "schemaversion",
        stored.schema_version.to_string(),
        incoming.schema_version.to_string(),
    );
    compare("time", optional(&stored.time), optional(&incoming.time));
    compare(
        "datacontenttype",
        optional(&stored.content_type),
        optional(&incoming.content_type),
    );
    compare("data", text(&stored.payload), text(&incoming.payload));
    if stored.metadata != incoming.metadata {
        parts.push(format!("attributes: {}", attributes(stored, incoming)));
    }
    Some(parts.join("; "))
}

fn attributes(stored: &Event, incoming: &Event) -> String {
    let mut names: Vec<_> = stored
        .metadata
        .iter()
        .chain(incoming.metadata.iter())
        .map(|(name, _)| name)
        .filter(|name| stored.metadata.get(name) != incoming.metadata.get(name))
        .collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn optional(text: &Option<String>) -> String {
    text.clone().unwrap_or_else(|| "absent".to_owned())
}

fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?}… ({} bytes)", &text[..at], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use esm_core::Result;
    use esm_core::id::{EventId, EventType};

    const WORDS: [&str; 2] = ["stored", "given"];

    #[test]
    fn what_differs_is_named_and_long_values_are_cut() -> Result<()> {
        let stored = Event::new(EventId::new("1")?, EventType::new("T")?, r#"{"a":1}"#);
        assert_eq!(difference(&stored, &stored.clone(), WORDS), None);
        let mut incoming = stored.clone();
        incoming.payload = format!(r#"{{"a":"{}"}}"#, "x".repeat(100)).into();
        incoming.metadata.insert("traceparent", "00")?;
        let text = difference(&stored, &incoming, WORDS).unwrap_or_default();
        assert!(
            text.starts_with("data stored \"{\\\"a\\\":1}\", given "),
            "{text}"
        );
        assert!(text.contains("… (108 bytes)"), "{text}");
        assert!(text.ends_with("attributes: traceparent"), "{text}");
        Ok(())
    }
}
