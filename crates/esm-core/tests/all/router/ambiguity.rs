//! Lost answers: no event twice, none reported as failed that was stored (R10, I2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::store::EventStore;
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan};
use esm_testkit::tap::{Call, Tap, TappedEventStore};

use super::cutover::*;
use crate::world::World;

/// Loses so many appends without saying so, refuses so many after them, and fails so many reads.
#[derive(Debug, Clone)]
struct Lossy(Arc<Losses>);

#[derive(Debug)]
struct Losses {
    appends: AtomicU64,
    refusals: AtomicU64,
    reads: AtomicU64,
}

fn lost(left: &AtomicU64) -> bool {
    let less = |n: u64| n.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}

impl Tap for Lossy {
    type Started = ();

    async fn begin(&self, call: Call) -> Result<()> {
        match call.name {
            "event_store.read" if lost(&self.0.reads) => {
                Err(Error::new(ErrorKind::Unavailable, "lost"))
            }
            "event_store.append" if lost(&self.0.appends) => {
                Err(Error::new(ErrorKind::Ambiguous, "lost"))
            }
            "event_store.append" if lost(&self.0.refusals) => {
                Err(Error::new(ErrorKind::Unavailable, "refused"))
            }
            _ => Ok(()),
        }
    }

    fn twice(&self, _: &()) -> bool {
        false
    }

    async fn end<T: Send>(&self, _: (), result: Result<T>) -> Result<T> {
        result
    }
}

/// A client of a store that loses so many appends, refuses so many after them, and fails so many
/// reads.
fn lossy(f: &World, appends: u64, refusals: u64, reads: u64) -> ObjectClient {
    let lossy = Lossy(Arc::new(Losses {
        appends: appends.into(),
        refusals: refusals.into(),
        reads: reads.into(),
    }));
    let store: Arc<dyn EventStore> =
        Arc::new(TappedEventStore::new(f.storage.event_store(), lossy));
    ObjectClient::new(f.storage.records(), store, f.storage.environment.clone())
}

