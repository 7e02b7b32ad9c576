use proptest::prelude::*;

use super::*;
use crate::event::Revision;
use crate::transform::fixtures::*;

fn failure(rule: &str, revision: u64) -> Failure {
    Failure {
        object: None,
        event: event("1", "A", 1).id,
        schema: schema("A", 1),
        revision: Revision(revision),
        rule: rule.to_owned(),
        message: "wrong".to_owned(),
        count: 1,
    }
}

fn fates() -> impl Strategy<Value = Vec<Result<Mapped, Failure>>> {
    let outputs = |n| (0..n).map(|i| event(&format!("{i}"), "A", 2)).collect();
    let mapped = move |n, fate| {
        Ok(Mapped {
            outputs: outputs(n),
            fate,
        })
    };
    let one = prop_oneof![
        Just(mapped(1, Fate::Unchanged)),
        Just(mapped(1, Fate::Changed)),
        (2..5).prop_map(move |n| mapped(n, Fate::Split)),
        "[ab]".prop_map(move |rule| mapped(0, Fate::Dropped { rule })),
        ("[ab]", 0..9u64).prop_map(|(rule, at)| Err(failure(&rule, at))),
    ];
    prop::collection::vec(one, 0..300)
}

fn record(fates: &[Result<Mapped, Failure>]) -> Ledger {
    let mut ledger = Ledger::new();
    for fate in fates {
        match fate {
            Ok(mapped) => ledger.record(&event("1", "A", 1), mapped),
            Err(failure) => ledger.record_failure(failure.clone()),
        }
    }
    ledger
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(4)))]

    #[test]
    fn it_balances_and_counts_every_output(fates in fates()) {
        let ledger = record(&fates);
        prop_assert!(ledger.balances());
        prop_assert_eq!(ledger.source, fates.len() as u64);
        let outputs: usize = fates.iter().flatten().map(|mapped| mapped.outputs.len()).sum();
        prop_assert_eq!(ledger.outputs, outputs as u64);
        prop_assert!(ledger.failures.len() <= Ledger::MAX_FAILURES);
    }

    #[test]
    fn the_parts_merge_to_the_whole(fates in fates(), at in any::<prop::sample::Index>()) {
        let (left, right) = fates.split_at(at.index(fates.len() + 1));
        let mut merged = record(left);
        merged.merge(&record(right));
        prop_assert_eq!(merged, record(&fates));
    }

    #[test]
    fn it_survives_being_saved(fates in fates()) {
        let ledger = record(&fates);
        let saved = serde_json::to_string(&ledger).unwrap();
        prop_assert_eq!(serde_json::from_str::<Ledger>(&saved).unwrap(), ledger);
    }
}

#[test]
fn a_lost_event_unbalances_it() {
    let mapped = Mapped {
        outputs: vec![event("1", "A", 1)],
        fate: Fate::Unchanged,
    };
    let mut ledger = record(&[Ok(mapped)]);
    for damage in [
        |l: &mut Ledger| l.source += 1,
        |l: &mut Ledger| l.outputs += 1,
        |l: &mut Ledger| l.unchanged = 0,
    ] {
        let mut damaged = ledger.clone();
        damage(&mut damaged);
        assert!(!damaged.balances(), "{damaged:?}");
    }
    ledger.record_failure(failure("a", 1));
    assert!(ledger.balances());
}

#[test]
fn more_rules_than_it_names_still_count() {
    let mut ledger = Ledger::new();
    for n in 0..Ledger::MAX_RULES as u64 + 10 {
        ledger.record_failure(failure(&format!("rule {n}"), n));
    }
    assert_eq!(ledger.failed.len(), Ledger::MAX_RULES + 1);
    assert_eq!(ledger.failed[Ledger::OTHER_RULES], 10);
    assert_eq!(ledger.failures.len(), Ledger::MAX_FAILURES);
    assert!(ledger.balances());
}

#[test]
fn equal_failures_are_one_with_a_count_and_the_first_is_kept() {
    let mut ledger = record(&[Err(failure("a", 3)), Err(failure("b", 4))]);
    ledger.merge(&record(&[Err(failure("a", 5)), Err(failure("a", 6))]));
    let kept: Vec<_> = (ledger.failures.iter())
        .map(|kept| (kept.rule.as_str(), kept.revision.0, kept.count))
        .collect();
    assert_eq!(kept, [("a", 3, 3), ("b", 4, 1)]);
    assert_eq!(ledger.failed(), 4);
    // as an earlier version saved it
    let saved =
        r#"{"event":"7","schema":{"type":"A","version":1},"revision":2,"rule":"a","message":"m"}"#;
    let old: Failure = serde_json::from_str(saved).unwrap();
    assert_eq!((old.count, &old.object), (1, &None));
    assert_eq!(serde_json::to_string(&old).unwrap(), saved);
}

#[test]
fn retired_and_reused_schemas_are_named_once() {
    let changed = |version| Mapped {
        outputs: vec![event("1", "A", version)],
        fate: Fate::Changed,
    };
    let mut ledger = Ledger::new();
    ledger.record(&event("1", "A", 1), &changed(2));
    assert_eq!(ledger.retired, BTreeSet::from([schema("A", 1)]));
    assert!(ledger.reused.is_empty());
    ledger.record(&event("1", "A", 1), &changed(1));
    assert_eq!(ledger.reused, BTreeSet::from([schema("A", 1)]));
}
