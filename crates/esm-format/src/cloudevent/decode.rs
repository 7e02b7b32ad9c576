//! Lines to events.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use esm_core::event::{Event, Metadata, MetadataValue, Revision, SchemaVersion};
use esm_core::id::{EventId, EventType, ObjectId};
use esm_core::{Error, Result};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::attribute::{Key, Value, ValueOf};

/// What a line says: the event, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The event, without `source` and `subject` in its metadata.
    pub event: Event,
    /// The attribute `source`.
    pub source: Option<String>,
    /// The attribute `subject`.
    pub subject: Option<String>,
    /// The attribute `sequence`.
    pub sequence: Option<Revision>,
}

impl Decoded {
    /// The event as one of this object: a `source` or `subject` that the object does not imply is
    /// kept in its metadata.
    pub fn into_event_of(self, object: &ObjectId) -> Event {
        let mut event = self.event;
        let implied = [object.name().as_str(), object.key().as_str()];
        let given = [("source", self.source), ("subject", self.subject)];
        for ((name, value), implied) in given.into_iter().zip(implied) {
            if let Some(value) = value.filter(|v| v != implied) {
                keep(&mut event.metadata, name, MetadataValue::Text(value));
            }
        }
        event
    }
}

/// Which `source` and `subject` of a line are the event's own, to be kept in its metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// None; they are given beside the event.
    None,
    /// Those that stand after `type`, where [`encode`](super::encode) writes own ones.
    AfterType,
    /// All: the line was written without implied ones.
    All,
}

/// Reads one event from one line.
///
/// Attributes that are `null` count as absent. `schemaversion` is a whole number or a decimal
/// string, 1 where it is absent; `sequence` too. Every attribute that is not the event's own
/// becomes metadata.
///
/// # Errors
/// `Invalid`, naming the attribute, and the column (1-based, in bytes) where there is one: no JSON
/// object, not UTF-8, a `specversion` other than 1.0, no `id` or `type`, an attribute twice, of a
/// kind that CloudEvents does not have, or of a form that esm does not take.
pub fn decode(line: &[u8]) -> Result<Decoded> {
    decode_own(line, Own::None)
}

/// As [`decode`], with the event's own `source` and `subject` in its metadata.
pub(crate) fn decode_own(line: &[u8], own: Own) -> Result<Decoded> {
    let line = str::from_utf8(line).map_err(|e| {
        Error::invalid(format!(
            "event is not UTF-8, at column {}",
            e.valid_up_to() + 1
        ))
    })?;
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let attributes = deserializer
        .deserialize_map(LineVisitor(own))
        .and_then(|attributes| deserializer.end().map(|()| attributes))
        .map_err(invalid_line)?;
    attributes.into_decoded()
}

fn invalid_line(error: serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    if line == 0 {
        return Error::invalid(text);
    }
    let place = format!(" at line {line} column {column}");
    let text = text.strip_suffix(&place).unwrap_or(&text);
    Error::invalid(match line {
        1 => format!("{text}, at column {column}"),
        _ => format!("{text}, at column {column} of line {line} of the event"),
    })
}

/// The attributes that an event or its place has by name; everything else is metadata.
const KNOWN: [&str; 11] = [
    "specversion",
    "id",
    "source",
    "subject",
    "type",
    "sequence",
    "schemaversion",
    "time",
    "datacontenttype",
    "data",
    "data_base64",
];

#[derive(Debug, Default)]
struct Attributes<'a> {
    /// The known ones, in the order of [`KNOWN`]; `data` is beside.
    known: [Option<Value<'a>>; KNOWN.len()],
    data: Option<&'a RawValue>,
    metadata: Metadata,
    /// Other attributes that were null, to notice those that come twice.
    nulls: Vec<String>,
}

struct LineVisitor(Own);

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Attributes<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes<'de>, A::Error> {
        let mut attributes = Attributes::default();
        while let Some(Key(key)) = map.next_key()? {
            if key == "data" {
                twice(attributes.data.is_some(), &key)?;
                attributes.data = Some(map.next_value()?);
            } else {
                let value = map.next_value_seed(ValueOf(&key))?;
                attributes.add(key, value, self.0)?;
            }
        }
        Ok(attributes)
    }
}

fn twice<E: de::Error>(seen: bool, key: &str) -> Result<(), E> {
    if seen {
        return Err(E::custom(format_args!("attribute is repeated: {key}")));
    }
    Ok(())
}

