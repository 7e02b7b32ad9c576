//! Closes and Fences.

use esm_core::ErrorKind;
use esm_core::event::Revision;
use esm_core::store::{CellKind, Close, EventStore, Tail};

use super::refused::{ensure_closed, ensure_conflict};
use crate::conformance::fixtures::{append, close, commit, fence, present, read_all, stream};
use crate::conformance::verdict::{ensure, ensure_eq, ensure_err};
use crate::conformance::{EventStoreHarness, Verdict};

/// Without the capability a Fence is refused, and nothing is written.
async fn ensure_unsupported(store: &dyn EventStore) -> Verdict {
    let (id, none) = (stream()?, Tail::default());
    let answer = store.fence(&id, &none, commit(), fence()?).await;
    ensure_err!(
        answer,
        ErrorKind::Unsupported,
        "a Fence without the capability"
    );
    let cells = read_all(store, &id).await?.len();
    ensure_eq!(cells, 0, "cells after a refused Fence");
    Ok(())
}

/// Guarantee 5: at the tail with the Close, at the one before, and at an older one every write
/// fails with `Closed`, not `Conflict`, and returns that Close.
pub async fn nothing_follows_a_close(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, other, id) = (harness.open().await, harness.open().await, stream()?);
    let old = store.append(&id, &Tail::default(), append(0..2)?).await?;
    let before = store.append(&id, &old, append(2..3)?).await?;
    let by = close(&*store, Revision(3))?;
    let closed = store.close(&id, &before, commit(), by.clone()).await?;
    ensure_eq!(closed.close(), Some(&by), "Close of the tail");
    for tail in [&closed, &before, &old, &Tail::default()] {
        for handle in [&store, &other] {
            let answer = handle.append(&id, tail, append(9..10)?).await;
            ensure_closed(answer, &by, "an append")?;
            if handle.capabilities().fence {
                let answer = handle.fence(&id, tail, commit(), fence()?).await;
                ensure_closed(answer, &by, "a Fence")?;
            }
            let another = close(&**handle, tail.next_revision())?;
            let answer = handle.close(&id, tail, commit(), another).await;
            ensure_closed(answer, &by, "another Close")?;
        }
    }
    ensure_eq!(other.tail(&id).await?, closed, "tail of the closed stream");
    ensure_eq!(read_all(&*other, &id).await?.len(), 3, "number of cells");
    Ok(())
}

/// Idempotence of `append`, even after a Close: a writer whose response was lost learns that its
/// write is stored ([R10](esm_core::protocol#r10)), and does not repeat it in the target.
pub async fn what_stands_before_a_close_succeeds_again(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, other, id) = (harness.open().await, harness.open().await, stream()?);
    let before = store.append(&id, &Tail::default(), append(0..2)?).await?;
    let again = append(2..3)?;
    let tail = store.append(&id, &before, again.clone()).await?;
    let by = close(&*store, Revision(3))?;
    let closed = other.close(&id, &tail, commit(), by).await?;
    for handle in [&store, &other, &harness.open().await] {
        let repeated = handle.append(&id, &before, again.clone()).await?;
        ensure_eq!(repeated.last, tail.last, "tail of a repeated append");
    }
    ensure_eq!(store.tail(&id).await?, closed, "tail of the closed stream");
    ensure_eq!(read_all(&*other, &id).await?.len(), 3, "number of cells");
    Ok(())
}

/// Idempotence of `close`.
pub async fn the_same_close_succeeds_again(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, other, id) = (harness.open().await, harness.open().await, stream()?);
    let before = store.append(&id, &Tail::default(), append(0..1)?).await?;
    let (own, by) = (commit(), close(&*store, Revision(1))?);
    let closed = store.close(&id, &before, own, by.clone()).await?;
    let again = other.close(&id, &before, own, by).await?;
    ensure_eq!(again.last, closed.last, "tail of a repeated Close");
    Ok(())
}

/// Guarantee 4: a Close is no exception ([R4](esm_core::protocol#r4), and X1 of the protocol's negative twins).
pub async fn a_close_at_an_old_tail_conflicts(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, other, id) = (harness.open().await, harness.open().await, stream()?);
    let old = store.append(&id, &Tail::default(), append(0..1)?).await?;
    let tail = other.append(&id, &old, append(1..3)?).await?;
    let answer = store
        .close(&id, &old, commit(), close(&*store, Revision(1))?)
        .await;
    ensure_conflict(&answer, Revision(3), "a Close at an old tail")?;
    ensure_eq!(store.tail(&id).await?, tail, "tail after the conflict");
    Ok(())
}

