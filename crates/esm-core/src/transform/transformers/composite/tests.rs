use super::*;
use crate::event::Revision;
use crate::transform::fixtures::*;
use crate::transform::{Fate, Mapper};

fn tagging(id: &str, handled: Option<Schema>) -> super::super::FunctionTransformer {
    let tag = id.to_owned();
    let function = move |event: &Event, _: &TransformContext<'_>| {
        let mut event = event.clone();
        event
            .metadata
            .insert("by", tag.as_str())
            .map_err(|e| TransformError::new("tag", e.to_string()))?;
        Ok(Transformed::Events(vec![event]))
    };
    match handled {
        Some(schema) => super::super::FunctionTransformer::new(id, 1, [schema], function),
        None => super::super::FunctionTransformer::for_all(id, 1, function),
    }
    .unwrap()
}

fn tag(composite: &CompositeTransformer, event: &Event) -> Option<String> {
    let mapped = map(composite.clone(), event);
    match mapped.outputs[0].metadata.get("by") {
        Some(crate::event::MetadataValue::Text(tag)) => Some(tag.clone()),
        _ => None,
    }
}

#[test]
fn the_first_that_handles_a_schema_wins() {
    let composite = CompositeTransformer::new()
        .with(tagging("special", Some(schema("A", 2))))
        .with(tagging("conflicting", Some(schema("A", 2))))
        .with(tagging("rest", None));
    assert_eq!(
        tag(&composite, &event("1", "A", 2)).as_deref(),
        Some("special")
    );
    assert_eq!(
        tag(&composite, &event("1", "A", 1)).as_deref(),
        Some("rest")
    );
}

#[test]
fn what_nobody_handles_is_unchanged() {
    let composite = CompositeTransformer::new().with(upcast(schema("A", 1), schema("A", 2)));
    assert!(!composite.handles(&schema("A", 2)));
    assert_eq!(map(composite, &event("1", "A", 2)).fate, Fate::Unchanged);
}

#[test]
fn what_the_first_leaves_unchanged_is_not_offered_to_the_next() {
    let composite = CompositeTransformer::new()
        .with(always(Transformed::Unchanged))
        .with(tagging("late", None));
    assert_eq!(map(composite, &event("1", "A", 1)).fate, Fate::Unchanged);
}

#[test]
fn upcasters_chain_whichever_was_added_first() {
    let (one, two) = (
        || upcast(schema("A", 1), schema("A", 2)),
        || upcast(schema("A", 2), schema("B", 3)),
    );
    for composite in [
        CompositeTransformer::new().with(one()).with(two()),
        CompositeTransformer::new().with(two()).with(one()),
    ] {
        for version in [1, 2] {
            let mapped = map(composite.clone(), &event("1", "A", version));
            assert_eq!(schemas(&mapped), ["B v3"]);
        }
    }
}

#[test]
fn outputs_of_a_split_go_their_own_ways_and_stay_in_order() {
    let composite = CompositeTransformer::new()
        .with(split("A"))
        .with(split("AA"))
        .with(upcast(schema("AB", 1), schema("AB", 2)));
    let mapped = map(composite, &event("7", "A", 1));
    assert_eq!(schemas(&mapped), ["AAA v1", "AAB v1", "AB v2"]);
}

#[test]
fn two_ways_to_one_schema_are_no_cycle() {
    let composite = CompositeTransformer::new()
        .with(split("A"))
        .with(upcast(schema("AA", 1), schema("C", 1)))
        .with(upcast(schema("AB", 1), schema("C", 1)))
        .with(upcast(schema("C", 1), schema("C", 2)));
    let mapped = map(composite, &event("7", "A", 1));
    assert_eq!(schemas(&mapped), ["C v2", "C v2"]);
}

#[test]
fn a_chain_that_comes_back_is_refused_with_its_schemas() {
    let composite = CompositeTransformer::new()
        .with(upcast(schema("A", 1), schema("B", 1)))
        .with(upcast(schema("B", 1), schema("A", 1)));
    let failure = Mapper::new(Arc::new(composite))
        .map(&object(), Revision::START, &event("1", "A", 1))
        .unwrap_err();
    assert_eq!(failure.rule, CompositeTransformer::CYCLE);
    assert!(failure.message.ends_with("A v1 → B v1 → A v1"), "{failure}");
}

#[test]
fn an_event_is_dropped_by_the_rule_that_dropped_its_last_output() {
    let drop = |event_type: &str, rule: &'static str| {
        let schema = schema(event_type, 1);
        super::super::FunctionTransformer::new(rule, 1, [schema], move |_, _| {
            Ok(Transformed::dropped(rule))
        })
        .unwrap()
    };
    let half = CompositeTransformer::new()
        .with(split("A"))
        .with(drop("AA", "first"));
    assert_eq!(schemas(&map(half.clone(), &event("1", "A", 1))), ["AB v1"]);
    let rule = "second".to_owned();
    let both = half.with(drop("AB", "second"));
    assert_eq!(map(both, &event("1", "A", 1)).fate, Fate::Dropped { rule });
}

#[test]
fn the_fingerprint_tells_members_and_their_order() {
    let (one, two) = (
        || upcast(schema("A", 1), schema("A", 2)),
        || upcast(schema("A", 2), schema("A", 3)),
    );
    let composites = [
        CompositeTransformer::new(),
        CompositeTransformer::new().with(one()),
        CompositeTransformer::new().with(one()).with(two()),
        CompositeTransformer::new().with(two()).with(one()),
    ];
    let fingerprints: BTreeSet<_> = composites.iter().map(|c| c.fingerprint()).collect();
    assert_eq!(fingerprints.len(), composites.len());
    let pipeline = super::super::TransformationPipeline::new().then(one());
    assert_ne!(pipeline.fingerprint(), composites[1].fingerprint());
}

#[test]
fn only_the_member_that_is_asked_can_retire_a_schema() {
    let retiring = |event_type: &str| {
        upcast(schema(event_type, 1), schema(event_type, 2)).retiring([schema(event_type, 1)])
    };
    let composite = CompositeTransformer::new()
        .with(tagging("keeps A", Some(schema("A", 1))))
        .with(retiring("A"))
        .with(retiring("B"));
    assert_eq!(
        composite.retired_schemas(),
        BTreeSet::from([schema("B", 1)])
    );
}
