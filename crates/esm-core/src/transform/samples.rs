//! Samples of a dry run: events before and after their transformation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Metadata, Revision, Schema};
use crate::id::{EventId, ObjectId};
use crate::transform::{Failure, Fate, Mapped};

/// Maximum size of an event that a sample has whole, in bytes.
const WHOLE_EVENT: u64 = 16 << 10;
/// Bytes of the payload that a sample has of a larger event, at most.
const CUT_PAYLOAD: usize = 4 << 10;
/// Outputs that a sample has, at most.
const OUTPUTS: usize = 8;
/// Different failures that a plan has samples of, at most.
const FAILURES: usize = 20;
/// Bytes of a failure's message, at most.
const MESSAGE: usize = 1 << 10;
/// Bytes of all samples of a plan, at most.
const TOTAL: u64 = 1 << 20;

/// A source event and the result of its transformation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSample {
    /// The object of the event.
    pub object: ObjectId,
    /// The revision of the event in its stream.
    pub revision: Revision,
    /// The result.
    #[serde(flatten)]
    pub outcome: SampleOutcome,
    /// The event.
    pub before: SampledEvent,
    /// The outputs; in a plan the first 8.
    pub after: Vec<SampledEvent>,
    /// Number of outputs.
    pub outputs: u64,
}

/// The result of transforming a sampled event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum SampleOutcome {
    /// The event becomes another event.
    Changed,
    /// The event becomes several events.
    Split,
    /// The event is omitted.
    Dropped {
        /// The rule that drops it.
        rule: String,
    },
    /// The transformation fails.
    Failed {
        /// The rule that fails.
        rule: String,
        /// The error, at most 1 KiB.
        message: String,
    },
}

/// An event in a sample. Of one larger than 16 KiB it has the id, the schema and the beginning of
/// the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledEvent {
    /// The id of the event.
    pub id: EventId,
    /// The type and the schema version.
    #[serde(flatten)]
    pub schema: Schema,
    /// The time, as stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The media type of the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The metadata.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The payload; absent if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Size of the payload, in bytes.
    pub payload_bytes: u64,
    /// Whether the event is incomplete because of its size.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl EventSample {
    /// Returns an event and all its outputs, whatever their size; `None` if the event is unchanged.
    pub fn whole(
        object: &ObjectId,
        revision: Revision,
        event: &Event,
        mapped: &Result<Mapped, Failure>,
    ) -> Option<Self> {
        Self::of(
            object,
            revision,
            event,
            mapped,
            usize::MAX,
            SampledEvent::whole,
        )
    }

    /// Returns what a plan keeps of an event and its outputs.
    fn bounded(
        object: &ObjectId,
        revision: Revision,
        event: &Event,
        mapped: &Result<Mapped, Failure>,
    ) -> Option<Self> {
        Self::of(object, revision, event, mapped, OUTPUTS, SampledEvent::new)
    }

    /// Returns an event and at most so many of its outputs, each as `sampled` has it.
    fn of(
        object: &ObjectId,
        revision: Revision,
        event: &Event,
        mapped: &Result<Mapped, Failure>,
        most: usize,
        sampled: fn(&Event) -> SampledEvent,
    ) -> Option<Self> {
        let outputs = mapped.as_ref().map_or(&[][..], |mapped| &mapped.outputs);
        Some(Self {
            object: object.clone(),
            revision,
            outcome: SampleOutcome::of(mapped)?,
            before: sampled(event),
            after: outputs.iter().take(most).map(sampled).collect(),
            outputs: outputs.len() as u64,
        })
    }

    fn size(&self) -> u64 {
        let events = std::iter::once(&self.before).chain(&self.after);
        events.map(SampledEvent::size).sum()
    }
}

impl SampleOutcome {
    /// Returns the outcome; `None` for an unchanged event.
    fn of(mapped: &Result<Mapped, Failure>) -> Option<Self> {
        Some(match mapped {
            Ok(mapped) => match &mapped.fate {
                Fate::Unchanged => return None,
                Fate::Changed => Self::Changed,
                Fate::Split => Self::Split,
                Fate::Dropped { rule } => Self::Dropped { rule: rule.clone() },
            },
            Err(failure) => Self::Failed {
                rule: failure.rule.clone(),
                message: beginning(&failure.message, MESSAGE).to_owned(),
            },
        })
    }
}

