//! Creating and appending without migrations.

use std::sync::Arc;
use std::time::Duration;

use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::store::{EventStore as _, EventStoreExt as _, Fence, RecordKey};
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};
use esm_testkit::tap::Counts;

use super::fixture::*;

#[tokio::test(start_paused = true)]
async fn everybody_who_creates_an_object_gets_the_same() -> Result<()> {
    let f = Fixture::new();
    let first = f.client().create(&f.object).await?;
    let second = f.client().create(&f.object).await?;
    assert_eq!(
        (first.stream(), first.position().revision.0),
        (second.stream(), 0)
    );
    let key = RecordKey::Document(f.object.clone());
    assert_eq!(f.world.records.snapshot(&key).len(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn no_stream_creates_and_never_appends_to_an_object_that_exists() -> Result<()> {
    // R8
    let f = Fixture::new();
    let appended = f
        .client()
        .append(&f.object, ExpectedRevision::NoStream, events(&["a", "b"]))
        .await?;
    assert_eq!(
        (appended.first.revision.0, appended.next.revision.0),
        (0, 2)
    );
    for client in [f.client(), f.client()] {
        let again = client
            .append(&f.object, ExpectedRevision::NoStream, events(&["c"]))
            .await;
        assert_eq!(again.unwrap_err().kind(), &ErrorKind::AlreadyExists);
    }
    assert_eq!(f.stored(&appended.stream), ["a", "b"]);

    let empty = Fixture::new();
    empty.client().create(&empty.object).await?;
    let exists = empty
        .client()
        .append(&empty.object, ExpectedRevision::NoStream, events(&["a"]))
        .await;
    assert_eq!(exists.unwrap_err().kind(), &ErrorKind::AlreadyExists);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_expected_position_is_exact() -> Result<()> {
    let (f, s) = Fixture::with(&[&["a", "b"], &["c"]]).await?;
    for client in [f.client(), f.client()] {
        for wrong in [0, 2, 4] {
            let expected = ExpectedRevision::At(at(&s, wrong));
            let error = client
                .append(&f.object, expected, events(&["x"]))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Conflict { actual: Some(3) });
        }
    }
    let client = f.client();
    let mut position = client.load(&f.object).await?.position();
    for id in ["d", "e"] {
        let appended = client
            .append(&f.object, ExpectedRevision::At(position), events(&[id]))
            .await?;
        position = appended.next;
    }
    assert_eq!(f.stored(&s), ["a", "b", "c", "d", "e"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn any_appends_after_whatever_is_there_and_creates() -> Result<()> {
    let f = Fixture::new();
    let (one, other) = (f.client(), f.client());
    for (client, id) in [
        (&one, "a"),
        (&other, "b"),
        (&one, "c"),
        (&one, "d"),
        (&other, "e"),
    ] {
        client
            .append(&f.object, ExpectedRevision::Any, events(&[id]))
            .await?;
    }
    let stream = f.document().await.active;
    assert_eq!(f.stored(&stream), ["a", "b", "c", "d", "e"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_position_of_an_unknown_object_or_a_strange_stream_is_not_found() -> Result<()> {
    let (f, s) = Fixture::with(&[&["a"]]).await?;
    let append = async |object: &str, stream: &str| {
        let object = object.parse().unwrap();
        let mut position = at(&s, 1);
        position.stream = stream.try_into().unwrap();
        let expected = ExpectedRevision::At(position);
        let error = f
            .client()
            .append(&object, expected, events(&["x"]))
            .await
            .unwrap_err();
        error.kind().clone()
    };
    assert_eq!(append("order/2", "strange").await, ErrorKind::NotFound);
    assert_eq!(append("order/1", "strange").await, ErrorKind::NotFound);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn no_events_are_refused_before_anything_is_created() -> Result<()> {
    let f = Fixture::new();
    let error = f
        .client()
        .append(&f.object, ExpectedRevision::Any, Vec::new())
        .await;
    assert_eq!(error.unwrap_err().kind(), &ErrorKind::Invalid);
    assert!(f.world.records.keys().is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_warm_append_is_one_write_and_nothing_else() -> Result<()> {
    // R7
    let f = Fixture::new();
    let plan = FaultPlan::new();
    let client = plan.actor("app").client(&f.world);
    let mut next = client
        .append(&f.object, ExpectedRevision::Any, events(&["0"]))
        .await?
        .next;
    let cold = plan.log().len();
    for id in ["1", "2", "3"] {
        let expected = ExpectedRevision::At(next);
        next = client
            .append(&f.object, expected, events(&[id]))
            .await?
            .next;
    }
    client
        .append(&f.object, ExpectedRevision::Any, events(&["4"]))
        .await?;
    let warm = &plan.log().operations()[usize::try_from(cold).unwrap()..];
    let names: Vec<_> = warm.iter().map(|o| o.call.name).collect();
    assert_eq!(names, ["event_store.append"; 4]);
    // and what everything cost beyond that is told
    let refused = client
        .append(&f.object, ExpectedRevision::NoStream, events(&["5"]))
        .await;
    assert!(refused.is_err());
    let extra = client.statistics().extra_requests();
    assert_eq!(extra, plan.log().len() - 6);
    assert!(extra > 1, "the first had to create the object");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_new_object_costs_a_document_and_a_cell() -> Result<()> {
    let f = Fixture::new();
    let plan = FaultPlan::new();
    let client = plan.actor("app").client(&f.world);
    client
        .append(&f.object, ExpectedRevision::NoStream, events(&["0"]))
        .await?;
    let counts = plan.log().counts();
    let one_write = Counts {
        reads: 0,
        writes: 1,
    };
    assert_eq!(counts["records"], one_write);
    assert_eq!(counts["event_store"], one_write);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_remembers_nothing_appends_all_the_same() -> Result<()> {
    let (f, s) = Fixture::with(&[&["a"]]).await?;
    let client = f.client().remembering(0);
    for id in ["b", "c"] {
        let position = client.load(&f.object).await?.position();
        client
            .append(&f.object, ExpectedRevision::At(position), events(&[id]))
            .await?;
    }
    assert_eq!(f.stored(&s), ["a", "b", "c"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_writer_steps_over_a_fence() -> Result<()> {
    // R17: a Fence takes a cell and no revision
    let (f, s) = Fixture::with(&[&["a"]]).await?;
    let client = f.client();
    let next = client
        .append(&f.object, ExpectedRevision::Any, events(&["b"]))
        .await?
        .next;
    let store = &f.world.event_store;
    let tail = store.tail(&s.stream).await?;
    let fence = Fence {
        target: "nowhere".try_into()?,
        migration: f.world.environment.migration_id(),
    };
    store
        .fence(&s.stream, &tail, f.world.environment.commit_id(), fence)
        .await?;
    client
        .append(&f.object, ExpectedRevision::At(next), events(&["c"]))
        .await?;
    assert_eq!(f.stored(&s), ["a", "b", "c"]);
    assert_eq!(
        store
            .cell(&s.stream, 3)
            .await?
            .map(|c| c.header.first_revision.0),
        Some(2)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused_and_nothing_is_stored() -> Result<()> {
    let f = Fixture::new();
    let limits = esm_core::store::StoreLimits::default().with_max_event_bytes(10);
    let store = f.world.event_store.clone().with_limits(limits);
    let client = ObjectClient::new(
        f.world.records(),
        shared(&store),
        f.world.environment.clone(),
    );
    let refused = client
        .append(&f.object, ExpectedRevision::Any, events(&["a"]))
        .await;
    assert_eq!(refused.unwrap_err().kind(), &ErrorKind::TooLarge);
    assert!(f.world.event_store.stream_ids().is_empty());
    assert_eq!(client.reader().stores().limits(), limits);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_two_who_expect_the_same_one_wins() -> Result<()> {
    let (f, s) = Fixture::with(&[&["a"]]).await?;
    let (one, other) = (f.client(), f.client());
    let expected = || ExpectedRevision::At(at(&s, 1));
    // both have seen the same tail before either writes
    for client in [&one, &other] {
        client.load(&f.object).await?;
    }
    let (first, second) = tokio::join!(
        one.append(&f.object, expected(), events(&["b"])),
        other.append(&f.object, expected(), events(&["c"])),
    );
    assert!(first.is_ok());
    assert_eq!(
        second.unwrap_err().kind(),
        &ErrorKind::Conflict { actual: Some(2) }
    );
    assert_eq!(f.stored(&s), ["a", "b"]);
    Ok(())
}

#[test]
fn a_client_is_a_handle_that_tasks_can_share() {
    fn shareable<T: Clone + Send + Sync + 'static>() {}
    shareable::<ObjectClient>();
    shareable::<Arc<ObjectClient>>();
}

/// Lets others be faster so many times, and answers how long an append waits for that.
async fn waited(beaten: u64) -> Result<Duration> {
    let (f, s) = Fixture::with(&[&["a"]]).await?;
    let f = Arc::new(f);
    let plan = FaultPlan::new();
    for time in 0..beaten {
        let world = Arc::clone(&f);
        let faster = Interjection::new(move || {
            let f = Arc::clone(&world);
            async move {
                let (client, any) = (f.client(), ExpectedRevision::Any);
                let appended = client.append(&f.object, any, events(&["theirs"]));
                appended.await.unwrap();
            }
        });
        let at = At::Named("event_store.append", time);
        plan.inject(at, Fault::Interject(faster));
    }
    let client = plan.actor("app").client(&f.world);
    let begun = tokio::time::Instant::now();
    let any = ExpectedRevision::Any;
    client.append(&f.object, any, events(&["ours"])).await?;
    assert_eq!(f.stored(&s).len() as u64, 1 + beaten + 1);
    Ok(begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn who_is_beaten_again_and_again_waits_longer_each_time() -> Result<()> {
    // the first time not at all, then 20 ms, 40 ms and so on, at most 500 ms; half of that or half
    // as much again
    assert_eq!(waited(1).await?, Duration::ZERO);
    let longest = 20 + 40 + 80 + 160 + 320 + 6 * 500;
    for (beaten, millis) in [(2, 20), (3, 20 + 40), (12, longest)] {
        let waited = waited(beaten).await?.as_millis();
        let about = millis / 2..=millis * 3 / 2;
        assert!(about.contains(&waited), "{beaten}: {waited} ms");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_looked_for_is_not_created() -> Result<()> {
    let f = Fixture::new();
    let plan = FaultPlan::new().with(At::Operation(0), Fault::FailBefore);
    let client = plan.actor("app").client(&f.world);
    let append = client.append(&f.object, ExpectedRevision::Any, events(&["a"]));
    let error = append.await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable);
    assert!(f.world.records.keys().is_empty());
    Ok(())
}
