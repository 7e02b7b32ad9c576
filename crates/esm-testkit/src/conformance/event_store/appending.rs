//! Appends and tails.

use bytes::Bytes;
use esm_core::ErrorKind;
use esm_core::event::Revision;
use esm_core::id::StreamId;
use esm_core::store::{Append, PageLimit, ReadFrom, Tail};

use super::refused::ensure_conflict;
use crate::conformance::fixtures::{
    append, commit, event, events, mixed_stream, present, read_all, stream,
};
use crate::conformance::verdict::{ensure, ensure_eq, ensure_err};
use crate::conformance::{EventStoreHarness, Verdict};

/// A stream without cells has an empty tail and nothing to read.
pub async fn a_missing_stream_is_empty(harness: &dyn EventStoreHarness) -> Verdict {
    let store = harness.open().await;
    let tail = store.tail(&stream()?).await?;
    ensure!(
        tail.is_empty(),
        "the tail of a missing stream is not empty: {tail:?}"
    );
    ensure_eq!(
        read_all(&*store, &stream()?).await?,
        [],
        "cells of a missing stream"
    );
    Ok(())
}

/// The returned tail is the header of the new cell, and `tail` returns it (guarantees 2, 3, 6).
pub async fn an_append_gives_the_next_tail(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    let first = append(0..3)?;
    let (one, kind) = (first.commit, first.kind());
    let tail = store.append(&id, &Tail::default(), first).await?;
    let expected = Tail::default().next_header(one, 3, kind);
    ensure_eq!(tail.last, Some(expected), "tail after the first append");
    let second = append(3..4)?;
    let expected = tail.next_header(second.commit, 1, second.kind());
    let tail = store.append(&id, &tail, second).await?;
    ensure_eq!(tail.last, Some(expected), "tail after the second append");
    ensure_eq!(tail.next_revision(), Revision(4), "number of events");
    ensure_eq!(store.tail(&id).await?, tail, "observed tail");
    Ok(())
}

/// Guarantee 4: the append fails with `Conflict` and the actual number of events, if it names one,
/// and nothing is written.
pub async fn an_append_at_an_old_tail_conflicts(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, other, id) = (harness.open().await, harness.open().await, stream()?);
    let old = store.append(&id, &Tail::default(), append(0..2)?).await?;
    let tail = store.append(&id, &old, append(2..5)?).await?;
    for late in [&old, &Tail::default()] {
        for handle in [&store, &other] {
            let answer = handle.append(&id, late, append(9..10)?).await;
            ensure_conflict(&answer, Revision(5), "an append at an old tail")?;
        }
    }
    ensure_eq!(store.tail(&id).await?, tail, "tail after conflicts");
    Ok(())
}

/// Idempotence of `append`: the same commit at the same tail succeeds again, once written, even
/// when other cells came after it.
pub async fn the_same_append_succeeds_again(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, other, id) = (harness.open().await, harness.open().await, stream()?);
    let before = store.append(&id, &Tail::default(), append(0..2)?).await?;
    let again = append(2..4)?;
    let tail = store.append(&id, &before, again.clone()).await?;
    for handle in [&store, &other] {
        let repeated = handle.append(&id, &before, again.clone()).await?;
        ensure_eq!(repeated.last, tail.last, "tail of a repeated append");
    }
    store.append(&id, &tail, append(4..5)?).await?;
    let repeated = other.append(&id, &before, again).await?;
    ensure_eq!(repeated.last, tail.last, "tail of an append repeated late");
    ensure_eq!(read_all(&*store, &id).await?.len(), 3, "number of cells");
    Ok(())
}

/// `Invalid` for a cell with neither events nor a cursor; nothing is written.
pub async fn an_empty_append_is_refused(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    let empty = Append::events(commit(), Vec::new());
    let answer = store.append(&id, &Tail::default(), empty).await;
    ensure_err!(answer, ErrorKind::Invalid, "an append of nothing");
    ensure!(
        store.tail(&id).await?.is_empty(),
        "a refused append was written"
    );
    Ok(())
}

/// `TooLarge` over the limits; nothing is written.
pub async fn what_is_too_large_is_refused(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    let limits = store.limits();
    let size = usize::try_from(limits.max_event_bytes + 1).unwrap_or(usize::MAX);
    let mut large = event(0)?;
    large.payload = Bytes::from(vec![b'x'; size]);
    let answer = store
        .append(
            &id,
            &Tail::default(),
            Append::events(commit(), vec![large.into()]),
        )
        .await;
    ensure_err!(answer, ErrorKind::TooLarge, "an event over the limit");
    let many = append(0..limits.max_cell_events + 1)?;
    let answer = store.append(&id, &Tail::default(), many).await;
    ensure_err!(
        answer,
        ErrorKind::TooLarge,
        "more events than a cell may have"
    );
    ensure!(
        store.tail(&id).await?.is_empty(),
        "a refused append was written"
    );
    let most = append(0..limits.max_cell_events)?;
    let tail = store.append(&id, &Tail::default(), most).await?;
    ensure_eq!(
        tail.next_revision().0,
        limits.max_cell_events,
        "events of the fullest cell"
    );
    Ok(())
}

