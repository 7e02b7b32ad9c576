//! The fault plan and the recorder do what they say.

use std::sync::Arc;

use bytes::Bytes;
use esm_core::store::{LockAttempt, LockRequest, RecordKey, Records};
use esm_core::{ErrorKind, Result};
use esm_testkit::environment;
use esm_testkit::faults::{At, Crashed, Fault, FaultPlan, Gate, Watch};
use esm_testkit::memory::{MemoryRecords, MemoryWorld};
use esm_testkit::record::{RecordedRecords, Recorder};
use esm_testkit::tap::{Counts, Operation, OperationLog, Outcome};
use futures::{StreamExt as _, TryStreamExt as _};

const KEY: RecordKey = RecordKey::Index;

async fn put_with(fault: Fault) -> (MemoryRecords, FaultPlan, Result<Result<()>, Crashed>) {
    let records = MemoryRecords::new();
    let plan = FaultPlan::new().with(At::Operation(0), fault);
    let actor = plan.actor("a");
    let faulty = actor.records(Arc::new(records.clone()));
    let answer = actor.run(faulty.put(&KEY, 0, Bytes::from("x"))).await;
    (records, plan, answer)
}

#[tokio::test]
async fn fail_before_does_nothing_and_says_so() {
    let (records, plan, answer) = put_with(Fault::FailBefore).await;
    assert!(answer.is_ok_and(|a| a.is_err_and(|e| *e.kind() == ErrorKind::Unavailable)));
    assert!(records.snapshot(&KEY).is_empty());
    assert_eq!(
        plan.log().operations()[0].outcome,
        Some(Outcome::Err(ErrorKind::Unavailable))
    );
}

#[tokio::test]
async fn fail_after_does_it_and_does_not_know() {
    let (records, _, answer) = put_with(Fault::FailAfter).await;
    assert!(answer.is_ok_and(|a| a.is_err_and(|e| e.may_have_applied())));
    assert_eq!(records.snapshot(&KEY).len(), 1);
}

#[tokio::test]
async fn a_duplicate_gets_the_first_answer() {
    let (records, _, answer) = put_with(Fault::Duplicate).await;
    assert!(answer.is_ok_and(|a| a.is_ok()));
    assert_eq!(records.snapshot(&KEY).len(), 1);
}

#[tokio::test]
async fn crashes_differ_in_what_they_leave() {
    let (before, _, answer) = put_with(Fault::CrashBefore).await;
    assert_eq!(answer.err(), Some(Crashed));
    assert!(before.snapshot(&KEY).is_empty());
    let (after, plan, answer) = put_with(Fault::CrashAfter).await;
    assert_eq!(answer.err(), Some(Crashed));
    assert_eq!(after.snapshot(&KEY).len(), 1);
    assert_eq!(plan.log().operations()[0].outcome, Some(Outcome::Crashed));
}

#[tokio::test]
async fn after_a_crash_no_call_of_that_actor_is_made() {
    let records = MemoryRecords::new();
    let plan = FaultPlan::new().with(At::OfActor("a".into(), 0), Fault::CrashAfter);
    let (a, b) = (plan.actor("a"), plan.actor("b"));
    let of_a = a.records(Arc::new(records.clone()));
    let of_b = b.records(Arc::new(records.clone()));
    assert_eq!(a.run(of_a.latest(&KEY)).await.err(), Some(Crashed));
    assert_eq!(
        a.run(of_a.put(&KEY, 0, Bytes::new())).await.err(),
        Some(Crashed)
    );
    assert!(b.run(of_b.put(&KEY, 0, Bytes::new())).await.is_ok());
    assert_eq!(plan.log().len(), 2);
}

#[tokio::test]
async fn a_stalled_call_is_made_when_the_gate_opens() -> Result<()> {
    let records = MemoryRecords::new();
    let gate = Gate::new();
    let plan = FaultPlan::new().with(At::Named("records.put", 0), Fault::Stall(gate.clone()));
    let actor = plan.actor("slow");
    let slow = actor.records(Arc::new(records.clone()));
    let stalled = tokio::spawn(async move { slow.put(&KEY, 0, Bytes::from("slow")).await });
    gate.reached().await;
    records.put(&KEY, 0, Bytes::from("fast")).await?;
    gate.open();
    let answer = stalled.await.expect("it does not panic");
    assert!(matches!(answer, Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. })));
    assert_eq!(records.snapshot(&KEY), ["fast"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_takes_its_time() {
    let start = tokio::time::Instant::now();
    let pause = std::time::Duration::from_secs(90);
    let (_, _, answer) = put_with(Fault::Delay(pause)).await;
    assert!(answer.is_ok_and(|a| a.is_ok()));
    assert_eq!(start.elapsed(), pause);
}

#[tokio::test]
async fn a_listing_is_one_call_and_can_fail_at_its_end() -> Result<()> {
    let records = MemoryRecords::new();
    let object = "order/1".parse()?;
    let document = RecordKey::Document(object);
    records.put(&document, 0, Bytes::new()).await?;
    let plan = FaultPlan::new().with(At::Operation(1), Fault::FailAfter);
    let faulty = plan.actor("a").records(Arc::new(records));
    let all = || esm_core::store::RecordCollection::Documents(None);
    let first: Vec<_> = faulty.list(all()).try_collect().await?;
    assert_eq!(first, [document]);
    let second: Vec<_> = faulty.list(all()).collect().await;
    assert_eq!(second.len(), 2);
    assert!(second[1].as_ref().is_err_and(|e| e.is_retryable()));
    assert_eq!(plan.log().len(), 2);
    Ok(())
}

#[derive(Debug)]
struct Refuses;

#[async_trait::async_trait]
impl Watch for Refuses {
    async fn check(&self, operation: &Operation) -> Result<(), String> {
        match operation.call.name {
            "records.put" => Err("a put".into()),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn watches_look_after_every_call() -> Result<()> {
    let plan = FaultPlan::new().watched_by(Arc::new(Refuses));
    let faulty = plan.actor("a").records(Arc::new(MemoryRecords::new()));
    faulty.latest(&KEY).await?;
    faulty.put(&KEY, 0, Bytes::new()).await?;
    let violations = plan.violations();
    assert_eq!(violations.len(), 1);
    assert_eq!(
        violations[0].to_string(),
        "after 1 a records.put Index #0 …: a put"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_recorder_counts_by_trait() -> Result<()> {
    let world = MemoryWorld::new(environment(1));
    let log = OperationLog::new();
    let recorder = Recorder::new("r", log.clone());
    let records = RecordedRecords::new(world.records(), recorder);
    records.put(&KEY, 0, Bytes::new()).await?;
    records.latest(&KEY).await?;
    let _ = records.get(&KEY, 7).await?;
    let actor = FaultPlan::new().actor("l");
    let request = LockRequest {
        holder: "h".try_into()?,
        lease: std::time::Duration::from_secs(1),
        migration: None,
        at: world.environment.clock.now(),
        process: None,
    };
    let locks = actor.locks(world.locks());
    let attempt = locks.try_acquire(&"lock".try_into()?, &request).await?;
    assert!(matches!(attempt, LockAttempt::Acquired(_)));
    let expected = Counts {
        reads: 2,
        writes: 1,
    };
    assert_eq!(log.counts()["records"], expected);
    assert_eq!(
        log.to_string(),
        "0 r records.put Index #0\n1 r records.latest Index\n2 r records.get Index #7\n"
    );
    Ok(())
}
