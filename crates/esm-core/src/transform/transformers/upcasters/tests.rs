use std::sync::Arc;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::error::Error;
use crate::event::Revision;
use crate::transform::fixtures::*;
use crate::transform::{
    EventTransformer as _, Fate, FunctionTransformer, Identity, Mapper, Transformed,
};

type Step = (&'static str, u32, u32, &'static str);

/// Steps that change the version alone, as read from files.
fn built(steps: &[Step]) -> Result<Upcasters, Error> {
    let builder = steps.iter().fold(Upcasters::builder(), |builder, step| {
        let (event_type, from, to, file) = *step;
        builder.with_file(event_type, from, to, file, Identity)
    });
    builder.build()
}

fn refusal(steps: &[Step]) -> String {
    built(steps).unwrap_err().to_string()
}

fn failure(upcasters: Upcasters, event: &crate::event::Event) -> crate::transform::Failure {
    Mapper::new(Arc::new(upcasters))
        .map(&object(), Revision::START, event)
        .unwrap_err()
}

#[derive(Deserialize)]
struct One {
    a: u32,
}
#[derive(Serialize, Deserialize)]
struct Two {
    b: u32,
}
#[derive(Serialize)]
struct Three {
    c: u32,
}

fn typed() -> UpcastersBuilder {
    Upcasters::builder()
        .step::<Two, _>("A", 2, 3, |two| Three { c: two.b * 10 })
        .step::<One, _>("A", 1, 2, |one| Two { b: one.a + 1 })
}