/// Guarantee 2, and the chain of control cells that a resumed scan follows ([R4](esm_core::protocol#r4)): every header is
/// what `Tail::next_header` returns for the cell before it.
pub async fn cells_are_chained(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    mixed_stream(&*store, &id).await?;
    let mut tail = Tail::default();
    for cell in read_all(&*store, &id).await? {
        let header = cell.header;
        let expected =
            tail.next_header(header.commit, cell.events.len() as u64, header.kind.clone());
        ensure_eq!(header, expected, "header of a cell");
        tail = Tail::after(header);
    }
    let fenced = store.capabilities().fence;
    ensure_eq!(
        tail.last_control(),
        fenced.then_some(4),
        "last control cell"
    );
    ensure_eq!(tail.next_seq(), 6, "number of cells");
    Ok(())
}

/// Guarantee 6: no handle sees an old end, whichever handle wrote last.
pub async fn a_tail_is_exact_for_everybody(harness: &dyn EventStoreHarness) -> Verdict {
    let (one, two, id) = (harness.open().await, harness.open().await, stream()?);
    for number in 0..40 {
        let (writer, reader) = match number % 3 {
            0 => (&two, &one),
            _ => (&one, &two),
        };
        let seen = writer.tail(&id).await?;
        let written = writer
            .append(&id, &seen, append(number..number + 1)?)
            .await?;
        ensure_eq!(reader.tail(&id).await?, written, "tail seen by another");
        ensure_eq!(writer.tail(&id).await?, written, "tail seen by its writer");
    }
    Ok(())
}

/// Guarantee 6, for a process that has not read the stream before, and whatever cell a Close names.
pub async fn a_fresh_handle_finds_a_far_tail(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    let mut tail = Tail::default();
    for number in 0..150_u64 {
        tail = store
            .append(&id, &tail, append(number..number + 1)?)
            .await?;
        if [0, 1, 2, 7, 63, 64, 65, 127, 128].contains(&number) {
            let seen = harness.open().await.tail(&id).await?;
            ensure_eq!(seen, tail, "tail seen by a fresh handle after {number}");
        }
    }
    ensure_eq!(
        harness.open().await.tail(&id).await?,
        tail,
        "tail seen by a fresh handle"
    );
    // where to begin to look is a hint
    for named in [0, 80, tail.next_seq() - 1, tail.next_seq(), 400, u64::MAX] {
        let store = harness.open().await;
        store.expect_cell(&id, named);
        ensure_eq!(
            store.tail(&id).await?,
            tail,
            "tail where cell {named} was named"
        );
        store.expect_cell(&id, named);
        let cells = read_all(&*store, &id).await?.len() as u64;
        ensure_eq!(cells, tail.next_seq(), "cells where cell {named} was named");
    }
    Ok(())
}

/// Guarantee 3.
pub async fn writes_outlive_their_handle(harness: &dyn EventStoreHarness) -> Verdict {
    let id = stream()?;
    let tail = mixed_stream(&*harness.open().await, &id).await?;
    let store = harness.open().await;
    ensure_eq!(store.tail(&id).await?, tail, "tail");
    let cells = read_all(&*store, &id).await?;
    let last = present(cells.last(), "the last cell")?;
    ensure_eq!(Some(&last.header), tail.last.as_ref(), "last cell");
    ensure_eq!(last.events[1].event, event(5)?, "last event");
    store.append(&id, &tail, append(6..7)?).await?;
    Ok(())
}

/// A write to one stream changes no other, however alike their names are.
pub async fn streams_do_not_disturb_each_other(harness: &dyn EventStoreHarness) -> Verdict {
    let store = harness.open().await;
    let (a, b) = (StreamId::new("stream")?, StreamId::new("stream.1")?);
    let tail_a = store.append(&a, &Tail::default(), append(0..1)?).await?;
    let tail_b = store.append(&b, &Tail::default(), append(5..8)?).await?;
    for (id, tail, own) in [(&a, tail_a, events(0..1)?), (&b, tail_b, events(5..8)?)] {
        ensure_eq!(store.tail(id).await?, tail, "tail of {id}");
        let cells = read_all(&*store, id).await?;
        let found: Vec<_> = cells.into_iter().flat_map(|cell| cell.events).collect();
        ensure_eq!(found, own, "events of {id}");
        let beyond = store.read(id, ReadFrom::Seq(1), PageLimit::default());
        ensure_eq!(beyond.await?.cells, [], "cells beyond the end of {id}");
    }
    Ok(())
}

/// The identity is the storage's, not the handle's.
pub async fn all_handles_are_the_same_store(harness: &dyn EventStoreHarness) -> Verdict {
    let (one, two) = (harness.open().await, harness.open().await);
    ensure_eq!(one.id(), two.id(), "store id");
    ensure_eq!(one.aliases(), two.aliases(), "earlier ids of the store");
    // or a store is taken for a copy of itself
    ensure_eq!(one.place(), two.place(), "place of the store");
    ensure_eq!(one.limits(), two.limits(), "limits");
    ensure_eq!(one.capabilities(), two.capabilities(), "capabilities");
    Ok(())
}