impl SampledEvent {
    /// Returns the event as samples have it.
    pub fn new(event: &Event) -> Self {
        if event.approximate_size() <= WHOLE_EVENT {
            return Self::whole(event);
        }
        let payload = std::str::from_utf8(&event.payload).ok();
        Self {
            id: event.id.clone(),
            schema: event.schema(),
            time: None,
            content_type: None,
            metadata: Metadata::new(),
            payload: payload.map(|text| beginning(text, CUT_PAYLOAD).to_owned()),
            payload_bytes: event.payload.len() as u64,
            cut: true,
        }
    }

    /// Returns the event in this form, whatever its size.
    pub fn whole(event: &Event) -> Self {
        let payload = std::str::from_utf8(&event.payload).ok();
        Self {
            id: event.id.clone(),
            schema: event.schema(),
            time: event.time.clone(),
            content_type: event.content_type.clone(),
            metadata: event.metadata.clone(),
            payload: payload.map(str::to_owned),
            payload_bytes: event.payload.len() as u64,
            cut: false,
        }
    }

    fn size(&self) -> u64 {
        if self.cut {
            CUT_PAYLOAD as u64
        } else {
            WHOLE_EVENT.min(self.payload_bytes + 1024)
        }
    }
}

/// Returns the beginning of a text, of at most this many bytes.
fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The first changed, split and dropped event of each schema, and the first of each kind of failure.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    found: BTreeMap<Schema, BTreeMap<Kind, Slot>>,
    bytes: u64,
    failures: usize,
}

/// What one sample of a schema is kept of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Changed,
    Split,
    Dropped,
    Failed { rule: String, message: String },
}

impl Kind {
    /// Returns the kind of outcome; `None` for an unchanged event.
    fn of(mapped: &Result<Mapped, Failure>) -> Option<Self> {
        match mapped {
            Ok(mapped) => match mapped.fate {
                Fate::Unchanged => None,
                Fate::Changed => Some(Self::Changed),
                Fate::Split => Some(Self::Split),
                Fate::Dropped { .. } => Some(Self::Dropped),
            },
            Err(failure) => Some(Self::Failed {
                rule: failure.rule.clone(),
                message: failure.message.clone(),
            }),
        }
    }
}

/// The sample of a schema and a kind of outcome.
#[derive(Debug)]
enum Slot {
    Kept(Box<EventSample>),
    /// The samples before it take all the space.
    Omitted,
}

impl Samples {
    /// Records an event, which is kept if it is the first of its kind.
    pub(crate) fn record(
        &mut self,
        object: &ObjectId,
        revision: Revision,
        event: &Event,
        mapped: &Result<Mapped, Failure>,
    ) {
        let Some(kind) = Kind::of(mapped) else {
            return;
        };
        let schema = event.schema();
        if self.has(&schema, &kind) {
            return;
        }
        if let Some(sample) = EventSample::bounded(object, revision, event, mapped) {
            self.keep(schema, kind, Slot::Kept(Box::new(sample)));
        }
    }

    /// Whether there is a sample of this kind, or there are enough failures.
    fn has(&self, schema: &Schema, kind: &Kind) -> bool {
        let kinds = self.found.get(schema);
        kinds.is_some_and(|kinds| kinds.contains_key(kind))
            || matches!(kind, Kind::Failed { .. }) && self.failures == FAILURES
    }

    fn keep(&mut self, schema: Schema, kind: Kind, slot: Slot) {
        if self.has(&schema, &kind) {
            return;
        }
        self.failures += usize::from(matches!(kind, Kind::Failed { .. }));
        let slot = match slot {
            Slot::Kept(sample) if self.bytes + sample.size() <= TOTAL => {
                self.bytes += sample.size();
                Slot::Kept(sample)
            }
            Slot::Kept(_) | Slot::Omitted => Slot::Omitted,
        };
        self.found.entry(schema).or_default().insert(kind, slot);
    }

    /// Adds the samples of the part that follows.
    pub(crate) fn merge(&mut self, next: Self) {
        for (schema, kinds) in next.found {
            for (kind, slot) in kinds {
                self.keep(schema.clone(), kind, slot);
            }
        }
    }

