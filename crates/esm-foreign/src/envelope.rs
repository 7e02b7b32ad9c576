//! An event as most stores keep it: a type, bytes, and a JSON object of metadata.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::native::Entry;
use esm_core::event::{Event, Metadata, MetadataValue, SchemaVersion};
use esm_core::id::{EventId, EventType};
use esm_core::{Error, Result};

/// The member of the metadata that belongs to esm.
const ESM: &str = "$esm";

/// The key under which an event's metadata keeps what it cannot hold itself, as JSON text.
const NATIVE: &str = "native-metadata";

/// An entry as type, bytes and a JSON object of metadata, for adapters of stores that keep those.
///
/// Metadata keys are members of the object. The event's other attributes and the mark are in one
/// member, `$esm`. An entry that an application wrote without esm keeps all of its metadata: values
/// that esm's metadata cannot hold (nested values, fractions, keys such as `$correlationId`) are
/// carried in the metadata key `native-metadata`, and are members of the object again in the copy.
/// Duplicate keys, the order of keys and white space are not kept.
///
/// ```
/// use esm_core::event::Event;
/// use esm_foreign::{Entry, Envelope};
/// use esm_core::id::{EventId, EventType};
///
/// // written by an application that does not know esm
/// let envelope = Envelope {
///     event_type: "OrderPlaced".to_owned(),
///     data: "{}".into(),
///     metadata: r#"{"user":"7","$correlationId":"c-1"}"#.to_owned(),
/// };
/// let entry = envelope.open(EventId::new("e1")?)?;
/// assert_eq!(entry.mark, None);
/// assert_eq!(entry.event.metadata.get("user"), Some(&"7".into()));
/// // the same entry in a copy of the stream
/// let copied = Envelope::seal(&Entry { mark: Some("{}".to_owned()), ..entry })?;
/// assert!(copied.metadata.contains(r#""$correlationId":"c-1""#));
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The event's type.
    pub event_type: String,
    /// The payload's bytes.
    pub data: Bytes,
    /// A JSON object; an empty text means no metadata.
    pub metadata: String,
}

/// The attributes of an event that are neither type nor bytes nor metadata.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    id: String,
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
}

type Members = BTreeMap<String, Box<RawValue>>;

fn raw(value: &impl Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value)
        .map_err(|e| Error::invalid("metadata cannot be written as JSON").with_source(e))
}

impl Envelope {
    /// Puts an entry into an envelope.
    ///
    /// # Errors
    /// `Invalid` for a `native-metadata` that is not a JSON object.
    pub fn seal(entry: &Entry) -> Result<Self> {
        let Entry { event, mark } = entry;
        let mut members = Members::new();
        for (key, value) in event.metadata.iter() {
            match (key, value) {
                (NATIVE, MetadataValue::Text(json)) => members.extend(native(json)?),
                _ => drop(members.insert(key.to_owned(), raw(value)?)),
            }
        }
        let sealed = Sealed {
            id: event.id.as_str().to_owned(),
            schema_version: event.schema_version.0,
            content_type: event.content_type.clone(),
            time: event.time.clone(),
            mark: mark.clone(),
        };
        members.insert(ESM.to_owned(), raw(&sealed)?);
        Ok(Self {
            event_type: event.event_type.as_str().to_owned(),
            data: event.payload.clone(),
            metadata: raw(&members)?.get().to_owned(),
        })
    }

    /// Takes an entry out of its envelope. `id` is the native store's id, which is used for an event
    /// that an application wrote without esm. Such an entry has no mark, schema version 1, the
    /// content type of JSON and no time; the adapter may set them afterwards.
    ///
    /// # Errors
    /// `Corrupt` for metadata that is not a JSON object; `Invalid` for an invalid event type.
    pub fn open(self, id: EventId) -> Result<Entry> {
        let event_type = EventType::new(&self.event_type)?;
        let mut members = match self.metadata.trim() {
            "" => Members::new(),
            json => serde_json::from_str(json).map_err(|e| {
                Error::corrupt("an entry's metadata is not a JSON object").with_source(e)
            })?,
        };
        let sealed = members.remove(ESM).map(|raw| {
            serde_json::from_str::<Sealed>(raw.get())
                .map_err(|e| Error::corrupt("an entry's envelope cannot be read").with_source(e))
        });
        let mut event = Event::new(id, event_type, self.data);
        event.metadata = metadata(members)?;
        let Some(sealed) = sealed.transpose()? else {
            return Ok(event.into());
        };
        event.id = EventId::new(&sealed.id)?;
        event.schema_version = SchemaVersion(sealed.schema_version);
        event.content_type = sealed.content_type;
        event.time = sealed.time;
        Ok(Entry {
            event,
            mark: sealed.mark,
        })
    }
}

