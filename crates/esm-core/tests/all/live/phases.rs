use esm_core::Result;
use esm_core::id::{MigrationId, ObjectId};
use esm_core::migration::CutoverOptions;
use esm_core::migration::{MigrationPhase, MigrationResult, PublishPhases};
use esm_core::protocol::control::Answer;
use esm_core::router::RoutingTable;
use esm_testkit::faults::{At, Fault, FaultPlan};

use super::running::{LONG, slowly};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn r21_phases_are_published_for_large_streams_alone_and_end() {
    for (events, wanted) in [(30, false), (10_000, true)] {
        let f = World::with_events(events).await;
        let table = RoutingTable::new(f.storage.records());
        let running = f.begin(|m| m.cutover(CutoverOptions::default().manual()));
        let control = f.control().await;
        f.observe(|w| w.progress.as_ref().is_some_and(|p| p.waiting_for.is_some()))
            .await;
        let entry = table.entry(&f.order, 0).await.unwrap();
        let phase = entry.map(|entry| entry.phase);
        assert_eq!(
            phase,
            wanted.then_some(MigrationPhase::DualRead),
            "{events} events"
        );
        assert_eq!(table.index().await.unwrap().names(&f.order), wanted);
        control.cut_over().await.unwrap();
        assert!(running.result().await.is_success());
        assert!(table.index().await.unwrap().is_empty());
        let newest = table
            .newest(&f.order)
            .await
            .unwrap()
            .map(|entry| entry.phase);
        assert_eq!(newest, wanted.then_some(MigrationPhase::BookClosed));
    }
}

#[tokio::test(start_paused = true)]
async fn r21_what_an_ended_migration_left_in_the_index_goes_with_the_next_one() {
    let f = World::with_events(30).await;
    let table = RoutingTable::new(f.storage.records());
    let ended = f.begin(|m| m).result().await;
    assert!(ended.is_success());
    let index = || async { table.index().await.unwrap().migrations };
    let left: [ObjectId; 1] = ["order/left".parse().unwrap()];
    table.enlist(ended.migration, &left).await.unwrap();
    // whether this one has ended is unknown
    let unknown: MigrationId = "0192d3a0-7c1e-7aaa-8bbb-0123456789ab".parse().unwrap();
    table.enlist(unknown, &left).await.unwrap();
    let quiet = f.begin(|m| m.again()).result().await;
    assert!(quiet.is_success());
    assert_eq!(index().await.len(), 2, "it publishes no phases");
    let next = f.begin(|m| m.again().phases(PublishPhases::Always));
    assert!(next.result().await.is_success());
    let left: Vec<_> = index().await.into_keys().collect();
    assert_eq!(left, [unknown]);
    let entry = table.newest(&f.order).await.unwrap().unwrap();
    assert_eq!(entry.generation, 2, "two streams came before its source");
}

#[tokio::test(start_paused = true)]
async fn r20_an_undo_takes_them_back() {
    let f = World::with_events(400).await;
    let table = RoutingTable::new(f.storage.records());
    let running = f.begin(|m| m.phases(PublishPhases::Always).limits(slowly(50)));
    let control = f.control().await;
    f.observe(|w| {
        w.progress
            .as_ref()
            .is_some_and(|p| p.phase == MigrationPhase::DualWrite)
    })
    .await;
    assert!(table.index().await.unwrap().names(&f.order));
    let cancel = control.cancel("").await.unwrap();
    assert_eq!(cancel.done(LONG).await.unwrap(), Some(Answer::Done));
    running.result().await;
    let newest = table.newest(&f.order).await.unwrap().unwrap();
    assert_eq!(newest.phase, MigrationPhase::Normal);
    assert!(table.index().await.unwrap().is_empty());
}

/// A migration of a short stream that publishes all phases, by a process with this plan's faults.
async fn publishing(f: &World, plan: &FaultPlan) -> Result<MigrationResult> {
    let service = plan.actor("migrator").migration_service(&f.storage);
    let migration = service.migrate(f.order.clone());
    migration.phases(PublishPhases::Always).execute().await
}

#[tokio::test(start_paused = true)]
async fn r21_no_entry_is_left_behind_while_the_storage_is_away_for_a_moment() {
    let plan = FaultPlan::new();
    let clean = publishing(&World::with_events(3).await, &plan).await;
    assert!(clean.unwrap().is_success());
    let operations = plan.log().operations();
    let is_close = |name: &str| name == "event_store.close";
    let close = operations.iter().position(|o| is_close(o.call.name));
    let mut succeeded = 0;
    for begin in close.expect("it cuts over") + 1..operations.len() {
        let f = World::with_events(3).await;
        let plan = FaultPlan::new();
        for operation in begin..begin + 3 {
            plan.inject(At::Operation(operation as u64), Fault::FailBefore);
        }
        let Ok(result) = publishing(&f, &plan).await else {
            continue;
        };
        if result.is_success() {
            succeeded += 1;
            let table = RoutingTable::new(f.storage.records());
            let index = table.index().await.unwrap();
            assert!(index.is_empty(), "away from operation {begin} on");
            let newest = table.newest(&f.order).await.unwrap().unwrap();
            assert_eq!(newest.phase, MigrationPhase::BookClosed);
        }
    }
    assert!(succeeded > 0, "it is away for longer than it is waited for");
}
