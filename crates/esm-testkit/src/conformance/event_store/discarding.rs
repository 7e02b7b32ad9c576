//! Removing streams.

use esm_core::ErrorKind;
use esm_core::id::StreamId;
use esm_core::store::{EventStore, Tail};

use crate::conformance::fixtures::{append, mixed_stream, read_all};
use crate::conformance::verdict::{ensure, ensure_eq, ensure_err};
use crate::conformance::{EventStoreHarness, Verdict};

/// With the capability the stream is removed and no other is. A missing stream is no error, and
/// neither is a second call. Without the capability the call fails with `Unsupported` and nothing
/// changes.
pub async fn discarding_as_the_capability_says(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, other) = (harness.open().await, harness.open().await);
    let (id, kept) = (StreamId::new("target")?, StreamId::new("target.1")?);
    mixed_stream(&*store, &id).await?;
    mixed_stream(&*store, &kept).await?;
    if !store.capabilities().discard {
        return refused(&*store, &id).await;
    }
    store.discard(&id).await?;
    for handle in [&store, &other, &harness.open().await] {
        ensure!(
            handle.tail(&id).await?.is_empty(),
            "a discarded stream has a tail"
        );
        ensure_eq!(
            read_all(&**handle, &id).await?,
            [],
            "cells of a discarded stream"
        );
    }
    other.discard(&id).await?;
    other.discard(&StreamId::new("never-there")?).await?;
    ensure_eq!(
        read_all(&*other, &kept).await?.len(),
        6,
        "cells of another stream"
    );
    // a zombie may put cells into a discarded target (R17); the next process that finds its Fence
    // discards it again
    store.append(&id, &Tail::default(), append(0..1)?).await?;
    other.discard(&id).await?;
    ensure!(
        store.tail(&id).await?.is_empty(),
        "a stream discarded again has a tail"
    );
    Ok(())
}

async fn refused(store: &dyn EventStore, id: &StreamId) -> Verdict {
    ensure_err!(
        store.discard(id).await,
        ErrorKind::Unsupported,
        "a discard without the capability"
    );
    ensure_eq!(
        read_all(store, id).await?.len(),
        6,
        "cells after a refused discard"
    );
    Ok(())
}
