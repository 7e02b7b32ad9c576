//! Loading objects, also while a migration asks for dual reads (R15).

use std::sync::Arc;
use std::time::Duration;

use esm_core::event::{Event, Revision};
use esm_core::id::StreamRef;
use esm_core::migration::MigrationPhase;
use esm_core::router::{
    DualReads, ExpectedRevision, Folded, Mirroring, ObjectClient, ObjectReader, PhaseOptions,
};
use esm_core::store::{EventStore as _, Fence, PageLimit};
use esm_core::transform::{Identity, Upcasters};
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};
use esm_testkit::{Rule, Rules};

use super::by_hand::ByHand;
use super::cutover::*;
use crate::world::World;

/// What a fold saw: id and schema version of each event.
pub(super) type Seen = Folded<Vec<String>>;

pub(super) async fn fold(f: &World, client: &ObjectClient) -> Result<Seen> {
    let see = |seen: &mut Vec<String>, event: Event| {
        seen.push(format!("{} v{}", event.id, event.schema_version));
    };
    client.fold(&f.order, Vec::new, see).await
}

pub(super) fn transformer() -> Arc<Rules> {
    rules(Rule::Split(2))
}

/// How long a shadow read may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);

/// A client that knows that this migration asks for dual reads.
pub(super) async fn reading(
    f: &World,
    client: ObjectClient,
    hand: &ByHand,
    reads: DualReads,
) -> Result<ObjectClient> {
    hand.publish(MigrationPhase::DualRead).await;
    let options = PhaseOptions::default().manual().mirroring(Mirroring::Off);
    let client = client.with_phases(options.reads(reads).shadow_deadline(DEADLINE));
    client.refresh_phases().await?;
    fold(f, &client).await?;
    client.refresh_phases().await?;
    Ok(client)
}

async fn target_reading(f: &World, hand: &ByHand) -> Result<ObjectClient> {
    let client = f.client().with_transformer(transformer());
    reading(f, client, hand, DualReads::Target).await
}

/// By target, by source.
pub(super) fn answers(client: &ObjectClient) -> (u64, u64) {
    let statistics = client.statistics();
    (statistics.dual_reads_target, statistics.dual_reads_source)
}

