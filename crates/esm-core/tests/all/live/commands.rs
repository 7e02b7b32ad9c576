use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::migration::ControlOptions;
use esm_core::migration::CutoverOptions;
use esm_core::migration::Hooks;
use esm_core::migration::ProgressOptions;
use esm_core::migration::{HookPoint, Limit, MigrationStatus, SettingsChange};
use esm_core::protocol::control::{Answer, ControlAction};
use tokio_util::sync::CancellationToken;

use super::running::{LONG, ids, numbered, slowly};
use crate::world::World;

fn refusal(answer: Option<Answer>) -> String {
    match answer {
        Some(Answer::Refused { reason }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_migration_is_paused_and_goes_on() {
    let f = World::with_events(400).await;
    let running = f.begin(|m| m.limits(slowly(50)));
    let control = f.control().await;
    let paused = control.pause().await.unwrap();
    assert_eq!(paused.done(LONG).await.unwrap(), Some(Answer::Done));

    let seen = f.observe(|w| {
        w.progress
            .as_ref()
            .is_some_and(|p| p.status == MigrationStatus::Paused)
    });
    let seen = seen.await;
    let progress = seen.progress.unwrap();
    assert_eq!(
        progress.waiting_for.unwrap(),
        "being resumed; paused by eve"
    );
    assert_eq!(seen.desired.paused_by.as_deref(), Some("eve"));
    f.let_time_pass(600_000).await;
    let later = f.observe(|_| true).await.progress.unwrap();
    assert_eq!(later.events_copied, progress.events_copied, "it rests");

    let again = control.pause().await.unwrap();
    assert!(refusal(again.answer(LONG).await.unwrap()).contains("paused already, by eve"));
    let resumed = control.resume().await.unwrap();
    assert_eq!(resumed.answer(LONG).await.unwrap(), Some(Answer::Done));
    assert!(running.result().await.is_success());
    assert_eq!(f.ids(&f.order).await, ids(0..400));
}

#[tokio::test(start_paused = true)]
async fn a_paused_migration_survives_a_restart_paused() {
    let f = World::with_events(400).await;
    let running = f.begin(|m| m.limits(slowly(50)));
    let control = f.control().await;
    let migration = f.begun().await;
    let paused = control.pause().await.unwrap();
    paused.done(LONG).await.unwrap();
    running.kill().await;

    let resumed = (f.service.resume(migration)).control(
        ControlOptions::default()
            .poll(Duration::from_millis(100))
            .publish(Duration::from_millis(100)),
    );
    let resumed = tokio::spawn(resumed.execute());
    f.let_time_pass(300_000).await;
    let seen = f.observe(|w| {
        w.progress
            .as_ref()
            .is_some_and(|p| p.status == MigrationStatus::Paused)
    });
    assert_eq!(seen.await.desired.paused_by.as_deref(), Some("eve"));
    assert!(!resumed.is_finished());
    control.resume().await.unwrap();
    assert!(resumed.await.unwrap().unwrap().is_success());
    assert_eq!(f.ids(&f.order).await, ids(0..400));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_nobody_hears_waits_for_who_resumes() {
    let f = World::with_events(400).await;
    let token = CancellationToken::new();
    let running = f.begin(|m| m.limits(slowly(50)).cancel_on(token.clone()));
    let (control, migration) = (f.control().await, f.begun().await);
    token.cancel();
    assert_eq!(running.result().await.status, MigrationStatus::Paused);
    let cancel = control.cancel("not today").await.unwrap();
    assert_eq!(cancel.answer(Duration::from_secs(5)).await.unwrap(), None);

    let resumed = f.service.resume(migration).execute().await.unwrap();
    assert_eq!(resumed.status, MigrationStatus::Cancelled);
    assert_eq!(cancel.answer(LONG).await.unwrap(), Some(Answer::Done));
}

#[tokio::test(start_paused = true)]
async fn before_the_pivot_it_is_cancelled_or_rolled_back_without_a_trace() {
    for (cancels, expected) in [
        (true, MigrationStatus::Cancelled),
        (false, MigrationStatus::RolledBack),
    ] {
        let f = World::with_events(400).await;
        let source = f.active(&f.order).await;
        let running = f.begin(|m| m.limits(slowly(50)));
        let control = f.control().await;
        f.observe(|w| w.progress.as_ref().is_some_and(|p| p.events_copied > 50))
            .await;
        let reason = "wrong quarter".to_owned();
        let action = if cancels {
            ControlAction::Cancel { reason }
        } else {
            ControlAction::RollBack { reason }
        };
        let told = control.send(action).await.unwrap();
        assert_eq!(told.done(LONG).await.unwrap(), Some(Answer::Done));
        let result = running.result().await;
        assert_eq!(result.status, expected);
        assert_eq!(f.active(&f.order).await, source, "I7");
        assert_eq!(f.storage.event_store.stream_ids(), [source.stream], "R17");
        f.append(&f.order, numbered(400)).await;
        assert_eq!(f.ids(&f.order).await, ids(0..401));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_rests_says_so_no_longer_when_it_is_cancelled() {
    let f = World::with_events(400).await;
    let (sender, mut waits) = tokio::sync::mpsc::unbounded_channel();
    let running = f.begin(|m| {
        m.limits(slowly(50)).progress(
            ProgressOptions::default()
                .every(Duration::ZERO)
                .on_progress(move |p| _ = sender.send(p.waiting_for.clone())),
        )
    });
    let control = f.control().await;
    control.pause().await.unwrap().done(LONG).await.unwrap();
    // callbacks run on a thread of their own, which may be behind
    let rested = Some("being resumed; paused by eve".to_owned());
    while waits.recv().await.expect("a run that rests says so") != rested {}
    control.cancel("not today").await.unwrap();
    assert_eq!(running.result().await.status, MigrationStatus::Cancelled);
    let mut last = rested;
    while let Some(wait) = waits.recv().await {
        last = wait;
    }
    assert_eq!(last, None);
}

#[tokio::test(start_paused = true)]
async fn after_the_pivot_there_is_only_forward_and_the_refusal_says_what_to_do() {
    let f = World::with_events(30).await;
    let operator = f.operator();
    let running = f.begin(|m| {
        m.hooks(
            Hooks::default()
                .timeout(LONG)
                .on(HookPoint::AfterCutover, "too late", move |e| {
                    let control = operator.control(e.migration);
                    async move {
                        for action in [
                            ControlAction::Cancel {
                                reason: String::new(),
                            },
                            ControlAction::RollBack {
                                reason: String::new(),
                            },
                            ControlAction::WithdrawCutOver,
                        ] {
                            let told = control.send(action).await.map_err(|e| e.to_string())?;
                            let reason =
                                refusal(told.answer(LONG).await.map_err(|e| e.to_string())?);
                            if !reason.contains("roll it back") {
                                return Err(reason);
                            }
                        }
                        Ok(())
                    }
                }),
        )
    });
    let result = running.result().await;
    assert!(result.is_success());
    assert_eq!(
        result.statistics.hook_faults, 0,
        "all three were refused with the way to do it"
    );
}

#[tokio::test(start_paused = true)]
async fn settings_change_while_it_runs() {
    let f = World::with_events(1000).await;
    let running = f.begin(|m| m.limits(slowly(1)));
    let control = f.control().await;
    let change = SettingsChange {
        events_per_second: Some(Limit::Unlimited),
        cell_events: Some(3),
        ..SettingsChange::default()
    };
    let set = control.set(change).await.unwrap();
    assert_eq!(set.answer(LONG).await.unwrap(), Some(Answer::Done));
    let result = running.result().await;
    assert!(result.is_success());
    assert!(
        result.elapsed < Duration::from_secs(300),
        "{:?}",
        result.elapsed
    );
    assert!(
        result.statistics.cells > 300,
        "cells of three: {}",
        result.statistics.cells
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_is_refused_with_the_reason() {
    let f = World::with_events(30).await;
    let unknown = f.operator().control(f.storage.environment.migration_id());
    assert_eq!(
        *unknown.pause().await.unwrap_err().kind(),
        ErrorKind::NotFound
    );

    let nothing = unknown.set(SettingsChange::default()).await;
    assert_eq!(*nothing.unwrap_err().kind(), ErrorKind::Invalid);
    let zero = SettingsChange {
        cell_events: Some(0),
        ..SettingsChange::default()
    };
    let zero = unknown.set(zero).await;
    assert!(
        zero.unwrap_err()
            .to_string()
            .contains("cell_events must not be 0")
    );

    let running = f.begin(|m| m.cutover(CutoverOptions::default().manual()));
    let control = f.control().await;
    let told = control.resume().await.unwrap();
    assert_eq!(
        refusal(told.answer(LONG).await.unwrap()),
        "it is not paused"
    );
    let told = control.withdraw_cut_over().await.unwrap();
    assert_eq!(
        refusal(told.answer(LONG).await.unwrap()),
        "no cutover was asked for"
    );
    control.cut_over().await.unwrap();
    assert!(running.result().await.is_success());
    let ended = control.cancel("too late").await.unwrap_err();
    assert_eq!(*ended.kind(), ErrorKind::AlreadyExists);
    assert!(
        ended.hint().unwrap().contains("roll the migration back"),
        "{ended}"
    );
}
