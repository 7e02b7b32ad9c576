use esm_core::migration::{Answer, MigrationPhase, PublishPhases};
use esm_core::routing::RoutingTable;

use crate::fixture::{Fixture, LONG, slowly};

#[tokio::test(start_paused = true)]
async fn r21_phases_are_published_for_large_streams_alone_and_end() {
    for (events, wanted) in [(30, false), (10_000, true)] {
        let f = Fixture::with_events(events).await;
        let table = RoutingTable::new(f.world.records());
        let running = f.begin(|m| m.cutover(|c| c.manual()));
        let control = f.control().await;
        f.observe(|w| w.progress.as_ref().is_some_and(|p| p.waiting_for.is_some()))
            .await;
        let entry = table.entry(&f.object, 0).await.unwrap();
        let phase = entry.map(|entry| entry.phase);
        assert_eq!(
            phase,
            wanted.then_some(MigrationPhase::DualRead),
            "{events} events"
        );
        assert_eq!(table.index().await.unwrap().names(&f.object), wanted);
        control.cut_over().await.unwrap();
        assert!(running.result().await.is_success());
        assert!(table.index().await.unwrap().is_empty());
        let newest = table
            .newest(&f.object)
            .await
            .unwrap()
            .map(|entry| entry.phase);
        assert_eq!(newest, wanted.then_some(MigrationPhase::BookClosed));
    }
}

#[tokio::test(start_paused = true)]
async fn r20_an_undo_takes_them_back() {
    let f = Fixture::with_events(400).await;
    let table = RoutingTable::new(f.world.records());
    let running = f.begin(|m| m.phases(PublishPhases::Always).limits(slowly(50)));
    let control = f.control().await;
    f.observe(|w| {
        w.progress
            .as_ref()
            .is_some_and(|p| p.phase == MigrationPhase::DualWrite)
    })
    .await;
    assert!(table.index().await.unwrap().names(&f.object));
    let cancel = control.cancel("").await.unwrap();
    assert_eq!(cancel.done(LONG).await.unwrap(), Some(Answer::Done));
    running.result().await;
    let newest = table.newest(&f.object).await.unwrap().unwrap();
    assert_eq!(newest.phase, MigrationPhase::Normal);
    assert!(table.index().await.unwrap().is_empty());
}
