//! Migrations that continue after many others.

use std::time::Duration;

use esm_core::backup::BackupOptions;
use esm_core::id::MigrationId;
use esm_core::migration::BookClosingOptions;
use esm_core::transform::Identity;
use esm_testkit::faults::{At, Fault, FaultPlan};

use super::Long;
use crate::world::{stalled_at, unfinished};

/// Migrations that come in between: more than a document lists.
const BETWEEN: usize = 20;

impl Long {
    async fn unfinished(&self) -> Option<MigrationId> {
        let found = unfinished(&self.world.service).await;
        found.map(|state| state.migration)
    }

    async fn leases_expire(&self) {
        let clock = &self.world.storage.environment.clock;
        clock.sleep(Duration::from_secs(61)).await;
    }
}

fn books(archive: bool) -> BookClosingOptions {
    let books = BookClosingOptions::new().metadata("ticket", "42");
    if archive {
        books.archive(BackupOptions::new())
    } else {
        books
    }
}

/// Its stream is left out when it is resumed: the books are closed all the same, once.
#[tokio::test(start_paused = true)]
async fn a_migration_that_crashed_behind_its_close_is_completed_after_twenty_others() {
    for archive in [false, true] {
        let mut long = Long::watched(1).await;
        let world = &long.world;
        let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashAfter);
        let actor = plan.actor("first");
        let service = actor.migration_service(&world.storage);
        let migrated = service.migrate(world.order.clone()).transform(Identity);
        let migrated = migrated.again().close_books(books(archive));
        assert!(actor.run(migrated.execute()).await.is_err());
        let migration = long.unfinished().await.expect("it crashed");
        long.leases_expire().await;
        long.migrate_meanwhile(BETWEEN).await;

        let document = long.document().await;
        assert!(document.closed_by(migration).is_none(), "it is left out");
        let resumed = long.another_process().resume(migration).transform(Identity);
        let result = long.world.succeeded(resumed.execute().await);
        assert_eq!(result.statistics.migrated, 1, "{result:?}");
        long.is_sound(2 + BETWEEN).await;
        let whole = long.whole().await;
        let entry = whole.closed_by(migration).unwrap();
        assert!(entry.fingerprint.is_some() && entry.books_closed_at.is_some());
        assert_eq!(entry.metadata["ticket"], "42");
        assert_eq!(entry.archive.is_some(), archive);
        // what has changed is in a version of its own, until the next ones leave it to that
        long.migrate_meanwhile(BETWEEN).await;
        assert_eq!(long.whole().await.closed_by(migration), Some(entry));
        long.is_sound(2 + 2 * BETWEEN).await;
    }
}

/// It has not closed anything: its target is discarded, and it migrates what is active now.
#[tokio::test(start_paused = true)]
async fn a_migration_that_crashed_before_its_close_discards_its_old_target() {
    let mut long = Long::watched(1).await;
    let world = &long.world;
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("first");
    let service = actor.migration_service(&world.storage);
    let migrated = service.migrate(world.order.clone()).transform(Identity);
    assert!(actor.run(migrated.again().execute()).await.is_err());
    let migration = long.unfinished().await.expect("it crashed");
    long.leases_expire().await;
    long.migrate_meanwhile(BETWEEN).await;
    let streams = long.world.storage.event_store.stream_ids().len();

    let undone = long.another_process().roll_back(migration).undo_only();
    let undone = undone.execute().await.unwrap();
    assert!(undone.error.is_none(), "{undone:?}");
    let left = long.world.storage.event_store.stream_ids();
    assert_eq!(
        left.len(),
        streams - 1,
        "the target of a closed source: {left:?}"
    );
    long.is_sound(1 + BETWEEN).await;
}

/// A process that was frozen wakes up behind its Close: what it has done is not done again, neither
/// by itself nor by a later pass over all objects.
#[tokio::test(start_paused = true)]
async fn a_frozen_migrator_that_wakes_after_twenty_others_migrates_nothing_twice() {
    for at in ["event_store.close", "records.put"] {
        let mut long = Long::watched(1).await;
        // the document's, behind claim, plan and batch
        let calls = if at == "records.put" { 3 } else { 0 };
        let (plan, gate) = stalled_at(At::Named(at, calls));
        let frozen = long.world.unlocked(&plan.actor("frozen"));
        let all = frozen.migrate_all().transform(Identity).again();
        let first = tokio::spawn(all.close_books(books(true)).execute());
        gate.reached().await;
        let migration = long.unfinished().await.expect("it is frozen");
        long.migrate_meanwhile(BETWEEN).await;
        gate.open();
        let result = first.await.unwrap().unwrap();
        long.world.unharmed();
        let whole = long.whole().await;
        let own = whole.terminated.iter().filter(|e| e.migration == migration);
        assert!(own.count() <= 1, "{at}: {result:?}");
        if at == "records.put" {
            assert!(result.is_success(), "{result:?}");
            assert_eq!(result.statistics.migrated, 1);
            long.is_sound(2 + BETWEEN).await;
            let entry = whole.closed_by(migration).unwrap();
            assert!(entry.archive.is_some() && entry.books_closed_at.is_some());
        } else {
            // R5: others have closed its source
            assert!(!result.is_success(), "{result:?}");
            long.is_sound(1 + BETWEEN).await;
        }
    }
}

/// Every write of the update that leaves streams out, lost before or after it is made, and whose
/// process dies.
#[tokio::test(start_paused = true)]
async fn a_fault_at_any_record_of_the_migration_that_leaves_streams_out_loses_none() {
    for fault in [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::Duplicate,
    ] {
        for at in 0.. {
            let mut long = Long::chain(16).await;
            let plan = FaultPlan::new().with(At::Named("records.put", at), fault.clone());
            let actor = plan.actor("first");
            let service = actor.migration_service(&long.world.storage);
            let migrated = service
                .migrate(long.world.order.clone())
                .transform(Identity);
            let ended = actor.run(migrated.again().execute()).await;
            let reached = plan.log().operations();
            let puts = reached.iter().filter(|o| o.call.name == "records.put");
            if puts.count() as u64 <= at {
                assert!(at > 2, "no record was written");
                break;
            }
            let lease = Duration::from_secs(61);
            long.world.storage.environment.clock.sleep(lease).await;
            let active: Vec<_> = futures::TryStreamExt::try_collect(long.world.service.active())
                .await
                .unwrap();
            for state in active {
                let resumed = long.another_process().resume(state.migration);
                long.world
                    .succeeded(resumed.transform(Identity).execute().await);
            }
            let whole = long.whole().await;
            assert!(whole.terminated.len() >= 16, "{fault:?} at {at}: {ended:?}");
            long.migrate(2).await;
            long.is_sound(whole.terminated.len() + 2).await;
        }
    }
}
