//! Phases: how a client learns of them (R20, R21), and giving way to a cutover (R6).

use std::time::Duration;

use esm_core::Result;
use esm_core::id::ObjectId;
use esm_core::migration::MigrationPhase;
use esm_core::router::RoutingTable;
use esm_core::router::{ExpectedRevision, ObjectClient, PhaseOptions};
use esm_testkit::Rule;
use esm_testkit::faults::{At, Fault, FaultPlan};

use super::by_hand::ByHand;
use super::cutover::*;
use crate::world::World;

async fn append(client: &ObjectClient, f: &World, id: &str) -> Result<()> {
    let any = ExpectedRevision::Any;
    client.append(&f.order, any, events(&[id])).await?;
    Ok(())
}

/// The reads of records with this key, by a plan's log.
fn reads(plan: &FaultPlan, key: &str) -> usize {
    let operations = plan.log().operations();
    let of_key = |o: &&esm_testkit::tap::Operation| {
        o.call.name == "records.latest" && o.call.key.contains(key)
    };
    operations.iter().filter(of_key).count()
}

#[tokio::test(start_paused = true)]
async fn r21_entries_are_read_only_of_objects_that_the_index_names_and_the_client_uses()
-> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, rules(Rule::Keep));
    let plan = FaultPlan::new();
    let client = plan
        .actor("app")
        .client(&f.storage)
        .with_phases(PhaseOptions::default().manual());
    client.refresh_phases().await?;
    assert_eq!((reads(&plan, "Index"), reads(&plan, "routing")), (1, 0));

    let other: ObjectId = "order/2".parse()?;
    let table = RoutingTable::new(f.storage.records());
    table.enlist(hand.migration(), &[other]).await?;
    hand.publish(MigrationPhase::DualWrite).await;
    client.refresh_phases().await?;
    client.refresh_phases().await?;
    assert_eq!(reads(&plan, "routing"), 0, "not used since it was named");

    append(&client, &f, "c").await?;
    assert_eq!(reads(&plan, "routing"), 0, "never on an append's path");
    client.refresh_phases().await?;
    assert_eq!(reads(&plan, "routing"), 1);
    // a client that knew the object before needs no second read
    let knowing = plan.actor("another").client(&f.storage);
    append(&knowing, &f, "x").await?;
    let knowing = knowing.with_phases(PhaseOptions::default().manual());
    knowing.refresh_phases().await?;
    assert_eq!(reads(&plan, "routing"), 2);

    let objects = [f.order.clone()];
    table.delist(hand.migration(), &objects).await?;
    append(&client, &f, "d").await?;
    client.refresh_phases().await?;
    client.refresh_phases().await?;
    assert_eq!(reads(&plan, "routing"), 2, "no longer named");
    assert_eq!(client.statistics().phase_polls, 6);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r21_polling_goes_on_by_itself_and_ends_with_the_last_clone() -> Result<()> {
    let (f, _) = World::with_cells(&[&["a"]]).await?;
    let plan = FaultPlan::new();
    let actor = plan.actor("app");
    let poll = PhaseOptions::default().poll(Duration::from_secs(30));
    let client = actor.client(&f.storage).with_phases(poll);
    let clone = client.clone();
    let clock = f.storage.environment.clock.clone();
    clock.sleep(Duration::from_secs(300)).await;
    let polls = reads(&plan, "Index");
    assert!((7..=21).contains(&polls), "every 15 to 45 s: {polls}");
    drop(client);
    clock.sleep(Duration::from_secs(300)).await;
    let more = reads(&plan, "Index");
    assert!(more > polls);
    drop(clone);
    clock.sleep(Duration::from_secs(3_000)).await;
    assert!(reads(&plan, "Index") <= more + 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r21_who_polls_by_hand_is_never_polled_for() -> Result<()> {
    let (f, _) = World::with_cells(&[&["a"]]).await?;
    let plan = FaultPlan::new();
    let client = plan.actor("app").client(&f.storage);
    let client = client.with_phases(PhaseOptions::default().manual());
    f.storage
        .environment
        .clock
        .sleep(Duration::from_secs(300))
        .await;
    assert_eq!(reads(&plan, "Index"), 0);
    client.refresh_phases().await?;
    assert_eq!(reads(&plan, "Index"), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r7_an_append_is_one_write_also_while_phases_are_polled() -> Result<()> {
    let (f, _) = World::with_cells(&[&["a"]]).await?;
    let client = f.client().with_phases(PhaseOptions::default().manual());
    append(&client, &f, "b").await?;
    let before = client.statistics();
    client.refresh_phases().await?;
    for id in ["c", "d", "e"] {
        append(&client, &f, id).await?;
    }
    let after = client.statistics();
    assert_eq!(after.appends - before.appends, 3);
    assert_eq!(after.append_requests - before.append_requests, 3);
    assert_eq!(after.extra_requests(), before.extra_requests());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn phases_that_cannot_be_read_stay_as_they_were() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, rules(Rule::Keep));
    hand.copy().await?;
    hand.publish(MigrationPhase::DualWrite).await;
    let plan = FaultPlan::new();
    let client = plan
        .actor("app")
        .client(&f.storage)
        .with_transformer(rules(Rule::Keep))
        .with_phases(PhaseOptions::default().manual());
    client.refresh_phases().await?;
    append(&client, &f, "b").await?;
    client.refresh_phases().await?;
    hand.copy().await?;
    let failing = At::OfActor("app".to_owned(), plan.log().len());
    plan.inject(failing, Fault::FailBefore);
    assert!(client.refresh_phases().await.is_err());
    append(&client, &f, "c").await?;
    let statistics = client.statistics();
    assert_eq!(statistics.phase_poll_failures, 1);
    assert_eq!(statistics.mirrors_written, 1);
    hand.assert_covers(3).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r20_an_entry_of_another_generation_or_source_is_ignored() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let mut hand = ByHand::new(&f, &s, 7, rules(Rule::Keep));
    hand.copy().await?;
    hand.publish(MigrationPhase::DualWrite).await;
    let client = f
        .client()
        .with_transformer(rules(Rule::Keep))
        .with_phases(PhaseOptions::default().manual());
    client.refresh_phases().await?;
    append(&client, &f, "b").await?;
    client.refresh_phases().await?;
    hand.copy().await?;
    append(&client, &f, "c").await?;
    assert_eq!(client.statistics().mirrors_written, 0);

    hand.entry.generation = 8;
    hand.entry.source = hand.target().clone();
    hand.publish(MigrationPhase::DualWrite).await;
    client.refresh_phases().await?;
    append(&client, &f, "d").await?;
    let statistics = client.statistics();
    assert_eq!(
        (statistics.mirrors_written, statistics.mirrors_skipped),
        (0, 0)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn each_phase_asks_for_what_it_is_called() -> Result<()> {
    use MigrationPhase::{BookClosed, Cutover, DualRead, DualWrite, Normal};
    // which writes are mirrored, and which reads the target may answer
    let asked = [
        (Normal, (0, 0)),
        (DualWrite, (1, 0)),
        (DualRead, (1, 1)),
        (Cutover, (1, 1)),
        (BookClosed, (0, 0)),
    ];
    for (phase, expected) in asked {
        let (f, s) = World::with_cells(&[&["a"]]).await?;
        let hand = ByHand::new(&f, &s, 0, rules(Rule::Keep));
        hand.publish(phase).await;
        let client = f.client().with_transformer(rules(Rule::Keep));
        let client = client.with_phases(PhaseOptions::default().manual());
        client.refresh_phases().await?;
        append(&client, &f, "b").await?;
        client.refresh_phases().await?;
        hand.copy().await?;
        append(&client, &f, "c").await?;
        client.fold(&f.order, || (), |(), _| ()).await?;
        let done = client.statistics();
        let done = (done.mirrors_written, done.dual_reads_target);
        assert_eq!(done, expected, "{phase:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r6_appends_give_way_to_a_cutover_and_not_for_ever() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let hand = ByHand::new(&f, &s, 0, rules(Rule::Keep));
    hand.publish(MigrationPhase::Cutover).await;
    let pause = Duration::from_millis(100);
    let client = f
        .client()
        .with_phases(PhaseOptions::default().manual().give_way(pause));
    client.refresh_phases().await?;
    append(&client, &f, "b").await?;
    client.refresh_phases().await?;
    let clock = f.storage.environment.clock.clone();
    let begun = clock.monotonic();
    append(&client, &f, "c").await?;
    let waited = clock.monotonic() - begun;
    assert!(waited >= pause / 2 && waited <= pause * 3 / 2, "{waited:?}");

    // the phase stays the same, also for a client that reads it
    clock.sleep(PhaseOptions::LONGEST_GIVING_WAY / 2).await;
    client.refresh_phases().await?;
    clock.sleep(PhaseOptions::LONGEST_GIVING_WAY / 2).await;
    let begun = clock.monotonic();
    append(&client, &f, "d").await?;
    assert_eq!(clock.monotonic(), begun);
    assert_eq!(client.statistics().slowed, 1);
    Ok(())
}