#[test]
fn every_old_version_arrives_at_the_newest_with_what_each_step_does() {
    let mapped = map(typed().build().unwrap(), &event("7", "A", 1));
    assert_eq!(schemas(&mapped), ["A v3"]);
    let output = &mapped.outputs[0];
    assert_eq!(output.payload, r#"{"c":20}"#);
    let source = event("7", "A", 1);
    assert_eq!(
        (&output.id, &output.time, &output.metadata),
        (&source.id, &source.time, &source.metadata)
    );
}

#[test]
fn the_newest_version_later_ones_and_other_types_are_unchanged() {
    let upcasters = typed().build().unwrap();
    for (name, version) in [("A", 3), ("A", 4), ("B", 1)] {
        assert!(!upcasters.handles(&schema(name, version)));
        let mapped = map(upcasters.clone(), &event("7", name, version));
        assert_eq!(mapped.fate, Fate::Unchanged, "{name} v{version}");
    }
}

#[test]
fn an_old_version_that_no_step_leads_from_fails() {
    let upcasters = built(&[("A", 2, 4, "f")]).unwrap();
    for version in [1, 3] {
        let failure = failure(upcasters.clone(), &event("7", "A", version));
        assert_eq!(failure.rule, Upcasters::RULE);
        let expected = format!("no step leads from A v{version} to a newer version");
        assert_eq!(failure.message, expected);
    }
}

#[test]
fn every_version_that_a_step_leads_from_is_retired() {
    let upcasters = built(&[("A", 1, 2, "f"), ("A", 2, 5, "g"), ("B", 7, 8, "h")]).unwrap();
    let retired: Vec<_> = upcasters.retired_schemas().into_iter().collect();
    assert_eq!(retired, [schema("A", 1), schema("A", 2), schema("B", 7)]);
}

#[test]
fn two_steps_from_one_version_are_a_fork() {
    assert_eq!(
        refusal(&[
            ("A", 1, 2, "A.v1-v2"),
            ("A", 2, 3, "x"),
            ("A", 1, 3, "A.v1-v3")
        ]),
        "upcasters fork: two steps lead from A v1: to v2 (A.v1-v2), and to v3 (A.v1-v3)"
    );
    assert_eq!(
        refusal(&[("A", 1, 2, "one"), ("A", 1, 2, "two")]),
        "upcasters fork: two steps lead from A v1: to v2 (one), and to v2 (two)"
    );
}

#[test]
fn a_version_that_does_not_reach_the_newest_is_a_gap() {
    assert_eq!(
        refusal(&[("A", 1, 2, "f"), ("A", 3, 4, "g"), ("B", 1, 2, "h")]),
        "upcasters have a gap: no step leads on from A v2, and the newest version is v4 (f, g)"
    );
}

#[test]
fn a_circle_and_a_step_downwards_are_refused() {
    assert_eq!(
        refusal(&[("A", 1, 2, "f"), ("A", 2, 3, "g"), ("A", 3, 2, "h")]),
        "upcasters lead in a circle: A v2 → v3 → v2 (g, h)"
    );
    assert_eq!(
        refusal(&[("A", 1, 1, "f")]),
        "upcasters lead in a circle: A v1 → v1 (f)"
    );
    assert_eq!(
        refusal(&[("A", 3, 1, "f")]),
        "upcaster leads to a lower version: A v3 → v1 (f)"
    );
}

#[test]
fn faults_of_several_types_are_named_together_and_few_of_many() {
    let message = refusal(&[("A", 1, 1, "f"), ("B", 2, 1, "g")]);
    assert_eq!(message.split("; ").count(), 2, "{message}");
    let names = ["A", "B", "C", "D", "E", "F", "G"];
    let message = refusal(&names.map(|name| (name, 1, 1, "f")));
    assert!(message.ends_with("E v1 → v1 (f); and 2 more"), "{message}");
    assert_eq!(refusal(&[]), "upcasters have no step");
}

#[test]
fn a_step_of_an_invalid_type_is_refused_when_it_is_built() {
    let typed = Upcasters::builder().step::<One, _>("", 1, 2, |one| Two { b: one.a });
    assert!(typed.build().is_err());
    assert!(
        Upcasters::builder()
            .with("", 1, 2, Identity)
            .build()
            .is_err()
    );
}

#[test]
fn a_step_that_gives_another_schema_fails_and_names_itself() {
    let gives = |name, version| {
        let to = schema(name, version);
        let upcasters = Upcasters::builder().with("A", 1, 2, upcast(schema("A", 1), to));
        failure(upcasters.build().unwrap(), &event("7", "A", 1)).message
    };
    assert_eq!(gives("A", 3), "the step A v1 → v2 gives A v3, not A v2");
    assert_eq!(gives("B", 2), "the step A v1 → v2 gives B v2, not A v2");
}

#[test]
fn outputs_that_keep_the_old_version_get_the_new_one() {
    let twice = FunctionTransformer::for_all("twice", 1, |event, _| {
        Ok(Transformed::Events(vec![event.clone(), event.clone()]))
    });
    let upcasters = Upcasters::builder()
        .with("A", 1, 2, twice.unwrap())
        .with("A", 2, 3, Identity)
        .build()
        .unwrap();
    let mapped = map(upcasters, &event("7", "A", 1));
    assert_eq!(schemas(&mapped), ["A v3", "A v3"]);
    assert_eq!(mapped.fate, Fate::Split);
}

#[test]
fn a_step_can_drop_and_its_rule_counts() {
    let upcasters = Upcasters::builder().with("A", 1, 2, Identity).with(
        "A",
        2,
        3,
        always(Transformed::dropped("noise")),
    );
    let mapped = map(upcasters.build().unwrap(), &event("7", "A", 1));
    let rule = "noise".to_owned();
    assert_eq!(mapped.fate, Fate::Dropped { rule });
}

#[test]
fn steps_that_multiply_are_stopped() {
    let tenfold = || {
        FunctionTransformer::for_all("tenfold", 1, |event, _| {
            Ok(Transformed::Events(vec![event.clone(); 11]))
        })
    };
    let builder = (1..5).fold(Upcasters::builder(), |builder, version| {
        builder.with("A", version, version + 1, tenfold().unwrap())
    });
    let failure = failure(builder.build().unwrap(), &event("7", "A", 1));
    assert_eq!(failure.message, "the steps give more than 1000 outputs");
}

#[test]
fn the_fingerprint_is_of_the_steps_and_not_of_their_order_or_files() {
    let print = |steps: &[Step]| built(steps).unwrap().fingerprint();
    let both = print(&[("A", 1, 2, "f"), ("A", 2, 3, "g")]);
    assert_eq!(both, print(&[("A", 2, 3, "x"), ("A", 1, 2, "y")]));
    let others = [
        print(&[("A", 1, 2, "f")]),
        print(&[("B", 1, 2, "f"), ("B", 2, 3, "g")]),
        print(&[("A", 1, 3, "f"), ("A", 2, 3, "g")]),
        typed().build().unwrap().fingerprint(),
        typed().version(2).build().unwrap().fingerprint(),
    ];
    for (at, other) in others.iter().enumerate() {
        assert_ne!(both, *other);
        assert!(!others[..at].contains(other));
    }
}

#[test]
fn the_graph_is_drawn() {
    let steps = [
        ("A \"#1\"", 1, 2, "f"),
        ("A \"#1\"", 2, 4, "g"),
        ("A \"#1\"", 3, 4, "h"),
    ];
    let graph = built(&steps).unwrap().graph().clone();
    assert_eq!(graph.to_string(), "A \"#1\": v1 → v2 → v4, v3 → v4");
    assert_eq!(
        graph.to_mermaid(),
        "graph LR
  n0[\"A #34;#35;1#34; v1\"] -->|\"f\"| n1[\"A #34;#35;1#34; v2\"]
  n1[\"A #34;#35;1#34; v2\"] -->|\"g\"| n3[\"A #34;#35;1#34; v4\"]
  n2[\"A #34;#35;1#34; v3\"] -->|\"h\"| n3[\"A #34;#35;1#34; v4\"]
"
    );
    let typed = typed().build().unwrap();
    assert_eq!(
        typed.graph().to_dot(),
        "digraph upcasters {\n  rankdir=LR;\n  \"A v1\" -> \"A v2\";\n  \"A v2\" -> \"A v3\";\n}\n"
    );
}

proptest! {
    /// Whatever the steps are: they are refused, or bring every version to the newest one.
    #[test]
    fn steps_are_refused_or_lead_to_the_newest(steps in prop::collection::vec((0_u32..6, 0_u32..6), 0..7)) {
        let builder = steps.iter().fold(Upcasters::builder(), |builder, (from, to)| {
            builder.with("A", *from, *to, Identity)
        });
        let Ok(upcasters) = builder.build() else {
            let distinct = steps.iter().map(|(from, _)| from).collect::<std::collections::BTreeSet<_>>();
            let newest = steps.iter().flat_map(|(from, to)| [from, to]).max();
            let upwards = steps.iter().all(|(from, to)| from < to);
            let ends = |(_, to): &(u32, u32)| Some(to) == newest || distinct.contains(to);
            prop_assert!(steps.is_empty() || distinct.len() < steps.len() || !upwards || !steps.iter().all(ends));
            return Ok(());
        };
        let newest = steps.iter().map(|(_, to)| *to).max().unwrap_or_default();
        for (from, _) in &steps {
            let mapped = map(upcasters.clone(), &event("7", "A", *from));
            prop_assert_eq!(schemas(&mapped), vec![format!("A v{newest}")]);
        }
    }
}
