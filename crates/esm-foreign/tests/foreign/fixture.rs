//! What the tests share.

use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::StreamId;
use esm_core::store::{Append, CellEvent, EventStore, EventStoreExt as _, PageLimit, ReadFrom};
use esm_core::store::{Cell, Tail};
use esm_foreign::{ForeignEventStore, NativeStore};
use esm_testkit::{Rule, Rules, environment};
use futures::TryStreamExt as _;

pub(crate) fn event(id: &str, event_type: &str) -> Event {
    Event {
        payload: format!("{{\"of\":\"{id}\"}}").into(),
        ..esm_testkit::event(id, event_type)
    }
}

/// `Old` gets the next schema version, `Noise` is dropped, `Split` becomes two, `Bad` fails.
pub(crate) fn rules() -> Rules {
    Rules::new([
        ("Old", Rule::Change),
        ("Noise", Rule::Drop),
        ("Split", Rule::Split(2)),
        ("Bad", Rule::Fail),
    ])
}

pub(crate) async fn open(native: impl NativeStore, seed: u64) -> Arc<ForeignEventStore> {
    let opened = ForeignEventStore::open(Arc::new(native), &environment(seed)).await;
    Arc::new(opened.unwrap())
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

pub(crate) async fn cells(store: &Arc<ForeignEventStore>, stream: &StreamId) -> Vec<Cell> {
    let store: Arc<dyn EventStore> = store.clone();
    let cells = store.cells(stream.clone(), ReadFrom::Seq(0), PageLimit::default());
    cells.try_collect().await.unwrap()
}

/// Appends a cell of these events at the tail.
pub(crate) async fn append(
    store: &dyn EventStore,
    environment: &Environment,
    stream: &StreamId,
    events: Vec<Event>,
) -> Tail {
    let events = events.into_iter().map(CellEvent::from).collect();
    let append = Append::events(environment.commit_id(), events);
    let tail = store.tail(stream).await.unwrap();
    store.append(stream, &tail, append).await.unwrap()
}
