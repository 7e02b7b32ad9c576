//! Entries as they stand in a native store: format 1, which stays readable.

use esm_core::event::{Event, Revision, Schema};
use esm_core::id::{CommitId, MigrationId, StreamRef};
use esm_core::store::{
    Append, CellEvent, CellKind, Close, EventStore, Fence, Origin, PageLimit, ReadFrom, Tail,
};
use uuid::Uuid;

use super::fixture::{event, open, stream};
use super::kurrent::{Adapter, EventData, Expected, Kurrent, NEW};

fn commit(n: u128) -> CommitId {
    CommitId::from_uuid(Uuid::from_u128(n))
}

fn migration() -> MigrationId {
    MigrationId::from_uuid(Uuid::from_u128(77))
}

fn elsewhere(name: &str) -> StreamRef {
    let store = esm_core::id::StoreId::from_uuid(Uuid::from_u128(5));
    StreamRef::new(store, stream(name))
}

fn copied(event: Event, source: u64) -> CellEvent {
    CellEvent {
        event,
        source_revision: Some(Revision(source)),
    }
}

/// A stream with a cell of each kind.
async fn write(kurrent: &Kurrent) {
    let adapter = Adapter::new(kurrent).with(|p| p.with_fence(true));
    let (store, id) = (open(adapter, 1).await, stream("s"));
    let origin = Append {
        commit: commit(1),
        origin: Some(Origin {
            source: elsewhere("söurce"),
            migration: migration(),
            attempt: 0,
            fingerprint: "jq:1".try_into().unwrap(),
            retired: [Schema::new("Placed", 1).unwrap()].into(),
            accepted: [].into(),
            restores: None,
        }),
        cursor: Some(Revision(3)),
        events: vec![copied(event("a", "A"), 0), copied(event("b", "B"), 2)],
    };
    let eventless = Append {
        cursor: Some(Revision(5)),
        ..Append::events(commit(2), Vec::new())
    };
    let fence = Fence {
        target: stream("t"),
        migration: migration(),
    };
    let close = Close {
        target: Some(elsewhere("next")),
        events: Revision(2),
        target_events: Revision(4),
        migration: migration(),
        continues: true,
        target_last: None,
    };
    let tail = store.append(&id, &Tail::default(), origin).await.unwrap();
    let tail = store.append(&id, &tail, eventless).await.unwrap();
    let tail = store.fence(&id, &tail, commit(3), fence).await.unwrap();
    store.close(&id, &tail, commit(4), close).await.unwrap();
}

#[tokio::test]
async fn entries_of_format_1_are_as_they_were() {
    let kurrent = Kurrent::rolled_out();
    write(&kurrent).await;
    let shown = kurrent.read("s", 0, 99).into_iter().map(|resolved| {
        let EventData {
            event_type,
            data,
            metadata,
            ..
        } = resolved.event;
        let data = String::from_utf8_lossy(&data).into_owned();
        format!("{} {event_type} {data}\n  {metadata}", resolved.revision)
    });
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"));
}

/// What the snapshot holds is read: an old store does not know what today's code writes.
#[tokio::test]
async fn entries_of_format_1_stay_readable() {
    let snapshot =
        include_str!("snapshots/foreign__formats__entries_of_format_1_are_as_they_were.snap");
    let entries = snapshot.rsplit("---\n").next().unwrap();
    let lines: Vec<_> = entries.lines().collect();
    let kurrent = Kurrent::rolled_out();
    for (n, entry) in (0_u128..).zip(lines.chunks(2)) {
        let mut first = entry[0].splitn(3, ' ').skip(1);
        let data = EventData {
            id: Uuid::from_u128(n),
            event_type: first.next().unwrap().to_owned(),
            data: first.next().unwrap().to_owned().into(),
            metadata: entry[1].trim().to_owned(),
        };
        kurrent.append(NEW, "s", Expected::Any, vec![data]).unwrap();
    }
    let store = open(Adapter::new(&kurrent), 2).await;
    let id = stream("s");
    let page = store.read(&id, ReadFrom::Seq(0), PageLimit::default());
    let cells = page.await.unwrap().cells;
    let kinds: Vec<_> = cells.iter().map(|cell| &cell.header.kind).collect();
    assert!(
        matches!(
            kinds[..],
            [
                CellKind::Data {
                    origin: Some(_),
                    cursor: Some(Revision(3))
                },
                CellKind::Data {
                    origin: None,
                    cursor: Some(Revision(5))
                },
                CellKind::Fence(_),
                CellKind::Close(_)
            ]
        ),
        "{kinds:?}"
    );
    assert_eq!(cells[0].events[1], copied(event("b", "B"), 2));
    assert_eq!(cells[3].header.previous, Some(commit(3)));
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let kurrent = Kurrent::rolled_out();
    write(&kurrent).await;
    let mut newer = kurrent.read("s", 0, 1).remove(0).event;
    newer.metadata = newer.metadata.replace("\\\"esm\\\":1", "\\\"esm\\\":2");
    kurrent
        .append(NEW, "newer", Expected::Any, vec![newer])
        .unwrap();
    let store = open(Adapter::new(&kurrent), 2).await;
    let refused = store.tail(&stream("newer")).await.unwrap_err();
    assert_eq!(
        *refused.kind(),
        esm_core::ErrorKind::Unsupported,
        "{refused}"
    );
    assert!(refused.to_string().contains("newer format"));
}