#[tokio::test(start_paused = true)]
async fn a_fold_gives_all_events_and_the_position_to_append_at() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a", "b"], &["c"]]).await?;
    let plan = FaultPlan::new();
    let client = plan.actor("app").client(&f.storage);
    let folded = fold(&f, &client).await?;
    assert_eq!(folded.state, ["a v1", "b v1", "c v1"]);
    assert_eq!(folded.position, at(&s, 3));
    assert_eq!(plan.log().len(), 2, "its document and a page");
    let expected = ExpectedRevision::At(folded.position);
    client.append(&f.order, expected, events(&["d"])).await?;

    let empty = World::new();
    empty.client().create(&empty.order).await?;
    let folded = fold(&empty, &empty.client()).await?;
    assert!(folded.state.is_empty());
    let expected = ExpectedRevision::At(folded.position);
    let appended = empty
        .client()
        .append(&empty.order, expected, events(&["a"]))
        .await?;
    assert_eq!(appended.first.revision.0, 0);
    let unknown = World::new();
    let error = fold(&unknown, &unknown.client()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NotFound);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_fold_goes_over_every_close_and_gives_the_position_behind() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a", "b"]]).await?;
    let t = f.cut_over(&s, target_of(3)).await?;
    let folded = fold(&f, &f.client()).await?;
    assert_eq!((folded.state.len(), &folded.position), (3, &at(&t, 3)));
    let expected = ExpectedRevision::At(folded.position);
    f.client()
        .append(&f.order, expected, events(&["c"]))
        .await?;
    assert_eq!(f.stored(&t).len(), 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_the_target_answers_with_the_sources_position() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy().await?;
    let client = target_reading(&f, &hand).await?;
    let folded = fold(&f, &client).await?;
    assert_eq!(folded.state, ["a.0 v2", "a.1 v2", "b.0 v2", "b.1 v2"]);
    assert_eq!(folded.position, at(&s, 2));
    assert_eq!(answers(&client), (1, 0));

    let expected = ExpectedRevision::At(folded.position);
    let appended = client.append(&f.order, expected, events(&["c"])).await?;
    assert_eq!(appended.first, at(&s, 2));
    // the same over the cutover
    let folded = fold(&f, &client).await?;
    hand.close().await;
    let appended = client
        .append(
            &f.order,
            ExpectedRevision::At(folded.position),
            events(&["d"]),
        )
        .await?;
    assert_eq!(appended.first, at(hand.target(), 6));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_registered_upcasters_give_the_newest_version_also_of_what_the_target_lacks()
-> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b"]]).await?;
    let steps = Upcasters::builder().with("T", 2, 3, Identity);
    let upcasters = Arc::new(steps.with("T", 1, 2, Identity).build()?);
    let hand = ByHand::new(&f, &s, 0, upcasters.clone());
    hand.copy().await?;
    let client = f.client().with_transformer(upcasters);
    let client = reading(&f, client, &hand, DualReads::Target).await?;
    let expected = ExpectedRevision::At(at(&s, 2));
    client.append(&f.order, expected, events(&["c"])).await?;
    let folded = fold(&f, &client).await?;
    assert_eq!(folded.state, ["a v3", "b v3", "c v3"]);
    // a client without them reads what is stored
    let folded = fold(&f, &f.client()).await?;
    assert_eq!(folded.state, ["a v1", "b v1", "c v1"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_what_the_target_lacks_is_transformed_and_without_the_transformer_the_source_answers()
-> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b", "c"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy().await?;
    let client = target_reading(&f, &hand).await?;
    let plain = reading(&f, f.client(), &hand, DualReads::Target).await?;
    let covered = fold(&f, &plain).await?;
    assert_eq!((covered.state.len(), answers(&plain)), (6, (1, 0)));
    f.append_ids(&["d"]).await?;
    f.append_ids(&["e"]).await?;

    let folded = fold(&f, &client).await?;
    assert_eq!(folded.state.len(), 10);
    assert_eq!(folded.state[6..], ["d.0 v2", "d.1 v2", "e.0 v2", "e.1 v2"]);
    assert_eq!(folded.position, at(&s, 5));
    assert_eq!(answers(&client), (1, 0));

    let folded = fold(&f, &plain).await?;
    assert_eq!(folded.state, ["a v1", "b v1", "c v1", "d v1", "e v1"]);
    assert_eq!(folded.position, at(&s, 5));
    assert_eq!(answers(&plain), (1, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_a_target_of_many_pages_is_read_once() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    for id in ["b", "c", "d"] {
        hand.copy().await?;
        f.append_ids(&[id]).await?;
    }
    let client = f.client().with_transformer(transformer());
    let client = client.with_pages(PageLimit { cells: 1, bytes: 0 });
    let client = reading(&f, client, &hand, DualReads::Target).await?;
    let folded = fold(&f, &client).await?;
    let ids: Vec<_> = ["a", "b", "c", "d"]
        .iter()
        .flat_map(|id| (0..2).map(move |n| format!("{id}.{n} v2")))
        .collect();
    assert_eq!((folded.state, folded.position), (ids, at(&s, 4)));
    assert_eq!(answers(&client), (1, 0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_what_lies_beyond_the_sources_tail_is_not_returned() -> Result<()> {
    // X16: between looking at S's tail and reading T another appends, and T grows with it or not
    let mut by_target = 0;
    // T covers S, or lags behind, so that one of its cells holds events on both sides of h, or
    // none of them
    for (lags, grows) in [(false, true), (true, true), (true, false)] {
        // the document, S's tail, then T: its first cell, its tail, its cells
        for request in 2..=4 {
            let f = Arc::new(World::new());
            let s = f.storage.create_object(&f.order, [events(&["a"])]).await?;
            let hand = ByHand::new(&f, &s, 0, transformer());
            hand.copy().await?;
            f.append_ids(&["b"]).await?;
            if !lags {
                hand.copy().await?;
            }
            let plan = FaultPlan::new();
            let client = plan.actor("app").client(&f.storage);
            let client = client.with_transformer(transformer());
            let client = reading(&f, client, &hand, DualReads::Target).await?;
            let before = answers(&client).0;
            let (world, copier) = (Arc::clone(&f), hand.clone());
            let step = Interjection::new(move || {
                let (f, copier) = (Arc::clone(&world), copier.clone());
                async move {
                    f.append_ids(&["c"]).await.unwrap();
                    if grows {
                        copier.copy().await.unwrap();
                    }
                }
            });
            let at_request = At::Operation(plan.log().len() + request);
            plan.inject(at_request, Fault::Interject(step));
            let folded = fold(&f, &client).await?;
            assert_eq!(folded.position, at(&s, 2), "request {request}");
            let images = ["a.0 v2", "a.1 v2", "b.0 v2", "b.1 v2"];
            assert_eq!(folded.state, images, "request {request}");
            by_target += answers(&client).0 - before;
            let expected = ExpectedRevision::At(folded.position);
            let late = client.append(&f.order, expected, events(&["d"])).await;
            assert!(matches!(
                late.unwrap_err().kind(),
                ErrorKind::Conflict { .. }
            ));
        }
    }
    assert_eq!(by_target, 9);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_a_target_that_covers_half_a_cell_is_completed_from_its_middle() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b", "c", "d"], &["e"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy_until(Revision(2)).await?;
    let client = target_reading(&f, &hand).await?;
    let folded = fold(&f, &client).await?;
    assert_eq!(folded.state.len(), 10);
    assert_eq!(folded.state[4..6], ["c.0 v2", "c.1 v2"]);
    assert_eq!(folded.state[8..], ["e.0 v2", "e.1 v2"]);
    assert_eq!((folded.position, answers(&client)), (at(&s, 5), (1, 0)));
    Ok(())
}

/// The target was copied from events that its source no longer has: they were lost.
#[tokio::test(start_paused = true)]
async fn a_source_that_lost_copied_events_is_gone() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b"], &["c"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy_until(Revision(3)).await?;
    let client = target_reading(&f, &hand).await?;
    f.storage.event_store.lose_from(&s.stream, 2);
    let error = fold(&f, &client).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Gone, "{error}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_what_was_deleted_is_not_completed() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b"], &["c"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy_until(Revision(1)).await?;
    let client = target_reading(&f, &hand).await?;
    assert!(f.storage.event_store.bury(&s.stream, 1));
    let error = fold(&f, &client).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Gone);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_a_target_that_was_taken_back_answers_nothing_more() -> Result<()> {
    // phases that are never refreshed
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy().await?;
    let client = target_reading(&f, &hand).await?;
    hand.undo().await;
    let folded = fold(&f, &client).await?;
    assert_eq!(
        (folded.state, folded.position),
        (vec!["a v1".to_owned()], at(&s, 1))
    );
    // also where it is still there, as in a store that cannot discard
    hand.copy().await?;
    let folded = fold(&f, &client).await?;
    assert_eq!(folded.state, ["a v1"]);
    assert_eq!(answers(&client), (0, 2));
    Ok(())
}

/// Fences another attempt's target in the source, and appends after it.
async fn fence_another(f: &World, source: &StreamRef, id: &str) -> Result<()> {
    let store = &f.storage.event_store;
    let tail = store.tail(&source.stream).await?;
    let fence = Fence {
        target: id.try_into()?,
        migration: f.storage.environment.migration_id(),
    };
    let commit = f.storage.environment.commit_id();
    store.fence(&source.stream, &tail, commit, fence).await?;
    f.append_ids(&[id]).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_a_fence_counts_however_far_back_it_stands_and_for_its_target_alone() -> Result<()> {
    // R4: behind events and Fences of other attempts
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy().await?;
    let client = target_reading(&f, &hand).await?;
    fence_another(&f, &s, "b").await?;
    hand.copy().await?;
    assert_eq!(fold(&f, &client).await?.state.len(), 4);
    assert_eq!(answers(&client), (1, 0));
    hand.undo().await;
    fence_another(&f, &s, "c").await?;
    fence_another(&f, &s, "d").await?;
    // a zombie has copied again (R17)
    hand.copy().await?;
    let folded = fold(&f, &client).await?;
    assert_eq!(folded.state, ["a v1", "b v1", "c v1", "d v1"]);
    assert_eq!(folded.position, at(&s, 4));
    assert_eq!(answers(&client), (1, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_after_the_cutover_the_target_is_read_as_what_it_is() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy().await?;
    let client = target_reading(&f, &hand).await?;
    // the document stays behind, and the phase is the old one
    hand.close().await;
    let folded = fold(&f, &client).await?;
    assert_eq!(folded.position, at(hand.target(), 2));
    f.append_ids(&["b"]).await?;
    let folded = fold(&f, &client).await?;
    assert_eq!(folded.state, ["a.0 v2", "a.1 v2", "b v1"]);
    assert_eq!(folded.position, at(hand.target(), 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_a_cutover_in_the_middle_of_a_dual_read_repeats_and_leaves_out_nothing() -> Result<()> {
    // closed, and an application has written to T, before each of the requests
    for request in 0..=5 {
        let f = Arc::new(World::new());
        let cells = [events(&["a"]), events(&["b"])];
        let s = f.storage.create_object(&f.order, cells).await?;
        let hand = ByHand::new(&f, &s, 0, transformer());
        hand.copy().await?;
        let plan = FaultPlan::new();
        let client = plan.actor("app").client(&f.storage);
        let client = reading(&f, client, &hand, DualReads::Target).await?;
        let (world, copier) = (Arc::clone(&f), hand.clone());
        let step = Interjection::new(move || {
            let (f, copier) = (Arc::clone(&world), copier.clone());
            async move {
                copier.close().await;
                f.append_ids(&["c"]).await.unwrap();
            }
        });
        plan.inject(
            At::Operation(plan.log().len() + request),
            Fault::Interject(step),
        );
        let folded = fold(&f, &client).await?;
        let images = ["a.0 v2", "a.1 v2", "b.0 v2", "b.1 v2"];
        let expected = ExpectedRevision::At(folded.position.clone());
        let appended = client.append(&f.order, expected, events(&["d"])).await;
        match folded.state.len() {
            // up to S's end: the append must find that there is more
            4 => {
                assert_eq!(folded.state, images);
                assert_eq!(folded.position, at(&s, 2));
                assert!(appended.is_err());
            }
            _ => {
                assert_eq!(folded.state[..4], images, "request {request}");
                assert_eq!(folded.state[4..], ["c v1"]);
                appended?;
            }
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_whatever_fails_at_the_target_the_source_answers() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b"]]).await?;
    let other = f.storage.another_event_store();
    let hand = ByHand::into(&f, &s, 0, transformer(), &other);
    hand.copy().await?;
    for request in 0..4 {
        let plan = FaultPlan::new();
        let there = plan.actor("app").event_store(shared(&other));
        let client = f.client_knowing(there);
        let client = reading(&f, client, &hand, DualReads::Target).await?;
        let target = At::Operation(plan.log().len() + request);
        plan.inject(target, Fault::FailBefore);
        let folded = fold(&f, &client).await?;
        let expected = match request {
            0..=2 => (vec!["a v1", "b v1"], (0, 1)),
            // only three requests are made there
            _ => (vec!["a.0 v2", "a.1 v2", "b.0 v2", "b.1 v2"], (1, 0)),
        };
        assert_eq!(
            (folded.state, answers(&client)),
            (
                expected.0.iter().map(ToString::to_string).collect(),
                expected.1
            )
        );
        assert_eq!(folded.position, at(&s, 2));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_a_target_that_vanishes_half_way_leaves_no_half_state() -> Result<()> {
    let f = Arc::new(World::new());
    let cells = [events(&["a"]), events(&["b"]), events(&["c"])];
    let s = f.storage.create_object(&f.order, cells).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy().await?;
    for id in ["d", "e", "f"] {
        f.append_ids(&[id]).await?;
        hand.copy().await?;
    }
    let plan = FaultPlan::new();
    let client = plan.actor("app").client(&f.storage);
    let client = client.with_pages(PageLimit { cells: 1, bytes: 0 });
    let client = reading(&f, client, &hand, DualReads::Target).await?;
    let copier = hand.clone();
    let step = Interjection::new(move || {
        let copier = copier.clone();
        async move { copier.undo().await }
    });
    // the document, two tails, T's first cell, then a page for each of its four cells
    plan.inject(At::Operation(plan.log().len() + 6), Fault::Interject(step));
    let folded = fold(&f, &client).await?;
    assert_eq!(
        folded.state,
        ["a v1", "b v1", "c v1", "d v1", "e v1", "f v1"]
    );
    assert_eq!((folded.position, answers(&client)), (at(&s, 6), (0, 1)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_subscribe_is_not_concerned() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy().await?;
    hand.publish(MigrationPhase::DualRead).await;
    assert_eq!(fold(&f, &f.client()).await?.state, ["a v1"]);
    let reader: ObjectReader = f.reader();
    assert_eq!(reader.load(&f.order).await?.position(), at(&s, 1));
    Ok(())
}
