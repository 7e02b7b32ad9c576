//! What a rollback restores.

use std::sync::Arc;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::event::{Position, Revision};
use esm_core::migration::RollBackPlan;
use esm_core::router::{ExpectedRevision, ReadPosition, Translation};
use esm_core::store::EventStore as _;
use esm_core::transform::Identity;
use esm_testkit::faults::{At, Fault};
use futures::TryStreamExt as _;

use super::back::{down, everything_down, line, up};
use crate::world::{World, unfinished, versioned};

#[tokio::test(start_paused = true)]
async fn originals_come_back_as_they_were_and_what_came_since_goes_through_down() {
    let w = World::watched(&[("order/1", &["Old", "Noise", "Kept", "Pair"])]).await;
    let source = w.active("order/1").await;
    let originals = w.storage.events(&source.stream);
    let forward = w.migrated("order/1").await;
    let target = w.active("order/1").await;
    w.append("order/1", versioned("a", "Old", 2)).await;
    w.append("order/1", versioned("b", "Half", 1)).await;
    w.append("order/1", versioned("c", "Kept", 1)).await;

    let result = w.succeeded(w.back(forward).reason("wrong").execute().await);
    assert_ne!(result.migration, forward);
    let active = w.active("order/1").await;
    let found = w.storage.events(&active.stream);
    assert_eq!(found[..4], originals, "byte for byte");
    let since: Vec<_> = found[4..].iter().map(line).collect();
    assert_eq!(since, ["Old v1 a", "Kept v1 c"]);
    assert_eq!(found[4].payload, "{\"down\":true}");

    // T counts its own events, and is closed to what restores S
    let tail = w.storage.event_store.tail(&target.stream).await.unwrap();
    let close = tail.close().unwrap();
    // Old, Kept, two halves, and the three that came since
    assert_eq!(
        (close.events, close.target_events),
        (Revision(7), Revision(6))
    );
    assert_eq!(close.target.as_ref(), Some(&active));
    let cells = w.storage.event_store.snapshot(&active.stream);
    let restores = cells[0].header.origin().unwrap().restores.clone().unwrap();
    assert_eq!(
        (restores.migration, restores.originals),
        (forward, source.clone())
    );
    assert_eq!(
        (restores.events, restores.source_from),
        (Revision(4), Revision(4))
    );

    let document = w.document("order/1").await;
    let pins = &document.terminated(&source).unwrap().pins;
    assert_eq!(pins.iter().collect::<Vec<_>>(), [&result.migration]);
    let ledger = &result.statistics.counts.ledger;
    assert_eq!((ledger.source, ledger.unchanged, ledger.changed), (7, 5, 1));
    assert_eq!(ledger.dropped["halves"], 1);

    // again: nothing to do
    let again = w.succeeded(w.back(forward).execute().await);
    assert!(again.was_up_to_date());
}

