//! Events, their schemas and metadata, and the places between them.

pub(crate) mod difference;
mod rfc3339;
pub(crate) mod rolling_hash;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id::{EventId, EventType, StreamId};

pub use rfc3339::is_rfc3339;

/// Version of the schema of a payload. Not a position: see [`Revision`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaVersion(pub u32);

impl Default for SchemaVersion {
    /// Version 1, which an event has that does not say another.
    fn default() -> Self {
        Self(1)
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 0-based position of an event in its stream; also a number of events ("the events before it").
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The first event's.
    pub const START: Self = Self(0);

    /// The revision `count` events later.
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place between events: the stream, and how many of its events are before it.
///
/// Given as an expected position it means "the stream has exactly that many events". A bare number
/// is not a position: after a migration the same number means another place
/// ([R8](crate::protocol#r8)).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The stream that the revision counts in.
    pub stream: StreamId,
    /// Number of events before this place.
    pub revision: Revision,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.stream, self.revision)
    }
}

/// A type of event in one version of its schema: the key by which transformers are selected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Schema {
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The version of its payload's schema.
    pub version: SchemaVersion,
}

impl Schema {
    /// This version of this type.
    ///
    /// # Errors
    /// `Invalid` when the type is no valid [`EventType`].
    pub fn new(event_type: impl AsRef<str>, version: u32) -> Result<Self> {
        Ok(Self {
            event_type: EventType::new(event_type)?,
            version: SchemaVersion(version),
        })
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}", self.event_type, self.version)
    }
}

/// A value in an event's metadata; these are the kinds that CloudEvents attributes have in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetadataValue {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
}

impl From<&str> for MetadataValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Attributes of an event beside its payload: CloudEvents attributes such as `source`,
/// `subject`, `traceparent`.
///
/// A key is 1 to 128 ASCII letters, digits, `_`, `-` or `.`, and none of
/// [`RESERVED`](Metadata::RESERVED). Sorted by key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, MetadataValue>",
    into = "BTreeMap<String, MetadataValue>"
)]
pub struct Metadata(BTreeMap<String, MetadataValue>);

impl Metadata {
    /// Attributes that an [`Event`] or its stream has fields for.
    pub const RESERVED: [&str; 9] = [
        "data",
        "data_base64",
        "datacontenttype",
        "id",
        "schemaversion",
        "sequence",
        "specversion",
        "time",
        "type",
    ];

    /// No metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key, and returns what it was before.
    ///
    /// # Errors
    /// `Invalid` for a key that is reserved or not of the form.
    pub fn insert(
        &mut self,
        key: impl Into<String>,
        value: impl Into<MetadataValue>,
    ) -> Result<Option<MetadataValue>> {
        let key = key.into();
        Self::check(&key)?;
        Ok(self.0.insert(key, value.into()))
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) -> Option<MetadataValue> {
        self.0.remove(key)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&MetadataValue> {
        self.0.get(key)
    }

    /// All keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MetadataValue)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn check(key: &str) -> Result<()> {
        let well_formed = (1..=128).contains(&key.len())
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if !well_formed {
            return Err(Error::invalid(format!(
                "metadata key is not 1 to 128 ASCII letters, digits, '_', '-' or '.': {key:?}"
            )));
        }
        if Self::RESERVED.contains(&key) {
            return Err(Error::invalid(format!("metadata key is reserved: {key:?}")));
        }
        Ok(())
    }
}

impl TryFrom<BTreeMap<String, MetadataValue>> for Metadata {
    type Error = Error;
    fn try_from(map: BTreeMap<String, MetadataValue>) -> Result<Self> {
        map.keys().try_for_each(|key| Self::check(key))?;
        Ok(Self(map))
    }
}

impl From<Metadata> for BTreeMap<String, MetadataValue> {
    fn from(metadata: Metadata) -> Self {
        metadata.0
    }
}