impl<'a> Attributes<'a> {
    fn add<E: de::Error>(
        &mut self,
        key: Cow<'a, str>,
        value: Value<'a>,
        own: Own,
    ) -> Result<(), E> {
        if let Some(index) = KNOWN.iter().position(|known| *known == key) {
            let place = matches!(&*key, "source" | "subject");
            let after_type = self.get("type").is_some();
            twice(self.known[index].is_some(), &key)?;
            if !(place && (own == Own::All || own == Own::AfterType && after_type)) {
                self.known[index] = Some(value);
                return Ok(());
            }
        }
        let seen = self.metadata.get(&key).is_some() || self.nulls.iter().any(|null| *null == key);
        twice(seen, &key)?;
        let value = match value {
            Value::Null => {
                self.nulls.push(key.into_owned());
                return Ok(());
            }
            Value::Boolean(b) => MetadataValue::Boolean(b),
            Value::Integer(i) => MetadataValue::Integer(i),
            Value::Text(t) => MetadataValue::Text(t.into_owned()),
        };
        self.metadata.insert(key, value).map_err(E::custom)?;
        Ok(())
    }

    fn index(name: &str) -> usize {
        let index = KNOWN.iter().position(|known| *known == name);
        index.expect("asked for known attributes only")
    }

    fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.known[Self::index(name)].as_ref()
    }

    fn take(&mut self, name: &str) -> Option<Value<'a>> {
        self.known[Self::index(name)]
            .take()
            .filter(|v| *v != Value::Null)
    }

    fn text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Error::invalid(format!("attribute is not text: {name}"))),
        }
    }

    fn required(&mut self, name: &str) -> Result<Cow<'a, str>> {
        self.text(name)?
            .ok_or_else(|| Error::invalid(format!("attribute is missing: {name}")))
    }

    /// A whole number, also as a decimal string.
    fn number(&mut self, name: &str) -> Result<Option<u64>> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Integer(i)) => u64::try_from(i).ok(),
            Some(Value::Text(text)) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| {
            Error::invalid(format!("attribute is not a whole number from 0 on: {name}"))
        })
    }

    fn into_decoded(mut self) -> Result<Decoded> {
        let specversion = self.required("specversion")?;
        if specversion != "1.0" {
            return Err(Error::invalid(format!(
                "attribute specversion is not \"1.0\": {specversion:?}"
            )));
        }
        let id = EventId::new(self.required("id")?)?;
        let event_type = EventType::new(self.required("type")?)?;
        let schema_version = match self.number("schemaversion")? {
            None => SchemaVersion::default(),
            Some(version) => SchemaVersion(u32::try_from(version).map_err(|_| {
                Error::invalid(format!(
                    "attribute schemaversion is beyond 32 bits: {version}"
                ))
            })?),
        };
        let source = self.text("source")?.map(Cow::into_owned);
        let subject = self.text("subject")?.map(Cow::into_owned);
        let sequence = self.number("sequence")?.map(Revision);
        let base64 = self.text("data_base64")?;
        let mut event = Event {
            id,
            event_type,
            schema_version,
            content_type: self.text("datacontenttype")?.map(Cow::into_owned),
            time: self.text("time")?.map(Cow::into_owned),
            metadata: self.metadata,
            payload: Bytes::new(),
        };
        event.payload = payload(&event, self.data, base64.as_deref())?;
        Ok(Decoded {
            event,
            source,
            subject,
            sequence,
        })
    }
}

fn payload(event: &Event, data: Option<&RawValue>, base64: Option<&str>) -> Result<Bytes> {
    // a JSON payload may be null; in any other content type, and beside data_base64, null is absent
    let data = data.map(RawValue::get);
    let data = data.filter(|raw| *raw != "null" || (event.is_json() && base64.is_none()));
    match (data, base64) {
        (None, None) => Ok(Bytes::new()),
        (Some(_), Some(_)) => Err(Error::invalid(
            "attributes exclude each other: data, data_base64",
        )),
        (None, Some(base64)) => match STANDARD.decode(base64) {
            Ok(bytes) => Ok(bytes.into()),
            Err(e) => Err(Error::invalid(format!(
                "attribute is not base64: data_base64: {e}"
            ))),
        },
        (Some(raw), None) if event.is_json() => Ok(Bytes::copy_from_slice(raw.as_bytes())),
        (Some(raw), None) => match serde_json::from_str::<String>(raw) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(Error::invalid(format!(
                "attribute data is not text although its content type is not JSON: {}",
                event.content_type.as_deref().unwrap_or_default()
            ))),
        },
    }
}

fn keep(metadata: &mut Metadata, name: &str, value: MetadataValue) {
    metadata
        .insert(name, value)
        .expect("source and subject are valid keys");
}
