//! Events and transformers for the tests of this folder.

use std::sync::Arc;

use crate::event::{Event, Revision, Schema, SchemaVersion};
use crate::id::{EventId, EventType, ObjectId};
use crate::transform::{EventTransformer, FunctionTransformer, Mapped, Mapper, Transformed};

pub(super) fn object() -> ObjectId {
    "order/1".parse().unwrap()
}

pub(super) fn schema(event_type: &str, version: u32) -> Schema {
    Schema::new(event_type, version).unwrap()
}

pub(super) fn event(id: &str, event_type: &str, version: u32) -> Event {
    let mut event = Event::new(
        EventId::new(id).unwrap(),
        EventType::new(event_type).unwrap(),
        r#"{ "a": 1 }"#,
    );
    event.schema_version = SchemaVersion(version);
    event.time = Some("2024-01-01T00:00:00.10+02:00".to_owned());
    event.metadata.insert("subject", "7").unwrap();
    event
}

pub(super) fn with_type(source: &Event, event_type: &str) -> Event {
    Event {
        event_type: EventType::new(event_type).unwrap(),
        ..source.clone()
    }
}

pub(super) fn with_version(source: &Event, version: u32) -> Event {
    Event {
        schema_version: SchemaVersion(version),
        ..source.clone()
    }
}

/// Returns the same, whatever the event.
pub(super) fn always(answer: Transformed) -> FunctionTransformer {
    FunctionTransformer::for_all("always", 1, move |_, _| Ok(answer.clone())).unwrap()
}

/// From one schema to another, payload untouched.
pub(super) fn upcast(from: Schema, to: Schema) -> FunctionTransformer {
    let id = format!("{from} to {to}");
    FunctionTransformer::new(id, 1, [from], move |event, _| {
        Ok(Transformed::Events(vec![Event {
            event_type: to.event_type.clone(),
            schema_version: to.version,
            ..event.clone()
        }]))
    })
    .unwrap()
}

/// Two of the same, types `{type}A` and `{type}B`.
pub(super) fn split(event_type: &str) -> FunctionTransformer {
    let id = format!("split {event_type}");
    FunctionTransformer::new(id, 1, [schema(event_type, 1)], |event, _| {
        let half = |name| with_type(event, &format!("{}{name}", event.event_type));
        Ok(Transformed::Events(vec![half("A"), half("B")]))
    })
    .unwrap()
}

pub(super) fn map(transformer: impl EventTransformer, event: &Event) -> Mapped {
    Mapper::new(Arc::new(transformer))
        .map(&object(), Revision(3), event)
        .unwrap()
}

pub(super) fn schemas(mapped: &Mapped) -> Vec<String> {
    mapped
        .outputs
        .iter()
        .map(|e| e.schema().to_string())
        .collect()
}
