//! A repair beside writers, migrations, undos and other repairs, with either side frozen at each of its
//! calls until the other has finished.

use std::sync::Arc;

use esm_core::doctor::{FindingKind, Subject};
use esm_core::migration::MigrationResult;
use esm_core::protocol::routing::PublishPhases;
use esm_core::router::ExpectedRevision;
use esm_testkit::faults::{Actor, At, Fault, FaultPlan, Gate};

use super::scene::{Case, Scene, mend_all};
use crate::world::event;

/// What happens beside a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rival {
    /// An application appends.
    Append,
    /// Another migration of the object, that no lock keeps from anything.
    Migrate,
    /// Another repair, that no lock keeps from anything.
    Repair,
}

impl Rival {
    const ALL: [Self; 3] = [Self::Append, Self::Migrate, Self::Repair];

    /// An object without a document can be neither appended to nor migrated.
    fn can_act_on(self, case: Case) -> bool {
        self == Self::Repair || !case.hides_the_object()
    }

    async fn act(self, scene: &Scene, actor: &Actor, place: &str) {
        match self {
            Self::Append => {
                let client = actor.client(scene.storage());
                let new = vec![event("meanwhile")];
                let appended = client.append(scene.order(), ExpectedRevision::Any, new);
                appended.await.unwrap_or_else(|e| panic!("{place}: {e:?}"));
            }
            Self::Migrate => {
                let service = scene.world.unlocked(actor);
                let migrate = service.migrate(scene.order().clone()).again();
                let migrate = migrate.to_stream("order-1.other").cells(2, 1 << 20);
                let ended = migrate.execute().await;
                let ended = ended.unwrap_or_else(|e| panic!("{place}: {e:?}"));
                assert!(ended.is_success(), "{place}: {ended:?}");
            }
            Self::Repair => {
                let findings = scene.findings().await;
                let repair = scene.unlocked_repair(actor);
                for mended in mend_all(&repair, &findings).await {
                    mended.unwrap_or_else(|e| panic!("{place}: {e:?}"));
                }
            }
        }
    }

    /// The scene as it must be after that.
    fn note(self, scene: &mut Scene) {
        if self == Self::Append {
            let order = scene.order().clone();
            scene.appended(&order, "meanwhile");
        }
    }
}

/// A plan that freezes this actor at one of its calls.
fn freezing(scene: &Scene, name: &str, at: u64) -> (FaultPlan, Gate) {
    let gate = Gate::new();
    let plan = FaultPlan::new()
        .with(At::OfActor(name.to_owned(), at), Fault::Stall(gate.clone()))
        .watched_by(Arc::new(scene.observer()));
    (plan, gate)
}

fn assert_unharmed(plan: &FaultPlan, place: &str) {
    let violations = plan.violations();
    assert!(violations.is_empty(), "{place}: {violations:?}");
}