fn native(json: &str) -> Result<Members> {
    serde_json::from_str(json).map_err(|e| {
        Error::invalid(format!("metadata {NATIVE:?} is not a JSON object")).with_source(e)
    })
}

/// Metadata as far as an event can hold it; the rest unchanged under one key.
fn metadata(members: Members) -> Result<Metadata> {
    let (mut metadata, mut rest) = (Metadata::new(), Members::new());
    for (key, value) in members {
        let fits = key != NATIVE && held(&value).is_some_and(|v| metadata.insert(&key, v).is_ok());
        if !fits {
            rest.insert(key, value);
        }
    }
    if !rest.is_empty() {
        metadata.insert(NATIVE, raw(&rest)?.get())?;
    }
    Ok(metadata)
}

/// The value, if metadata can hold it and return it unchanged.
fn held(value: &RawValue) -> Option<MetadataValue> {
    let held: MetadataValue = serde_json::from_str(value.get()).ok()?;
    match &held {
        MetadataValue::Integer(n) if n.to_string() != value.get() => None,
        _ => Some(held),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn natively(metadata: &str) -> Envelope {
        Envelope {
            event_type: "Placed".to_owned(),
            data: Bytes::from_static(b"{}"),
            metadata: metadata.to_owned(),
        }
    }

    fn opened(metadata: &str) -> Entry {
        natively(metadata)
            .open(EventId::new("native").unwrap())
            .unwrap()
    }

    #[test]
    fn what_an_application_wrote_stands_in_a_copy_as_it_was() {
        let written = concat!(
            r#"{"$correlationId":"c","a.b":true,"big":9007199254740993,"f":1.50,"i":-7,"#,
            r#""id":"reserved","n":null,"native-metadata":"{}","nested":{"x":[1,{}]},"t":"ü"}"#
        );
        let entry = opened(written);
        assert_eq!(entry.mark, None);
        assert_eq!(entry.event.id.as_str(), "native");
        assert_eq!(entry.event.metadata.get("t"), Some(&"ü".into()));
        assert_eq!(
            entry.event.metadata.get("i"),
            Some(&MetadataValue::Integer(-7))
        );
        let mark = Some("{\"esm\":1}".to_owned());
        let copy = Envelope::seal(&Entry {
            mark,
            ..entry.clone()
        })
        .unwrap();
        let mut members: Members = serde_json::from_str(&copy.metadata).unwrap();
        assert!(members.remove(ESM).is_some());
        assert_eq!(raw(&members).unwrap().get(), written, "to the value");
        let again = copy.open(EventId::new("another").unwrap()).unwrap();
        assert_eq!(again.event, entry.event);
    }

    #[test]
    fn metadata_that_is_none_is_named() {
        assert_eq!(opened("").event.metadata, Metadata::new());
        assert_eq!(opened(" {} ").event.metadata, Metadata::new());
        for broken in ["[]", "nonsense", "{\"$esm\":1}"] {
            let refused = natively(broken).open(EventId::new("e").unwrap());
            assert_eq!(
                *refused.unwrap_err().kind(),
                esm_core::ErrorKind::Corrupt,
                "{broken}"
            );
        }
        let mut event = opened("{}").event;
        event.metadata.insert(NATIVE, "no object").unwrap();
        let refused = Envelope::seal(&event.into()).unwrap_err();
        assert_eq!(*refused.kind(), esm_core::ErrorKind::Invalid);
    }
}