/// One fact about an object. Immutable once stored.
///
/// esm never looks into the payload; it keeps it to the byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// Unique in its stream.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// Version of the payload's schema.
    pub schema_version: SchemaVersion,
    /// Media type of the payload; absent means JSON, as in CloudEvents.
    pub content_type: Option<String>,
    /// When it happened, as it was written: no time zone or digit is changed.
    pub time: Option<String>,
    /// Further attributes.
    pub metadata: Metadata,
    /// The payload's bytes; empty when there is none.
    pub payload: Bytes,
}

impl Event {
    /// An event of schema version 1 with a JSON payload and nothing else.
    pub fn new(id: EventId, event_type: EventType, payload: impl Into<Bytes>) -> Self {
        Self {
            id,
            event_type,
            schema_version: SchemaVersion::default(),
            content_type: Some("application/json".to_owned()),
            time: None,
            metadata: Metadata::new(),
            payload: payload.into(),
        }
    }

    /// Its type and schema version.
    pub fn schema(&self) -> Schema {
        Schema {
            event_type: self.event_type.clone(),
            version: self.schema_version,
        }
    }

    /// About how much memory and storage it takes, uncompressed, in bytes.
    pub fn approximate_size(&self) -> u64 {
        let text = |t: &Option<String>| t.as_ref().map_or(0, String::len);
        let metadata: usize = self
            .metadata
            .iter()
            .map(|(k, v)| {
                8 + k.len()
                    + match v {
                        MetadataValue::Text(t) => t.len(),
                        _ => 8,
                    }
            })
            .sum();
        (128 + self.id.as_str().len()
            + self.event_type.as_str().len()
            + text(&self.content_type)
            + text(&self.time)
            + metadata
            + self.payload.len()) as u64
    }

    /// Whether the payload is JSON, going by the content type: absent, `application/json`,
    /// `text/json` or anything `+json`, with or without parameters.
    pub fn is_json(&self) -> bool {
        let Some(content_type) = &self.content_type else {
            return true;
        };
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        // compared in place: this runs for every event that is read or written
        let suffix = essence.len().checked_sub("/json".len());
        suffix
            .and_then(|at| essence.as_bytes().get(at..))
            .is_some_and(|end| {
                matches!(end[0], b'/' | b'+') && end[1..].eq_ignore_ascii_case(b"json")
            })
    }

    /// Whether the payload is text that is not JSON, going by the content type: `text/…`, XML, YAML
    /// and the like, forms, or anything with `charset=utf-8`.
    pub fn is_text(&self) -> bool {
        let Some(content_type) = self.content_type.as_deref().filter(|_| !self.is_json()) else {
            return false;
        };
        let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let essence = essence.trim().to_ascii_lowercase();
        let (kind, format) = essence.split_once('/').unwrap_or((&essence, ""));
        let format = format.rsplit('+').next().unwrap_or_default();
        kind == "text"
            || matches!(
                format,
                "xml" | "yaml" | "javascript" | "toml" | "csv" | "sql"
            )
            || essence == "application/x-www-form-urlencoded"
            || parameters.to_ascii_lowercase().contains("charset=utf-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_refuses_what_the_event_says_itself() {
        let mut metadata = Metadata::new();
        assert!(metadata.insert("subject", "7").is_ok());
        for key in ["", "id", "data", "sp ace", "ключ"] {
            assert!(metadata.insert(key, "x").is_err(), "{key:?}");
        }
        assert_eq!(metadata.len(), 1);
    }

    #[test]
    fn json_and_text_are_known_by_their_content_type() -> Result<()> {
        let mut event = Event::new(EventId::new("1")?, EventType::new("T")?, "{}");
        for (content_type, json, text) in [
            (None, true, false),
            (Some("application/json"), true, false),
            (Some("Application/JSON; charset=utf-8"), true, false),
            (Some("application/vnd.x+json"), true, false),
            (Some("text/json"), true, false),
            (Some("text/plain"), false, true),
            (Some("application/soap+XML"), false, true),
            (Some("application/x; charset=UTF-8"), false, true),
            (Some("application/octet-stream"), false, false),
            (Some(""), false, false),
        ] {
            event.content_type = content_type.map(str::to_owned);
            assert_eq!(event.is_json(), json, "{content_type:?}");
            assert_eq!(event.is_text(), text, "{content_type:?}");
        }
        Ok(())
    }
}