#[tokio::test(start_paused = true)]
async fn a_repair_that_wakes_after_others_have_acted_harms_nothing() {
    for case in Case::ALL {
        for rival in Rival::ALL.into_iter().filter(|r| r.can_act_on(case)) {
            for at in 0.. {
                let place = format!("{case:?} frozen at {at}, {rival:?}");
                let mut scene = Scene::new(case).await;
                let findings = scene.findings().await;
                let (plan, gate) = freezing(&scene, "repair", at);
                let repair = scene.unlocked_repair(&plan.actor("repair"));
                let frozen = tokio::spawn(async move { mend_all(&repair, &findings).await });
                // nothing else waits for time to pass, so it has ended or is frozen
                scene.world.let_time_pass(1).await;
                if frozen.is_finished() {
                    assert!(at > 1, "{place}");
                    break;
                }
                assert!(gate.is_reached(), "{place}");
                rival.act(&scene, &plan.actor("rival"), &place).await;
                rival.note(&mut scene);
                scene.assert_whole(&place).await;
                gate.open();
                for mended in frozen.await.unwrap() {
                    mended.unwrap_or_else(|e| panic!("{place}: {e:?}"));
                }
                scene.assert_whole(&place).await;
                scene.mend_the_rest(&place).await;
                assert_unharmed(&plan, &place);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn others_that_wake_after_a_repair_lose_nothing() {
    for case in Case::ALL {
        for rival in Rival::ALL.into_iter().filter(|r| r.can_act_on(case)) {
            for at in 0.. {
                let place = format!("{case:?}, {rival:?} frozen at {at}");
                let mut scene = Scene::new(case).await;
                let (plan, gate) = freezing(&scene, "rival", at);
                let actor = plan.actor("rival");
                let frozen = rival.act(&scene, &actor, &place);
                let repairs = async {
                    tokio::select! {
                        () = gate.reached() => {}
                        () = scene.world.let_time_pass(3_600_000) => return false,
                    }
                    let findings = scene.findings().await;
                    let repair = scene.unlocked_repair(&plan.actor("repair"));
                    for mended in mend_all(&repair, &findings).await {
                        mended.unwrap_or_else(|e| panic!("{place}: {e:?}"));
                    }
                    gate.open();
                    true
                };
                let ((), is_frozen) = tokio::join!(frozen, repairs);
                if !is_frozen {
                    assert!(at > 1, "{place}");
                    break;
                }
                rival.note(&mut scene);
                scene.mend_the_rest(&place).await;
                assert_unharmed(&plan, &place);
            }
        }
    }
}

/// With the locks that they share, as processes do.
#[tokio::test(start_paused = true)]
async fn a_migration_of_all_objects_goes_on_beside_a_repair_that_sleeps() {
    // a lock of a process that has ended is waited for
    let is_fit = |case: &Case| !case.hides_the_object() && *case != Case::DeadLock;
    for case in Case::ALL.into_iter().filter(is_fit) {
        for at in 0.. {
            let place = format!("{case:?} frozen at {at}");
            let scene = Scene::new(case).await;
            let findings = scene.findings().await;
            let (plan, gate) = freezing(&scene, "repair", at);
            let repair = scene.repair(&plan.actor("repair"));
            let frozen = tokio::spawn(async move { mend_all(&repair, &findings).await });
            scene.world.let_time_pass(1).await;
            if frozen.is_finished() {
                assert!(at > 1, "{place}");
                break;
            }
            assert!(gate.is_reached(), "{place}");
            let all = scene.world.service.migrate_all().again();
            let ended = all.cells(2, 1 << 20).execute().await;
            let ended = ended.unwrap_or_else(|e| panic!("{place}: {e:?}"));
            assert!(ended.is_success(), "{place}: {ended:?}");
            gate.open();
            for mended in frozen.await.unwrap() {
                mended.unwrap_or_else(|e| panic!("{place}: {e:?}"));
            }
            scene.mend_the_rest(&place).await;
            assert_unharmed(&plan, &place);
        }
    }
}

/// How the migration of a frozen process ends without it.
#[derive(Debug, Clone, Copy)]
enum Without {
    /// Another process undoes it.
    Undone,
    /// Its journal is lost.
    JournalLost,
}

/// The repair may fence the source and remove the target of a process that only sleeps.
#[tokio::test(start_paused = true)]
async fn a_migrator_that_wakes_after_its_target_was_repaired_cannot_cut_over_to_it() {
    for without in [Without::Undone, Without::JournalLost] {
        for at in 0.. {
            let place = format!("frozen at {at}, {without:?}");
            let scene = Scene::whole().await;
            let gate = Gate::new();
            let stall = Fault::Stall(gate.clone());
            let plan = FaultPlan::new()
                .with(At::OfActor("frozen".to_owned(), at), stall)
                .watched_by(Arc::new(scene.observer()));
            let service = scene.world.unlocked(&plan.actor("frozen"));
            let migrate = service.migrate(scene.order().clone()).cells(2, 1 << 20);
            let frozen = tokio::spawn(migrate.phases(PublishPhases::Always).execute());
            tokio::select! {
                () = gate.reached() => {}
                () = scene.world.let_time_pass(3_600_000) => {}
            }
            if !gate.is_reached() {
                assert!(frozen.is_finished() && at > 20, "{place}");
                break;
            }
            if let Some(migration) = scene.world.migration().await {
                match without {
                    Without::JournalLost => scene.lose_journal(migration),
                    Without::Undone => {
                        let other = FaultPlan::new().actor("other");
                        let undo = scene.world.unlocked(&other).roll_back(migration);
                        // refused after the Close
                        drop(undo.execute().await);
                    }
                }
            }
            scene.world.let_time_pass(61_000).await;
            let repair = scene.repair(&FaultPlan::new().actor("repair"));
            for mended in mend_all(&repair, &scene.findings().await).await {
                mended.unwrap_or_else(|e| panic!("{place}: {e:?}"));
            }
            scene.assert_whole(&place).await;
            gate.open();
            // it may fail; it must not lose anything
            drop::<esm_core::Result<MigrationResult>>(frozen.await.unwrap());
            scene.assert_whole(&place).await;
            scene.world.let_time_pass(61_000).await;
            let repair = scene.repair(&FaultPlan::new().actor("again"));
            for mended in mend_all(&repair, &scene.findings().await).await {
                mended.unwrap_or_else(|e| panic!("{place}: {e:?}"));
            }
            scene.assert_whole(&place).await;
            for finding in scene.findings().await {
                // what can be continued is not for a repair to end
                let Subject::Migration(migration) = finding.subject else {
                    panic!("{place}: {finding:?}")
                };
                assert_eq!(finding.kind, FindingKind::UnfinishedMigration, "{place}");
                let ended = scene.world.service.resume(migration).execute().await;
                let ended = ended.unwrap_or_else(|e| panic!("{place}: {e:?}"));
                assert!(ended.is_success(), "{place}: {ended:?}");
            }
            scene.mend_the_rest(&place).await;
            assert_unharmed(&plan, &place);
        }
    }
}
