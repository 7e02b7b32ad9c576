//! Appenders, readers and a cutover at the same time, in random order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use esm_core::event::{Event, Revision};
use esm_core::id::{EventId, Fingerprint, StreamRef};
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_core::store::{Append, CellEvent, Close, EventStore, Origin, Tail};
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan, Gate};
use esm_testkit::strategies;
use proptest::prelude::*;
use tokio::task::JoinSet;

use super::cutover::*;
use crate::world::{World, event};

#[tokio::test(start_paused = true)]
async fn an_append_that_is_overtaken_by_a_close_goes_on_in_the_target() -> Result<()> {
    // the cell is on its way to S when the migrator closes S
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let gate = Gate::new();
    let plan = FaultPlan::new().with(
        At::Named("event_store.append", 0),
        Fault::Stall(gate.clone()),
    );
    let client = plan.actor("app").client(&f.storage);
    let (object, expected) = (f.order.clone(), ExpectedRevision::At(at(&s, 1)));
    let append =
        tokio::spawn(async move { client.append(&object, expected, events(&["b"])).await });
    gate.reached().await;
    let t = f.cut_over(&s, target_of(4)).await?;
    gate.open();
    let appended = append.await.unwrap()?;
    assert_eq!(appended.first, at(&t, 4));
    assert_eq!(f.stored(&s), ["a"]);
    assert_eq!(f.document(&f.order).await.active, t);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn helpers_who_meet_change_the_document_once() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let t = f.cut_over(&s, target_of(1)).await?;
    let gate = Gate::new();
    let plan = FaultPlan::new().with(At::Named("records.put", 0), Fault::Stall(gate.clone()));
    let slow = plan.actor("slow").client(&f.storage);
    let object = f.order.clone();
    let slow = tokio::spawn(async move { slow.load(&object).await });
    gate.reached().await;
    f.client().load(&f.order).await?;
    // and it moved on since: the slow one must not set it back
    let u = f
        .cut_over(
            &t,
            Cutover {
                dies: false,
                ..target_of(1)
            },
        )
        .await?;
    gate.open();
    slow.await.unwrap()?;
    let document = f.document(&f.order).await;
    assert_eq!((document.active, document.terminated.len()), (u, 2));
    Ok(())
}

const WRITERS: u64 = 3;
const EVENTS: u64 = 4;

/// Appends its events in order, half of them at a position and half anywhere.
async fn write(client: ObjectClient, object: esm_core::id::ObjectId, writer: u64) {
    for n in 0..EVENTS {
        loop {
            let expected = match (writer + n) % 2 {
                0 => ExpectedRevision::Any,
                _ => ExpectedRevision::At(client.load(&object).await.unwrap().position()),
            };
            match client
                .append(&object, expected, vec![event(format!("{writer}:{n}"))])
                .await
            {
                Ok(_) => break,
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::Conflict { .. }),
                        "{error}"
                    );
                }
            }
        }
    }
}

/// A migration by the rules: copies until T covers S's tail, then closes S at exactly that tail.
async fn migrate(store: Arc<dyn EventStore>, f: Arc<World>, source: StreamRef) -> StreamRef {
    let environment = esm_testkit::environment(99);
    let migration = environment.migration_id();
    let target = target_id(source.store, &source, migration);
    let mut target_tail = Tail::default();
    let mut copied = Revision::START;
    loop {
        let tail = store.tail(&source.stream).await.unwrap();
        let all = f.storage.events(&source.stream);
        let (from, to) = (copied.0 as usize, tail.next_revision().0 as usize);
        if from < to || target_tail.is_empty() {
            let origin = target_tail.is_empty().then(|| Origin {
                source: source.clone(),
                migration,
                attempt: 0,
                fingerprint: Fingerprint::new("twice").unwrap(),
                retired: Default::default(),
                accepted: Default::default(),
                restores: None,
            });
            // every event becomes two, so that no number means the same on both sides
            let events = all[from..to].iter().flat_map(|event| {
                let second = EventId::new(format!("{}'", event.id)).unwrap();
                [
                    event.clone(),
                    Event {
                        id: second,
                        ..event.clone()
                    },
                ]
            });
            let append = Append {
                commit: environment.commit_id(),
                origin,
                cursor: Some(tail.next_revision()),
                events: events.map(CellEvent::from).collect(),
            };
            target_tail = store
                .append(&target.stream, &target_tail, append)
                .await
                .unwrap();
            copied = tail.next_revision();
        }
        let close = Close {
            target: Some(target.clone()),
            events: copied,
            target_events: target_tail.next_revision(),
            migration,
            continues: true,
            target_last: None,
        };
        let commit = environment.commit_id();
        match store.close(&source.stream, &tail, commit, close).await {
            Ok(_) => return target,
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Conflict { .. }),
                "{error}"
            ),
        }
    }
}

async fn run(delays: Vec<u64>) -> Result<()> {
    let f = Arc::new(World::new());
    let plan = delays
        .iter()
        .zip(0..)
        .fold(FaultPlan::new(), |plan, (delay, n)| {
            plan.with(
                At::Operation(n),
                Fault::Delay(Duration::from_millis(*delay)),
            )
        });
    let source = f.client().create(&f.order).await?.stream().clone();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let client = plan.actor(format!("writer {writer}")).client(&f.storage);
        writers.spawn(write(client, f.order.clone(), writer));
    }
    let store = plan.actor("migrator").event_store(f.storage.event_store());
    let first = migrate(Arc::clone(&store), Arc::clone(&f), source.clone()).await;
    let target = migrate(store, Arc::clone(&f), first.clone()).await;
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    // a last one, so that the document is helped also where no writer was left to do it
    f.client().load(&f.order).await?;
    assert_eq!(f.document(&f.order).await.active, target);

    let ids = f.read_from(ReadPosition::Start).await?;
    let originals: Vec<_> = ids.iter().filter(|id| !id.contains('\'')).collect();
    let mut seen = BTreeMap::<_, Vec<_>>::new();
    for id in &originals {
        let (writer, n) = id.split_once(':').unwrap();
        seen.entry(writer)
            .or_default()
            .push(n.parse::<u64>().unwrap());
    }
    let expected: Vec<_> = (0..EVENTS).collect();
    for writer in 0..WRITERS {
        let seen = seen.get(writer.to_string().as_str());
        assert_eq!(
            seen,
            Some(&expected),
            "exactly once and in order (I1, I3): {ids:?}\n{}",
            plan.log()
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(strategies::one_in(4))]

    /// R7 to R12: whatever the order, every acknowledged event is there exactly once, in the order
    /// of its writer, over two cutovers.
    #[test]
    fn writers_lose_and_repeat_nothing_over_two_cutovers(
        delays in prop::collection::vec(0..200u64, 40..160),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(delays)).unwrap();
    }
}
