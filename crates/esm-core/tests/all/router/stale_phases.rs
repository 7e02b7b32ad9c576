//! Clients of every kind, with phases of every age, while migrations come, are undone and go, in
//! random order; requests of the clients are delayed, fail, lose their answers, happen twice.

use std::sync::Arc;
use std::time::Duration;

use esm_core::Result;
use esm_core::migration::MigrationPhase;
use esm_testkit::faults::{At, Fault, FaultPlan};
use esm_testkit::strategies;
use proptest::prelude::*;
use tokio::task::JoinSet;

use super::live::{Act, Migrator, Step, Writer, check};
use crate::world::World;

/// Writers that do these, a migrator that does those, with pauses before each, and what happens to
/// the writers' requests.
async fn run(acts: Vec<Vec<Act>>, steps: Vec<(Step, u64)>, faults: Vec<(u8, u64)>) -> Result<()> {
    let f = Arc::new(World::new());
    let plan = FaultPlan::new();
    for (n, (kind, delay)) in (0..).zip(faults) {
        let fault = match kind {
            0 => Fault::FailBefore,
            1 => Fault::FailAfter,
            2 => Fault::Duplicate,
            _ => Fault::Delay(Duration::from_millis(delay)),
        };
        plan.inject(At::Operation(n), fault);
    }
    let source = f.client().create(&f.order).await?.stream().clone();
    let mut writers = JoinSet::new();
    for (name, acts) in acts.into_iter().enumerate() {
        writers.spawn(Writer::new(&f, &plan, name).run(acts));
    }
    let mut migrator = Migrator::new(&f, source);
    let clock = f.storage.environment.clock.clone();
    let migrated = tokio::spawn(async move {
        for (step, pause) in steps {
            clock.sleep(Duration::from_millis(pause)).await;
            migrator.step(step).await;
        }
        migrator
    });
    let outcomes = writers.join_all().await;
    check(&migrated.await.unwrap(), &plan, &outcomes).await
}

/// Mostly copying, with phases that are right more often than wrong.
fn steps() -> impl Strategy<Value = Vec<(Step, u64)>> {
    use MigrationPhase::{Cutover, DualRead, DualWrite, Normal};
    let step = prop_oneof![
        12 => Just(Step::Copy),
        1 => Just(Step::Publish(Normal)),
        2 => Just(Step::Publish(DualWrite)),
        3 => Just(Step::Publish(DualRead)),
        1 => Just(Step::Publish(Cutover)),
        1 => Just(Step::Undo),
        1 => Just(Step::Close),
        1 => Just(Step::Help),
    ];
    let begun = [(Step::Copy, 1), (Step::Publish(DualWrite), 0)];
    prop::collection::vec((step, 0..60_u64), 1..40)
        .prop_map(move |steps| begun.into_iter().chain(steps).collect())
}

/// Some writers do nothing, so that the others are not always in each other's way.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => Just(Act::Any),
        3 => Just(Act::Decide),
        1 => Just(Act::Refresh),
    ];
    let begun = [Act::Any, Act::Refresh, Act::Decide, Act::Refresh];
    prop_oneof![
        1 => Just(Vec::new()),
        1 => prop::collection::vec(act, 0..16)
            .prop_map(move |acts| begun.into_iter().chain(acts).collect()),
    ]
}

proptest! {
    #![proptest_config(strategies::one_in(2))]

    #[test]
    fn whatever_clients_believe_of_phases_every_event_is_there_once(
        acts in prop::collection::vec(acts(), 4),
        steps in steps(),
        faults in prop::collection::vec((0..60_u8, 0..30_u64), 0..300),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(acts, steps, faults)).unwrap();
    }
}
