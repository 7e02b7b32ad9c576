use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::error::Result;
use crate::transform::fixtures::*;
use crate::transform::{FunctionTransformer, Identity};

fn failure(transformer: impl EventTransformer, event: &Event) -> Failure {
    Mapper::new(Arc::new(transformer))
        .map(&object(), Revision(3), event)
        .unwrap_err()
}

#[test]
fn identity_keeps_id_bytes_time_and_metadata() {
    let event = event("1", "A", 1);
    let mapped = map(Identity, &event);
    assert_eq!(mapped, unchanged(event));
    assert!(!mapped.retires());
}

#[test]
fn events_of_other_schemas_are_not_handed_over() {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let transformer = FunctionTransformer::new("count", 1, [schema("A", 2)], move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Transformed::dropped("all"))
    })
    .unwrap();
    let transformer: Arc<dyn EventTransformer> = Arc::new(transformer);
    assert_eq!(
        map(Arc::clone(&transformer), &event("1", "A", 1)).fate,
        Fate::Unchanged
    );
    assert_eq!(
        map(Arc::clone(&transformer), &event("1", "B", 2)).fate,
        Fate::Unchanged
    );
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert!(map(transformer, &event("1", "A", 2)).retires());
}

#[test]
fn an_only_output_that_equals_the_event_is_unchanged_and_retires_nothing() {
    let event = event("1", "A", 1);
    let mapped = map(always(Transformed::Events(vec![event.clone()])), &event);
    assert_eq!(mapped, unchanged(event));
}

#[test]
fn an_empty_list_drops_under_its_own_rule() {
    let mapped = map(always(Transformed::Events(Vec::new())), &event("1", "A", 1));
    let rule = Mapper::EMPTY.to_owned();
    assert_eq!(mapped.fate, Fate::Dropped { rule });
    assert!(mapped.outputs.is_empty() && mapped.retires());
}

#[test]
fn outputs_that_keep_the_sources_id_are_numbered_and_others_are_left_alone() {
    let source = event("é", "A", 1);
    let own = event("own", "A", 1);
    let mapped = map(
        always(Transformed::Events(vec![
            source.clone(),
            own,
            source.clone(),
        ])),
        &source,
    );
    let ids: Vec<_> = mapped.outputs.iter().map(|e| e.id.as_str()).collect();
    assert_eq!(
        (mapped.fate.clone(), ids),
        (Fate::Split, vec!["é.0", "own", "é.2"])
    );
}

#[test]
fn one_changed_output_keeps_the_sources_id() {
    let source = event("1", "A", 1);
    let mapped = map(upcast(schema("A", 1), schema("A", 2)), &source);
    assert_eq!(mapped.outputs, [with_version(&source, 2)]);
    assert_eq!(mapped.fate, Fate::Changed);
}

#[test]
fn a_change_within_a_schema_is_told_apart_from_one_to_another() {
    // R11: the reused schema makes appends of old and new code indistinguishable
    let source = event("1", "A", 1);
    let changed = Event {
        payload: "{}".into(),
        ..source.clone()
    };
    assert!(map(always(Transformed::Events(vec![changed])), &source).reuses(&source.schema()));
    assert!(!map(upcast(schema("A", 1), schema("A", 2)), &source).reuses(&source.schema()));
    assert!(!map(Identity, &source).reuses(&source.schema()));
}

#[test]
fn two_outputs_of_the_same_id_are_a_failure() {
    let source = event("1", "A", 1);
    let twice = vec![event("x", "A", 1), event("x", "B", 1)];
    let settled = vec![source.clone(), event("1.0", "A", 1)];
    for outputs in [twice, settled] {
        let failure = failure(always(Transformed::Events(outputs)), &source);
        assert_eq!(failure.rule, Mapper::OUTPUT_IDS);
    }
    let long = event(&"x".repeat(EventId::MAX_BYTES), "A", 1);
    let failure = failure(
        always(Transformed::Events(vec![long.clone(), long.clone()])),
        &long,
    );
    assert_eq!(failure.rule, Mapper::OUTPUT_IDS);
}

