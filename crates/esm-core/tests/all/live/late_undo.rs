//! Commands to undo what can only be completed, sent while no process ran to poll for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use esm_core::ErrorKind;
use esm_core::migration::Hooks;
use esm_core::migration::{HookPoint, MigrationControl, MigrationStatus};
use esm_core::protocol::control::Answer;
use esm_core::store::{RecordCollection, Records as _};
use esm_testkit::faults::{At, Fault, FaultPlan};
use futures::TryStreamExt as _;
use tokio::sync::Notify;

use super::few_answers::FewAnswers;
use super::running::{LONG, ids};
use crate::world::World;

/// A migration whose process died when everything was closed.
async fn closed_and_dead(f: &World) -> MigrationControl {
    let closed = Arc::new(Notify::new());
    let told = Arc::clone(&closed);
    let running = f.begin(|migration| {
        migration.hooks(Hooks::default().timeout(LONG).on(
            HookPoint::AfterCutover,
            "dies",
            move |_| {
                told.notify_one();
                std::future::pending()
            },
        ))
    });
    closed.notified().await;
    running.kill().await;
    f.control().await
}

/// How often the undo of the only migration was begun, by its journal.
async fn undos(f: &World) -> usize {
    let records = &f.storage.records;
    let journals = records.list(RecordCollection::Journals);
    let journals: Vec<_> = journals.try_collect().await.unwrap();
    let bodies = records.snapshot(&journals[0]);
    let begun = |body: &&Bytes| body.windows(12).any(|part| part == b"rolling_back");
    bodies.iter().filter(begun).count()
}

#[tokio::test(start_paused = true)]
async fn one_that_stands_when_it_is_resumed_is_refused_once() {
    let f = World::with_events(30).await;
    let control = closed_and_dead(&f).await;
    let cancel = control.cancel("too late").await.unwrap();
    let resumed = f.service.resume(f.begun().await).execute().await;
    assert!(resumed.unwrap().is_success());
    let answer = cancel.answer(LONG).await.unwrap();
    assert!(matches!(answer, Some(Answer::Refused { .. })), "{answer:?}");
    assert_eq!((undos(&f).await, f.ids(&f.order).await), (1, ids(0..30)));
}

/// The refusal cannot be recorded, so the command stays without an answer.
#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_taken_back_does_not_undo_it_again_and_again() {
    let f = World::with_events(30).await;
    let control = closed_and_dead(&f).await;
    let cancel = control.cancel("too late").await.unwrap();
    let service = FewAnswers::service(&f, 1..usize::MAX);
    let resumed = service.resume(f.begun().await).execute().await;
    assert!(resumed.unwrap().is_success());
    let answer = cancel.answer(Duration::ZERO).await.unwrap();
    assert_eq!(answer, Some(Answer::Accepted));
    assert_eq!((undos(&f).await, f.ids(&f.order).await), (1, ids(0..30)));
}

/// A process that resumes it begins the requested undo, and dies.
async fn dies_before_it_refuses(f: &World) {
    let migration = f.begun().await;
    // behind the claim, what the command is answered, and the beginning of the undo
    let at = At::Named("records.put", 3);
    let plan = FaultPlan::new().with(at, Fault::CrashBefore);
    let process = plan.actor("another").migration_service(&f.storage);
    let resumed = process.resume(migration).execute();
    let died = tokio::time::timeout(Duration::from_secs(300), resumed).await;
    assert!(died.is_err());
    let status = f.operator().status(migration).await.unwrap().status;
    assert_eq!(status, MigrationStatus::RollingBack);
}

/// The refusal could not be recorded at first. It is recorded later, while the migration continues
/// and polls for commands again.
#[tokio::test(start_paused = true)]
async fn one_that_could_not_be_taken_back_is_answered_later() {
    let f = World::with_events(30).await;
    let control = closed_and_dead(&f).await;
    let cancel = control.cancel("too late").await.unwrap();
    dies_before_it_refuses(&f).await;
    let service = FewAnswers::service(&f, 0..1);
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let resumed = service
        .resume(f.begun().await)
        .hooks(
            Hooks::default()
                .timeout(LONG)
                .on(HookPoint::Started, "waits", move |_| {
                    let waits = Arc::clone(&waits);
                    async move {
                        waits.notified().await;
                        Ok(())
                    }
                }),
        );
    let resumed = tokio::spawn(resumed.execute());
    let answer = cancel.done(LONG).await.unwrap();
    assert!(matches!(answer, Some(Answer::Refused { .. })), "{answer:?}");
    let again = control.cancel("again").await.unwrap();
    let answer = again.answer(LONG).await.unwrap();
    assert!(matches!(answer, Some(Answer::Refused { .. })), "{answer:?}");
    let seen = f.observe(|_| true).await;
    assert_eq!(seen.state.status, MigrationStatus::InProgress);
    let paused = control.pause().await.unwrap();
    let answer = paused.answer(LONG).await.unwrap();
    assert_eq!(answer, Some(Answer::Accepted));
    control.resume().await.unwrap();
    go_on.notify_one();
    assert!(resumed.await.unwrap().unwrap().is_success());
    assert_eq!(undos(&f).await, 1);
}

/// A resume command lets a paused migration continue even when an undo was requested, which is
/// refused then.
#[tokio::test(start_paused = true)]
async fn one_that_is_paused_too_goes_on_when_it_is_told_to() {
    let f = World::with_events(30).await;
    let control = closed_and_dead(&f).await;
    control.pause().await.unwrap();
    control.cancel("too late").await.unwrap();
    control.resume().await.unwrap();
    let resumed = f.service.resume(f.begun().await).execute().await;
    assert!(resumed.unwrap().is_success());
    assert_eq!(f.ids(&f.order).await, ids(0..30));
}

/// A failure is reported to the process that undoes, as to the one that migrates.
#[tokio::test(start_paused = true)]
async fn one_that_is_refused_calls_the_hook_for_failures() {
    let f = World::with_events(30).await;
    closed_and_dead(&f).await;
    let migration = f.begun().await;
    let failures = Arc::new(AtomicUsize::default());
    let count = Arc::clone(&failures);
    let undo = f.service.roll_back(migration).hooks(Hooks::default().on(
        HookPoint::Failed,
        "counts",
        move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(()))
        },
    ));
    let refused = undo.execute().await.unwrap();
    assert_eq!(refused.status, MigrationStatus::Failed);
    assert_eq!(*refused.error.unwrap().kind(), ErrorKind::Stuck);
    assert_eq!(failures.load(Ordering::Relaxed), 1);
}
