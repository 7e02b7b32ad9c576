//! A resume command supersedes every earlier pause, whichever process answers them.

use std::time::Duration;

use esm_core::Result;
use esm_core::migration::{MigrationResult, MigrationStatus};
use esm_core::protocol::control::Answer;
use esm_testkit::faults::{At, Fault, FaultPlan};
use tokio_util::sync::CancellationToken;

use super::few_answers::FewAnswers;
use super::running::{LONG, ids, slowly};
use crate::world::World;

/// A migration that no process runs, to which a pause and then a resume command were sent.
async fn paused_and_resumed() -> World {
    let f = World::with_events(60).await;
    let token = CancellationToken::new();
    let running = f.begin(|m| m.limits(slowly(50)).cancel_on(token.clone()));
    let control = f.control().await;
    token.cancel();
    assert_eq!(running.result().await.status, MigrationStatus::Paused);
    control.pause().await.unwrap();
    let seen = f.observe(|_| true).await;
    assert_eq!((seen.pauses, seen.desired.paused_by), (true, None));
    control.resume().await.unwrap();
    assert!(!f.observe(|_| true).await.pauses);
    f
}

/// The result of a run, which must not wait for another command.
async fn ends(run: impl Future<Output = Result<MigrationResult>>) -> MigrationResult {
    let ended = tokio::time::timeout(LONG, run).await;
    ended.expect("it waits to be resumed").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_nobody_answered_does_not_pause_whoever_resumes() {
    let f = paused_and_resumed().await;
    let migration = f.begun().await;
    assert!(
        ends(f.service.resume(migration).execute())
            .await
            .is_success()
    );
    assert_eq!(f.ids(&f.order).await, ids(0..60));
}

/// If the resume were answered before the pause, the pause would be in force from then on.
#[tokio::test(start_paused = true)]
async fn a_pause_whose_answer_cannot_be_written_is_answered_before_the_resume() {
    for denied in 1..4 {
        let f = paused_and_resumed().await;
        let migration = f.begun().await;
        let service = FewAnswers::service(&f, 0..denied);
        assert!(ends(service.resume(migration).execute()).await.is_success());
        assert_eq!(f.ids(&f.order).await, ids(0..60));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_over_from_a_process_that_died_answering_is_not_paused() {
    // the claim, and both answers
    for number in 0..3 {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let f = paused_and_resumed().await;
            let migration = f.begun().await;
            let plan = FaultPlan::new().with(At::Named("records.put", number), fault);
            let process = plan.actor("another").migration_service(&f.storage);
            let run = process.resume(migration).execute();
            let died = tokio::time::timeout(Duration::from_secs(300), run).await;
            assert!(died.is_err(), "it did not die at write {number}");
            assert!(
                ends(f.service.resume(migration).execute())
                    .await
                    .is_success()
            );
            assert_eq!(f.ids(&f.order).await, ids(0..60));
        }
    }
}

/// A pause that was sent later is not superseded.
#[tokio::test(start_paused = true)]
async fn a_pause_after_the_resume_is_in_force() {
    let f = paused_and_resumed().await;
    let migration = f.begun().await;
    let control = f.control().await;
    let pause = control.pause().await.unwrap();
    assert!(f.observe(|_| true).await.pauses);
    let resumed = tokio::spawn(f.service.resume(migration).execute());
    let answer = pause.answer(LONG).await.unwrap();
    assert_eq!(answer, Some(Answer::Accepted));
    f.let_time_pass(600_000).await;
    assert!(!resumed.is_finished());
    control.resume().await.unwrap();
    assert!(resumed.await.unwrap().unwrap().is_success());
}
