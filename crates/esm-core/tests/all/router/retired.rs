//! Appends of code that knows only the old schemas (R11).

use std::sync::Arc;

use esm_core::event::{Event, Schema};
use esm_core::id::{Fingerprint, StreamRef};
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_core::{ErrorKind, Result};
use esm_testkit::Rule;
use esm_testkit::faults::{At, Fault, FaultPlan};

use super::by_hand::ByHand;
use super::cutover::*;
use crate::world::{World, event, schema};

/// An object that was migrated by this rule for events of schema `T v1`.
async fn migrated(rule: Rule) -> Result<(World, StreamRef, StreamRef)> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, rules(rule)).retiring([schema("T", 1)]);
    hand.close().await;
    Ok((f, s, hand.target().clone()))
}

async fn append(f: &World, client: &ObjectClient, event: Event) -> Result<(u64, u64)> {
    let any = ExpectedRevision::Any;
    let appended = client.append(&f.order, any, vec![event]).await?;
    Ok((appended.first.revision.0, appended.next.revision.0))
}

/// Ids and schema versions of a stream's events.
fn stored(f: &World, stream: &StreamRef) -> Vec<String> {
    let events = f.storage.events(&stream.stream);
    let name = |e: &Event| format!("{} {} v{}", e.id, e.event_type, e.schema_version);
    events.iter().map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn r11_the_registered_transformation_is_applied_redirected_or_reloaded() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let warm = f.client().with_transformer(rules(Rule::Change));
    append(&f, &warm, event("b")).await?;
    let hand = ByHand::new(&f, &s, 0, rules(Rule::Change)).retiring([schema("T", 1)]);
    hand.close().await;
    assert_eq!(append(&f, &warm, event("c")).await?, (2, 3));
    let cold = f.client().with_transformer(rules(Rule::Change));
    append(&f, &cold, event("d")).await?;
    // new code's events are not transformed, and other schemas neither
    let mut new = event("e");
    new.schema_version.0 = 2;
    append(&f, &cold, new).await?;
    append(&f, &cold, esm_testkit::event("f", "U")).await?;
    let t = hand.target();
    assert_eq!(stored(&f, t)[2..], ["c T v2", "d T v2", "e T v2", "f U v1"]);
    let (warm, cold) = (warm.statistics(), cold.statistics());
    assert_eq!((warm.retired_transformed, cold.retired_transformed), (1, 1));
    assert_eq!((warm.redirects, warm.helps), (1, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r11_what_is_split_or_dropped_says_so_by_its_positions() -> Result<()> {
    let (f, s, t) = migrated(Rule::Split(2)).await?;
    let client = f.client().with_transformer(rules(Rule::Split(2)));
    let expected = ExpectedRevision::At(at(&s, 1));
    let two = vec![event("b"), esm_testkit::event("c", "U")];
    let appended = client.append(&f.order, expected, two).await?;
    assert_eq!((appended.first, &appended.next), (at(&t, 2), &at(&t, 5)));
    assert_eq!(stored(&f, &t)[2..], ["b.0 T v2", "b.1 T v2", "c U v1"]);
    let expected = ExpectedRevision::At(appended.next);
    client.append(&f.order, expected, events(&["d"])).await?;

    let (f, s, t) = migrated(Rule::Drop).await?;
    let client = f.client().with_transformer(rules(Rule::Drop));
    assert_eq!(append(&f, &client, event("b")).await?, (0, 0));
    append(&f, &client, esm_testkit::event("c", "U")).await?;
    assert_eq!(stored(&f, &t), ["c U v1"]);
    // nothing is written, and yet the expectation must hold
    for (position, holds) in [(at(&t, 1), true), (at(&t, 0), false), (at(&s, 1), false)] {
        let dropped = client
            .append(&f.order, ExpectedRevision::At(position), events(&["d"]))
            .await;
        if holds {
            assert_eq!(dropped?.next, at(&t, 1));
        } else {
            assert!(matches!(
                dropped.unwrap_err().kind(),
                ErrorKind::Conflict { .. }
            ))
        }
    }
    assert_eq!(client.statistics().retired_transformed, 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r11_without_the_transformation_the_policy_of_the_plan_decides() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, rules(Rule::Change))
        .retiring([schema("T", 1)])
        .accepting();
    hand.close().await;
    // a transformation is registered, but not this one
    let client = f.client().with_transformer(rules(Rule::Drop));
    append(&f, &client, event("b")).await?;
    assert_eq!(stored(&f, hand.target())[1..], ["b T v1"]);
    assert_eq!(client.statistics().retired_accepted, 1);

    let (f, _, t) = migrated(Rule::Change).await?;
    let client = f.client();
    let error = append(&f, &client, event("b")).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Invalid);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("register its transformation")
    );
    assert_eq!(
        (stored(&f, &t).len(), client.statistics().retired_refused),
        (1, 1)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r11_an_append_is_refused_as_a_whole() -> Result<()> {
    let (f, _, t) = migrated(Rule::Change).await?;
    let client = f.client();
    let mixed = vec![esm_testkit::event("b", "U"), event("c")];
    let refused = client.append(&f.order, ExpectedRevision::Any, mixed).await;
    assert_eq!(refused.unwrap_err().kind(), &ErrorKind::Invalid);
    assert_eq!(stored(&f, &t).len(), 1);
    Ok(())
}

/// Changes events of one type and keeps their schema.
#[derive(Debug)]
struct InPlace;

impl EventTransformer for InPlace {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new("in place").unwrap()
    }

    fn handles(&self, schema: &Schema) -> bool {
        schema.event_type.as_str() == "T"
    }

    fn transform(
        &self,
        event: &Event,
        _: &TransformContext<'_>,
    ) -> std::result::Result<Transformed, TransformError> {
        if event.payload.as_ref() == b"kept" {
            return Ok(Transformed::Unchanged);
        }
        Ok(Transformed::Events(vec![Event {
            payload: "changed".into(),
            ..event.clone()
        }]))
    }
}

#[tokio::test(start_paused = true)]
async fn r11_where_old_and_new_code_cannot_be_told_apart_the_policy_decides() -> Result<()> {
    for accepts in [false, true] {
        let (f, s) = World::with_cells(&[&["a"]]).await?;
        let hand = ByHand::new(&f, &s, 0, Arc::new(InPlace)).retiring([schema("T", 1)]);
        let hand = if accepts { hand.accepting() } else { hand };
        hand.close().await;
        let client = f.client().with_transformer(Arc::new(InPlace));
        let outcome = append(&f, &client, event("b")).await;
        let events = f.storage.events(&hand.target().stream);
        if accepts {
            assert_eq!(events[1], event("b"), "it may be new code's already");
        } else {
            assert_eq!(outcome.unwrap_err().kind(), &ErrorKind::Invalid);
        }
        // what the transformation leaves as it is needs no policy
        let kept = Event {
            payload: "kept".into(),
            ..event("c")
        };
        append(&f, &client, kept).await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r11_code_that_is_two_migrations_behind_goes_through_both_transformations() -> Result<()> {
    // T v1 becomes T v2, and in the next migration T v2 becomes two of T v3
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let first = ByHand::new(&f, &s, 0, rules(Rule::Change)).retiring([schema("T", 1)]);
    first.close().await;
    let split = rules(Rule::Split(2));
    let both = [schema("T", 1), schema("T", 2)];
    let second = ByHand::new(&f, first.target(), 1, split.clone()).retiring(both);
    second.close().await;
    let u = second.target();
    let clients = [
        f.client().with_transformer(rules(Rule::Change)),
        f.client().with_transformer(split.clone()),
        f.client(),
    ];
    for client in clients {
        let refused = append(&f, &client, event("b")).await;
        assert_eq!(refused.unwrap_err().kind(), &ErrorKind::Invalid);
    }
    let client = f.client().with_transformer(rules(Rule::Change));
    let client = client.with_transformer(split);
    append(&f, &client, event("b")).await?;
    let mut newer = event("c");
    newer.schema_version.0 = 2;
    append(&f, &client, newer).await?;
    assert_eq!(
        stored(&f, u)[2..],
        ["b.0 T v3", "b.1 T v3", "c.0 T v3", "c.1 T v3"]
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r11_a_later_migration_that_changes_nothing_keeps_old_code_going() -> Result<()> {
    let (f, _, t) = migrated(Rule::Change).await?;
    let identity = Arc::new(esm_core::transform::Identity);
    let moved = ByHand::new(&f, &t, 1, identity).retiring([schema("T", 1)]);
    moved.close().await;
    let client = f.client().with_transformer(rules(Rule::Change));
    append(&f, &client, event("b")).await?;
    assert_eq!(stored(&f, moved.target())[1..], ["b T v2"]);
    // where the stream between was deleted its retired schemas are unknown
    assert!(f.storage.event_store.bury(&t.stream, 0));
    let client = f.client().with_transformer(rules(Rule::Change));
    let refused = append(&f, &client, event("c")).await;
    assert_eq!(refused.unwrap_err().kind(), &ErrorKind::Invalid);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r18_a_stream_that_was_closed_meanwhile_refuses_nothing() -> Result<()> {
    let (f, _, t) = migrated(Rule::Change).await?;
    let client = f.client();
    append(&f, &client, esm_testkit::event("b", "U")).await?;
    let identity = Arc::new(esm_core::transform::Identity);
    let lenient = ByHand::new(&f, &t, 1, identity)
        .retiring([schema("T", 1)])
        .accepting();
    lenient.close().await;
    append(&f, &client, event("c")).await?;
    assert_eq!(stored(&f, lenient.target())[2..], ["c T v1"]);
    assert_eq!(client.statistics().retired_refused, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r11_an_event_that_its_transformation_fails_on_is_not_appended() -> Result<()> {
    let (f, s) = World::with_cells(&[]).await?;
    let failing = rules(Rule::Fail);
    let hand = ByHand::new(&f, &s, 0, failing.clone()).retiring([schema("T", 1)]);
    hand.close().await;
    let client = f.client().with_transformer(failing);
    let error = append(&f, &client, event("b")).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::TransformFailed);
    assert!(stored(&f, hand.target()).is_empty());
    assert_eq!(client.statistics().retired_refused, 0, "not for its schema");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r10_a_transformed_append_whose_answer_was_lost_is_settled_by_its_own_cell() -> Result<()> {
    for fault in [Fault::FailAfter, Fault::FailBefore, Fault::Duplicate] {
        let (f, _, t) = migrated(Rule::Split(2)).await?;
        let plan = FaultPlan::new().with(At::Named("event_store.append", 0), fault.clone());
        let client = plan.actor("app").client(&f.storage);
        let client = client.with_transformer(rules(Rule::Split(2)));
        let any = ExpectedRevision::Any;
        let appended = client.append(&f.order, any, events(&["b"])).await;
        match fault {
            // it certainly did not happen, and the caller decides
            Fault::FailBefore => {
                assert_eq!(appended.unwrap_err().kind(), &ErrorKind::Unavailable);
                assert_eq!(stored(&f, &t).len(), 2);
            }
            _ => {
                assert_eq!(appended?.next, at(&t, 4));
                assert_eq!(stored(&f, &t)[2..], ["b.0 T v2", "b.1 T v2"]);
            }
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r11_what_was_accepted_unchanged_can_be_counted_in_the_target() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, rules(Rule::Change))
        .retiring([schema("T", 1)])
        .accepting();
    hand.close().await;
    let store = f.storage.event_store();
    let count = || esm_core::router::accepted_unchanged(&store, &hand.target().stream);
    assert!(count().await?.is_empty());
    for id in ["b", "c"] {
        append(&f, &f.client(), event(id)).await?;
    }
    append(&f, &f.client(), esm_testkit::event("d", "U")).await?;
    assert_eq!(count().await?, [(schema("T", 1), 2)].into());
    assert!(store.tail(&s.stream).await?.close().is_some());
    let source = esm_core::router::accepted_unchanged(&store, &s.stream).await?;
    assert!(source.is_empty(), "nothing is retired there");
    Ok(())
}
