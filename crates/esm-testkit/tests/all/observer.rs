//! The observer notices what the protocol forbids.

use bytes::Bytes;
use esm_core::Result;
use esm_core::event::{Event, Revision};
use esm_core::id::{MigrationId, ObjectId, StreamId, StreamName, StreamRef};
use esm_core::object::ObjectDocument;
use esm_core::store::{
    Append, CellEvent, Close, EventStore as _, Fence, Origin, RecordKey, Records as _,
    RecordsExt as _, Tail,
};
use esm_core::transform::{EventTransformer as _, Identity};
use esm_testkit::environment;
use esm_testkit::memory::MemoryWorld;
use esm_testkit::observe::Observer;

/// A migration done by hand, so that it can be done wrongly.
struct ByHand {
    world: MemoryWorld,
    object: ObjectId,
    source: StreamRef,
    target: StreamRef,
    migration: MigrationId,
    observer: Observer,
}

fn event(number: u64) -> Event {
    esm_testkit::event(format!("e{number}"), "T")
}

impl ByHand {
    async fn new() -> Result<Self> {
        let world = MemoryWorld::new(environment(1));
        let object: ObjectId = "order/1".parse()?;
        let cells = [vec![event(0), event(1)], vec![event(2)]];
        let source = world.create_object(&object, cells).await?;
        let migration = world.environment.migration_id();
        let name = StreamName::new("order-1-v2")?;
        let target = StreamId::target(&name, migration, &source, 0);
        let target = StreamRef::new(source.store, target);
        let observer = Observer::new(world.event_store(), world.records()).object(object.clone());
        Ok(Self {
            world,
            object,
            source,
            target,
            migration,
            observer,
        })
    }

    /// What the observer says after the step.
    async fn check(&self) -> String {
        self.observer.check_now().await.err().unwrap_or_default()
    }

    async fn copy(&self, cursor: u64, numbers: &[u64]) -> Result<Tail> {
        let store = &self.world.event_store;
        let tail = store.tail(&self.target.stream).await?;
        let origin = tail.is_empty().then(|| Origin {
            source: self.source.clone(),
            migration: self.migration,
            attempt: 0,
            fingerprint: Identity.fingerprint(),
            retired: Default::default(),
            accepted: Default::default(),
            restores: None,
        });
        let copied = |number: &u64| CellEvent {
            event: event(*number),
            source_revision: Some(Revision(*number)),
        };
        let append = Append {
            commit: self.world.environment.commit_id(),
            origin,
            cursor: Some(Revision(cursor)),
            events: numbers.iter().map(copied).collect(),
        };
        // the observer learns of a target by the operation that writes it, or by its origin
        store.append(&self.target.stream, &tail, append).await
    }

    async fn close(&self, target_events: u64) -> Result<Tail> {
        let store = &self.world.event_store;
        let tail = store.tail(&self.source.stream).await?;
        let close = Close {
            target: Some(self.target.clone()),
            events: tail.next_revision(),
            target_events: Revision(target_events),
            migration: self.migration,
            continues: true,
            target_last: None,
        };
        let commit = self.world.environment.commit_id();
        store.close(&self.source.stream, &tail, commit, close).await
    }

    async fn fence(&self) -> Result<Tail> {
        let store = &self.world.event_store;
        let tail = store.tail(&self.source.stream).await?;
        let fence = Fence {
            target: self.target.stream.clone(),
            migration: self.migration,
        };
        let commit = self.world.environment.commit_id();
        store.fence(&self.source.stream, &tail, commit, fence).await
    }

    async fn put_document(&self, change: impl FnOnce(&mut ObjectDocument)) -> Result<()> {
        let key = RecordKey::Document(self.object.clone());
        let found = self.world.records.latest_as::<ObjectDocument>(&key).await?;
        let (number, mut document) = found.expect("the object has a document");
        change(&mut document);
        self.world.records.put_as(&key, number + 1, &document).await
    }

    async fn follow(&self) -> Result<()> {
        let tail = self.world.event_store.tail(&self.source.stream).await?;
        let close = tail.close().cloned().expect("the source is closed");
        let followed = |document: &mut ObjectDocument| {
            assert!(document.follow(&self.source, &close));
        };
        self.put_document(followed).await
    }
}

#[tokio::test]
async fn a_right_migration_has_no_violation() -> Result<()> {
    let by_hand = ByHand::new().await?;
    assert_eq!(by_hand.check().await, "");
    by_hand.copy(0, &[]).await?;
    by_hand.copy(2, &[0, 1]).await?;
    assert_eq!(by_hand.check().await, "");
    by_hand.copy(3, &[2]).await?;
    by_hand.close(3).await?;
    assert_eq!(by_hand.check().await, "");
    by_hand.follow().await?;
    let target = &by_hand.target.stream;
    by_hand.world.append_cell(target, vec![event(3)]).await?;
    assert_eq!(by_hand.check().await, "");
    Ok(())
}

#[tokio::test]
async fn x1_a_close_that_misses_an_event_is_noticed() -> Result<()> {
    let by_hand = ByHand::new().await?;
    by_hand.copy(2, &[0, 1]).await?;
    by_hand.close(2).await?;
    assert!(
        by_hand.check().await.starts_with("I4"),
        "{}",
        by_hand.check().await
    );
    Ok(())
}

