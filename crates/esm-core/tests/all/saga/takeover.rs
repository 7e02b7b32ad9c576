//! Takeovers, the replaced holder, and locks that were never released.

use esm_core::ErrorKind;
use esm_core::migration::MigrationStatus;
use esm_testkit::faults::{At, Fault, FaultPlan};

use crate::world::{World, orders, rules, run, stalled_at};

/// R-journal: a process that meets a higher epoch stops, and does not continue in that epoch.
#[tokio::test(start_paused = true)]
async fn a_holder_that_was_replaced_appends_nothing_in_its_successors_epoch() {
    let world = World::with(&[("order/1", &["Old"]), ("order/2", &["Old"])]).await;
    // claim, plan, batch, document, batch
    let (plan, gate) = stalled_at(At::Named("records.put", 4));
    let first = world.unlocked(&plan.actor("first"));
    let first = run(first.migrate_named(orders()).batch(1));
    gate.reached().await;

    let migration = world.migration().await.unwrap();
    let (plan, second_gate) = stalled_at(At::Named("event_store.close", 0));
    let second = world.unlocked(&plan.actor("second"));
    let resumed = second.resume(migration).transform(rules());
    let second = tokio::spawn(resumed.execute());
    second_gate.reached().await;

    gate.open();
    let first = first.await.unwrap().unwrap();
    assert_eq!(*first.error.unwrap().kind(), ErrorKind::Fenced);
    assert_eq!(
        world.status(migration).await,
        MigrationStatus::InProgress,
        "the first holder's end is not the second's"
    );
    second_gate.open();
    let second = second.await.unwrap().unwrap();
    assert!(second.is_success(), "{second:?}");
    assert_eq!(world.status(migration).await, MigrationStatus::Completed);
}

/// An undo needs no transformation, going forward does: also where the undo was refused while this
/// holder waited for the lock.
#[tokio::test(start_paused = true)]
async fn nobody_goes_forward_without_the_transformation() {
    let world = World::with_order(&["Old"]).await;
    let object = &world.order;
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashAfter);
    let actor = plan.actor("first");
    let first = actor
        .migration_service(&world.storage)
        .migrate(object.clone());
    let crashed = actor.run(first.transform(rules()).execute());
    assert!(crashed.await.is_err());
    let migration = world.migration().await.unwrap();

    // claim, intent, document, refusal
    let (plan, refusing) = stalled_at(At::Named("records.put", 3));
    let second = world.unlocked(&plan.actor("second")).roll_back(migration);
    let second = tokio::spawn(second.undo_only().execute());
    refusing.reached().await;
    assert_eq!(world.status(migration).await, MigrationStatus::RollingBack);

    let (plan, locking) = stalled_at(At::Named("locks.try_acquire", 0));
    let third = world.unlocked(&plan.actor("third")).resume(migration);
    let third = tokio::spawn(third.execute());
    locking.reached().await;
    refusing.open();
    assert_eq!(
        second.await.unwrap().unwrap().status,
        MigrationStatus::Failed
    );
    locking.open();
    let refused = third.await.unwrap().unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::PlanOutdated, "{refused}");
}

/// R5: no other process would ever read it again.
#[tokio::test(start_paused = true)]
async fn what_was_begun_at_a_source_that_another_has_closed_is_removed_by_who_resumes() {
    let world = World::with_order(&["Old"]).await;
    let object = &world.order;
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("first");
    let first = actor.migration_service(&world.storage.with_own_locks());
    let first = first.migrate_named(orders()).transform(rules());
    assert!(actor.run(first.execute()).await.is_err());
    let migration = world.migration().await.unwrap();
    let rival = world.unlocked(&FaultPlan::new().actor("rival"));
    let moved = rival.migrate(object.clone()).execute().await.unwrap();
    assert!(moved.is_success(), "{moved:?}");

    let next = world.unlocked(&FaultPlan::new().actor("next"));
    let resumed = next.resume(migration).transform(rules()).execute().await;
    assert!(resumed.unwrap().is_success());
    let document = world.document(object).await;
    let closed = document.terminated.iter().map(|closed| &closed.stream);
    let named = closed.chain([&document.active]);
    let mut named: Vec<_> = named.map(|stream| stream.stream.clone()).collect();
    named.sort();
    assert_eq!(world.storage.event_store.stream_ids(), named);
}

/// A lock that was never released excludes no process once its migration has ended, and one whose
/// holder died only as long as it takes to see that.
#[tokio::test(start_paused = true)]
async fn a_lock_that_was_never_released_does_not_keep_others_away_for_ever() {
    for (crash, ended) in [("event_store.close", false), ("locks.release", true)] {
        let world = World::with(&[("order/1", &["Old"]), ("order/2", &["Old"])]).await;
        let plan = FaultPlan::new().with(At::Named(crash, 0), Fault::CrashBefore);
        let actor = plan.actor("first");
        let bulk = actor.migration_service(&world.storage);
        let bulk = bulk.migrate_named(orders()).transform(rules());
        assert!(actor.run(bulk.execute()).await.is_err());
        let single = || world.migrate("order/2").transform(rules());
        if !ended {
            let refused = single().execute().await.unwrap_err();
            assert!(matches!(refused.kind(), ErrorKind::LockHeld(_)));
        }
        let patient = single().lock(|lock| {
            if ended {
                lock
            } else {
                lock.timeout(lock.lease * 2)
            }
        });
        assert!(patient.execute().await.unwrap().is_success(), "{crash}");
    }
}

/// A target is complete for events that its source no longer has: they were lost, and the target
/// must not take the place of what is left.
#[tokio::test(start_paused = true)]
async fn a_source_that_lost_copied_events_is_not_closed() {
    let world = World::with_order(&["Old", "Old", "Old"]).await;
    let source = world.active(&world.order).await;
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("first");
    let first = actor.migration_service(&world.storage.with_own_locks());
    let first = first.migrate(world.order.clone()).transform(rules());
    assert!(actor.run(first.execute()).await.is_err());
    let cells = world.storage.event_store.snapshot(&source.stream).len() as u64;
    world
        .storage
        .event_store
        .lose_from(&source.stream, cells - 1);

    let migration = world.migration().await.unwrap();
    let next = world.unlocked(&FaultPlan::new().actor("next"));
    let resumed = next.resume(migration).transform(rules()).execute().await;
    let error = resumed.unwrap().error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::Gone, "{error}");
    assert!(
        error.to_string().contains(source.stream.as_str()),
        "{error}"
    );
    assert_eq!(world.storage.close_of(&source.stream), None);
}
