use std::sync::Arc;

use serde::Deserialize;

use super::*;
use crate::event::Revision;
use crate::transform::fixtures::*;
use crate::transform::{EventTransformer as _, Fate, Mapper};

#[derive(Debug, Serialize, Deserialize)]
struct Old {
    a: u64,
}

#[derive(Debug, Serialize)]
struct New {
    b: u64,
}

fn typed<F: TypedFunction<Old, New>>(function: F) -> FunctionTransformer {
    FunctionTransformer::typed::<Old, New>("t", 1, schema("A", 1), schema("B", 2), function)
        .unwrap()
}

#[test]
fn it_changes_schema_and_payload_and_keeps_the_rest() {
    let source = event("1", "A", 1);
    let mapped = map(typed(|old| New { b: old.a + 1 }), &source);
    let expected = Event {
        event_type: schema("B", 2).event_type,
        schema_version: schema("B", 2).version,
        payload: r#"{"b":2}"#.into(),
        ..source
    };
    assert_eq!(
        (mapped.fate, mapped.outputs),
        (Fate::Changed, vec![expected])
    );
}

#[test]
fn every_shape_of_outputs_is_accepted() {
    let source = event("1", "A", 1);
    let number = |t| map(t, &source).outputs.len();
    assert_eq!(number(typed(|old| Some(New { b: old.a }))), 1);
    assert_eq!(number(typed(|_| None::<New>)), 0);
    assert_eq!(number(typed(|old| vec![New { b: old.a }, New { b: 0 }])), 2);
    assert_eq!(number(typed(|old| Ok::<_, String>(New { b: old.a }))), 1);
    assert_eq!(number(typed(|_| Ok::<_, String>(None::<New>))), 0);
    assert_eq!(number(typed(|_| Ok::<_, String>(Vec::<New>::new()))), 0);
}

#[test]
fn drops_and_errors_stand_under_its_id() {
    let source = event("1", "A", 1);
    let rule = "t".to_owned();
    assert_eq!(
        map(typed(|_| None::<New>), &source).fate,
        Fate::Dropped { rule }
    );
    let fail = |transformer, event: &Event| {
        Mapper::new(Arc::new(transformer))
            .map(&object(), Revision::START, event)
            .unwrap_err()
    };
    let failed = fail(typed(|_| Err::<New, _>("no good")), &source);
    assert_eq!(
        (failed.rule.as_str(), failed.message.as_str()),
        ("t", "no good")
    );
    let wrong = Event {
        payload: r#"{"a":"x"}"#.into(),
        ..source.clone()
    };
    assert!(
        fail(typed(|old| New { b: old.a }), &wrong)
            .message
            .contains("Old")
    );
    let binary = Event {
        content_type: Some("image/png".to_owned()),
        ..source
    };
    let failed = fail(typed(|old| New { b: old.a }), &binary);
    assert_eq!(failed.message, "payload is not JSON but image/png");
}

#[test]
fn within_a_schema_what_is_equal_as_json_keeps_its_bytes() {
    let source = event("1", "A", 1);
    let same = |function: fn(Old) -> Old| {
        FunctionTransformer::typed::<Old, Old>("t", 1, schema("A", 1), schema("A", 1), function)
            .unwrap()
    };
    let mapped = map(same(|old| old), &source);
    assert_eq!(
        (mapped.fate, mapped.outputs),
        (Fate::Unchanged, vec![source.clone()])
    );
    assert!(map(same(|old| Old { a: old.a + 1 }), &source).retires());
    assert!(same(|old| old).retired_schemas().is_empty());
}

#[test]
fn another_schema_retires_the_old_one() {
    let retired = typed(|old| New { b: old.a }).retired_schemas();
    assert_eq!(retired.into_iter().collect::<Vec<_>>(), [schema("A", 1)]);
}
