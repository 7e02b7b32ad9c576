//! Stores that cannot fence a source: an undo keeps the target and ends as `Abandoned`;
//! and stores whose streams cannot be closed while they are written to.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::backup::{BackupOptions, RestoreOptions, RestoreTarget};
use esm_core::id::MigrationId;
use esm_core::migration::{MigrationBuilder, MigrationStatus, MigrationStrategy, Scope};
use esm_core::store::{Capabilities, Shortcoming};
use esm_testkit::faults::{At, Fault, FaultPlan, Gate};
use esm_testkit::{event, events};

use crate::world::{World, rules, unfinished};

/// A world with these capabilities and one order.
async fn capable_of(capabilities: Capabilities, types: &[&str]) -> World {
    let world = World::capable_of(capabilities);
    let events = events("e", types).collect();
    world.object_of("order/1", events, 1).await;
    world
}

async fn unfenced(types: &[&str]) -> World {
    let capabilities = Capabilities::default().with_discard(true).with_fence(false);
    capable_of(capabilities, types).await
}

fn migrate(world: &World) -> MigrationBuilder {
    world.migrate(&world.order).transform(rules())
}

async fn begun(world: &World) -> Option<MigrationId> {
    let begun = unfinished(&world.service).await;
    begun.map(|state| state.migration)
}

