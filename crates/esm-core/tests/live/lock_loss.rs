use esm_core::ErrorKind;
use esm_core::migration::MigrationStatus;

use crate::fixture::{Fixture, ids, slowly};

#[tokio::test(start_paused = true)]
async fn the_loss_of_the_lock_stops_the_run_and_loses_nothing() {
    let f = Fixture::with_events(400).await;
    let running = f.begin(|m| m.limits(slowly(10)));
    f.observe(|w| w.progress.as_ref().is_some_and(|p| p.events_copied > 20))
        .await;
    let migration = f.migration().await;
    let locks = f.world.locks();
    let held = locks.list().await.unwrap().remove(0);
    locks.break_lock(&held.name, held.token).await.unwrap();
    let result = running.result().await;
    assert_eq!(*result.error.unwrap().kind(), ErrorKind::LockLost);
    assert_eq!(result.status, MigrationStatus::Failed);
    f.append(400).await;
    let resumed = f.service.resume(migration).execute().await.unwrap();
    assert!(resumed.is_success());
    assert_eq!(f.read().await, ids(0..401));
}