#[test]
fn a_panic_is_a_failure_of_that_event() {
    let transformer = FunctionTransformer::for_all("panics", 1, |event, _| {
        assert_ne!(event.id.as_str(), "2", "no twos");
        Ok(Transformed::Unchanged)
    })
    .unwrap();
    let transformer: Arc<dyn EventTransformer> = Arc::new(transformer);
    let failure = failure(Arc::clone(&transformer), &event("2", "A", 1));
    assert_eq!(failure.rule, Mapper::PANIC);
    assert!(failure.message.contains("no twos"), "{failure}");
    assert_eq!(map(transformer, &event("3", "A", 1)).fate, Fate::Unchanged);
}

#[test]
fn a_failure_names_event_revision_schema_and_rule() {
    let transformer =
        FunctionTransformer::for_all("t", 1, |_, _| Err(TransformError::new("amount", "is zero")))
            .unwrap();
    let failure = failure(transformer, &event("e7", "A", 2));
    assert_eq!(
        failure.to_string(),
        "event cannot be transformed by amount: is zero: A v2 e7 at revision 3"
    );
    let saved = serde_json::to_string(&failure).unwrap();
    assert_eq!(
        serde_json::from_str::<Failure>(&saved).unwrap(),
        failure.clone()
    );
    assert_eq!(Error::from(failure).kind(), &ErrorKind::TransformFailed);
}

#[test]
fn a_transformer_with_two_answers_is_found_out_only_when_asked_to() {
    let flip = || {
        let calls = AtomicU64::new(0);
        FunctionTransformer::for_all("flip", 1, move |event, _| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            Ok(Transformed::Events(vec![with_type(
                event,
                &format!("T{call}"),
            )]))
        })
        .unwrap()
    };
    let source = event("1", "A", 1);
    let checking = Mapper::new(Arc::new(flip())).checking_determinism();
    let failure = checking.map(&object(), Revision(3), &source).unwrap_err();
    assert_eq!(failure.rule, Mapper::DETERMINISM);
    assert_eq!(map(flip(), &source).fate, Fate::Changed);
    let steady =
        Mapper::new(Arc::new(upcast(schema("A", 1), schema("A", 2)))).checking_determinism();
    assert!(steady.map(&object(), Revision(3), &source).is_ok());
}

prop_compose! {
    fn outputs()(ids in prop::collection::vec(prop_oneof!["s", "s\\.[0-3]", "[a-c]"], 0..6))
        -> Vec<Event> {
        ids.iter().map(|id| event(id, "A", 2)).collect()
    }
}

proptest! {
    #[test]
    fn outputs_have_unique_ids_and_none_is_lost_or_invented(outputs in outputs()) {
        let source = event("s", "A", 1);
        let mapper = Mapper::new(Arc::new(always(Transformed::Events(outputs.clone()))));
        match mapper.map(&object(), Revision::START, &source) {
            Ok(mapped) => {
                let ids: HashSet<_> = mapped.outputs.iter().map(|e| &e.id).collect();
                prop_assert_eq!(ids.len(), outputs.len());
                prop_assert_eq!(mapped.outputs.len(), outputs.len());
                for (output, given) in mapped.outputs.iter().zip(&outputs) {
                    prop_assert_eq!(&Event { id: given.id.clone(), ..output.clone() }, given);
                }
            }
            Err(failure) => prop_assert_eq!(failure.rule, Mapper::OUTPUT_IDS),
        }
    }

    #[test]
    fn mapping_a_borrowed_and_an_owned_event_is_the_same(outputs in outputs()) {
        let source = event("s", "A", 1);
        let mapper = Mapper::new(Arc::new(always(Transformed::Events(outputs))));
        let borrowed = mapper.map(&object(), Revision::START, &source);
        prop_assert_eq!(mapper.map_owned(&object(), Revision::START, source), borrowed);
    }
}

#[test]
fn mapping_an_owned_event_leaves_an_unchanged_one_as_it_is() -> Result<()> {
    let source = event("1", "A", 1);
    let mapper = Mapper::new(Arc::new(Identity));
    let mapped = mapper.map_owned(&object(), Revision::START, source.clone())?;
    assert_eq!(mapped, unchanged(source));
    Ok(())
}
