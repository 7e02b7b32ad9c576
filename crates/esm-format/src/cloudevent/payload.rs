//! Which form a payload takes in a line.

use esm_core::event::Event;
use serde::de::IgnoredAny;

/// How a payload is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// There is none.
    Absent,
    /// JSON that is in the line as it is.
    Json(&'a str),
    /// Text, as a JSON string.
    Text(&'a str),
    /// Anything else.
    Base64,
}

impl<'a> Form<'a> {
    /// The form in which reading the line gives back the very same bytes.
    pub(super) fn of(event: &'a Event) -> Self {
        let payload = &event.payload[..];
        if payload.is_empty() {
            return Self::Absent;
        }
        let json = event.is_json();
        if !json && !event.is_text() {
            return Self::Base64;
        }
        match str::from_utf8(payload) {
            Ok(text) if !json => Self::Text(text),
            Ok(text) if stands_in_a_line(text) => Self::Json(text),
            _ => Self::Base64,
        }
    }
}

/// Whether the text is JSON that a parser of the line delimits to exactly these bytes.
fn stands_in_a_line(text: &str) -> bool {
    let bytes = text.as_bytes();
    let blank = |b: Option<&u8>| b.is_none_or(u8::is_ascii_whitespace);
    !blank(bytes.first())
        && !blank(bytes.last())
        && memchr::memchr2(b'\n', b'\r', bytes).is_none()
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use esm_core::Result;
    use esm_core::id::{EventId, EventType};

    use super::*;

    fn form(content_type: Option<&str>, payload: &'static [u8]) -> Result<&'static str> {
        let id = EventId::new("1")?;
        let mut event = Event::new(id, EventType::new("T")?, Bytes::from_static(payload));
        event.content_type = content_type.map(str::to_owned);
        Ok(match Form::of(&event) {
            Form::Absent => "absent",
            Form::Json(_) => "json",
            Form::Text(_) => "text",
            Form::Base64 => "base64",
        })
    }

    #[test]
    fn a_payload_takes_the_most_readable_form_that_is_exact() -> Result<()> {
        let json = Some("application/json");
        for (content_type, payload, expected) in [
            (None, &b""[..], "absent"),
            (None, b"{ \"a\" : 1.50 }", "json"),
            (json, b"null", "json"),
            (json, b"{\"a\":1} ", "base64"),
            (json, b"\t1", "base64"),
            (json, b"[1,\n2]", "base64"),
            (json, b"[1,\r2]", "base64"),
            (json, b"{\"a\":}", "base64"),
            (json, b"\xef\xbb\xbf{}", "base64"),
            (json, b"\"\xff\"", "base64"),
            (Some("text/plain"), b"a\r\nb", "text"),
            (Some("text/plain"), b"\xff", "base64"),
            (Some("application/soap+xml; charset=utf-8"), b"<a/>", "text"),
            (Some("application/octet-stream"), b"abc", "base64"),
            (Some(""), b"abc", "base64"),
        ] {
            assert_eq!(
                form(content_type, payload)?,
                expected,
                "{content_type:?} {payload:?}"
            );
        }
        Ok(())
    }
}
