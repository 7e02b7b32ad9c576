use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use esm_core::migration::ThrottleReason;

use crate::fixture::{Fixture, ids, slowly};

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept_and_the_status_names_what_slows_it() {
    let f = Fixture::with_events(1000).await;
    let running = f.begin(|m| m.limits(slowly(100)));
    let seen = f.observe(|w| {
        w.progress
            .as_ref()
            .is_some_and(|p| p.throttled_by.is_some())
    });
    let seen = seen.await.progress.unwrap();
    assert_eq!(seen.throttled_by, Some(ThrottleReason::EventsPerSecond));
    let result = running.result().await;
    assert!(result.is_success());
    // each of 1,000 events is copied and compared: 2,000 at 100 a second
    let seconds = result.elapsed.as_secs();
    assert!((19..30).contains(&seconds), "{:?}", result.elapsed);
    assert_eq!(f.read().await, ids(0..1000));
}

#[tokio::test(start_paused = true)]
async fn a_function_of_the_users_holds_it() {
    let f = Fixture::with_events(30).await;
    let busy = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&busy);
    let running = f.begin(|m| {
        m.throttle(|t| {
            t.hold_while(move || told.load(Ordering::Relaxed).then(|| "peak".to_owned()))
        })
    });
    let seen = f.observe(|w| {
        w.progress
            .as_ref()
            .is_some_and(|p| p.throttled_by.is_some())
    });
    let reason = seen.await.progress.unwrap().throttled_by;
    assert_eq!(reason, Some(ThrottleReason::Told("peak".to_owned())));
    f.let_time_pass(60_000).await;
    busy.store(false, Ordering::Relaxed);
    let result = running.result().await;
    assert!(result.is_success() && result.elapsed > Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn the_last_round_before_the_close_is_not_throttled() {
    let f = Fixture::with_events(30).await;
    let running = f.begin(|m| m.limits(slowly(1)).cutover(|c| c.manual()));
    let control = f.control().await;
    f.observe(|w| w.progress.as_ref().is_some_and(|p| p.waiting_for.is_some()))
        .await;
    for number in 30..130 {
        f.append(number).await;
    }
    let before = f.world.environment.clock.monotonic();
    control.cut_over().await.unwrap();
    assert!(running.result().await.is_success());
    let took = f.world.environment.clock.monotonic() - before;
    assert!(
        took < Duration::from_secs(10),
        "100 events at one a second: {took:?}"
    );
    assert_eq!(f.read().await, ids(0..130));
}
