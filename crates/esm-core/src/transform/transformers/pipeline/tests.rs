use super::*;
use crate::transform::fixtures::*;
use crate::transform::{Fate, Identity, Mapper};

fn dropped(rule: &str) -> Fate {
    Fate::Dropped {
        rule: rule.to_owned(),
    }
}

#[test]
fn stages_apply_in_order_to_all_outputs_of_the_one_before() {
    let pipeline = TransformationPipeline::new()
        .then(split("A"))
        .then(split("AA"))
        .then(upcast(schema("AB", 1), schema("Z", 5)));
    let mapped = map(pipeline, &event("7", "A", 1));
    assert_eq!(schemas(&mapped), ["AAA v1", "AAB v1", "Z v5"]);
    let ids: Vec<_> = mapped.outputs.iter().map(|e| e.id.as_str()).collect();
    assert_eq!(ids, ["7.0", "7.1", "7.2"]);
}

#[test]
fn no_stage_and_stages_that_change_nothing_leave_the_event_as_it_is() {
    let event = event("7", "A", 1);
    for pipeline in [
        TransformationPipeline::new(),
        TransformationPipeline::new().then(Identity),
        TransformationPipeline::new()
            .filter("keep all", |_| true)
            .then(upcast(schema("B", 1), schema("B", 2))),
    ] {
        let mapped = map(pipeline, &event);
        assert_eq!(
            (mapped.fate, mapped.outputs),
            (Fate::Unchanged, vec![event.clone()])
        );
    }
}

#[test]
fn a_filter_drops_under_its_rule_and_spares_the_stages_behind_it() {
    let pipeline = TransformationPipeline::new()
        .filter("no A", |event| event.event_type.as_str() != "A")
        .filter("nothing", |_| false)
        .then(always(Transformed::Unchanged));
    assert_eq!(
        map(pipeline.clone(), &event("1", "A", 1)).fate,
        dropped("no A")
    );
    assert_eq!(map(pipeline, &event("1", "B", 1)).fate, dropped("nothing"));
}

#[test]
fn an_event_is_dropped_only_when_its_last_output_is() {
    let half = TransformationPipeline::new()
        .then(split("A"))
        .filter("no AA", |event| event.event_type.as_str() != "AA");
    let mapped = map(half.clone(), &event("7", "A", 1));
    assert_eq!(
        (mapped.fate, mapped.outputs[0].id.as_str()),
        (Fate::Changed, "7")
    );
    let both = half.filter("no AB", |event| event.event_type.as_str() != "AB");
    assert_eq!(map(both, &event("7", "A", 1)).fate, dropped("no AB"));
    let empty = TransformationPipeline::new().then(always(Transformed::Events(Vec::new())));
    assert_eq!(map(empty, &event("7", "A", 1)).fate, dropped(Mapper::EMPTY));
}

#[test]
fn a_change_and_its_reverse_are_no_change() {
    let there_and_back = TransformationPipeline::new()
        .then(upcast(schema("A", 1), schema("A", 2)))
        .then(upcast(schema("A", 2), schema("A", 1)));
    assert_eq!(
        map(there_and_back, &event("1", "A", 1)).fate,
        Fate::Unchanged
    );
}

#[test]
fn a_failing_stage_stops_the_event() {
    let pipeline = TransformationPipeline::new().then(split("A")).then(
        super::super::FunctionTransformer::for_all("fails", 1, |_, _| {
            Err(TransformError::new("second", "no"))
        })
        .unwrap(),
    );
    let failure = Mapper::new(Arc::new(pipeline))
        .map(
            &object(),
            crate::event::Revision::START,
            &event("1", "A", 1),
        )
        .unwrap_err();
    assert_eq!(failure.rule, "second");
}

#[test]
fn the_fingerprint_tells_stages_their_order_and_their_number() {
    let (a, b) = (
        || upcast(schema("A", 1), schema("A", 2)),
        || upcast(schema("B", 1), schema("B", 2)),
    );
    let pipelines = [
        TransformationPipeline::new(),
        TransformationPipeline::new().then(a()),
        TransformationPipeline::new().then(b()),
        TransformationPipeline::new().then(a()).then(b()),
        TransformationPipeline::new().then(b()).then(a()),
        TransformationPipeline::new().then(TransformationPipeline::new().then(a())),
        TransformationPipeline::new().filter("x", |_| true),
        TransformationPipeline::new().filter("y", |_| true),
    ];
    let fingerprints: BTreeSet<_> = pipelines.iter().map(|p| p.fingerprint()).collect();
    assert_eq!(fingerprints.len(), pipelines.len());
    let again = TransformationPipeline::new().then(a()).then(b());
    assert_eq!(again.fingerprint(), pipelines[3].fingerprint());
    let many = (0..1000).fold(TransformationPipeline::new(), |p, n| {
        p.filter(format!("a rule with a long name, number {n}"), |_| true)
    });
    assert!(many.fingerprint().as_str().len() < 100);
}

#[test]
fn it_handles_and_retires_what_its_stages_do() {
    let typed = upcast(schema("A", 1), schema("A", 2)).retiring([schema("A", 1)]);
    let pipeline = TransformationPipeline::new()
        .then(typed)
        .then(upcast(schema("B", 1), schema("B", 2)));
    assert!(pipeline.handles(&schema("A", 1)) && pipeline.handles(&schema("B", 1)));
    assert!(!pipeline.handles(&schema("A", 2)));
    assert_eq!(pipeline.retired_schemas(), BTreeSet::from([schema("A", 1)]));
}