#[tokio::test(start_paused = true)]
async fn without_anything_since_no_down_is_needed() {
    for types in [&["Old", "Noise"][..], &["Noise"], &[]] {
        let w = World::watched(&[("order/1", types)]).await;
        let originals = w.lines("order/1").await;
        let forward = w.migrated("order/1").await;
        w.succeeded(w.service.roll_back(forward).execute().await);
        assert_eq!(w.lines("order/1").await, originals);
        // and it is an open stream like any other
        w.append("order/1", versioned("later", "Old", 1)).await;
        assert_eq!(w.lines("order/1").await.len(), originals.len() + 1);
        w.succeeded(w.migrate("order/1").transform(up()).execute().await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_originals_have_too_needs_no_down() {
    let w = World::watched(&[("order/1", &["Old", "Kept"])]).await;
    let forward = w.migrated("order/1").await;
    w.append("order/1", versioned("k", "Kept", 1)).await;
    w.succeeded(w.service.roll_back(forward).execute().await);
    let lines = w.lines("order/1").await;
    assert_eq!(
        lines,
        ["Old v1 order/1-0", "Kept v1 order/1-1", "Kept v1 k"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_move_without_a_transformation_goes_back_with_everything() {
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let builder = w.migrate("order/1").transform(Identity);
    let forward = w.succeeded(builder.execute().await).migration;
    w.append("order/1", versioned("x", "Unheard", 9)).await;
    w.succeeded(w.service.roll_back(forward).execute().await);
    assert_eq!(
        w.lines("order/1").await,
        ["Old v1 order/1-0", "Unheard v9 x"]
    );
}

#[tokio::test(start_paused = true)]
async fn positions_go_over_both_closes() {
    let w = World::watched(&[("order/1", &["Noise", "Old", "Pair"])]).await;
    let source = w.active("order/1").await;
    let object = "order/1".parse().unwrap();
    let at_the_end = Position {
        stream: source.stream.clone(),
        revision: Revision(3),
    };
    let forward = w.migrated("order/1").await;
    let target = w.active("order/1").await;
    w.succeeded(w.service.roll_back(forward).execute().await);
    let restored = w.active("order/1").await;
    // (S, N) = (T, M) = (S2, N): nothing came in between
    let client = w.client();
    let reader = client.reader();
    let lies = reader.translate(&object, &at_the_end).await.unwrap();
    let expected = Position {
        stream: restored.stream.clone(),
        revision: Revision(3),
    };
    assert_eq!(lies, Translation::Active(expected));
    // so a writer that knew all of S continues without a conflict
    let next = versioned("next", "Old", 1);
    let expected = ExpectedRevision::At(at_the_end.clone());
    let appended = client.append(&object, expected, vec![next]).await;
    let appended = appended.unwrap();
    assert_eq!(appended.stream, restored);
    // and one that reads on from there gets what came since, once
    let read: Vec<_> = reader
        .read(&object, ReadPosition::At(at_the_end))
        .map_ok(|recorded| line(&recorded.event))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(read, ["Old v1 next"]);
    let closed = w.storage.event_store.tail(&target.stream).await.unwrap();
    assert_eq!(closed.close().unwrap().events, Revision(3));
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_the_new_stream_gets_the_rest_from_the_restored_one() {
    let w = World::watched(&[("order/1", &["Noise", "Old"])]).await;
    let object = "order/1".parse().unwrap();
    let forward = w.migrated("order/1").await;
    let since = w.append("order/1", versioned("a", "Old", 2)).await;
    w.succeeded(w.back(forward).execute().await);
    w.append("order/1", versioned("b", "Old", 1)).await;
    let client = w.client();
    let reader = client.reader();
    let read = |from| {
        let events = reader.read(&object, from);
        events
            .map_ok(|recorded| line(&recorded.event))
            .try_collect::<Vec<_>>()
    };
    // what it has seen in T it does not see again in S2
    assert_eq!(read(ReadPosition::At(since)).await.unwrap(), ["Old v1 b"]);
    let all = read(ReadPosition::Start).await.unwrap();
    assert_eq!(
        all,
        [
            "Noise v1 order/1-0",
            "Old v1 order/1-1",
            "Old v1 a",
            "Old v1 b"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let w = World::watched(&[("order/1", &["Old", "Noise"])]).await;
    let forward = w.migrated("order/1").await;
    w.append("order/1", versioned("a", "Old", 2)).await;
    let before = w.everything();
    let RollBackPlan::Reverse { plan } = w.back(forward).dry_run().await.unwrap() else {
        panic!("it has ended, so it is reversed");
    };
    assert_eq!((plan.objects, plan.events, plan.sampled_events), (1, 3, 1));
    assert_eq!((plan.ledger.unchanged, plan.ledger.changed), (2, 1));
    assert!(plan.is_executable());
    let RollBackPlan::Reverse { plan } = w.service.roll_back(forward).dry_run().await.unwrap()
    else {
        panic!("it has ended, so it is reversed");
    };
    assert!(!plan.is_executable());
    assert_eq!(
        plan.ledger.failures[0].revision,
        Revision(1),
        "in the stream that is active"
    );
    assert_eq!(w.everything(), before);
}

#[tokio::test(start_paused = true)]
async fn a_check_of_ones_own_sees_the_restored_history_as_the_source() {
    let w = World::watched(&[("order/1", &["Noise", "Old", "Pair"])]).await;
    let forward = w.migrated("order/1").await;
    w.append("order/1", versioned("a", "Old", 2)).await;
    w.append("order/1", versioned("b", "Kept", 1)).await;
    let kept = w
        .service
        .roll_back(forward)
        .down(Arc::new(everything_down()));
    let checked = kept.check_with("history", |streams| async move {
        let lines = |events: Vec<_>| events.iter().map(line).collect::<Vec<_>>().join(", ");
        let source = streams.source_events().try_collect::<Vec<_>>().await;
        let target = streams.target_events().try_collect::<Vec<_>>().await;
        let source = lines(source.map_err(|e| e.to_string())?);
        let target = lines(target.map_err(|e| e.to_string())?);
        let originals = "Noise v1 order/1-0, Old v1 order/1-1, Pair v1 order/1-2";
        let expected = (
            format!("{originals}, Old v2 a, Kept v1 b"),
            format!("{originals}, Old v1 a, Kept v1 b"),
        );
        if (source.clone(), target.clone()) == expected {
            Ok(())
        } else {
            Err(format!("{source} to {target}"))
        }
    });
    let result = checked.execute().await.unwrap();
    assert!(result.is_success(), "{result:?}");
    let verification = result.object.unwrap().verification.unwrap();
    assert_eq!(verification.custom_checks, ["history"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_died_is_resumed_with_its_down_and_with_no_other() {
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let forward = w.migrated("order/1").await;
    w.append("order/1", versioned("a", "Old", 2)).await;
    // it dies when it has copied, before it has closed anything
    w.plan
        .inject(At::Named("event_store.close", 1), Fault::CrashBefore);
    let died = tokio::time::timeout(Duration::from_secs(5), w.back(forward).execute()).await;
    assert!(died.is_err());
    let next = w.next_process();
    let back = unfinished(&next).await.unwrap();
    let reverses = back.plan.unwrap().reverses.unwrap();
    assert_eq!(reverses.migration, forward);
    let other = next.resume(back.migration).transform(up()).execute().await;
    assert_eq!(*other.unwrap_err().kind(), ErrorKind::PlanOutdated);
    // nor does another rollback begin beside it
    let second = next.roll_back(forward).down(down()).execute().await;
    let error = second.unwrap_err();
    assert!(
        error.to_string().contains(&back.migration.to_string()),
        "{error}"
    );
    w.succeeded(
        next.resume(back.migration)
            .transform(down())
            .execute()
            .await,
    );
    assert_eq!(w.lines("order/1").await, ["Old v1 order/1-0", "Old v1 a"]);
}
