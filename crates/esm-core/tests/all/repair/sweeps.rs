//! A fault at each operation of a repair: nothing is lost, and the next repair ends it.

use std::sync::Arc;

use esm_core::repair::Outcome;
use esm_testkit::faults::{At, Fault, FaultPlan};

use super::scene::{Case, Scene, mend_all};

/// The calls of a repair that nothing disturbs.
async fn clean(case: Case) -> u64 {
    let scene = Scene::new(case).await;
    assert_eq!(scene.kinds().await, case.kinds(), "{case:?}");
    let plan = FaultPlan::new().watched_by(Arc::new(scene.observer()));
    let findings = scene.findings().await;
    let before = scene.world.everything();
    let dry = scene.repair(&plan.actor("dry")).dry_run();
    for mended in mend_all(&dry, &findings).await {
        assert_eq!(mended.unwrap().outcome, Outcome::WouldMend, "{case:?}");
    }
    assert_eq!(
        scene.world.everything(),
        before,
        "{case:?}: a dry run wrote"
    );

    let plan = FaultPlan::new().watched_by(Arc::new(scene.observer()));
    for mended in mend_all(&scene.repair(&plan.actor("repair")), &findings).await {
        assert_eq!(mended.unwrap().outcome, Outcome::Mended, "{case:?}");
    }
    assert!(plan.violations().is_empty(), "{:?}", plan.violations());
    let calls = plan.log().len();
    // the same findings again change nothing
    let before = (scene.world.everything(), scene.storage().backups.ids());
    for dry in [true, false] {
        let repair = scene.repair(&plan.actor("again"));
        let repair = if dry { repair.dry_run() } else { repair };
        for mended in mend_all(&repair, &findings).await {
            let mended = mended.unwrap();
            assert_eq!(mended.outcome, Outcome::Nothing, "{case:?}: {mended:?}");
        }
    }
    let after = (scene.world.everything(), scene.storage().backups.ids());
    assert_eq!(after, before, "{case:?}");
    scene.mend_the_rest(&format!("{case:?}")).await;
    calls
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_each_call_of_a_repair_loses_nothing_and_the_next_repair_ends_it() {
    let faults = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::Duplicate,
    ];
    for case in Case::ALL {
        let calls = clean(case).await;
        assert!(calls > 1, "{case:?}: {calls}");
        for fault in &faults {
            for at in 0..calls {
                let place = format!("{case:?}: {fault:?} at {at}");
                let scene = Scene::new(case).await;
                let findings = scene.findings().await;
                let plan = FaultPlan::new()
                    .with(At::Operation(at), fault.clone())
                    .watched_by(Arc::new(scene.observer()));
                let actor = plan.actor("repair");
                let repair = scene.repair(&actor);
                if let Ok(all) = actor.run(mend_all(&repair, &findings)).await {
                    for error in all.into_iter().filter_map(Result::err) {
                        assert!(error.is_retryable(), "{place}: {error:?}");
                    }
                }
                scene.assert_whole(&place).await;
                scene.mend_the_rest(&place).await;
                let violations = plan.violations();
                assert!(violations.is_empty(), "{place}: {violations:?}");
            }
        }
    }
}

/// Stores remove the cells of a stream from the last to the first.
#[tokio::test(start_paused = true)]
async fn what_a_crash_in_the_middle_of_a_removal_left_is_removed() {
    for cells in 1..3 {
        let place = format!("{cells} cells are left");
        let scene = Scene::new(Case::OrphanedTarget).await;
        let plan = FaultPlan::new().with(At::Named("event_store.discard", 0), Fault::CrashBefore);
        let actor = plan.actor("repair");
        let repair = scene.repair(&actor);
        let findings = scene.findings().await;
        assert!(
            actor.run(mend_all(&repair, &findings)).await.is_err(),
            "{place}"
        );
        let target = scene.target();
        let store = &scene.storage().event_store;
        assert_eq!(store.snapshot(&target).len(), 3);
        store.lose_from(&target, cells);
        scene.mend_the_rest(&place).await;
        assert!(store.snapshot(&target).is_empty(), "{place}");
        assert_eq!(scene.archives().len(), 2, "{place}");
    }
}
