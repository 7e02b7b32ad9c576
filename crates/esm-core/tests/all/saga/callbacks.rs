//! Callbacks that panic or block do no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use esm_core::migration::MigrationStatus;
use esm_core::migration::ProgressOptions;

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn callbacks_that_panic_are_counted_and_fail_nothing() {
    let world = World::with_order(&["A"]).await;
    let object = &world.order;
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, completed) = (Arc::clone(&calls), Arc::new(AtomicUsize::new(0)));
    let told = Arc::clone(&completed);
    let result = world
        .migrate(object)
        .progress(
            ProgressOptions::default()
                .every(std::time::Duration::ZERO)
                .on_progress(move |_| {
                    counted.fetch_add(1, Ordering::SeqCst);
                    // a panic without its message: a backtrace may take longer than is waited for
                    std::panic::resume_unwind(Box::new("a callback's own bug"))
                })
                .on_completed(move |progress| {
                    assert_eq!(progress.status, MigrationStatus::Completed);
                    told.fetch_add(1, Ordering::SeqCst);
                }),
        )
        .execute()
        .await
        .unwrap();
    assert!(result.is_success());
    let calls = calls.load(Ordering::SeqCst) as u64;
    assert!(calls >= 2, "the first and the last always arrive");
    assert_eq!(result.statistics.callback_panics, calls);
    assert_eq!(completed.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_blocks_stalls_nothing_and_is_counted() {
    let world = World::with_order(&["A"]).await;
    let object = &world.order;
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let result = world
        .migrate(object)
        .progress(ProgressOptions::default().on_progress(move |_| {
            let _ = blocked.lock().unwrap().recv();
        }))
        .execute()
        .await
        .unwrap();
    assert!(result.is_success());
    assert_eq!(result.statistics.callbacks_blocked, 1);
    drop(release);
}
