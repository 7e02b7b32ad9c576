//! Bytes and names.

use std::collections::BTreeMap;

use bytes::Bytes;
use esm_core::event::{Event, Revision, Schema, SchemaVersion};
use esm_core::id::{EventType, StreamId, StreamRef};
use esm_core::store::{Append, CellEvent, Origin, Restores, Tail};

use crate::conformance::fixtures::{
    append, commit, event, migration, odd_events, odd_names, read_all, stream,
};
use crate::conformance::verdict::{ensure, ensure_eq};
use crate::conformance::{EventStoreHarness, Verdict};

/// Guarantee 1: every field of an event is preserved to the byte.
pub async fn bytes_survive(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id, wanted) = (harness.open().await, stream()?, odd_events()?);
    let cells = wanted.iter().cloned().map(CellEvent::from).collect();
    let tail = store
        .append(&id, &Tail::default(), Append::events(commit(), cells))
        .await?;
    let mut large = event(0)?;
    large.payload = (0..1_u32 << 18)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    large.content_type = Some("application/octet-stream".to_owned());
    let alone = Append::events(commit(), vec![large.clone().into()]);
    store.append(&id, &tail, alone).await?;
    let found: Vec<Event> = read_all(&*harness.open().await, &id)
        .await?
        .into_iter()
        .flat_map(|cell| cell.events)
        .map(|event| event.event)
        .collect();
    ensure_eq!(found.len(), wanted.len() + 1, "number of events");
    for (found, wanted) in found.iter().zip(&wanted) {
        ensure_eq!(found, wanted, "event");
    }
    ensure!(
        found.last() == Some(&large),
        "a binary event of 1 MiB has changed"
    );
    Ok(())
}

/// Guarantee 1, of the fields that a copier writes beside the events ([R1](esm_core::protocol#r1), [R2](esm_core::protocol#r2), [R15](esm_core::protocol#r15)).
pub async fn what_a_copier_writes_survives(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    let retired = |name: &str, version| -> esm_core::Result<Schema> {
        Ok(Schema {
            event_type: EventType::new(name)?,
            version: SchemaVersion(version),
        })
    };
    let first = Append {
        commit: commit(),
        origin: Some(Origin {
            source: StreamRef::new(store.id(), StreamId::new("söurce / 1")?),
            migration: migration(),
            attempt: 3,
            fingerprint: "jq:\"0123\" é".try_into()?,
            retired: [retired("Old", 1)?, retired("Old", 2)?].into(),
            accepted: Default::default(),
            restores: Some(Box::new(Restores {
                migration: migration(),
                originals: StreamRef::new(store.id(), StreamId::new("söurce / 0")?),
                events: Revision(u64::MAX),
                source_from: Revision(7),
                down: "jq:\"down\" é".try_into()?,
            })),
        }),
        cursor: Some(Revision(0)),
        events: Vec::new(),
    };
    let copied = |number, source| -> esm_core::Result<CellEvent> {
        Ok(CellEvent {
            event: event(number)?,
            source_revision: Some(Revision(source)),
        })
    };
    let split = Append {
        commit: commit(),
        origin: None,
        cursor: Some(Revision(8)),
        events: vec![copied(0, 3)?, copied(1, 3)?, copied(2, 7)?],
    };
    let tail = store.append(&id, &Tail::default(), first.clone()).await?;
    let tail = store.append(&id, &tail, split.clone()).await?;
    store.append(&id, &tail, append(3..4)?).await?;
    let cells = read_all(&*harness.open().await, &id).await?;
    ensure_eq!(cells[0].header.kind, first.kind(), "first cell of a target");
    ensure_eq!(cells[1].header.cursor(), Some(Revision(8)), "cursor");
    ensure_eq!(cells[1].events, split.events, "copied events");
    ensure_eq!(
        cells[2].header.cursor(),
        None,
        "cursor of an application's cell"
    );
    ensure_eq!(
        cells[2].events[0].source_revision,
        None,
        "source of an application's event"
    );
    Ok(())
}

/// Every valid name works, and no two names are one stream.
pub async fn odd_names_do_not_collide(harness: &dyn EventStoreHarness) -> Verdict {
    let store = harness.open().await;
    let mut written = BTreeMap::new();
    for (number, name) in (0..).zip(odd_names()) {
        let id = StreamId::new(&name)?;
        let seen = store.tail(&id).await?;
        ensure!(
            seen.is_empty(),
            "a fresh stream has the cells of another: {name:?}"
        );
        let mut named = event(number)?;
        named.payload = Bytes::from(name.clone());
        let append = Append::events(commit(), vec![named.into()]);
        written.insert(
            id.clone(),
            store.append(&id, &Tail::default(), append).await?,
        );
    }
    let other = harness.open().await;
    for (id, tail) in written {
        ensure_eq!(other.tail(&id).await?, tail, "tail of {id:?}");
        let cells = read_all(&*other, &id).await?;
        let payload = &cells[0].events[0].event.payload;
        ensure_eq!(&payload[..], id.as_str().as_bytes(), "payload in {id:?}");
    }
    Ok(())
}