    /// Returns the number of samples that are omitted for lack of space.
    pub(crate) fn omitted(&self) -> u64 {
        let slots = self.found.values().flat_map(BTreeMap::values);
        slots.filter(|slot| matches!(slot, Slot::Omitted)).count() as u64
    }

    /// Returns the samples in the order of the schemas.
    pub(crate) fn into_list(self) -> Vec<EventSample> {
        let slots = self.found.into_values().flat_map(BTreeMap::into_values);
        slots
            .filter_map(|slot| match slot {
                Slot::Kept(sample) => Some(*sample),
                Slot::Omitted => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::id::EventType;

    fn event(event_type: &str, payload: String) -> Result<Event> {
        let mut event = Event::new(EventId::new("7")?, EventType::new(event_type)?, payload);
        event.metadata.insert("tenant", "a")?;
        Ok(event)
    }

    fn dropped(outputs: Vec<Event>, fate: Fate) -> std::result::Result<Mapped, Failure> {
        Ok(Mapped { outputs, fate })
    }

    #[test]
    fn the_first_of_each_kind_and_schema_is_kept_also_over_parts() -> Result<()> {
        let object: ObjectId = "order/1".parse()?;
        let (a, b) = (event("A", "1".into())?, event("B", "2".into())?);
        let same = dropped(vec![a.clone()], Fate::Unchanged);
        let changed = dropped(vec![b.clone()], Fate::Changed);
        let failed = Err(Failure {
            object: None,
            event: a.id.clone(),
            schema: a.schema(),
            revision: Revision(4),
            rule: "r".to_owned(),
            message: "é".repeat(MESSAGE),
            count: 1,
        });
        let (mut first, mut second) = (Samples::default(), Samples::default());
        first.record(&object, Revision(0), &a, &same);
        first.record(&object, Revision(1), &a, &changed);
        first.record(&object, Revision(2), &a, &changed);
        second.record(&object, Revision(3), &a, &changed);
        second.record(&object, Revision(4), &a, &failed);
        second.record(&object, Revision(5), &b, &changed);
        first.merge(second);
        assert_eq!(first.omitted(), 0);
        let list = first.into_list();
        let revisions: Vec<_> = list.iter().map(|sample| sample.revision.0).collect();
        assert_eq!(revisions, [1, 4, 5]);
        assert_eq!(list[0].after, [SampledEvent::new(&b)]);
        let SampleOutcome::Failed { message, .. } = &list[1].outcome else {
            panic!("{:?}", list[1]);
        };
        assert_eq!(message.len(), MESSAGE);
        let saved = serde_json::to_string(&list).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Vec<EventSample>>(&saved).expect("samples"),
            list
        );
        Ok(())
    }

    #[test]
    fn a_large_event_is_cut_and_many_samples_are_omitted() -> Result<()> {
        let object: ObjectId = "order/1".parse()?;
        let large = event("A", "é".repeat(1 << 20))?;
        let cut = SampledEvent::new(&large);
        assert!(cut.cut && cut.metadata.is_empty());
        assert_eq!(cut.payload.map(|text| text.len()), Some(CUT_PAYLOAD));
        assert_eq!(cut.payload_bytes, 2 << 20);

        let mut samples = Samples::default();
        for number in 0..100 {
            let event = event(&format!("T{number:03}"), "x".repeat(15 << 10))?;
            let many = vec![event.clone(); 100];
            let split = dropped(many, Fate::Split);
            samples.record(&object, Revision(number), &event, &split);
        }
        let omitted = samples.omitted();
        let list = samples.into_list();
        assert_eq!(list.len() as u64 + omitted, 100);
        assert_eq!((list[0].after.len(), list[0].outputs), (OUTPUTS, 100));
        let saved = serde_json::to_string(&list).expect("JSON");
        assert!(saved.len() as u64 <= TOTAL, "{}", saved.len());
        Ok(())
    }

    #[test]
    fn a_payload_that_is_not_text_has_only_its_size() -> Result<()> {
        let mut event = event("A", String::new())?;
        event.payload = vec![0xff, 0xfe].into();
        let sampled = SampledEvent::new(&event);
        assert_eq!((sampled.payload, sampled.payload_bytes), (None, 2));
        Ok(())
    }
}
