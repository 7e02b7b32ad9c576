//! Which events a program is asked about.

use std::sync::LazyLock;

use esm_core::id::EventType;
use esm_core::transform::{EventTransformer, Transformed};
use esm_jq::JqTransformer;
use proptest::prelude::*;

use crate::events::{apply, compile, event};

fn handled(transformer: &JqTransformer) -> Vec<&'static str> {
    let handles = |name: &&str| transformer.handles(&event(name, "").schema());
    ["A", "B", "C"].into_iter().filter(handles).collect()
}

fn only(program: &str, types: &[&str]) -> JqTransformer {
    let types = types.iter().map(|name| EventType::new(name).unwrap());
    compile(program).only_types(types)
}

#[test]
fn a_program_is_asked_about_what_it_may_change() {
    assert_eq!(handled(&compile("empty")), ["A", "B", "C"]);
    assert_eq!(handled(&compile(".")), [""; 0]);
    assert_eq!(handled(&compile("select(.type != \"B\")")), ["B"]);
    assert_eq!(handled(&only("empty", &["A", "B"])), ["A", "B"]);
    assert_eq!(handled(&only("select(.type != \"B\")", &["A"])), [""; 0]);
}

#[test]
fn types_that_it_is_not_limited_to_stay_as_they_are() {
    let some = only("empty", &["A"]);
    assert_eq!(apply(&some, &event("B", "{}")), Ok(Transformed::Unchanged));
    assert!(matches!(
        apply(&some, &event("A", "{}")),
        Ok(Transformed::Dropped { .. })
    ));
}

#[test]
fn schemas_that_are_certainly_changed_are_retired_unless_it_is_limited_to_others() {
    let retired = |transformer: &JqTransformer| -> Vec<String> {
        let schemas = transformer.retired_schemas();
        schemas.iter().map(ToString::to_string).collect()
    };
    let program = "select(.type != \"A\") | if .type == \"B\" then .type = \"C\" end";
    assert_eq!(retired(&compile(program)), ["A v1", "B v1"]);
    assert_eq!(retired(&only(program, &["B", "C"])), ["B v1"]);
    assert_eq!(retired(&compile(".")), [""; 0]);
}

const CONDITIONS: [&str; 8] = [
    ".type == \"A\"",
    "\"B\" != .type",
    ".schemaversion == 1",
    ".data.x == 1",
    ".type == (\"A\", \"B\")",
    ".type",
    "(.type == \"C\" | not)",
    "error",
];

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(&CONDITIONS[..]).prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 2, |inner| {
        (
            inner.clone(),
            prop::sample::select(vec!["and", "or"]),
            inner.clone(),
        )
            .prop_map(|(left, op, right)| format!("({left} {op} {right})"))
            .boxed()
            .prop_union(inner.prop_map(|inner| format!("({inner} | not)")).boxed())
    })
}

fn program() -> impl Strategy<Value = String> {
    let leaf =
        prop::sample::select(vec![".", "empty", ".type = \"X\"", "(., .)"]).prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (condition(), inner.clone(), inner.clone())
                .prop_map(|(c, then, other)| format!("if {c} then {then} else {other} end")),
            condition().prop_map(|c| format!("select({c})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} | {right})")),
            (inner.clone(), inner).prop_map(|(f, g)| format!("(def f: {f}; f | {g})")),
        ]
    })
}

static EVENTS: LazyLock<Vec<esm_core::event::Event>> = LazyLock::new(|| {
    ["A", "B", "C", "D"]
        .into_iter()
        .flat_map(|name| [event(name, "{\"x\":1}"), event(name, "7")])
        .collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(4)))]
    #[test]
    fn what_is_told_of_a_program_is_true(program in program()) {
        let transformer = compile(&program);
        for event in EVENTS.iter().filter(|event| !transformer.handles(&event.schema())) {
            prop_assert_eq!(apply(&transformer, event), Ok(Transformed::Unchanged));
        }
        let retired = transformer.retired_schemas();
        for event in EVENTS.iter().filter(|event| retired.contains(&event.schema())) {
            if let Ok(Transformed::Events(events)) = apply(&transformer, event) {
                let mut schemas = events.iter().map(|output| output.schema());
                prop_assert!(schemas.all(|schema| schema != event.schema()));
            } else {
                prop_assert_ne!(apply(&transformer, event), Ok(Transformed::Unchanged));
            }
        }
    }
}
