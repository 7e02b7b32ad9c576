//! What becomes of writes whose answers are lost, wrong or late: the object decides.
//!
//! Time is paused, so pauses between tries take none.

use std::sync::Arc;

use bytes::Bytes;
use esm_core::clock::Environment;
use esm_core::event::Revision;
use esm_core::id::{HolderId, LockName, StreamId};
use esm_core::store::{
    Append, CellKind, LockAttempt, LockRequest, PageLimit, ReadFrom, RecordKey, Tail,
};
use esm_core::{ErrorKind, Result};
use esm_objectstore::{OpenOptions, Store};
use esm_testkit::{environment, event};

use crate::scripted::{Fault, Op, Scripted};

struct World {
    objects: Arc<Scripted>,
    store: Store,
    environment: Environment,
    stream: StreamId,
}

impl World {
    async fn new() -> Self {
        let objects = Scripted::new();
        let environment = environment(7);
        let options = OpenOptions::new().with_environment(environment.clone());
        let store =
            esm_objectstore::open_or_create_with_client(Arc::clone(&objects) as _, "", options)
                .await
                .unwrap();
        objects.asked();
        let stream = StreamId::new("order-1.ab").unwrap();
        Self {
            objects,
            store,
            environment,
            stream,
        }
    }

    /// Another process with the same storage.
    async fn other(&self) -> Store {
        let options = OpenOptions::new().with_environment(environment(8));
        esm_objectstore::open_with_client(Arc::clone(&self.objects) as _, "", options)
            .await
            .unwrap()
    }

    fn one_event(&self) -> Append {
        let one = vec![event("1", "Placed").into()];
        Append::events(self.environment.commit_id(), one)
    }

    async fn append(&self, at: &Tail) -> Result<Tail> {
        let events = self.store.event_store();
        events.append(&self.stream, at, self.one_event()).await
    }

    async fn count(&self) -> u64 {
        let other = self.other().await.event_store();
        other.tail(&self.stream).await.unwrap().next_revision().0
    }
}

/// Appended once, acknowledged once (I2): whatever the answer was.
#[tokio::test(start_paused = true)]
async fn a_write_that_happened_is_a_success_whatever_was_answered() {
    for fault in [Fault::AnswerLost, Fault::OwnRetry] {
        let world = World::new().await;
        world.objects.fail(1, Op::Put, "/c/", fault);
        let tail = world.append(&Tail::default()).await.unwrap();
        assert!(world.objects.is_done());
        assert_eq!((tail.next_seq(), world.count().await), (1, 1), "{fault:?}");
        world.append(&tail).await.unwrap();
        assert_eq!(world.count().await, 2, "{fault:?}");
    }
}

