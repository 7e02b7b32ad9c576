//! Reads from the target that are only compared with the source's answer.

use esm_core::Result;
use esm_core::event::Revision;
use esm_core::router::{DualReads, ObjectClient};
use esm_core::store::{Append, EventStore as _};
use esm_testkit::faults::{At, Fault, FaultPlan, Gate};

use super::by_hand::ByHand;
use super::cutover::*;
use super::dual_reads::{DEADLINE, answers, fold, reading, transformer};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn r15_shadow_reads_give_the_sources_answer_and_compare() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b"]]).await?;
    let hand = ByHand::new(&f, &s, 0, transformer());
    hand.copy().await?;
    let client = f.client().with_transformer(transformer());
    let client = reading(&f, client, &hand, DualReads::Shadow).await?;
    let shadows = |client: &ObjectClient| {
        let s = client.statistics();
        (s.shadow_equal, s.shadow_different, s.shadow_skipped)
    };
    let source = ["a v1", "b v1"];
    assert_eq!(fold(&f, &client).await?.state, source);
    assert_eq!(shadows(&client), (1, 0, 0));
    // without the transformation there is nothing to compare
    let plain = reading(&f, f.client(), &hand, DualReads::Shadow).await?;
    assert_eq!(fold(&f, &plain).await?.position, at(&s, 2));
    assert_eq!(shadows(&plain), (0, 0, 1));
    // the target lags
    f.append_ids(&["c"]).await?;
    assert_eq!(fold(&f, &client).await?.state.len(), 3);
    assert_eq!(shadows(&client), (1, 0, 1));
    // another process damages it
    let target = &hand.target().stream;
    let tail = f.storage.event_store.tail(target).await?;
    let damage = Append {
        commit: f.storage.environment.commit_id(),
        origin: None,
        cursor: Some(Revision(3)),
        events: Vec::new(),
    };
    f.storage.event_store.append(target, &tail, damage).await?;
    assert_eq!(fold(&f, &client).await?.position, at(&s, 3));
    assert_eq!(shadows(&client), (1, 1, 1));
    assert_eq!(answers(&client), (0, 0));
    // a client without shadow reads makes none
    let client = f.client().with_transformer(transformer());
    let client = reading(&f, client, &hand, DualReads::Source).await?;
    fold(&f, &client).await?;
    assert_eq!((shadows(&client), answers(&client)), ((0, 0, 0), (0, 0)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r15_a_shadow_that_hangs_delays_the_answer_no_longer_than_its_deadline() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let other = f.storage.another_event_store();
    let hand = ByHand::into(&f, &s, 0, transformer(), &other);
    hand.copy().await?;
    let plan = FaultPlan::new();
    let there = plan.actor("app").event_store(shared(&other));
    let client = f.client_knowing(there).with_transformer(transformer());
    let client = reading(&f, client, &hand, DualReads::Shadow).await?;
    for operation in 0..2 {
        let at = At::Operation(plan.log().len() + operation);
        plan.inject(at, Fault::Stall(Gate::new()));
    }
    let clock = f.storage.environment.clock.clone();
    let begun = clock.monotonic();
    assert_eq!(fold(&f, &client).await?.state, ["a v1"]);
    assert_eq!(clock.monotonic() - begun, DEADLINE);
    assert_eq!(client.statistics().shadow_skipped, 1);
    Ok(())
}
