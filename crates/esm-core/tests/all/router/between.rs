//! A migrator that steps between any two requests of a client, and faults at each of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use esm_core::Result;
use esm_core::migration::MigrationPhase::{Cutover, DualRead, DualWrite};
use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};
use tokio::sync::Mutex;

use super::live::{Act, Migrator, Outcome, Step, Writer, check};
use crate::world::World;

/// One migration as it should be, and the beginning of the next.
const STEPS: [Step; 11] = [
    Step::Copy,
    Step::Publish(DualWrite),
    Step::Copy,
    Step::Publish(DualRead),
    Step::Copy,
    Step::Publish(Cutover),
    Step::Close,
    Step::Publish(DualWrite),
    Step::Copy,
    Step::Undo,
    Step::Copy,
];

/// What the client does.
const ACTS: [Act; 10] = [
    Act::Any,
    Act::Refresh,
    Act::Any,
    Act::Refresh,
    Act::Any,
    Act::Decide,
    Act::Refresh,
    Act::Decide,
    Act::Any,
    Act::Decide,
];

/// Runs a client of this kind. The steps up to the first number are done before it begins, those up
/// to the second one before its request with this number, and the rest when it has ended.
async fn run(
    kind: usize,
    (before, at, request): (usize, usize, u64),
    fault: Option<(u64, Fault)>,
) -> Result<(u64, Outcome)> {
    let f = Arc::new(World::new());
    let source = f.client().create(&f.order).await?.stream().clone();
    let migrator = Arc::new(Mutex::new(Migrator::new(&f, source)));
    for step in &STEPS[..before] {
        migrator.lock().await.step(*step).await;
    }
    let plan = FaultPlan::new();
    let stepping = Arc::clone(&migrator);
    let step = Interjection::new(move || {
        let migrator = Arc::clone(&stepping);
        async move {
            for step in &STEPS[before..at] {
                migrator.lock().await.step(*step).await;
            }
        }
    });
    if at > before {
        plan.inject(At::Operation(request), Fault::Interject(step));
    }
    if let Some((request, fault)) = fault {
        plan.inject(At::Operation(request), fault);
    }
    let outcome = Writer::new(&f, &plan, kind).run(ACTS.to_vec()).await;
    let requests = plan.log().len();
    let reached = if requests > request { at } else { before };
    for step in &STEPS[reached..] {
        migrator.lock().await.step(*step).await;
    }
    let outcomes = [outcome];
    check(&*migrator.lock().await, &plan, &outcomes).await?;
    let [outcome] = outcomes;
    Ok((requests, outcome))
}

#[tokio::test(start_paused = true)]
async fn a_migrator_may_step_between_any_two_requests() -> Result<()> {
    let (mut mirrored, mut read, mut redirected) = (0, 0, 0);
    for kind in 0..4 {
        for before in 0..STEPS.len() {
            // one step, a few, or all that are left
            let at = [before + 1, before + 4, STEPS.len()];
            let at: BTreeSet<_> = at.into_iter().filter(|at| *at <= STEPS.len()).collect();
            for at in at {
                let mut request = 0;
                loop {
                    let (requests, outcome) = run(kind, (before, at, request), None).await?;
                    assert!(outcome.refused().is_empty(), "nobody else appends");
                    mirrored += outcome.statistics.mirrors_written;
                    read += outcome.statistics.dual_reads_target;
                    redirected += outcome.statistics.redirects;
                    request += 1;
                    if request >= requests {
                        break;
                    }
                }
            }
        }
    }
    // that it is all about something
    assert!(
        mirrored > 500 && read > 500 && redirected > 500,
        "{mirrored} {read} {redirected}"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_any_request_loses_and_repeats_nothing() -> Result<()> {
    for kind in 0..4 {
        for before in 0..STEPS.len() {
            for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Duplicate] {
                let mut request = 0;
                loop {
                    let steps = (before, STEPS.len(), request + 1);
                    let (requests, _) = run(kind, steps, Some((request, fault.clone()))).await?;
                    request += 1;
                    if request >= requests {
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}
