use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::migration::CutoverOptions;
use esm_core::migration::MigrationStatus;
use esm_core::protocol::control::Answer;

use super::running::{LONG, Running, ids, numbered, slowly, watched};
use crate::world::{World, rules};

#[tokio::test(start_paused = true)]
async fn a_postponed_cutover_keeps_catching_up_and_comes_when_it_is_told() {
    let f = World::with_events(30).await;
    let source = f.active(&f.order).await;
    let running = f.begin(|m| m.cutover(CutoverOptions::default().manual()));
    let control = f.control().await;
    let waits = |w: &esm_core::migration::WatchedMigration| {
        let waiting = w.progress.as_ref().and_then(|p| p.waiting_for.clone());
        waiting.as_deref() == Some("the command to cut over")
    };
    f.observe(waits).await;
    for number in 30..60 {
        f.append(&f.order, numbered(number)).await;
        f.let_time_pass(1000).await;
    }
    assert_eq!(f.active(&f.order).await, source, "it waits");
    let caught_up = f.observe(|w| w.progress.as_ref().is_some_and(|p| p.events_verified >= 60));
    assert_eq!(caught_up.await.progress.unwrap().lag, Some(0));

    // two at once: the first is taken, the second is refused and names the first
    let first = control.cut_over().await.unwrap();
    let second = control.cut_over().await.unwrap();
    assert_ne!(first.answer(LONG).await.unwrap(), None);
    let result = running.result().await;
    assert!(result.is_success());
    assert_eq!(first.answer(LONG).await.unwrap(), Some(Answer::Done));
    let Some(Answer::Refused { reason }) = second.answer(LONG).await.unwrap() else {
        panic!("the second was not refused")
    };
    assert!(
        reason.contains("already, by eve") || reason.contains("has cut over"),
        "{reason}"
    );
    assert_ne!(f.active(&f.order).await, source);
    assert_eq!(f.ids(&f.order).await, ids(0..60));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_other_object_is_copied_does_not_wait() {
    let f = World::with_events(1).await;
    let long = (0..30).map(numbered).collect();
    f.object_of("order/2", long, 10).await;
    let running = Running::of(
        (f.service.migrate_all())
            .transform(rules())
            .concurrency(2)
            .limits(slowly(2))
            .cutover(CutoverOptions::default().manual())
            .control(watched()),
    );
    let control = f.control().await;
    let waits = f.observe(|w| w.progress.as_ref().is_some_and(|p| p.waiting_for.is_some()));
    let waits = waits.await.progress.unwrap();
    assert_eq!(waits.events_verified, 31, "{waits:?}");
    control.cut_over().await.unwrap();
    assert!(running.result().await.is_success());
}

#[tokio::test(start_paused = true)]
async fn a_cutover_can_be_withdrawn_before_it_is_done() {
    let f = World::with_events(30).await;
    let source = f.active(&f.order).await;
    let running = f.begin(|m| m.cutover(CutoverOptions::default().manual()));
    let control = f.control().await;
    let told = control.cut_over().await.unwrap();
    let withdrawn = control.withdraw_cut_over().await.unwrap();
    assert_eq!(withdrawn.answer(LONG).await.unwrap(), Some(Answer::Done));
    f.let_time_pass(60_000).await;
    assert_eq!(f.active(&f.order).await, source);
    control.cut_over().await.unwrap();
    assert!(running.result().await.is_success());
    assert_eq!(told.answer(LONG).await.unwrap(), Some(Answer::Done));
}

#[tokio::test(start_paused = true)]
async fn who_is_not_told_in_time_stops_with_the_source_untouched() {
    let f = World::with_events(30).await;
    let source = f.active(&f.order).await;
    let running =
        f.begin(|m| m.cutover(CutoverOptions::default().max_wait(Duration::from_secs(20))));
    let result = running.result().await;
    assert_eq!(result.status, MigrationStatus::Failed);
    let error = result.error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::Stuck);
    assert!(
        error
            .to_string()
            .contains("no cutover command arrived in time"),
        "{error}"
    );
    assert_eq!(f.active(&f.order).await, source);
    f.append(&f.order, numbered(30)).await;
    assert_eq!(f.ids(&f.order).await, ids(0..31));
}

#[tokio::test(start_paused = true)]
async fn a_window_is_waited_for_and_not_missed_in_silence() {
    let f = World::with_events(30).await;
    let from = f.storage.environment.clock.now() + jiff::SignedDuration::from_secs(120);
    let until = from + jiff::SignedDuration::from_secs(60);
    let result = f
        .begin(|m| m.cutover(CutoverOptions::default().within(from, until)))
        .result()
        .await;
    assert!(result.is_success());
    assert!(
        f.storage.environment.clock.now() >= from,
        "not before the window"
    );

    let f = World::with_events(30).await;
    let result = f.begin(|m| {
        m.cutover(CutoverOptions::default().within(
            from - jiff::SignedDuration::from_hours(9),
            from - jiff::SignedDuration::from_hours(8),
        ))
    });
    let result = result.result().await;
    let error = result.error.unwrap().to_string();
    assert!(
        error.contains("its window to cut over has passed"),
        "{error}"
    );
}