fn count(ids: &[String], id: &str) -> usize {
    ids.iter().filter(|stored| *stored == id).count()
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_settled_and_the_append_succeeds_once() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let append = At::Named("event_store.append", 0);
    for fault in [Fault::FailAfter, Fault::Duplicate] {
        let plan = FaultPlan::new().with(append.clone(), fault);
        let client = plan.actor("app").client(&f.storage);
        let end = client.load(&f.order).await?.position();
        let id = format!("b{}", end.revision);
        client
            .append(&f.order, ExpectedRevision::At(end), events(&[&id]))
            .await?;
        assert_eq!(count(&f.stored(&s), &id), 1);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_lost_append_is_sent_again() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let client = lossy(&f, 3, 0, 0);
    client
        .append(&f.order, ExpectedRevision::At(at(&s, 1)), events(&["b"]))
        .await?;
    assert_eq!(f.stored(&s), ["a", "b"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_settled_gives_a_token_that_settles_it_later() -> Result<()> {
    // the append is lost, and so is every read that would tell
    let (f, s) = World::with_cells(&[&["a"], &["b"], &["c"]]).await?;
    let client = lossy(&f, 1, 0, 20);
    let expected = ExpectedRevision::At(at(&s, 3));
    let begun = f.storage.environment.clock.monotonic();
    let error = client
        .append(&f.order, expected, events(&["d"]))
        .await
        .unwrap_err();
    let waited = (f.storage.environment.clock.monotonic() - begun).as_millis();
    let pauses = 50 + 100 + 200 + 400 + 800;
    assert!((pauses / 2..=pauses * 3 / 2).contains(&waited), "{waited}");
    assert_eq!(error.kind(), &ErrorKind::Ambiguous);
    assert!(error.error().may_have_applied());
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "lost");
    let token = error.into_token().unwrap();
    assert_eq!(
        (token.stream(), token.seq(), token.object()),
        (&s, 3, &f.order)
    );
    assert_eq!(f.stored(&s), ["a", "b", "c"]);
    let appended = f.client().settle(token.clone()).await?;
    assert_eq!(appended.first, at(&s, 3));
    // settled twice is settled once
    assert_eq!(f.client().settle(token).await?, appended);
    assert_eq!(f.stored(&s), ["a", "b", "c", "d"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_refused_repetition_does_not_make_a_lost_append_a_failed_one() -> Result<()> {
    // the first may still be on its way and land later
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let append = async |refusals| {
        let client = lossy(&f, 1, refusals, 0);
        let at_end = client.load(&f.order).await?.position();
        let expected = ExpectedRevision::At(at_end);
        client.append(&f.order, expected, events(&["b"])).await
    };
    let error = append(20).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Ambiguous);
    assert!(error.token().is_some());
    append(2).await?;
    assert_eq!(f.stored(&s), ["a", "b"]);
    let refused = lossy(&f, 0, 20, 0)
        .append(&f.order, ExpectedRevision::Any, events(&["c"]))
        .await;
    assert_eq!(refused.unwrap_err().kind(), &ErrorKind::Unavailable);
    Ok(())
}

/// A token for `b`, sent to S at seq 1 and lost.
async fn token(f: &World, expected: ExpectedRevision) -> esm_core::router::AmbiguousAppend {
    let client = lossy(f, 1, 0, 20);
    let error = client
        .append(&f.order, expected, events(&["b"]))
        .await
        .unwrap_err();
    error.into_token().unwrap()
}

#[tokio::test(start_paused = true)]
async fn anothers_cell_in_its_place_is_a_conflict_or_moves_it_on() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let exact = token(&f, ExpectedRevision::At(at(&s, 1))).await;
    let any = token(&f, ExpectedRevision::Any).await;
    f.append_ids(&["theirs"]).await?;
    let error = f.client().settle(exact).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict { actual: Some(2) });
    f.client().settle(any).await?;
    assert_eq!(f.stored(&s), ["a", "theirs", "b"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_retry_over_a_cutover_appends_once_wherever_it_landed() -> Result<()> {
    // X15: not landed, and S closed in its place: it continues in T
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let not_landed = token(&f, ExpectedRevision::At(at(&s, 1))).await;
    let t = f.cut_over(&s, target_of(1)).await?;
    assert_eq!(f.client().settle(not_landed).await?.first, at(&t, 1));
    assert_eq!((f.stored(&s).len(), count(&f.stored(&t), "b")), (1, 1));

    // landed, and S closed behind it: it was copied, and is not appended to T again
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let lost_answer = FaultPlan::new().with(At::Named("event_store.append", 0), Fault::FailAfter);
    let plan = (0..10).fold(lost_answer, |plan, n| {
        plan.with(At::Named("event_store.read", n), Fault::FailBefore)
    });
    let client = plan.actor("app").client(&f.storage);
    let any = ExpectedRevision::Any;
    let error = client
        .append(&f.order, any, events(&["b"]))
        .await
        .unwrap_err();
    let landed = error.into_token().unwrap();
    let t = f.cut_over(&s, target_of(2)).await?;
    assert_eq!(f.client().settle(landed).await?.first, at(&s, 1));
    assert_eq!(
        (count(&f.stored(&s), "b"), count(&f.stored(&t), "b")),
        (1, 0)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn creating_settles_its_lost_answers() -> Result<()> {
    let f = World::new();
    let plan = FaultPlan::new().with(At::Named("records.put", 0), Fault::FailAfter);
    let client = plan.actor("app").client(&f.storage);
    let appended = client
        .append(&f.order, ExpectedRevision::NoStream, events(&["a"]))
        .await?;
    assert_eq!(f.stored(&appended.stream), ["a"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn creating_tells_what_another_created_from_its_own() -> Result<()> {
    for appends in [false, true] {
        let f = World::new();
        let plan = FaultPlan::new().with(At::Named("records.put", 0), Fault::FailAfter);
        let client = plan.actor("app").client(&f.storage);
        let theirs = f.client().create(&f.order).await?.document;
        f.storage
            .environment
            .clock
            .sleep(Duration::from_secs(1))
            .await;
        if appends {
            let expected = ExpectedRevision::NoStream;
            let refused = client.append(&f.order, expected, events(&["a"])).await;
            assert_eq!(refused.unwrap_err().kind(), &ErrorKind::AlreadyExists);
        } else {
            assert_eq!(client.create(&f.order).await?.document, theirs);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn creating_that_fails_says_so() -> Result<()> {
    let f = World::new();
    let plan = FaultPlan::new();
    let client = plan.actor("app").client(&f.storage);
    for time in 0..2 {
        plan.inject(At::Named("records.put", time), Fault::FailBefore);
    }
    let created = client.create(&f.order).await;
    assert_eq!(created.unwrap_err().kind(), &ErrorKind::Unavailable);
    let expected = ExpectedRevision::NoStream;
    let append = client.append(&f.order, expected, events(&["a"])).await;
    assert_eq!(append.unwrap_err().kind(), &ErrorKind::Unavailable);
    assert!(f.storage.records.keys().is_empty());
    Ok(())
}

/// Every call of an append over a stale document goes wrong in every way: whatever the caller
/// learns is true, and what it does about it stores the event once.
#[tokio::test(start_paused = true)]
async fn whatever_call_goes_wrong_the_event_is_stored_once_or_the_caller_knows() -> Result<()> {
    let mut swept = 0;
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Duplicate] {
        for operation in 0.. {
            let (f, s) = World::with_cells(&[&["a"]]).await?;
            let t = f.cut_over(&s, target_of(2)).await?;
            let plan = FaultPlan::new().with(At::Operation(operation), fault.clone());
            let client = plan.actor("app").client(&f.storage);
            let expected = ExpectedRevision::At(at(&s, 1));
            let result = client
                .append(&f.order, expected.clone(), events(&["b"]))
                .await;
            let stored = count(&f.stored(&t), "b");
            match result {
                Ok(_) => assert_eq!(stored, 1, "{}", plan.log()),
                Err(error) => match error.into_token() {
                    Some(token) => drop(f.client().settle(token).await?),
                    None => {
                        assert_eq!(stored, 0, "{}", plan.log());
                        f.client()
                            .append(&f.order, expected, events(&["b"]))
                            .await?;
                    }
                },
            }
            assert_eq!(count(&f.stored(&t), "b"), 1, "{}", plan.log());
            if plan.log().len() <= operation {
                break;
            }
            swept += 1;
        }
    }
    assert!(swept >= 15, "only {swept} calls");
    Ok(())
}