#[tokio::test]
async fn i4_a_lost_or_changed_or_doubled_event_is_noticed() -> Result<()> {
    for wrong in [&[0, 1][..], &[0, 2, 1], &[0, 1, 1, 2], &[0, 1, 7]] {
        let by_hand = ByHand::new().await?;
        by_hand.copy(3, wrong).await?;
        by_hand.close(wrong.len() as u64).await?;
        assert!(by_hand.check().await.starts_with("I4"), "{wrong:?}");
    }
    Ok(())
}

#[tokio::test]
async fn x3_a_document_before_its_close_is_noticed() -> Result<()> {
    let by_hand = ByHand::new().await?;
    by_hand.copy(3, &[0, 1, 2]).await?;
    by_hand
        .put_document(|document| document.active = by_hand.target.clone())
        .await?;
    assert!(
        by_hand
            .check()
            .await
            .contains("no stream of its chain is closed to")
    );
    Ok(())
}

#[tokio::test]
async fn i6_a_document_that_goes_back_is_noticed() -> Result<()> {
    let by_hand = ByHand::new().await?;
    by_hand.copy(3, &[0, 1, 2]).await?;
    by_hand.close(3).await?;
    by_hand.follow().await?;
    assert_eq!(by_hand.check().await, "");
    let source = by_hand.source.clone();
    by_hand
        .put_document(|document| {
            document.active = source;
            document.terminated.clear();
        })
        .await?;
    assert!(by_hand.check().await.starts_with("I6"));
    Ok(())
}

#[tokio::test]
async fn x5_a_target_removed_without_a_fence_is_noticed() -> Result<()> {
    use esm_testkit::faults::FaultPlan;
    use std::sync::Arc;

    for fenced_first in [true, false] {
        let by_hand = ByHand::new().await?;
        let observer = Observer::new(by_hand.world.event_store(), by_hand.world.records())
            .object(by_hand.object.clone());
        let observer = Arc::new(observer);
        let plan = FaultPlan::new().watched_by(observer.clone());
        let store = plan.actor("a").event_store(by_hand.world.event_store());
        by_hand.copy(2, &[0, 1]).await?;
        // the observer learns of the target by this call
        store.tail(&by_hand.target.stream).await?;
        observer.check_now().await.expect("nothing is wrong yet");
        if fenced_first {
            by_hand.fence().await?;
        }
        store.discard(&by_hand.target.stream).await?;
        let violations = plan.violations();
        assert_eq!(violations.is_empty(), fenced_first, "{violations:?}");
        assert!(
            violations.iter().all(|v| v.what.starts_with("R17")),
            "{violations:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn r17_a_close_to_a_fenced_target_is_noticed() -> Result<()> {
    let by_hand = ByHand::new().await?;
    by_hand.copy(3, &[0, 1, 2]).await?;
    by_hand.fence().await?;
    by_hand.close(3).await?;
    assert!(by_hand.check().await.starts_with("R17"));
    Ok(())
}

#[tokio::test]
async fn i5_a_removed_target_of_a_close_is_noticed() -> Result<()> {
    let by_hand = ByHand::new().await?;
    by_hand.copy(3, &[0, 1, 2]).await?;
    by_hand.close(3).await?;
    assert_eq!(by_hand.check().await, "");
    by_hand
        .world
        .event_store
        .discard(&by_hand.target.stream)
        .await?;
    assert!(by_hand.check().await.starts_with("I5"));
    Ok(())
}

#[tokio::test]
async fn r22_a_vanished_stream_of_an_application_is_noticed() -> Result<()> {
    let by_hand = ByHand::new().await?;
    assert_eq!(by_hand.check().await, "");
    by_hand
        .world
        .event_store
        .discard(&by_hand.source.stream)
        .await?;
    assert!(by_hand.check().await.contains("has vanished"));
    Ok(())
}

#[tokio::test]
async fn a_tombstone_is_no_violation() -> Result<()> {
    let by_hand = ByHand::new().await?;
    by_hand.copy(3, &[0, 1, 2]).await?;
    by_hand.close(3).await?;
    assert_eq!(by_hand.check().await, "");
    assert!(by_hand.world.event_store.bury(&by_hand.source.stream, 0));
    assert_eq!(by_hand.check().await, "");
    Ok(())
}

#[tokio::test]
async fn i6_epochs_that_go_back_and_records_after_the_end_are_noticed() -> Result<()> {
    let claim = |epoch: u64| format!("{{\"epoch\":{epoch},\"record\":\"claim\"}}");
    let finished = |epoch: u64| format!("{{\"epoch\":{epoch},\"record\":\"finished\"}}");
    for (records, right) in [
        (vec![claim(1), claim(2), finished(2)], true),
        (vec![claim(1), claim(1)], false),
        (vec![claim(1), claim(2), finished(1)], false),
        (vec![claim(1), finished(1), claim(2)], false),
    ] {
        let by_hand = ByHand::new().await?;
        let key = RecordKey::Journal(by_hand.migration);
        for (number, body) in (0..).zip(records) {
            by_hand
                .world
                .records
                .put(&key, number, Bytes::from(body))
                .await?;
        }
        assert_eq!(by_hand.check().await.is_empty(), right);
    }
    Ok(())
}
