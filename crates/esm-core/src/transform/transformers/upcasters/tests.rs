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
    for (version, to) in [(1, 2), (3, 4)] {
        let failure = failure(upcasters.clone(), &event("7", "A", version));
        assert_eq!(failure.rule, Upcasters::RULE);
        let expected = format!(
            "no step leads from A v{version} to a newer version: add one, such as A.v{version}-v{to}"
        );
        assert_eq!(failure.message, expected);
    }
}

#[test]
fn every_version_below_the_newest_is_retired() {
    let upcasters = built(&[("A", 1, 3, "f"), ("B", 3, 4, "g"), ("C", 0, 2, "h")]).unwrap();
    let retired: Vec<_> = upcasters.retired_schemas().into_iter().collect();
    let expected = [
        ("A", 1),
        ("A", 2),
        ("B", 1),
        ("B", 2),
        ("B", 3),
        ("C", 0),
        ("C", 1),
    ];
    assert_eq!(
        retired,
        expected.map(|(name, version)| schema(name, version))
    );
}

#[test]
fn too_many_old_versions_are_refused() {
    assert!(built(&[("A", 1, 10_001, "f")]).is_ok());
    for steps in [
        &[("A", 1, 10_002, "f")][..],
        &[("A", 1, 10_001, "f"), ("B", 1, 2, "g")],
        &[("A", 20_240_101, u32::MAX, "f"), ("B", 1, u32::MAX, "g")],
    ] {
        let message = refusal(steps);
        assert!(
            message.contains("more than 10000 old versions"),
            "{message}"
        );
        assert!(message.contains("the newest one of "), "{message}");
    }
}

#[test]
fn a_step_whose_transformer_does_not_handle_its_version_is_refused() {
    let other = upcast(schema("A", 1), schema("A", 3));
    let builder = typed().with("A", 3, 4, other);
    let error = builder.build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "upcaster leaves every event as it is: the step A v3 → v4 does not handle A v3"
    );
    assert!(typed().with("A", 3, 4, Identity).build().is_ok());
}

#[test]
fn types_that_differ_in_case_alone_are_refused() {
    assert_eq!(
        refusal(&[("Placed", 1, 2, "f"), ("placed", 2, 3, "g")]),
        "upcasters have types that differ in case alone: Placed, placed"
    );
}

/// Leaves events as they are, under this fingerprint.
#[derive(Debug)]
struct Named(&'static str);

impl crate::transform::EventTransformer for Named {
    fn fingerprint(&self) -> crate::id::Fingerprint {
        crate::id::Fingerprint::new(self.0).unwrap()
    }

    fn handles(&self, _: &crate::event::Schema) -> bool {
        true
    }

    fn transform(
        &self,
        _: &crate::event::Event,
        _: &crate::transform::TransformContext<'_>,
    ) -> Result<Transformed, crate::transform::TransformError> {
        Ok(Transformed::Unchanged)
    }
}

#[test]
fn the_fingerprint_shows_the_key_and_what_jq_programs_mean() {
    let print = |one, two| {
        let steps = Upcasters::builder().with("A", 1, 2, Named(one));
        steps
            .with("A", 2, 3, Named(two))
            .build()
            .unwrap()
            .fingerprint()
    };
    let before = print("jq:v1:ab", "jq:v2:cd:key:01");
    let after = print("jq:v1:ab", "jq:v3:cd:key:01");
    assert!(before.as_str().starts_with("upcasters:v1:jq2:"), "{before}");
    assert!(before.as_str().ends_with(":key:01"), "{before}");
    assert_ne!(before, after);
    assert!(before.is_of_same_program(&after));
    for other in [
        print("jq:v1:ab", "jq:v2:cd:key:02"),
        print("jq:v1:ab", "jq:v2:ce:key:01"),
        print("jq:v2:cd:key:01", "jq:v1:ab"),
    ] {
        assert!(!before.is_of_same_program(&other), "{other}");
    }
    assert_eq!(
        print("jq:v1:ab:key:01", "jq:v1:ab:key:02").masking_key(),
        None
    );
}

#[test]
fn what_steps_were_added_to_is_included() {
    let one = built(&[("A", 1, 2, "f"), ("B", 2, 3, "g")]).unwrap();
    let more = [
        ("A", 1, 2, "f"),
        ("A", 2, 3, "h"),
        ("B", 2, 3, "g"),
        ("C", 1, 2, "i"),
    ];
    let includes = |later: &Upcasters| later.includes(&one.fingerprint(), &one.retired_schemas());
    assert!(includes(&one) && includes(&built(&more).unwrap()));
    let changed = Upcasters::builder()
        .with("A", 1, 2, Named("changed"))
        .with("A", 2, 3, Identity)
        .with("B", 2, 3, Identity);
    let fewer = [("A", 1, 2, "f"), ("A", 2, 3, "h")];
    let other_ways = [("A", 1, 3, "f"), ("A", 2, 3, "h"), ("B", 2, 3, "g")];
    for other in [changed.build(), built(&fewer), built(&other_ways)] {
        assert!(!includes(&other.unwrap()));
    }
}

#[test]
fn a_split_after_a_step_that_sets_ids_has_its_own_ids() {
    let set = FunctionTransformer::for_all("set", 1, |event, _| {
        let id = crate::id::EventId::new("k").unwrap();
        Ok(Transformed::Events(vec![crate::event::Event {
            id,
            ..event.clone()
        }]))
    });
    let twice = |ids: &'static str| {
        FunctionTransformer::for_all(ids, 1, move |event, _| {
            let mut outputs = vec![event.clone(), event.clone()];
            for output in &mut outputs {
                output.id = match ids {
                    "kept" => event.id.clone(),
                    one => crate::id::EventId::new(one).unwrap(),
                };
            }
            Ok(Transformed::Events(outputs))
        })
    };
    let steps = Upcasters::builder().with("A", 1, 2, set.unwrap());
    let steps =
        steps
            .with("A", 2, 3, twice("kept").unwrap())
            .with("A", 3, 4, twice("kept").unwrap());
    let mapped = map(steps.build().unwrap(), &event("7", "A", 1));
    let ids: Vec<_> = mapped
        .outputs
        .iter()
        .map(|output| output.id.as_str())
        .collect();
    assert_eq!(ids, ["k.0.0", "k.0.1", "k.1.0", "k.1.1"]);

    let same = Upcasters::builder().with_file("A", 1, 2, "A.v1-v2", twice("x").unwrap());
    let failure = failure(same.build().unwrap(), &event("7", "A", 1));
    assert_eq!(failure.rule, Mapper::OUTPUT_IDS);
    assert_eq!(failure.message, "A.v1-v2: two outputs have the same id: x");
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
    let long = "x".repeat(10_000);
    for (event_type, shown) in [("", "upcaster  v1 → v2: "), (long.as_str(), "upcaster xxx")] {
        let typed = Upcasters::builder().step::<One, _>(event_type, 1, 2, |one| Two { b: one.a });
        let message = typed.build().unwrap_err().to_string();
        assert!(message.starts_with(shown), "{message}");
        assert!(message.contains(" v1 → v2: "), "{message}");
    }
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
