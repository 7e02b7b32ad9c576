//! Many objects at once.

use esm_core::ErrorKind;
use esm_core::migration::{MigrationStatus, OnFailure, RollBackPlan};
use esm_testkit::faults::{At, Fault};

use super::back::up;
use crate::world::{World, unfinished, versioned};

const ORDERS: [(&str, &[&str]); 4] = [
    ("order/1", &["Old"]),
    ("order/2", &["Noise", "Old"]),
    ("order/3", &[]),
    ("order/4", &["Kept"]),
];

#[tokio::test(start_paused = true)]
async fn all_that_a_migration_moved_goes_back_and_nothing_else() {
    let w = World::watched(&ORDERS).await;
    let forward = w.succeeded(w.service.migrate_all().transform(up()).execute().await);
    // an object that was created since is none of it
    let created = "order/9".parse().unwrap();
    let expected = esm_core::router::ExpectedRevision::NoStream;
    let first = vec![versioned("n", "Old", 2)];
    w.client().append(&created, expected, first).await.unwrap();
    w.append("order/2", versioned("a", "Old", 2)).await;
    let RollBackPlan::Reverse { plan } = w.back(forward.migration).dry_run().await.unwrap() else {
        panic!("it has ended");
    };
    assert_eq!((plan.objects, plan.up_to_date, plan.blocked), (4, 1, 0));
    let back = w.succeeded(w.back(forward.migration).execute().await);
    assert_eq!(
        (back.statistics.migrated, back.statistics.up_to_date),
        (4, 1)
    );
    let lines = w.lines("order/2").await;
    assert_eq!(
        lines,
        ["Noise v1 order/2-0", "Old v1 order/2-1", "Old v1 a"]
    );
    assert_eq!(w.lines("order/9").await, ["Old v2 n"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_moved_on_stops_it_before_anything_is_touched_or_is_named() {
    let w = World::watched(&ORDERS).await;
    let forward = w.succeeded(w.service.migrate_all().transform(up()).execute().await);
    let again = w.migrate("order/2");
    let since = w.succeeded(again.execute().await).migration;
    let before = w.everything();
    let error = w.back(forward.migration).execute().await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Conflict { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("order/2"), "{error}");
    assert_eq!(w.everything(), before);
    let back = w.back(forward.migration).on_failure(OnFailure::Continue);
    let back = back.execute().await.unwrap();
    assert!(!back.is_success());
    assert_eq!((back.statistics.migrated, back.statistics.failed), (3, 1));
    let failure = &back.statistics.failures[0];
    assert_eq!(failure.object.to_string(), "order/2");
    assert!(failure.message.contains(&since.to_string()), "{failure:?}");
    // it can end: by undoing what is left, of which there is nothing
    let ended = w.service.roll_back(back.migration).execute().await.unwrap();
    assert_eq!(ended.status, MigrationStatus::RolledBack, "{ended:?}");
    w.unharmed();
    // then the one that is left, after the one that moved it on
    w.succeeded(w.back(since).execute().await);
    let rest = w.succeeded(w.back(forward.migration).execute().await);
    assert_eq!(rest.statistics.migrated, 1);
    assert_eq!(
        w.lines("order/2").await,
        ["Noise v1 order/2-0", "Old v1 order/2-1"]
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_was_undone_in_part_goes_back_with_the_rest() {
    let w = World::watched(&ORDERS).await;
    // the second object is never cut over: its undo ends the migration
    w.plan
        .inject(At::Named("event_store.close", 1), Fault::CrashBefore);
    let migrating = w.service.migrate_all().transform(up()).concurrency(1);
    let died = tokio::time::timeout(std::time::Duration::from_secs(5), migrating.execute()).await;
    assert!(died.is_err());
    let next = w.next_process();
    let migration = unfinished(&next).await.unwrap().migration;
    let undone = next.roll_back(migration).execute().await.unwrap();
    assert_eq!(undone.status, MigrationStatus::RolledBack, "{undone:?}");
    assert_eq!(undone.statistics.migrated, 1);
    let back = w.succeeded(next.roll_back(migration).execute().await);
    assert_eq!(back.statistics.migrated, 1);
    for (order, types) in ORDERS {
        assert_eq!(w.lines(order).await.len(), types.len());
    }
}

/// It is a failure of the storage, not an object that cannot be reversed.
#[tokio::test(start_paused = true)]
async fn a_storage_that_fails_while_it_is_planned_blocks_no_object() {
    let w = World::watched(&ORDERS).await;
    let forward = w.succeeded(w.service.migrate_all().transform(up()).execute().await);
    let mut failed = 0;
    loop {
        let reached = w.plan.log().operations().len() as u64;
        let at = At::Operation(reached + failed);
        w.plan.inject(at, Fault::FailBefore);
        let planned = w.back(forward.migration).dry_run().await;
        if let Ok(RollBackPlan::Reverse { plan }) = &planned {
            assert_eq!((plan.blocked, plan.objects), (0, 4));
            break;
        }
        assert_eq!(*planned.unwrap_err().kind(), ErrorKind::Unavailable);
        failed += 1;
    }
    assert!(failed > 10, "{failed}");
}
