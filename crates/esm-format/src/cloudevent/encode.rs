//! Events to lines.

use std::io::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use esm_core::event::{Event, MetadataValue, Revision};
use esm_core::id::ObjectId;

use super::payload::Form;

/// What a line says of an event that the event itself does not: its place.
///
/// An event whose metadata has a `source` or `subject` of its own keeps it: that one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes<'a> {
    /// The name of the object.
    pub source: Option<&'a str>,
    /// The key of the object.
    pub subject: Option<&'a str>,
    /// The event's revision in its stream; written as a decimal string.
    pub sequence: Option<Revision>,
}

impl<'a> Attributes<'a> {
    /// The attributes of the event with this revision in a stream of this object.
    pub fn of(object: &'a ObjectId, revision: Revision) -> Self {
        Self {
            source: Some(object.name().as_str()),
            subject: Some(object.key().as_str()),
            sequence: Some(revision),
        }
    }
}

/// Appends the event as one line, without its end, to `out`.
///
/// # Guarantees
/// 1. The line holds neither CR nor LF.
/// 2. [`decode`](super::decode) gives back an equal event, payload to the byte, with the given
///    attributes; only a `source` or `subject` in its metadata is given back beside it (see
///    [`Decoded::into_event_of`](super::Decoded::into_event_of)).
/// 3. Equal events and attributes give equal lines.
pub fn encode(event: &Event, attributes: &Attributes<'_>, out: &mut Vec<u8>) {
    write(event, attributes, out).expect("memory takes every write");
}

/// Length of the line that [`encode`] writes, in bytes.
pub fn encoded_len(event: &Event, attributes: &Attributes<'_>) -> u64 {
    let mut counted = Counted(0);
    write(event, attributes, &mut counted).expect("a counter takes every write");
    counted.0
}

struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write<W: Write>(event: &Event, attributes: &Attributes<'_>, out: &mut W) -> io::Result<()> {
    out.write_all(br#"{"specversion":"1.0","id":"#)?;
    text(event.id.as_str(), out)?;
    // An own source or subject is written among the metadata, further down. That order alone
    // distinguishes the two where they are equal, which a backup needs in order to be exact.
    for (name, value) in [
        ("source", attributes.source),
        ("subject", attributes.subject),
    ] {
        if let Some(value) = value.filter(|_| event.metadata.get(name).is_none()) {
            key(name, out)?;
            text(value, out)?;
        }
    }
    out.write_all(br#","type":"#)?;
    text(event.event_type.as_str(), out)?;
    if let Some(revision) = attributes.sequence {
        write!(out, r#","sequence":"{revision}""#)?;
    }
    write!(out, r#","schemaversion":{}"#, event.schema_version)?;
    for (name, value) in [
        ("time", &event.time),
        ("datacontenttype", &event.content_type),
    ] {
        if let Some(value) = value {
            key(name, out)?;
            text(value, out)?;
        }
    }
    for (name, value) in event.metadata.iter() {
        key(name, out)?;
        match value {
            MetadataValue::Boolean(b) => write!(out, "{b}")?,
            MetadataValue::Integer(i) => write!(out, "{i}")?,
            MetadataValue::Text(t) => text(t, out)?,
        }
    }
    payload(event, out)?;
    out.write_all(b"}")
}

fn payload<W: Write>(event: &Event, out: &mut W) -> io::Result<()> {
    match Form::of(event) {
        Form::Absent => Ok(()),
        Form::Json(json) => {
            out.write_all(br#","data":"#)?;
            out.write_all(json.as_bytes())
        }
        Form::Text(data) => {
            out.write_all(br#","data":"#)?;
            text(data, out)
        }
        Form::Base64 => {
            let base64 = Base64Display::new(&event.payload, &STANDARD);
            write!(out, r#","data_base64":"{base64}""#)
        }
    }
}

/// A key that needs no escapes; not by `write!`, which costs more than what it writes.
fn key<W: Write>(key: &str, out: &mut W) -> io::Result<()> {
    out.write_all(b",\"")?;
    out.write_all(key.as_bytes())?;
    out.write_all(b"\":")
}

fn text<W: Write>(text: &str, out: &mut W) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}