#[tokio::test(start_paused = true)]
async fn an_undo_keeps_the_target_and_ends_as_abandoned() {
    let world = unfenced(&["Old", "Keep"]).await;
    // the target is written, and the process dies before the Close
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("first");
    let migration = world.unlocked(&actor).migrate(world.order.clone());
    let migration = migration.transform(rules());
    assert!(actor.run(migration.execute()).await.is_err());
    let migration = begun(&world).await.unwrap();
    let undone = world.service.roll_back(migration).execute().await;
    let undone = undone.unwrap();
    assert_eq!(undone.status, MigrationStatus::Abandoned, "{undone:?}");
    assert_eq!(
        (undone.statistics.abandoned, undone.statistics.rolled_back),
        (1, 0)
    );
    assert!(!undone.is_success());
    assert_eq!(world.storage.event_store.stream_ids().len(), 2, "T is kept");
    assert!(!world.source_is_closed());
    let state = world.service.status(migration).await.unwrap();
    assert_eq!(state.status, MigrationStatus::Abandoned);
    // it is over, and another may begin
    let again = world.service.resume(migration).transform(rules());
    let refused = again.execute().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::AlreadyExists);
    let next = migrate(&world).execute().await;
    assert!(next.unwrap().is_success());
    assert_eq!(world.ids(&world.order).await, ["e0", "e1"]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_anything_was_written_is_rolled_back_and_what_was_begun_is_abandoned() {
    for (failing_check, status, streams) in [
        (false, MigrationStatus::RolledBack, 1),
        (true, MigrationStatus::Abandoned, 2),
    ] {
        // the analysis finds what cannot be transformed, and a user's check sees the target
        let types = if failing_check { ["Old"] } else { ["Bad"] };
        let world = unfenced(&types).await;
        let migration = migrate(&world).with_rollback();
        let migration = if failing_check {
            migration.check_with("no", |_| async { Err("not good enough".to_owned()) })
        } else {
            migration
        };
        let result = migration.execute().await.unwrap();
        assert_eq!(result.status, status, "{:?}", result.error);
        assert_eq!(world.storage.event_store.stream_ids().len(), streams);
        assert!(!world.source_is_closed());
    }
}

/// I1, I4–I7: the first holder is paused at each of its calls, the second abandons, the first wakes
/// up. A late Close is possible, and loses nothing.
#[tokio::test(start_paused = true)]
async fn a_paused_holder_wakes_up_after_another_has_abandoned() {
    let mut late_closes = 0;
    for at in 0.. {
        let world = unfenced(&["Old", "Keep"]).await;
        let objects = std::slice::from_ref(&world.order);
        let observer = world.observer(objects, [Arc::new(rules()) as _]);
        let observer = Arc::new(observer);
        let gate = Gate::new();
        let plan = FaultPlan::new().with(At::Operation(at), Fault::Stall(gate.clone()));
        let plan = plan.watched_by(observer.clone());
        let holder = world.unlocked(&plan.actor("first"));
        let migration = holder.migrate(world.order.clone()).transform(rules());
        let mut first = tokio::spawn(migration.execute());
        let paused = tokio::select! {
            () = gate.reached() => true,
            done = &mut first => { done.unwrap().unwrap(); false }
        };
        if !paused {
            assert!(at > 10, "the first holder was never paused");
            assert!(late_closes > 0, "no pause led to a late Close");
            return;
        }
        let mut ended = None;
        if let Some(migration) = begun(&world).await {
            let second = FaultPlan::new().watched_by(observer.clone());
            let undo = world.unlocked(&second.actor("second")).roll_back(migration);
            ended = Some(undo.undo_only().execute().await.unwrap().status);
            assert_eq!(second.violations(), [], "paused at {at}");
        }
        let before = world.source_is_closed();
        gate.open();
        let first = first.await.unwrap();
        assert_eq!(plan.violations(), [], "paused at {at}");
        let after = world.source_is_closed();
        match ended {
            Some(MigrationStatus::RolledBack) => assert!(!after, "I7: paused at {at}"),
            Some(MigrationStatus::Abandoned) => {
                assert!(!first.unwrap().is_success(), "paused at {at}");
                late_closes += u32::from(after && !before);
            }
            _ => {}
        }
        let late = vec![event("late", "Keep")];
        world.storage.append(&world.order, late).await.unwrap();
        let expected = ["e0", "e1", "late"];
        assert_eq!(world.ids(&world.order).await, expected, "paused at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_close_live_streams_is_refused_before_anything_is_touched() {
    for shortcoming in [
        Shortcoming::InexactAppends,
        Shortcoming::ContentChanged,
        Shortcoming::CloseNotAtomic,
        Shortcoming::CloseNotHonoured,
        Shortcoming::Untested,
    ] {
        let capabilities = Capabilities::default().with_shortcoming(shortcoming);
        let world = capable_of(capabilities, &["Old"]).await;
        let migrate = || migrate(&world);
        for refused in [
            migrate().build().map(drop).unwrap_err(),
            migrate().dry_run().await.map(drop).unwrap_err(),
            migrate().execute().await.map(drop).unwrap_err(),
        ] {
            assert_eq!(*refused.kind(), ErrorKind::Unsupported);
            assert!(
                refused.to_string().contains(&shortcoming.to_string()),
                "{refused}"
            );
            assert_eq!(refused.hint(), Some(shortcoming.hint()));
        }
        assert_eq!(begun(&world).await, None, "nothing was begun");
        let in_place = migrate().strategy(MigrationStrategy::InPlaceTransform);
        assert!(
            in_place.dry_run().await.is_ok(),
            "nothing is closed in place"
        );
        let appends = capabilities.ensure_target().is_ok();
        assert_eq!(appends, shortcoming.permits_appends());
    }
    assert!(Capabilities::default().ensure_source().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_target_store_need_not_be_able_to_close_live_streams_until_they_are_to_move_on() {
    let world = capable_of(Capabilities::default(), &["Old"]).await;
    let other = |shortcoming| {
        let capabilities = Capabilities::default().with_shortcoming(shortcoming);
        let store = world.storage.another_event_store();
        Arc::new(store.with_capabilities(capabilities))
    };
    let migrate = || migrate(&world);
    let inexact = migrate().to_store(other(Shortcoming::InexactAppends));
    let refused = inexact.execute().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Unsupported);
    let target = other(Shortcoming::CloseNotHonoured);
    let moved = migrate().to_store(target.clone()).execute().await.unwrap();
    assert!(moved.is_success(), "{moved:?}");
    // back home again: now the other store is the source
    for builder in [migrate(), world.service.migrate_all()] {
        let home = world.storage.event_store();
        let onwards = builder.again().to_store(target.clone()).to_store(home);
        let answer = onwards.execute().await;
        let refused = answer.map_or_else(Some, |result| result.error).unwrap();
        assert_eq!(*refused.kind(), ErrorKind::Unsupported, "{refused}");
    }
}

/// What a store was when the migration began says nothing about what it is when it is resumed.
#[tokio::test(start_paused = true)]
async fn a_migration_goes_on_only_where_sources_can_still_be_closed() {
    let mut world = capable_of(Capabilities::default(), &["Old"]).await;
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("first");
    let migration = world.unlocked(&actor).migrate(world.order.clone());
    let crashed = actor.run(migration.transform(rules()).execute()).await;
    assert!(crashed.is_err());
    let migration = begun(&world).await.unwrap();
    let worse = Capabilities::default().with_shortcoming(Shortcoming::CloseNotHonoured);
    let store = world.storage.event_store.clone();
    world.storage.event_store = store.with_capabilities(worse);
    let next = world.storage.with_own_locks().migration_service();
    let refused = next.resume(migration).transform(rules()).execute().await;
    assert_eq!(*refused.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(!world.source_is_closed());
    // what was begun can still be undone
    let undone = next.roll_back(migration).execute().await.unwrap();
    assert_eq!(undone.status, MigrationStatus::RolledBack, "{undone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_not_restored_into_a_store_that_cannot_close_live_streams() {
    let capabilities = Capabilities::default().with_shortcoming(Shortcoming::CloseNotHonoured);
    let world = capable_of(capabilities, &["Old"]).await;
    let service = world.storage.backup_service();
    let scope = Scope::Objects(vec![world.order.clone()]);
    let backup = service.create(&scope, BackupOptions::new()).await.unwrap();
    let fresh = RestoreTarget::FreshStream;
    let refused = service.restore(&backup.id, &world.order, fresh, RestoreOptions::new());
    assert_eq!(*refused.await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(world.storage.event_store.stream_ids().len(), 1);
}
