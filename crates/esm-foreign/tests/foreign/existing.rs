//! Streams of applications that do not know esm.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::event::Revision;
use esm_core::id::ObjectId;
use esm_core::store::{CellKind, EventStore, PageLimit, ReadFrom, Tail};
use esm_foreign::{ForeignEventStore, adopt};
use esm_testkit::environment;
use esm_testkit::memory::MemoryWorld;
use esm_testkit::record::{RecordedNativeStore, Recorder};
use esm_testkit::tap::OperationLog;

use super::fixture::{append, cells, event, open, stream};
use super::kurrent::{Adapter, EventData, Expected, Kurrent, NEW, data_of};

/// Events that an application appends by itself.
fn native(count: u64) -> Vec<EventData> {
    (0..count)
        .map(|n| data_of(&event(&format!("n{n}"), "Happened")))
        .collect()
}

fn write(kurrent: &Kurrent, name: &str, count: u64) {
    kurrent
        .append(NEW, name, Expected::Any, native(count))
        .unwrap();
}

#[tokio::test]
async fn each_event_is_a_cell_with_the_same_commit_for_everybody() {
    let kurrent = Kurrent::rolled_out();
    write(&kurrent, "order-1", 5);
    let id = stream("order-1");
    let one = open(Adapter::new(&kurrent), 1).await;
    let found = cells(&one, &id).await;
    let mut tail = Tail::default();
    for (n, cell) in (0..).zip(&found) {
        let data = CellKind::Data {
            origin: None,
            cursor: None,
        };
        assert_eq!(cell.header, tail.next_header(cell.header.commit, 1, data));
        let event = &cell.events[0].event;
        assert_eq!(event.payload, format!("{{\"of\":\"n{n}\"}}"));
        tail = Tail::after(cell.header.clone());
    }
    assert_eq!(one.tail(&id).await.unwrap().last, tail.last);
    assert_eq!(tail.next_revision(), Revision(5));
    // another process, which begins in the middle and knows nothing
    let other = open(Adapter::new(&kurrent), 2).await;
    let limit = PageLimit::default();
    let page = other.read(&id, ReadFrom::Seq(3), limit).await.unwrap();
    assert_eq!(page.cells, found[3..]);
    assert_eq!(cells(&other, &id).await, found);
}

#[tokio::test]
async fn applications_and_esm_append_in_turn() {
    let kurrent = Kurrent::rolled_out();
    let environment = environment(3);
    let id = stream("order-1");
    let adapter = Adapter::new(&kurrent).with(|p| p.with_fence(true));
    let store = open(adapter.clone(), 1).await;
    write(&kurrent, "order-1", 2);
    let batch = vec![
        event("b0", "Batch"),
        event("b1", "Batch"),
        event("b2", "Batch"),
    ];
    let tail = append(&*store, &environment, &id, batch).await;
    assert_eq!((tail.next_seq(), tail.next_revision()), (3, Revision(5)));
    let fence = esm_core::store::Fence {
        target: stream("t"),
        migration: environment.migration_id(),
    };
    let fenced = store
        .fence(&id, &tail, environment.commit_id(), fence)
        .await;
    let fenced = fenced.unwrap();
    assert_eq!(
        (fenced.next_seq(), fenced.next_revision()),
        (4, Revision(5))
    );
    // the native writer sees six entries, esm five events
    let revision = Expected::Revision(5);
    kurrent.append(NEW, "order-1", revision, native(1)).unwrap();
    let other = open(adapter, 2).await;
    for store in [&store, &other] {
        let tail = store.tail(&id).await.unwrap();
        assert_eq!((tail.next_seq(), tail.next_revision()), (5, Revision(6)));
        assert_eq!(tail.last_control(), Some(3));
        let seqs: Vec<_> = cells(store, &id)
            .await
            .iter()
            .map(|c| c.header.count)
            .collect();
        assert_eq!(seqs, [1, 1, 3, 0, 1]);
    }
    // what esm has seen is old now
    let late =
        esm_core::store::Append::events(environment.commit_id(), vec![event("x", "X").into()]);
    let refused = store.append(&id, &fenced, late).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Conflict { actual: Some(6) });
}

