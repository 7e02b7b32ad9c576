//! Following an object live.

use std::sync::Arc;
use std::time::Duration;

use esm_core::id::ObjectId;
use esm_core::router::{ExpectedRevision, ReadPosition, RecordedEvent, TailOptions};
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan};
use esm_testkit::strategies;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use proptest::prelude::*;

use super::cutover::*;
use crate::world::World;

type Tail = BoxStream<'static, Result<RecordedEvent>>;

fn tail(f: &World, from: ReadPosition) -> Tail {
    f.client().tail(&f.order, from)
}

/// The ids of the next events.
async fn next(tail: &mut Tail, count: usize) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let recorded = tail.try_next().await?.expect("a tail has no end");
        ids.push(recorded.event.id.to_string());
    }
    Ok(ids)
}

/// Whether nothing comes for a long while.
async fn is_quiet(f: &World, tail: &mut Tail) -> bool {
    let long = f.storage.environment.clock.sleep(Duration::from_secs(600));
    tokio::select! {
        biased;
        _ = tail.next() => false,
        () = long => true,
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_comes_and_then_what_is_appended() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a", "b"], &["c"]]).await?;
    let mut from_start = tail(&f, ReadPosition::Start);
    let mut from_second = tail(&f, ReadPosition::At(at(&s, 1)));
    let mut from_end = tail(&f, ReadPosition::At(at(&s, 3)));
    assert_eq!(next(&mut from_start, 3).await?, ["a", "b", "c"]);
    assert_eq!(next(&mut from_second, 2).await?, ["b", "c"]);
    for tail in [&mut from_start, &mut from_second, &mut from_end] {
        assert!(is_quiet(&f, tail).await);
    }
    f.append_ids(&["d", "e"]).await?;
    for tail in [&mut from_start, &mut from_second, &mut from_end] {
        let first = tail.try_next().await?.unwrap();
        assert_eq!(first.position, at(&s, 3));
        assert_eq!(next(tail, 1).await?, ["e"]);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r14_a_tail_goes_over_every_close_and_repeats_nothing() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b"]]).await?;
    let mut tail = tail(&f, ReadPosition::Start);
    assert_eq!(next(&mut tail, 2).await?, ["a", "b"]);
    assert!(is_quiet(&f, &mut tail).await);
    let t = f.cut_over(&s, target_of(7)).await?;
    assert!(is_quiet(&f, &mut tail).await, "T's first seven are known");
    f.append_ids(&["c"]).await?;
    let third = tail.try_next().await?.unwrap();
    assert_eq!((third.event.id.as_str(), third.position), ("c", at(&t, 7)));
    let u = f.cut_over(&t, target_of(1)).await?;
    f.append_ids(&["d"]).await?;
    f.cut_over(&u, target_of(2)).await?;
    f.append_ids(&["e"]).await?;
    assert_eq!(next(&mut tail, 2).await?, ["d", "e"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_object_without_events_is_followed_from_its_first() -> Result<()> {
    let (f, s) = World::with_cells(&[]).await?;
    let mut tail = tail(&f, ReadPosition::Start);
    assert!(is_quiet(&f, &mut tail).await);
    // closed before anything was seen: all of T is new
    f.cut_over(&s, target_of(0)).await?;
    f.append_ids(&["a"]).await?;
    assert_eq!(next(&mut tail, 1).await?, ["a"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_tail_ends_with_the_reason_at_a_restore_and_at_a_deletion() -> Result<()> {
    // R19, R23
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let mut restored = tail(&f, ReadPosition::Start);
    assert_eq!(next(&mut restored, 1).await?, ["a"]);
    let cutover = Cutover {
        continues: false,
        ..target_of(1)
    };
    let t = f.cut_over(&s, cutover).await?;
    let error = restored.try_next().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed(_)), "{error}");
    assert!(restored.next().await.is_none());

    let mut deleted = tail(&f, ReadPosition::At(at(&t, 1)));
    assert!(is_quiet(&f, &mut deleted).await);
    let nothing = esm_core::store::Close {
        target: None,
        events: esm_core::event::Revision(1),
        target_events: esm_core::event::Revision(0),
        migration: f.storage.environment.migration_id(),
        continues: false,
        target_last: None,
    };
    f.close(&t, nothing).await?;
    let error = deleted.try_next().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Deleted);
    let unknown = World::new();
    let error = tail(&unknown, ReadPosition::Start).try_next().await;
    assert_eq!(error.unwrap_err().kind(), &ErrorKind::NotFound);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_position_beyond_the_end_is_refused() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let mut tail = tail(&f, ReadPosition::At(at(&s, 2)));
    let begun = f.storage.environment.clock.monotonic();
    let error = tail.try_next().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Invalid);
    assert!(error.hint().is_some());
    assert_eq!(
        f.storage.environment.clock.monotonic(),
        begun,
        "it is not waited for"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_is_away_for_a_while_is_waited_for_and_nothing_is_repeated() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b"]]).await?;
    // every request of a tail over a cutover fails once
    for request in 0..12 {
        let plan = FaultPlan::new().with(At::Operation(request), Fault::FailBefore);
        let client = plan.actor("app").client(&f.storage);
        let client = client.with_pages(esm_core::store::PageLimit { cells: 1, bytes: 0 });
        let mut tail = client.tail(&f.order, ReadPosition::At(at(&s, 0)));
        if f.document(&f.order).await.active == s {
            assert_eq!(next(&mut tail, 2).await?, ["a", "b"]);
            f.cut_over(
                &s,
                Cutover {
                    dies: false,
                    ..target_of(3)
                },
            )
            .await?;
            f.append_ids(&["c"]).await?;
            assert_eq!(next(&mut tail, 1).await?, ["c"]);
        } else {
            assert_eq!(next(&mut tail, 3).await?, ["a", "b", "c"]);
        }
    }
    // and not without end
    let plan = (0..40).fold(FaultPlan::new(), |plan, n| {
        plan.with(At::Operation(n), Fault::FailBefore)
    });
    let client = plan.actor("app").client(&f.storage);
    let client = client.with_tails(TailOptions::default().patience(3));
    let error = client.tail(&f.order, ReadPosition::Start).try_next().await;
    assert_eq!(error.unwrap_err().kind(), &ErrorKind::Unavailable);
    assert_eq!(plan.log().len(), 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn looks_become_rarer_while_nothing_comes() -> Result<()> {
    let (f, _) = World::with_cells(&[&["a"]]).await?;
    let plan = FaultPlan::new();
    let pauses = TailOptions::default().pauses(Duration::from_millis(10), Duration::from_secs(1));
    let client = plan.actor("app").client(&f.storage).with_tails(pauses);
    let mut tail = client.tail(&f.order, ReadPosition::Start);
    assert_eq!(next(&mut tail, 1).await?, ["a"]);
    assert!(is_quiet(&f, &mut tail).await);
    let looks = plan.log().len();
    assert!((400..=1300).contains(&looks), "in 600 s: {looks}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r13_who_does_not_know_the_targets_store_is_told_so_and_goes_on_once_it_was_added()
-> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let other = f.storage.another_event_store();
    let client = f.client();
    let mut tail = client.tail(&f.order, ReadPosition::Start);
    let first = tail.try_next().await?.unwrap();
    let appended = client
        .append(&f.order, ExpectedRevision::Any, events(&["b"]))
        .await?;
    let cutover = Cutover {
        store: Some(other.clone()),
        ..target_of(2)
    };
    f.cut_over(&s, cutover).await?;

    let expect_told = |error: &Error| {
        assert_eq!(error.kind(), &ErrorKind::UnknownStore);
        assert!(error.is_retryable());
        let id = esm_core::store::EventStore::id(&other).to_string();
        assert!(error.to_string().contains(&id), "{error}");
        assert!(error.hint().unwrap().contains("add the store"), "{error:?}");
    };
    let object: &ObjectId = &f.order;
    let position = ExpectedRevision::At(appended.next);
    for expected in [ExpectedRevision::Any, position.clone()] {
        let told = client.append(object, expected, events(&["c"])).await;
        expect_told(told.unwrap_err().error());
    }
    expect_told(&client.load(object).await.unwrap_err());
    expect_told(&client.fold(object, || (), |(), _| ()).await.unwrap_err());
    assert_eq!(next(&mut tail, 1).await?, ["b"]);
    expect_told(&tail.try_next().await.unwrap_err());
    assert_eq!(f.document(&f.order).await.active, s, "nothing was written");

    let knowing = f.client_knowing(shared(&other));
    let appended = knowing.append(object, position, events(&["c"])).await?;
    assert_eq!(appended.first.revision.0, 2);
    let mut tail = knowing.tail(object, ReadPosition::At(first.next()));
    assert_eq!(next(&mut tail, 2).await?, ["b", "c"]);
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Append(u8),
    CutOver(u64),
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..4_u8).prop_map(Step::Append),
        (0..5_u64).prop_map(Step::CutOver),
        Just(Step::Look),
    ]
}

async fn follow(steps: Vec<Step>, pages: usize) -> Result<()> {
    let (f, mut active) = World::with_cells(&[]).await?;
    let f = Arc::new(f);
    let limit = esm_core::store::PageLimit {
        cells: pages,
        bytes: u64::MAX,
    };
    let start = ReadPosition::At(at(&active, 0));
    let client = f.client().with_pages(limit);
    let mut tail = client.tail(&f.order, start);
    let (mut appended, mut seen) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Append(count) => {
                let first = appended.len();
                let ids: Vec<_> = (0..usize::from(count))
                    .map(|n| format!("e{}", first + n))
                    .collect();
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                f.append_ids(&ids).await?;
                appended.extend(ids.into_iter().map(str::to_owned));
            }
            Step::CutOver(events) => active = f.cut_over(&active, target_of(events)).await?,
            Step::Look => {
                while let Some(Some(recorded)) = tail.next().now_or_never() {
                    seen.push(recorded?.event.id.to_string());
                }
                f.storage
                    .environment
                    .clock
                    .sleep(Duration::from_secs(5))
                    .await;
            }
        }
    }
    let rest = appended.len() - seen.len();
    seen.extend(next(&mut tail, rest).await?);
    assert_eq!(seen, appended);
    assert!(is_quiet(&f, &mut tail).await);
    Ok(())
}

proptest! {
    #![proptest_config(strategies::one_in(4))]

    /// Every event that applications append, exactly once and in order, over any number of Closes,
    /// and nothing of what migrations copy.
    #[test]
    fn a_tail_loses_and_repeats_nothing(
        steps in prop::collection::vec(step(), 1..30),
        pages in 1..4_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(follow(steps, pages)).unwrap();
    }
}
