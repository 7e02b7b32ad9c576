//! Creating and appending without migrations.

use std::sync::Arc;
use std::time::Duration;

use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::store::{EventStore as _, EventStoreExt as _, Fence, RecordKey};
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};
use esm_testkit::tap::Counts;

use super::cutover::*;
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn everybody_who_creates_an_object_gets_the_same() -> Result<()> {
    let f = World::new();
    let first = f.client().create(&f.order).await?;
    let second = f.client().create(&f.order).await?;
    assert_eq!(
        (first.stream(), first.position().revision.0),
        (second.stream(), 0)
    );
    let key = RecordKey::Document(f.order.clone());
    assert_eq!(f.storage.records.snapshot(&key).len(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn no_stream_creates_and_never_appends_to_an_object_that_exists() -> Result<()> {
    // R8
    let f = World::new();
    let appended = f
        .client()
        .append(&f.order, ExpectedRevision::NoStream, events(&["a", "b"]))
        .await?;
    assert_eq!(
        (appended.first.revision.0, appended.next.revision.0),
        (0, 2)
    );
    for client in [f.client(), f.client()] {
        let again = client
            .append(&f.order, ExpectedRevision::NoStream, events(&["c"]))
            .await;
        assert_eq!(again.unwrap_err().kind(), &ErrorKind::AlreadyExists);
    }
    assert_eq!(f.stored(&appended.stream), ["a", "b"]);

    let empty = World::new();
    empty.client().create(&empty.order).await?;
    let exists = empty
        .client()
        .append(&empty.order, ExpectedRevision::NoStream, events(&["a"]))
        .await;
    assert_eq!(exists.unwrap_err().kind(), &ErrorKind::AlreadyExists);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_expected_position_is_exact() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a", "b"], &["c"]]).await?;
    for client in [f.client(), f.client()] {
        for wrong in [0, 2, 4] {
            let expected = ExpectedRevision::At(at(&s, wrong));
            let error = client
                .append(&f.order, expected, events(&["x"]))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Conflict { actual: Some(3) });
        }
    }
    let client = f.client();
    let mut position = client.load(&f.order).await?.position();
    for id in ["d", "e"] {
        let appended = client
            .append(&f.order, ExpectedRevision::At(position), events(&[id]))
            .await?;
        position = appended.next;
    }
    assert_eq!(f.stored(&s), ["a", "b", "c", "d", "e"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn any_appends_after_whatever_is_there_and_creates() -> Result<()> {
    let f = World::new();
    let (one, other) = (f.client(), f.client());
    for (client, id) in [
        (&one, "a"),
        (&other, "b"),
        (&one, "c"),
        (&one, "d"),
        (&other, "e"),
    ] {
        client
            .append(&f.order, ExpectedRevision::Any, events(&[id]))
            .await?;
    }
    let stream = f.document(&f.order).await.active;
    assert_eq!(f.stored(&stream), ["a", "b", "c", "d", "e"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_position_of_an_unknown_object_or_a_strange_stream_is_not_found() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
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
    let f = World::new();
    let error = f
        .client()
        .append(&f.order, ExpectedRevision::Any, Vec::new())
        .await;
    assert_eq!(error.unwrap_err().kind(), &ErrorKind::Invalid);
    assert!(f.storage.records.keys().is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_warm_append_is_one_write_and_nothing_else() -> Result<()> {
    // R7
    let f = World::new();
    let plan = FaultPlan::new();
    let client = plan.actor("app").client(&f.storage);
    let mut next = client
        .append(&f.order, ExpectedRevision::Any, events(&["0"]))
        .await?
        .next;
    let cold = plan.log().len();
    for id in ["1", "2", "3"] {
        let expected = ExpectedRevision::At(next);
        next = client.append(&f.order, expected, events(&[id])).await?.next;
    }
    client
        .append(&f.order, ExpectedRevision::Any, events(&["4"]))
        .await?;
    let warm = &plan.log().operations()[usize::try_from(cold).unwrap()..];
    let names: Vec<_> = warm.iter().map(|o| o.call.name).collect();
    assert_eq!(names, ["event_store.append"; 4]);
    // and the statistics have all further requests
    let refused = client
        .append(&f.order, ExpectedRevision::NoStream, events(&["5"]))
        .await;
    assert!(refused.is_err());
    let extra = client.statistics().extra_requests();
    assert_eq!(extra, plan.log().len() - 6);
    assert!(extra > 1, "the first had to create the object");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_new_object_costs_a_document_and_a_cell() -> Result<()> {
    let f = World::new();
    let plan = FaultPlan::new();
    let client = plan.actor("app").client(&f.storage);
    client
        .append(&f.order, ExpectedRevision::NoStream, events(&["0"]))
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
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let client = f.client().remembering(0);
    for id in ["b", "c"] {
        let position = client.load(&f.order).await?.position();
        client
            .append(&f.order, ExpectedRevision::At(position), events(&[id]))
            .await?;
    }
    assert_eq!(f.stored(&s), ["a", "b", "c"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_writer_steps_over_a_fence() -> Result<()> {
    // R17: a Fence takes a cell and no revision
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let client = f.client();
    let next = client
        .append(&f.order, ExpectedRevision::Any, events(&["b"]))
        .await?
        .next;
    let store = &f.storage.event_store;
    let tail = store.tail(&s.stream).await?;
    let fence = Fence {
        target: "nowhere".try_into()?,
        migration: f.storage.environment.migration_id(),
    };
    store
        .fence(&s.stream, &tail, f.storage.environment.commit_id(), fence)
        .await?;
    client
        .append(&f.order, ExpectedRevision::At(next), events(&["c"]))
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
    let f = World::new();
    let limits = esm_core::store::StoreLimits::default().with_max_event_bytes(10);
    let store = f.storage.event_store.clone().with_limits(limits);
    let client = ObjectClient::new(
        f.storage.records(),
        shared(&store),
        f.storage.environment.clone(),
    );
    let refused = client
        .append(&f.order, ExpectedRevision::Any, events(&["a"]))
        .await;
    assert_eq!(refused.unwrap_err().kind(), &ErrorKind::TooLarge);
    assert!(f.storage.event_store.stream_ids().is_empty());
    assert_eq!(client.reader().stores().limits(), limits);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_two_who_expect_the_same_one_wins() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let (one, other) = (f.client(), f.client());
    let expected = || ExpectedRevision::At(at(&s, 1));
    // both have seen the same tail before either writes
    for client in [&one, &other] {
        client.load(&f.order).await?;
    }
    let (first, second) = tokio::join!(
        one.append(&f.order, expected(), events(&["b"])),
        other.append(&f.order, expected(), events(&["c"])),
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

/// Lets others win the race this many times, and returns how long an append waits for that.
async fn waited(beaten: u64) -> Result<Duration> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let f = Arc::new(f);
    let plan = FaultPlan::new();
    for time in 0..beaten {
        let world = Arc::clone(&f);
        let faster = Interjection::new(move || {
            let f = Arc::clone(&world);
            async move {
                let (client, any) = (f.client(), ExpectedRevision::Any);
                let appended = client.append(&f.order, any, events(&["theirs"]));
                appended.await.unwrap();
            }
        });
        let at = At::Named("event_store.append", time);
        plan.inject(at, Fault::Interject(faster));
    }
    let client = plan.actor("app").client(&f.storage);
    let begun = tokio::time::Instant::now();
    let any = ExpectedRevision::Any;
    client.append(&f.order, any, events(&["ours"])).await?;
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
    let f = World::new();
    let plan = FaultPlan::new().with(At::Operation(0), Fault::FailBefore);
    let client = plan.actor("app").client(&f.storage);
    let append = client.append(&f.order, ExpectedRevision::Any, events(&["a"]));
    let error = append.await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable);
    assert!(f.storage.records.keys().is_empty());
    Ok(())
}
