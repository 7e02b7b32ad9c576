//! One of two holders is paused at any of its calls, the other takes over, and the first wakes up again,
//! still believing that it holds the lock.

use std::sync::Arc;

use esm_core::id::{ObjectId, StreamId};
use esm_core::migration::MigrationStatus;
use esm_testkit::event;
use esm_testkit::faults::{At, FaultPlan};

use crate::world::{World, orders, rules, run, stalled_at};

/// What the second holder does while the first one is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    Resumes,
    RollsBack,
}

/// R4, R5, R17, I1, I4–I7: the first holder is paused at each of its calls.
async fn pause_everywhere(second: Second, bulk: bool) {
    let objects: Vec<ObjectId> = ["order/1", "order/2"].map(|o| o.parse().unwrap()).to_vec();
    let taken = if bulk { &objects[..] } else { &objects[..1] };
    for at in 0.. {
        let world = World::with(&[
            ("order/1", &["Old", "Noise", "Keep"]),
            ("order/2", &["Noise"]),
        ])
        .await;
        let observer = Arc::new(world.observer(&objects, [Arc::new(rules()) as _]));
        let (plan, gate) = stalled_at(At::Operation(at));
        let plan = plan.watched_by(observer.clone());
        let holder = world.unlocked(&plan.actor("first"));
        let migration = if bulk {
            holder.migrate_named(orders()).batch(1).concurrency(1)
        } else {
            holder.migrate(objects[0].clone())
        };
        let mut first = run(migration);
        let paused = tokio::select! {
            () = gate.reached() => true,
            done = &mut first => {
                assert!(done.unwrap().unwrap().is_success());
                false
            }
        };
        if !paused {
            assert!(at > 10, "the first holder was never paused");
            return;
        }
        let context = format!("{second:?}, bulk: {bulk}, paused at {at}");
        let Some(migration) = world.migration().await else {
            gate.open();
            first.await.unwrap().unwrap();
            continue;
        };
        let second_plan = FaultPlan::new().watched_by(observer.clone());
        let holder = world.unlocked(&second_plan.actor("second"));
        let ended = match second {
            Second::Resumes => holder.resume(migration).transform(rules()).execute().await,
            Second::RollsBack => holder.roll_back(migration).undo_only().execute().await,
        };
        let ended = ended.ok().map(|result| result.status);
        for object in taken {
            let between = vec![event("between", "Keep")];
            world.storage.append(object, between).await.unwrap();
        }
        gate.open();
        let first = first.await.unwrap();

        let violations: Vec<_> = (plan.violations().into_iter())
            .chain(second_plan.violations())
            .map(|v| v.to_string())
            .collect();
        assert!(violations.is_empty(), "{context}: {violations:#?}");
        // whatever is left can be finished
        for _ in 0..3 {
            if !world.status(migration).await.is_terminal() {
                let last = world.unlocked(&FaultPlan::new().actor("last"));
                let _ = last.resume(migration).transform(rules()).execute().await;
            }
        }
        let status = world.status(migration).await;
        assert!(status.is_terminal(), "{context}: {status}, {first:?}");
        if second == Second::Resumes && ended.is_some() {
            assert_eq!(status, MigrationStatus::Completed, "{context}");
        }
        for object in taken {
            let closed = world.storage.close_of(&StreamId::first(object)).is_some();
            if status == MigrationStatus::Completed {
                assert!(closed, "{context}: {object}");
            }
            if status == MigrationStatus::RolledBack && !bulk {
                assert!(!closed, "{context}: I7: {object}, {first:?}");
                assert_eq!(world.storage.event_store.stream_ids().len(), 2, "{context}");
            }
            let ids = world.ids(object).await;
            let expected = match (object.key().as_str(), closed) {
                ("1", true) => vec!["order/1-0", "order/1-2", "between"],
                ("1", false) => vec!["order/1-0", "order/1-1", "order/1-2", "between"],
                (_, true) => vec!["between"],
                (_, false) => vec!["order/2-0", "between"],
            };
            assert_eq!(ids, expected, "{context}: I1: {object}");
        }
        // nothing that is rolled back is cut over later
        if ended == Some(MigrationStatus::RolledBack) {
            assert!(!first.unwrap().is_success(), "{context}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_holder_of_one_object_wakes_up_after_another_has_resumed() {
    pause_everywhere(Second::Resumes, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_holder_of_one_object_wakes_up_after_another_has_rolled_back() {
    pause_everywhere(Second::RollsBack, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_holder_of_many_wakes_up_after_another_has_resumed() {
    pause_everywhere(Second::Resumes, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_holder_of_many_wakes_up_after_another_has_rolled_back() {
    pause_everywhere(Second::RollsBack, true).await;
}

/// R5: of two migrations of one object the second continues from where the first has moved it.
#[tokio::test(start_paused = true)]
async fn a_paused_migration_wakes_up_after_another_one_has_closed_the_source() {
    for at in 0.. {
        let world = World::with_order(&["Old", "Noise", "Keep"]).await;
        let object = &world.order;
        let observer =
            Arc::new(world.observer(std::slice::from_ref(object), [Arc::new(rules()) as _]));
        let (plan, gate) = stalled_at(At::Operation(at));
        let plan = plan.watched_by(observer.clone());
        let holder = world.unlocked(&plan.actor("first"));
        let mut first = run(holder.migrate(object.clone()));
        tokio::select! {
            () = gate.reached() => {}
            done = &mut first => {
                assert!(done.unwrap().unwrap().is_success() && at > 10);
                return;
            }
        }
        let context = format!("paused at {at}");
        let other_plan = FaultPlan::new().watched_by(observer.clone());
        let other = world.unlocked(&other_plan.actor("second"));
        let other = other.migrate(object.clone()).execute().await.unwrap();
        assert!(other.is_success(), "{context}: {other:?}");
        let between = vec![event("between", "Keep")];
        world.storage.append(object, between).await.unwrap();
        gate.open();
        let first = first.await.unwrap().unwrap();
        if !world.status(first.migration).await.is_terminal() {
            let last = world.unlocked(&FaultPlan::new().actor("last"));
            let resumed = last.resume(first.migration).transform(rules());
            let resumed = resumed.execute().await;
            assert!(resumed.unwrap().is_success(), "{context}: {first:?}");
        }
        let violations = [plan.violations(), other_plan.violations()].concat();
        assert!(violations.is_empty(), "{context}: {violations:#?}");
        let ids = world.ids(object).await;
        assert_eq!(ids, ["order/1-0", "order/1-2", "between"], "{context}: I1");
        let streams = world.storage.event_store.stream_ids();
        assert_eq!(streams.len(), 3, "{context}: {streams:?}");
    }
}
