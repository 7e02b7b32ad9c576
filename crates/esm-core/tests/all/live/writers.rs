use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use esm_core::ErrorKind;
use esm_core::migration::CutoverOptions;
use esm_core::migration::ProgressOptions;
use esm_core::migration::{MigrationService, MigrationStatus};
use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};

use super::running::{ids, numbered};
use crate::world::World;

/// A migrator before each of whose first `times` operations of this name an application appends.
fn pursued(f: &Arc<World>, operation: &'static str, times: usize) -> MigrationService {
    let plan = FaultPlan::new();
    for time in 0..times {
        let world = Arc::clone(f);
        let step = Interjection::new(move || {
            let world = Arc::clone(&world);
            async move {
                world.append(&world.order, numbered(30 + time)).await;
            }
        });
        plan.inject(At::Named(operation, time as u64), Fault::Interject(step));
    }
    plan.actor("migrator").migration_service(&f.storage)
}

#[tokio::test(start_paused = true)]
async fn r6_writers_that_are_faster_now_and_then_only_delay_the_cutover() {
    for operation in [
        "event_store.close",
        "event_store.append",
        "event_store.read",
    ] {
        let f = Arc::new(World::with_events(30).await);
        let service = pursued(&f, operation, 9);
        let migrated = service.migrate(f.order.clone()).execute().await.unwrap();
        assert!(migrated.is_success(), "{operation}");
        let read = f.ids(&f.order).await;
        assert!(
            read.len() > 30 && read == ids(0..read.len()),
            "{operation}: {read:?}"
        );
        if operation == "event_store.close" {
            assert_eq!(migrated.statistics.lost_close_attempts, 9);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r6_when_writers_are_always_faster_it_stops_and_says_so() {
    let f = Arc::new(World::with_events(30).await);
    let source = f.active(&f.order).await;
    let service = pursued(&f, "event_store.close", 1000);
    let told = Arc::new(AtomicU64::default());
    let lost = Arc::clone(&told);
    let result = (service.migrate(f.order.clone()))
        .cutover(CutoverOptions::default().attempts(7))
        .progress(
            ProgressOptions::default()
                .on_progress(move |p| _ = lost.fetch_max(p.lost_close_attempts, Ordering::Relaxed)),
        )
        .execute()
        .await
        .unwrap();
    assert_eq!(result.status, MigrationStatus::Failed);
    let error = result.error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::Stuck);
    assert!(
        error.to_string().contains("won against 7 attempts"),
        "{error}"
    );
    assert_eq!(f.active(&f.order).await, source, "the source is untouched");
    assert_eq!(f.ids(&f.order).await, ids(0..37));
    assert_eq!(told.load(Ordering::Relaxed), 7);
}

#[tokio::test(start_paused = true)]
async fn most_of_a_growing_stream_is_compared_before_its_end_is_reached() {
    let f = Arc::new(World::with_events(30).await);
    let service = pursued(&f, "event_store.read", 200);
    let migrated = (service.migrate(f.order.clone()))
        .final_round(4)
        .cells(8, 1 << 20)
        .execute()
        .await
        .unwrap();
    assert!(migrated.is_success());
    let read = f.ids(&f.order).await;
    assert_eq!(read, ids(0..read.len()));
}
