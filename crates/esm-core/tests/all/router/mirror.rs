//! Dual writes (R16): at the target's exact tail, complete for exactly what came before, never
//! first; and whatever happens to a mirror, the append does not notice.

use std::sync::Arc;
use std::time::Duration;

use esm_core::Result;
use esm_core::event::Revision;
use esm_core::migration::MigrationPhase;
use esm_core::router::{ClientStatistics, ExpectedRevision, Mirroring, ObjectClient, PhaseOptions};
use esm_core::store::{Append, EventStore as _, Restores};
use esm_core::transform::EventTransformer as _;
use esm_testkit::Rule;
use esm_testkit::faults::{At, Fault, FaultPlan, Gate, Interjection};

use super::by_hand::ByHand;
use super::cutover::*;
use crate::world::{World, schema};

/// How long a mirror may take.
const DEADLINE: Duration = Duration::from_millis(700);

/// A client that knows that this migration asks for dual writes.
async fn mirroring(
    f: &World,
    client: ObjectClient,
    hand: &ByHand,
    mirroring: Mirroring,
) -> Result<ObjectClient> {
    hand.publish(MigrationPhase::DualWrite).await;
    let options = PhaseOptions::default().manual().mirroring(mirroring);
    let client = client.with_phases(options.mirror_deadline(DEADLINE));
    client.refresh_phases().await?;
    // the index names the object, so this notifies the client that it is used
    append(f, &client, "warm").await?;
    client.refresh_phases().await?;
    Ok(client)
}

async fn append(f: &World, client: &ObjectClient, id: &str) -> Result<()> {
    let any = ExpectedRevision::Any;
    client.append(&f.order, any, events(&[id])).await?;
    Ok(())
}

/// Written, skipped, failed.
fn mirrors(statistics: ClientStatistics) -> (u64, u64, u64) {
    (
        statistics.mirrors_written,
        statistics.mirrors_skipped,
        statistics.mirrors_failed,
    )
}

