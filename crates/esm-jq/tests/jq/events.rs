//! Events to transform, and short ways to do so.

use esm_core::event::{Event, Revision};
use esm_core::id::{EventId, EventType, ObjectId};
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_jq::JqTransformer;

pub(crate) fn object() -> ObjectId {
    "loan/173688".parse().unwrap()
}

/// An event of this type with this JSON payload, with an id, a time and metadata.
pub(crate) fn event(event_type: &str, data: &str) -> Event {
    let mut event = Event::new(
        EventId::new("loan/173688/3").unwrap(),
        EventType::new(event_type).unwrap(),
        data.to_owned(),
    );
    event.time = Some("2011-10-01T00:38:44.546+02:00".to_owned());
    event.metadata.insert("traceparent", "00-ab-cd-01").unwrap();
    event
}

pub(crate) fn compile(program: &str) -> JqTransformer {
    JqTransformer::compile("test.jq", program).unwrap_or_else(|e| panic!("{e}"))
}

/// What the program makes of the event at revision 3.
pub(crate) fn transform(program: &str, event: &Event) -> Result<Transformed, TransformError> {
    apply(&compile(program), event)
}

/// What the transformer makes of the event at revision 3.
pub(crate) fn apply(
    transformer: &JqTransformer,
    event: &Event,
) -> Result<Transformed, TransformError> {
    let object = object();
    transformer.transform(event, &TransformContext::new(&object, Revision(3)))
}

/// The events that the program makes of the event.
pub(crate) fn events(program: &str, event: &Event) -> Vec<Event> {
    match transform(program, event) {
        Ok(Transformed::Events(events)) => events,
        other => panic!("{other:?}"),
    }
}

/// The message of the error that the program ends with.
pub(crate) fn failure(program: &str, event: &Event) -> String {
    match transform(program, event) {
        Err(error) => {
            assert_eq!(error.rule, "test.jq");
            error.message
        }
        other => panic!("{program}: {other:?}"),
    }
}

/// What an expression gives, as compact JSON, with the event as its input.
pub(crate) fn value(expression: &str) -> String {
    let program = format!(".data = [{expression}]");
    let event = event(
        "T",
        r#"{"n":[3,1,2],"s":"Aé😀","o":{"a":1,"b":null},"at":"2024-01-31T10:00:00Z"}"#,
    );
    let payload = events(&program, &event).remove(0).payload;
    let text = String::from_utf8(payload.to_vec()).unwrap();
    text[1..text.len() - 1].to_owned()
}
