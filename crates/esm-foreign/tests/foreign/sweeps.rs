//! Migrations within a native store, with faults of its calls: what an event store that is made of
//! one meets from below.

use std::sync::Arc;

use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_foreign::{CloseProof, Profile};
use esm_testkit::memory::MemoryNativeStore;
use esm_testkit::strategies;
use esm_testkit::sweep::{Place, Scenario, Sweep, chaos};
use proptest::prelude::*;

use super::fixture::{event, rules};

fn object() -> ObjectId {
    "order/1".parse().unwrap()
}

/// All applications go through esm, so a Fence costs nothing.
fn fenced(proof: CloseProof) -> Profile {
    Profile::new(proof).with_fence(true).with_delete(true)
}

fn on(profile: Profile, scenario: Scenario) -> Scenario {
    scenario.at(move || Place::on_native_store(Arc::new(MemoryNativeStore::new(profile))))
}

/// Target cells hold two events, so that there are several.
fn scenario() -> Scenario {
    let types = ["Keep", "Noise", "Split", "Noise", "Old", "Keep"];
    let events = (0..).zip(types);
    let events: Vec<Event> = events.map(|(n, t)| event(&format!("e{n}"), t)).collect();
    let cells = [&events[..2], &events[2..3], &events[3..]].map(<[Event]>::to_vec);
    let scenario = Scenario::new(object(), cells.to_vec()).transform(rules());
    scenario.describe(|migration| migration.cells(2, 1 << 20))
}

fn run(name: &str, sweep: Sweep) {
    let command = format!("cargo test -p esm-core --test foreign sweeps::{name}");
    let sweep = sweep.thinned().replayed_by(command);
    println!("{name}: {}", sweep.check());
}

#[test]
fn crashes() {
    let scenario = on(fenced(CloseProof::StoreRefuses), scenario());
    run("crashes", Sweep::of_crashes(scenario).every(2));
}

/// What was undone leaves its target behind; of a stream without events it leaves nothing.
#[test]
fn crashes_without_fences() {
    let scenario = scenario().and("order/2".parse().unwrap(), Vec::new());
    let scenario = on(Profile::new(CloseProof::FormatMarker), scenario);
    let sweep = Sweep::of_crashes(scenario).every(2);
    run("crashes_without_fences", sweep);
}

#[test]
fn crashes_of_an_undo() {
    let scenario = on(fenced(CloseProof::FormatMarker), scenario());
    let scenario = scenario.undone_after("native_store.append");
    run("crashes_of_an_undo", Sweep::of_crashes(scenario).every(2));
}

#[test]
fn zombies() {
    let scenario = on(fenced(CloseProof::FormatMarker), scenario());
    run("zombies", Sweep::of_zombies(scenario).every(2));
}

/// A process that wakes up after an undo may still close.
#[test]
fn zombies_without_fences() {
    let scenario = on(Profile::new(CloseProof::StoreRefuses), scenario());
    run("zombies_without_fences", Sweep::of_zombies(scenario));
}

#[test]
fn writers() {
    let scenario = on(Profile::new(CloseProof::StoreRefuses), scenario());
    run("writers", Sweep::of_writers(scenario));
}

fn profiles() -> impl Strategy<Value = Profile> {
    let proof = prop_oneof![
        Just(CloseProof::StoreRefuses),
        Just(CloseProof::FormatMarker)
    ];
    (proof, any::<[bool; 3]>()).prop_map(|(proof, [fence, delete, finds_marks])| {
        let profile = Profile::new(proof).with_fence(fence).with_delete(delete);
        profile.with_finding_marks(finds_marks)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        max_shrink_iters: 400,
        ..strategies::one_in(5)
    })]

    /// Two migrators, writers of old and new schemas, and native calls that go wrong wherever they
    /// fall.
    #[test]
    fn whatever_happens_nothing_is_lost(
        profile in profiles(),
        workload in strategies::workload(0..4, 0..6),
        rules in strategies::rules(),
        cell_events in 1_usize..5,
        rollback: bool,
        disturbances in strategies::disturbances(0..90, 0..14),
    ) {
        let scenario = Scenario::new(object(), workload.cells).transform(rules);
        let scenario = scenario.appended_meanwhile(object(), workload.appended);
        let scenario = on(profile, scenario.describe(move |migration| {
            let migration = migration.cells(cell_events, 1 << 20);
            if rollback { migration.with_rollback()
} else { migration
}
        }));
        if let Err(what) = chaos(&scenario, &disturbances) {
            return Err(TestCaseError::fail(what));
        }
    }
}