#[tokio::test(start_paused = true)]
async fn r16_what_the_source_acknowledged_is_written_to_the_target_as_a_copier_would() -> Result<()>
{
    for rule in [Rule::Keep, Rule::Change] {
        let (f, s) = World::with_cells(&[&["a", "b"]]).await?;
        let hand = ByHand::new(&f, &s, 0, rules(rule)).retiring([schema("T", 1)]);
        let client = f.client().with_transformer(rules(rule));
        let client = mirroring(&f, client, &hand, Mirroring::OneToOne).await?;
        hand.copy().await?;
        for id in ["c", "d"] {
            append(&f, &client, id).await?;
        }
        let two = events(&["e", "f"]);
        client.append(&f.order, ExpectedRevision::Any, two).await?;
        assert_eq!(mirrors(client.statistics()), (3, 0, 0));
        hand.assert_covers(7).await;
        hand.close().await;
        append(&f, &client, "g").await.ok();
        assert_eq!(f.stored(&s).len(), 7);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r16_the_identity_needs_no_registration() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let identity = std::sync::Arc::new(esm_core::transform::Identity);
    let hand = ByHand::new(&f, &s, 0, identity);
    let client = mirroring(&f, f.client(), &hand, Mirroring::OneToOne).await?;
    hand.copy().await?;
    append(&f, &client, "b").await?;
    assert_eq!(mirrors(client.statistics()), (1, 0, 0));
    hand.assert_covers(3).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r16_a_mirror_is_never_the_first_cell_and_never_ahead_or_behind() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, rules(Rule::Keep));
    let client = f.client().with_transformer(rules(Rule::Keep));
    let client = mirroring(&f, client, &hand, Mirroring::OneToOne).await?;
    append(&f, &client, "b").await?;
    assert!(
        hand.last().await.is_none(),
        "R2: the first cell is the copier's"
    );
    hand.copy().await?;
    // another writer is in between: the target lags behind
    append(&f, &f.client(), "c").await?;
    append(&f, &client, "d").await?;
    assert_eq!(mirrors(client.statistics()), (0, 2, 0));
    hand.assert_covers(3).await;
    hand.copy().await?;
    append(&f, &client, "e").await?;
    assert_eq!(mirrors(client.statistics()), (1, 2, 0));
    hand.assert_covers(6).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r16_a_copier_that_is_faster_than_the_mirror_has_its_way() -> Result<()> {
    // it copies the very event between the source's acknowledgement and the mirror
    for at in 0..2 {
        let (f, s) = World::with_cells(&[&["a"]]).await?;
        let hand = ByHand::new(&f, &s, 0, rules(Rule::Keep));
        let plan = FaultPlan::new();
        let client = plan.actor("app").client(&f.storage);
        let client = client.with_transformer(rules(Rule::Keep));
        let client = mirroring(&f, client, &hand, Mirroring::OneToOne).await?;
        hand.copy().await?;
        append(&f, &client, "b").await?;
        let copier = hand.clone();
        let step = Interjection::new(move || {
            let copier = copier.clone();
            async move {
                copier.copy().await.unwrap();
            }
        });
        // the append, then the mirror's read of the tail and its append
        let operation = At::OfActor("app".to_owned(), plan.log().len() + 1 + at);
        plan.inject(operation, Fault::Interject(step));
        append(&f, &client, "c").await?;
        let expected = match at {
            0 => (1, 1, 0),
            _ => (1, 0, 1),
        };
        assert_eq!(mirrors(client.statistics()), expected);
        hand.assert_covers(4).await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r16_a_target_that_became_live_before_the_mirror_has_the_event_once() -> Result<()> {
    // closed, and an application has written to T, between the acknowledgement and the mirror
    for at in 0..2 {
        let f = Arc::new(World::new());
        let s = f.client().create(&f.order).await?.stream().clone();
        let hand = ByHand::new(&f, &s, 0, rules(Rule::Keep));
        let plan = FaultPlan::new();
        let client = plan.actor("app").client(&f.storage);
        let client = mirroring(&f, client, &hand, Mirroring::OneToOne).await?;
        let client = client.with_transformer(rules(Rule::Keep));
        hand.copy().await?;
        append(&f, &client, "b").await?;
        let (world, copier) = (Arc::clone(&f), hand.clone());
        let step = Interjection::new(move || {
            let (f, copier) = (Arc::clone(&world), copier.clone());
            async move {
                copier.close().await;
                append(&f, &f.client(), "d").await.unwrap();
            }
        });
        let operation = At::OfActor("app".to_owned(), plan.log().len() + 1 + at);
        plan.inject(operation, Fault::Interject(step));
        append(&f, &client, "c").await?;
        assert_eq!(client.statistics().mirrors_written, 1);
        assert_eq!(f.stored(hand.target()), ["warm", "b", "c", "d"]);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r18_a_migration_back_is_left_to_itself() -> Result<()> {
    // even where phases of it are published: its target counts the originals
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let mut hand = ByHand::new(&f, &s, 0, rules(Rule::Keep));
    hand.restores = Some(Box::new(Restores {
        migration: f.storage.environment.migration_id(),
        originals: s.clone(),
        events: Revision(2),
        source_from: Revision(2),
        down: rules(Rule::Keep).fingerprint(),
    }));
    let client = f.client().with_transformer(rules(Rule::Keep));
    let client = mirroring(&f, client, &hand, Mirroring::All).await?;
    hand.copy().await?;
    hand.publish(MigrationPhase::DualRead).await;
    client.refresh_phases().await?;
    append(&f, &client, "b").await?;
    let folded = client.fold(&f.order, || 0, |count, _| *count += 1).await?;
    assert_eq!((folded.state, folded.position), (3, at(&s, 3)));
    let statistics = client.statistics();
    assert_eq!(mirrors(statistics), (0, 1, 0));
    assert_eq!(
        (statistics.dual_reads_target, statistics.dual_reads_source),
        (0, 1)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r16_nothing_is_mirrored_that_the_rule_does_not_permit() -> Result<()> {
    let (keep, change, split) = (
        rules(Rule::Keep),
        rules(Rule::Change),
        rules(Rule::Split(2)),
    );
    // the migration's transformation, the registered one, what is mirrored, what is retired
    let cases = [
        (
            change.clone(),
            keep.clone(),
            Mirroring::All,
            true,
            "another fingerprint",
        ),
        (
            split.clone(),
            split.clone(),
            Mirroring::OneToOne,
            true,
            "one becomes two",
        ),
        (
            change.clone(),
            change.clone(),
            Mirroring::All,
            false,
            "a schema that is not named yet",
        ),
        (
            rules(Rule::Drop),
            rules(Rule::Drop),
            Mirroring::OneToOne,
            true,
            "one becomes none",
        ),
    ];
    for (transformer, registered, which, retires, why) in cases {
        let (f, s) = World::with_cells(&[&["a"]]).await?;
        let retired = retires.then(|| schema("T", 1));
        let hand = ByHand::new(&f, &s, 0, transformer).retiring(retired);
        let client = f.client().with_transformer(registered);
        let client = mirroring(&f, client, &hand, which).await?;
        hand.copy().await?;
        append(&f, &client, "b").await?;
        assert_eq!(mirrors(client.statistics()), (0, 1, 0), "{why}");
        hand.assert_covers(2).await;
    }
    // and off means off
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, keep.clone());
    let client = f.client().with_transformer(keep);
    let client = mirroring(&f, client, &hand, Mirroring::Off).await?;
    hand.copy().await?;
    append(&f, &client, "b").await?;
    assert_eq!(mirrors(client.statistics()), (0, 0, 0));
    hand.assert_covers(2).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r16_splits_and_drops_are_mirrored_where_that_is_wanted() -> Result<()> {
    for rule in [Rule::Split(3), Rule::Drop] {
        let (f, s) = World::with_cells(&[&["a"]]).await?;
        let hand = ByHand::new(&f, &s, 0, rules(rule)).retiring([schema("T", 1)]);
        let client = f.client().with_transformer(rules(rule));
        let client = mirroring(&f, client, &hand, Mirroring::All).await?;
        hand.copy().await?;
        append(&f, &client, "b").await?;
        assert_eq!(mirrors(client.statistics()), (1, 0, 0));
        hand.assert_covers(3).await;
        hand.close().await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r16_a_target_that_is_live_or_was_discarded_is_left_alone() -> Result<()> {
    // phases that are never refreshed
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, rules(Rule::Keep));
    let client = f.client().with_transformer(rules(Rule::Keep));
    let client = mirroring(&f, client, &hand, Mirroring::OneToOne).await?;
    hand.copy().await?;
    hand.undo().await;
    append(&f, &client, "b").await?;
    assert!(hand.last().await.is_none(), "nothing behind a discard");
    assert_eq!(mirrors(client.statistics()), (0, 1, 0));

    // an unrelated stream under the target's name, with just that cursor
    let stranger = Append {
        commit: f.storage.environment.commit_id(),
        origin: None,
        cursor: Some(Revision(3)),
        events: Vec::new(),
    };
    let target = &hand.target().stream;
    let store = &f.storage.event_store;
    store.append(target, &Default::default(), stranger).await?;
    append(&f, &client, "c").await?;
    assert_eq!(mirrors(client.statistics()), (0, 2, 0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r16_any_error_of_a_mirror_is_ignored_and_counted() -> Result<()> {
    // the three requests of a first mirror, and what can go wrong with each
    for request in 1..=3 {
        for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Duplicate] {
            let (f, s) = World::with_cells(&[&["a"]]).await?;
            let hand = ByHand::new(&f, &s, 0, rules(Rule::Keep));
            let plan = FaultPlan::new();
            let client = plan.actor("app").client(&f.storage);
            let client = client.with_transformer(rules(Rule::Keep));
            let client = mirroring(&f, client, &hand, Mirroring::OneToOne).await?;
            hand.copy().await?;
            let at = At::OfActor("app".to_owned(), plan.log().len() + request);
            let fails = !matches!(fault, Fault::Duplicate);
            plan.inject(at, fault);
            append(&f, &client, "b").await?;
            append(&f, &client, "c").await?;
            assert_eq!(f.stored(&s), ["a", "warm", "b", "c"]);
            let (written, skipped, failed) = mirrors(client.statistics());
            assert_eq!(written + skipped + failed, 2);
            assert_eq!(failed, u64::from(fails), "request {request}");
            hand.close().await;
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r16_a_mirror_that_hangs_holds_an_append_up_no_longer_than_its_deadline() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let other = f.storage.another_event_store();
    let hand = ByHand::into(&f, &s, 0, rules(Rule::Keep), &other);
    let (plan, gate) = (FaultPlan::new(), Gate::new());
    let actor = plan.actor("app");
    let there = actor.event_store(shared(&other));
    let client = f.client_knowing(there).with_transformer(rules(Rule::Keep));
    let client = mirroring(&f, client, &hand, Mirroring::OneToOne).await?;
    hand.copy().await?;
    plan.inject(
        At::Named("event_store.append", 0),
        Fault::Stall(gate.clone()),
    );
    let clock = f.storage.environment.clock.clone();
    let begun = clock.monotonic();
    append(&f, &client, "b").await?;
    assert_eq!(clock.monotonic() - begun, DEADLINE);
    assert_eq!(mirrors(client.statistics()), (0, 0, 1));
    assert_eq!(f.stored(&s), ["a", "warm", "b"]);
    append(&f, &client, "c").await?;
    assert_eq!(mirrors(client.statistics()), (0, 1, 1), "it lags now");
    Ok(())
}
