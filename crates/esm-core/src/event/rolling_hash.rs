//! A hash over all events of a stream that can be saved and continued.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::{Event, MetadataValue};

/// A chain of blake3 hashes: each event's hash covers the state before it and every field of the
/// event, each with its length in front, so that no two different streams have the same bytes
/// under the hash. The state is 32 bytes, so a scan can be resumed from it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct RollingHash([u8; 32]);

impl RollingHash {
    /// The hash of no event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event.
    pub fn add(&mut self, event: &Event) {
        let mut hash = blake3::Hasher::new();
        hash.update(&self.0);
        let mut field = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(event.id.as_str().as_bytes());
        field(event.event_type.as_str().as_bytes());
        field(&event.schema_version.0.to_le_bytes());
        for optional in [&event.content_type, &event.time] {
            match optional {
                // the marker byte distinguishes an absent field from an empty one
                None => field(&[0]),
                Some(text) => {
                    field(&[1]);
                    field(text.as_bytes());
                }
            }
        }
        field(&(event.metadata.len() as u64).to_le_bytes());
        for (key, value) in event.metadata.iter() {
            field(key.as_bytes());
            match value {
                MetadataValue::Boolean(b) => field(&[0, u8::from(*b)]),
                MetadataValue::Integer(i) => {
                    field(&[1]);
                    field(&i.to_le_bytes());
                }
                MetadataValue::Text(text) => {
                    field(&[2]);
                    field(text.as_bytes());
                }
            }
        }
        field(&event.payload);
        self.0 = *hash.finalize().as_bytes();
    }

    /// The hash of these events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut hash = Self::new();
        for event in events {
            hash.add(event);
        }
        hash
    }
}

impl fmt::Display for RollingHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for RollingHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RollingHash({self})")
    }
}

impl Serialize for RollingHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RollingHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hash = blake3::Hash::from_hex(&text).map_err(serde::de::Error::custom)?;
        Ok(Self(*hash.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::id::{EventId, EventType};

    fn event() -> Result<Event> {
        Ok(Event::new(EventId::new("1")?, EventType::new("T")?, "{}"))
    }

    #[test]
    fn every_field_counts() -> Result<()> {
        let original = event()?;
        let mut changed = Vec::new();
        let mut change = |f: &dyn Fn(&mut Event)| {
            let mut copy = original.clone();
            f(&mut copy);
            changed.push(copy);
        };
        change(&|e| e.payload = "{ }".into());
        change(&|e| e.schema_version.0 = 2);
        change(&|e| e.content_type = None);
        change(&|e| e.content_type = Some(String::new()));
        change(&|e| e.time = Some(String::new()));
        change(&|e| drop(e.metadata.insert("a", "1")));
        change(&|e| drop(e.metadata.insert("a", MetadataValue::Integer(1))));
        change(&|e| drop(e.metadata.insert("a", MetadataValue::Boolean(true))));
        changed.push(Event {
            id: EventId::new("2")?,
            ..original.clone()
        });
        changed.push(Event {
            event_type: EventType::new("U")?,
            ..original.clone()
        });
        changed.push(original);
        let mut hashes: Vec<_> = changed
            .iter()
            .map(|e| RollingHash::of([e]).to_string())
            .collect();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), changed.len());
        Ok(())
    }

    #[test]
    fn it_goes_on_from_a_saved_state() -> Result<()> {
        let events = [event()?, event()?, event()?];
        let saved = serde_json::to_string(&RollingHash::of(&events[..1])).unwrap();
        let mut hash: RollingHash = serde_json::from_str(&saved).unwrap();
        hash.add(&events[1]);
        hash.add(&events[2]);
        assert_eq!(hash, RollingHash::of(&events));
        assert_ne!(hash, RollingHash::of(&events[..2]));
        Ok(())
    }
}