/// A broken connection before anything happened, or S3's 409 while no object exists: sent again.
#[tokio::test(start_paused = true)]
async fn a_write_that_did_not_happen_is_sent_again() {
    for fault in [Fault::Lost, Fault::Met] {
        let world = World::new().await;
        world.objects.fail(3, Op::Put, "/c/", fault);
        world.append(&Tail::default()).await.unwrap();
        assert!(world.objects.is_done());
        assert_eq!(world.count().await, 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_again_and_again_while_nothing_stands_there_is_unavailable() {
    let world = World::new().await;
    world.objects.fail(100, Op::Put, "/c/", Fault::Met);
    let error = world.append(&Tail::default()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("streams/order-1_2eab/c/"));
}

/// The outcome is unknown only when reading back fails too, or may still change.
#[tokio::test(start_paused = true)]
async fn unknown_is_said_only_of_what_is_unknown() {
    let world = World::new().await;
    world.objects.fail(100, Op::Put, "/c/", Fault::Lost);
    let error = world.append(&Tail::default()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        &ErrorKind::Ambiguous,
        "may arrive yet: {error}"
    );

    for fault in [Fault::AnswerLost, Fault::OwnRetry] {
        let world = World::new().await;
        world.objects.fail(1, Op::Put, "/c/", fault);
        let own = "/c/00000000000000000000";
        world.objects.fail(3, Op::Get, own, Fault::Lost);
        let append = world.one_event();
        let events = world.store.event_store();
        let empty = Tail::default();
        let lost = events.append(&world.stream, &empty, append.clone());
        let error = lost.await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Ambiguous, "{fault:?}: {error}");
        // R10: the very same write, again
        let again = events.append(&world.stream, &empty, append);
        assert_eq!(again.await.unwrap().next_seq(), 1);
        assert_eq!(world.count().await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_as_what_it_is() {
    let world = World::new().await;
    world.objects.fail(1, Op::Put, "/c/", Fault::Forbidden);
    let error = world.append(&Tail::default()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied);
    assert!(error.hint().is_some());
    assert_eq!(world.count().await, 0);

    // even when the credentials do not allow reading back either
    world.objects.fail(1, Op::Put, "/c/", Fault::Forbidden);
    world.objects.fail(1, Op::Get, "/c/", Fault::Forbidden);
    let error = world.append(&Tail::default()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied);

    // but not after a try that may have happened
    world.objects.fail(1, Op::Put, "/c/", Fault::AnswerLost);
    world.objects.fail(3, Op::Get, "/c/", Fault::Forbidden);
    let error = world.append(&Tail::default()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Ambiguous);
}

/// R7: one write, no read.
#[tokio::test(start_paused = true)]
async fn a_warm_append_is_one_request() {
    let world = World::new().await;
    let mut tail = Tail::default();
    for seq in 0..16 {
        tail = world.append(&tail).await.unwrap();
        let key = format!("streams/order-1_2eab/c/{seq:020}");
        assert_eq!(world.objects.asked(), [(Op::Put, key)]);
    }
    // the hint of the cell before, at the same time; it counts for no budget
    world.append(&tail).await.unwrap();
    let hint = (Op::Put, "streams/order-1_2eab/head".to_owned());
    assert_eq!(world.objects.asked()[1..], [hint]);
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_cannot_be_written_is_no_failure() {
    let world = World::new().await;
    let mut tail = Tail::default();
    world.objects.fail(1, Op::Put, "/head", Fault::Forbidden);
    for _ in 0..70 {
        tail = world.append(&tail).await.unwrap();
    }
    assert!(world.objects.is_done());
    assert_eq!(world.count().await, 70);
}

/// No LIST on a hot path, and few requests for what is short.
#[tokio::test(start_paused = true)]
async fn reading_costs_few_requests() {
    let world = World::new().await;
    let mut tail = world.append(&Tail::default()).await.unwrap();
    let cold = world.other().await.event_store();
    world.objects.asked();
    assert_eq!(cold.tail(&world.stream).await.unwrap(), tail);
    // the first two cells, and the hint that a longer stream has
    assert_eq!(world.objects.asked().len(), 3);

    let cold = world.other().await.event_store();
    world.objects.asked();
    let limit = PageLimit::default();
    let page = cold.read(&world.stream, ReadFrom::Seq(0), limit).await;
    assert!(page.unwrap().at_end);
    assert_eq!(world.objects.asked().len(), 2);

    for _ in 1..300 {
        tail = world.append(&tail).await.unwrap();
    }
    let cold = world.other().await.event_store();
    world.objects.asked();
    assert_eq!(cold.tail(&world.stream).await.unwrap(), tail);
    let asked = world.objects.asked();
    assert!(asked.len() < 30, "{}", asked.len());
    assert!(asked.iter().all(|(op, _)| *op == Op::Get));
    let middle = ReadFrom::Revision(Revision(150));
    let page = cold.read(&world.stream, middle, PageLimit { cells: 1, bytes: 0 });
    assert_eq!(page.await.unwrap().cells[0].header.seq, 150);
    assert!(world.objects.asked().len() < 12);
}

#[tokio::test(start_paused = true)]
async fn a_beaten_append_learns_the_actual_count() {
    let world = World::new().await;
    let old = world.append(&Tail::default()).await.unwrap();
    let other = world.other().await.event_store();
    let mut tail = other.tail(&world.stream).await.unwrap();
    for _ in 0..5 {
        let append = other.append(&world.stream, &tail, world.one_event());
        tail = append.await.unwrap();
    }
    let error = world.append(&old).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict { actual: Some(6) });
}

#[tokio::test(start_paused = true)]
async fn a_records_put_is_settled_by_its_nonce() {
    for fault in [Fault::AnswerLost, Fault::OwnRetry, Fault::Met, Fault::Lost] {
        let world = World::new().await;
        let records = world.store.records();
        world.objects.fail(1, Op::Put, "index", fault);
        let body = Bytes::from_static(b"{}");
        records
            .put(&RecordKey::Index, 0, body.clone())
            .await
            .unwrap();
        assert!(world.objects.is_done(), "{fault:?}");
        let error = records.put(&RecordKey::Index, 0, body).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Conflict { actual: None });
    }
}

/// After its first version is known, a put is one write; the newest version takes one read. By a client
/// that knows none, it takes three reads at once where there are one or two versions.
#[tokio::test(start_paused = true)]
async fn records_cost_few_requests() {
    let world = World::new().await;
    let key = RecordKey::Document("order/1".parse().unwrap());
    let records = world.store.records();
    let body = |number: u64| Bytes::from(number.to_string());
    for number in 0..3 {
        records.put(&key, number, body(number)).await.unwrap();
        let asked = world.objects.asked();
        assert!(asked.iter().all(|(op, _)| *op == Op::Put) && asked.len() == 1);
        let cold = world.other().await.records();
        world.objects.asked();
        let newest = cold.latest(&key).await.unwrap().unwrap();
        assert_eq!(newest.number, number);
        let reads = if number < 2 { 3 } else { 5 };
        assert_eq!(world.objects.asked().len(), reads);
    }
    assert_eq!(records.latest(&key).await.unwrap().unwrap().number, 2);
    assert_eq!(world.objects.asked().len(), 1);

    let cold = world.other().await.records();
    world.objects.asked();
    let newest = cold.latest(&key).await.unwrap().unwrap();
    assert_eq!((newest.number, newest.body), (2, body(2)));
    records.put(&key, 3, body(3)).await.unwrap();
    world.objects.asked();
    let newest = cold.latest(&key).await.unwrap().unwrap();
    assert_eq!((newest.number, newest.body), (3, body(3)));
    assert_eq!(world.objects.asked().len(), 3);
    let error = cold.put(&key, 5, Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict { actual: None });
}

#[tokio::test(start_paused = true)]
async fn acquiring_and_releasing_are_one_write_each_and_settled_by_their_nonce() {
    for fault in [None, Some(Fault::AnswerLost), Some(Fault::OwnRetry)] {
        let world = World::new().await;
        let locks = world.store.locks();
        let name = LockName::new("order/1").unwrap();
        let request = LockRequest {
            holder: HolderId::new("me").unwrap(),
            lease: std::time::Duration::from_secs(60),
            migration: None,
            at: world.environment.clock.now(),
            process: None,
        };
        if let Some(fault) = fault {
            world.objects.fail(1, Op::Put, "locks/", fault);
        }
        let attempt = locks.try_acquire(&name, &request).await.unwrap();
        let LockAttempt::Acquired(grant) = attempt else {
            panic!("{fault:?}: {attempt:?}");
        };
        let writes =
            |asked: Vec<(Op, String)>| asked.iter().filter(|(op, _)| *op == Op::Put).count();
        assert_eq!(writes(world.objects.asked()), 1);
        locks.release(&grant).await.unwrap();
        assert_eq!(world.objects.asked().len(), 1);
    }
}

/// A cell that another wrote for a stream that goes elsewhere is reported before anything else (R8).
#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_and_that_lost_the_race_is_closed_or_a_conflict() {
    let world = World::new().await;
    let old = world.append(&Tail::default()).await.unwrap();
    let other = world.other().await.event_store();
    let tail = other.tail(&world.stream).await.unwrap();
    let fence = esm_core::store::Fence {
        target: StreamId::new("t").unwrap(),
        migration: world.environment.migration_id(),
    };
    let commit = world.environment.commit_id();
    let fenced = other
        .fence(&world.stream, &tail, commit, fence)
        .await
        .unwrap();
    assert!(matches!(fenced.last.unwrap().kind, CellKind::Fence(_)));
    world.objects.fail(1, Op::Put, "/c/", Fault::Lost);
    let error = world.append(&old).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict { actual: Some(1) });
}
