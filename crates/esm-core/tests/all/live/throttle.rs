use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use esm_core::migration::ControlOptions;
use esm_core::migration::CutoverOptions;
use esm_core::migration::ProgressOptions;
use esm_core::migration::ThrottleOptions;
use esm_core::migration::{Limit, SettingsChange, ThrottleReason};
use esm_testkit::events;
use esm_testkit::faults::{At, Fault, FaultPlan};

use super::running::{ids, numbered, slowly};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept_and_the_status_names_what_slows_it() {
    let f = World::with_events(1000).await;
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
    assert_eq!(f.ids(&f.order).await, ids(0..1000));
}

#[tokio::test(start_paused = true)]
async fn a_function_of_the_users_holds_it() {
    let f = World::with_events(30).await;
    let busy = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&busy);
    let running = f.begin(|m| {
        m.throttle(
            ThrottleOptions::default()
                .hold_while(move || told.load(Ordering::Relaxed).then(|| "peak".to_owned())),
        )
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

/// Several objects at once, in a storage that takes its time.
async fn reasons(limit: Limit) -> BTreeSet<Option<String>> {
    let f = World::with_events(30).await;
    for number in 2..6 {
        let object = format!("order/{number}").parse().unwrap();
        let cells = events(format!("{number}-"), ["Placed"]).map(|event| vec![event]);
        f.storage.create_object(&object, cells).await.unwrap();
    }
    let slow = Fault::Delay(Duration::from_secs(1));
    let plan = FaultPlan::new().with(At::Each("event_store.append"), slow);
    let service = plan.actor("migrator").migration_service(&f.storage);
    let (every, seen) = (
        Duration::from_millis(100),
        Arc::<Mutex<BTreeSet<_>>>::default(),
    );
    let told = Arc::clone(&seen);
    let limits = SettingsChange {
        requests_in_flight: Some(limit),
        ..SettingsChange::default()
    };
    let migration = service
        .migrate_all()
        .limits(limits)
        .control(ControlOptions::default().poll(every).publish(every))
        .progress(
            ProgressOptions::default()
                .every(every)
                .on_progress(move |progress| {
                    let reason = progress.throttled_by.as_ref().map(ToString::to_string);
                    told.lock().unwrap().insert(reason);
                }),
        );
    let result = migration.execute().await.unwrap();
    assert!(result.is_success(), "{result:?}");
    std::mem::take(&mut *seen.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_requests_is_named_while_one_waits_for_it() {
    let limited = reasons(Limit::At(1)).await;
    let full = ThrottleReason::RequestsInFlight.to_string();
    assert!(limited.contains(&Some(full)), "{limited:?}");
    assert_eq!(reasons(Limit::Unlimited).await, BTreeSet::from([None]));
}

#[tokio::test(start_paused = true)]
async fn the_last_round_before_the_close_is_not_throttled() {
    let f = World::with_events(30).await;
    let running = f.begin(|m| {
        m.limits(slowly(1))
            .cutover(CutoverOptions::default().manual())
    });
    let control = f.control().await;
    f.observe(|w| w.progress.as_ref().is_some_and(|p| p.waiting_for.is_some()))
        .await;
    for number in 30..130 {
        f.append(&f.order, numbered(number)).await;
    }
    let before = f.storage.environment.clock.monotonic();
    control.cut_over().await.unwrap();
    assert!(running.result().await.is_success());
    let took = f.storage.environment.clock.monotonic() - before;
    assert!(
        took < Duration::from_secs(10),
        "100 events at one a second: {took:?}"
    );
    assert_eq!(f.ids(&f.order).await, ids(0..130));
}