/// `Invalid` when N is not the tail's number of events.
pub async fn a_close_counts_its_events(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    let tail = store.append(&id, &Tail::default(), append(0..3)?).await?;
    for wrong in [0, 2, 4] {
        let by = close(&*store, Revision(wrong))?;
        let answer = store.close(&id, &tail, commit(), by).await;
        ensure_err!(
            answer,
            ErrorKind::Invalid,
            "a Close that counts {wrong} of 3"
        );
    }
    ensure_eq!(store.tail(&id).await?, tail, "tail after refused Closes");
    Ok(())
}

/// A stream without cells is closed by its first.
pub async fn an_empty_stream_can_be_closed(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    let by = close(&*store, Revision(0))?;
    let empty = Tail::default();
    let closed = store.close(&id, &empty, commit(), by.clone()).await?;
    ensure_eq!(closed.next_seq(), 1, "number of cells");
    ensure_closed(
        store.append(&id, &empty, append(0..1)?).await,
        &by,
        "an append",
    )
}

/// Guarantee 1, of Closes of every form.
pub async fn a_close_is_kept_as_written(harness: &dyn EventStoreHarness) -> Verdict {
    let store = harness.open().await;
    let usual = close(&*store, Revision(0))?;
    let forms = [
        usual.clone(),
        Close {
            target: None,
            ..usual.clone()
        },
        Close {
            continues: false,
            target_events: Revision(u64::MAX >> 12),
            ..usual
        },
    ];
    for (number, by) in forms.into_iter().enumerate() {
        let id = format!("closed-{number}").as_str().try_into()?;
        store
            .close(&id, &Tail::default(), commit(), by.clone())
            .await?;
        let seen = harness.open().await.tail(&id).await?;
        ensure_eq!(seen.close(), Some(&by), "Close in the tail");
        let cells = read_all(&*store, &id).await?;
        let last = present(cells.last(), "the Close's cell")?;
        ensure_eq!(last.header.kind, CellKind::Close(by), "Close in its cell");
        ensure!(last.events.is_empty(), "a Close has events");
    }
    Ok(())
}

/// [R17](esm_core::protocol#r17): writers ignore a Fence, which is no event and is kept as written.
pub async fn a_fence_is_stepped_over(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    if !store.capabilities().fence {
        return ensure_unsupported(&*store).await;
    }
    let (first, second) = (fence()?, fence()?);
    let tail = store
        .fence(&id, &Tail::default(), commit(), first.clone())
        .await?;
    ensure_eq!(tail.next_revision(), Revision(0), "events after a Fence");
    let tail = store.append(&id, &tail, append(0..2)?).await?;
    let tail = store.fence(&id, &tail, commit(), second.clone()).await?;
    let tail = store.append(&id, &tail, append(2..3)?).await?;
    ensure_eq!(tail.next_revision(), Revision(3), "events around Fences");
    let cells = read_all(&*store, &id).await?;
    ensure_eq!(cells[0].header.kind, CellKind::Fence(first), "first Fence");
    ensure_eq!(
        cells[2].header.kind,
        CellKind::Fence(second),
        "second Fence"
    );
    ensure_eq!(tail.last_control(), Some(2), "last control cell");
    Ok(())
}

/// Guarantee 4: a Fence is no exception, and is idempotent as an append is.
pub async fn a_fence_at_an_old_tail_conflicts(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, other, id) = (harness.open().await, harness.open().await, stream()?);
    if !store.capabilities().fence {
        return ensure_unsupported(&*store).await;
    }
    let old = store.append(&id, &Tail::default(), append(0..1)?).await?;
    other.append(&id, &old, append(1..3)?).await?;
    let answer = store.fence(&id, &old, commit(), fence()?).await;
    ensure_conflict(&answer, Revision(3), "a Fence at an old tail")?;
    let (tail, own, by) = (store.tail(&id).await?, commit(), fence()?);
    let fenced = store.fence(&id, &tail, own, by.clone()).await?;
    let again = other.fence(&id, &tail, own, by).await?;
    ensure_eq!(again.last, fenced.last, "tail of a repeated Fence");
    Ok(())
}

/// [R17](esm_core::protocol#r17): a Fence that comes between the verification of a tail and its Close makes the Close fail.
pub async fn a_fence_between_verification_and_close(harness: &dyn EventStoreHarness) -> Verdict {
    let (migrator, aborter, id) = (harness.open().await, harness.open().await, stream()?);
    if !aborter.capabilities().fence {
        return ensure_unsupported(&*aborter).await;
    }
    migrator
        .append(&id, &Tail::default(), append(0..5)?)
        .await?;
    let verified = migrator.tail(&id).await?;
    let fenced = aborter
        .fence(&id, &aborter.tail(&id).await?, commit(), fence()?)
        .await?;
    let by = close(&*migrator, verified.next_revision())?;
    let answer = migrator.close(&id, &verified, commit(), by).await;
    let what = "a Close over a Fence that it has not seen";
    ensure_conflict(&answer, Revision(5), what)?;
    ensure_eq!(migrator.tail(&id).await?, fenced, "tail after both");
    Ok(())
}