/// Requests are what a store costs.
#[tokio::test]
async fn a_long_stream_is_read_in_long_slices_and_its_tail_is_found_once() {
    let kurrent = Kurrent::rolled_out();
    write(&kurrent, "order-1", 10_000);
    let id = stream("order-1");
    let log = OperationLog::new();
    let adapter = Arc::new(Adapter::new(&kurrent));
    let recorded = RecordedNativeStore::new(adapter, Recorder::new("app", log.clone()));
    let store = open(recorded, 1).await;
    let count = || log.counts()["native_store"].reads;

    let before = count();
    let tail = store.tail(&id).await.unwrap();
    assert_eq!(tail.next_revision(), Revision(10_000));
    // the last entry, all others once to see that none has a mark, and the one before the last
    assert_eq!(count() - before, 1 + 20 + 1);

    let before = count();
    assert_eq!(store.tail(&id).await.unwrap(), tail);
    assert_eq!(count() - before, 1);

    // more came meanwhile: only they are read
    write(&kurrent, "order-1", 100);
    let before = count();
    let tail = store.tail(&id).await.unwrap();
    assert_eq!(tail.next_revision(), Revision(10_100));
    assert_eq!(count() - before, 3);

    let before = count();
    let mut next = 0;
    loop {
        let limit = PageLimit {
            cells: 8,
            bytes: 1 << 20,
        };
        let page = store.read(&id, ReadFrom::Seq(next), limit).await.unwrap();
        next += page.cells.len() as u64;
        if page.cells.is_empty() || page.at_end {
            break;
        }
    }
    assert_eq!(next, 10_100);
    assert!(
        count() - before <= 21,
        "a page of 8 cells is no request of its own"
    );

    // a place in the middle is computed, not searched
    let before = count();
    let one = PageLimit { cells: 1, bytes: 0 };
    let middle = store
        .read(&id, ReadFrom::Revision(Revision(5_000)), one)
        .await;
    assert_eq!(middle.unwrap().cells[0].header.seq, 5_000);
    assert_eq!(count() - before, 2);
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_and_not_guessed() {
    let kurrent = Kurrent::rolled_out();
    let environment = environment(3);
    let store = open(Adapter::new(&kurrent), 1).await;
    let batch = || vec![event("a", "A"), event("b", "B")];
    for (name, copy) in [("copied", 0..1), ("torn", 1..2)] {
        append(&*store, &environment, &stream("from"), batch()).await;
        // somebody copies entries with their marks behind an event of their own
        let entries = kurrent.read("from", 0, 2);
        let copied = entries[copy].iter().map(|e| e.event.clone());
        let all = native(1).into_iter().chain(copied).collect();
        kurrent.append(NEW, name, Expected::Any, all).unwrap();
        for store in [&store, &open(Adapter::new(&kurrent), 2).await] {
            let id = stream(name);
            let tail = store.tail(&id).await;
            let read = store.read(&id, ReadFrom::Seq(0), PageLimit::default());
            let read = read.await.unwrap_err();
            assert_eq!(*read.kind(), ErrorKind::Corrupt, "{name}: {read}");
            assert!(read.to_string().contains(name), "{read}");
            if let Err(e) = tail {
                assert_eq!(*e.kind(), ErrorKind::Corrupt, "{name}: {e}");
            }
        }
        kurrent.delete("from");
    }
}

#[tokio::test]
async fn an_object_is_adopted_once() {
    let kurrent = Kurrent::rolled_out();
    write(&kurrent, "order-1", 2);
    let world = MemoryWorld::new(environment(1));
    let environment = environment(2);
    let store: Arc<ForeignEventStore> = open(Adapter::new(&kurrent), 1).await;
    let object: ObjectId = "order/1".parse().unwrap();
    let adopt = |name| {
        let (store, object) = (store.clone(), object.clone());
        let (records, environment) = (world.records(), environment.clone());
        async move { adopt(records, &*store, object, stream(name), &environment).await }
    };
    let missing = adopt("order-2").await.unwrap_err();
    assert_eq!(*missing.kind(), ErrorKind::NotFound);
    let adopted = adopt("order-1").await.unwrap();
    assert_eq!(adopted.active.stream, stream("order-1"));
    assert_eq!(adopt("order-1").await.unwrap(), adopted);
    write(&kurrent, "order-2", 1);
    let other = adopt("order-2").await.unwrap_err();
    assert_eq!(*other.kind(), ErrorKind::AlreadyExists);
}
