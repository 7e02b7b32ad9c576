//! Stores that hide what was lost or exchanged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use esm_core::id::{CommitId, StoreId, StreamId};
use esm_core::store::{
    Append, Capabilities, Close, EventStore, Fence, Page, PageLimit, ReadFrom, StoreLimits, Tail,
};
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::conformance::{DamageHarness, Services, damage};
use esm_testkit::environment;
use esm_testkit::memory::{MemoryEventStore, MemoryWorld};

use super::judge::{assert_rejected, rejected_by};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// Returns the longest tail that it has seen, whatever is there.
    RemembersTails,
    /// Its cells do not say which stream they belong to.
    TakesCellsOfOtherStreams,
    /// Closes no stream that has lost cells.
    ClosesNothingDamaged,
}

struct Harness {
    world: MemoryWorld,
    defect: Defect,
    seen: Arc<Mutex<Seen>>,
}

/// What all handles of a broken store have seen.
#[derive(Debug, Default)]
struct Seen {
    tails: HashMap<StreamId, Tail>,
    /// Streams whose first cells were exchanged, each with the other.
    exchanged: HashMap<StreamId, StreamId>,
}

impl Harness {
    fn boxed(defect: Defect) -> Box<dyn DamageHarness> {
        Box::new(Self {
            world: MemoryWorld::new(environment(1)),
            defect,
            seen: Arc::default(),
        })
    }
}

#[async_trait]
impl DamageHarness for Harness {
    async fn open(&self) -> Services {
        Services {
            events: Arc::new(Broken {
                inner: self.world.event_store.clone(),
                defect: self.defect,
                seen: Arc::clone(&self.seen),
            }),
            records: self.world.records(),
            locks: self.world.locks(),
            backups: self.world.backups(),
        }
    }

    async fn lose_from(&self, stream: &StreamId, seq: u64) {
        self.world.event_store.lose_from(stream, seq);
    }

    async fn exchange_first(&self, one: &StreamId, other: &StreamId) {
        if self.defect == Defect::TakesCellsOfOtherStreams {
            let pairs = [(one, other), (other, one)].map(|(a, b)| (a.clone(), b.clone()));
            lock(&self.seen).exchanged.extend(pairs);
        } else {
            self.world.event_store.exchange_first(one, other);
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Broken {
    inner: MemoryEventStore,
    defect: Defect,
    seen: Arc<Mutex<Seen>>,
}

impl Broken {
    /// Notes a tail, and returns the longest of its stream.
    fn note(&self, stream: &StreamId, tail: Tail) -> Tail {
        let mut seen = lock(&self.seen);
        let longest = seen.tails.entry(stream.clone()).or_default();
        if tail.next_seq() > longest.next_seq() {
            *longest = tail;
        }
        longest.clone()
    }

    fn exchanged(&self, stream: &StreamId) -> Option<StreamId> {
        lock(&self.seen).exchanged.get(stream).cloned()
    }
}

#[async_trait]
impl EventStore for Broken {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    fn limits(&self) -> StoreLimits {
        self.inner.limits()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        // streams whose cells are exchanged have one cell
        let place = self.exchanged(stream);
        let tail = self.inner.tail(place.as_ref().unwrap_or(stream)).await?;
        let longest = self.note(stream, tail.clone());
        Ok(match self.defect {
            Defect::RemembersTails => longest,
            _ => tail,
        })
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        let place = self.exchanged(stream);
        let place = place.as_ref().unwrap_or(stream);
        self.inner.read(place, from, limit).await
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        let tail = self.inner.append(stream, expected, append).await?;
        self.note(stream, tail.clone());
        Ok(tail)
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail> {
        let longest = self.note(stream, expected.clone());
        if self.defect == Defect::ClosesNothingDamaged && longest != *expected {
            return Err(Error::new(ErrorKind::Gone, "the stream lost cells"));
        }
        let tail = self.inner.close(stream, expected, commit, close).await?;
        self.note(stream, tail.clone());
        Ok(tail)
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        self.inner.fence(stream, expected, commit, fence).await
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        self.inner.discard(stream).await
    }
}

#[test]
fn every_defect_is_rejected_by_its_case() {
    let defects = [
        (
            Defect::RemembersTails,
            "a_target_without_its_last_cell_is_gone",
        ),
        (Defect::RemembersTails, "an_absent_target_is_gone"),
        (
            Defect::RemembersTails,
            "a_closed_stream_without_its_close_is_gone",
        ),
        (Defect::RemembersTails, "an_absent_closed_stream_is_gone"),
        (
            Defect::TakesCellsOfOtherStreams,
            "exchanged_first_cells_are_corrupt",
        ),
        (
            Defect::ClosesNothingDamaged,
            "a_backup_replaces_a_stream_that_lost_cells",
        ),
        (
            Defect::ClosesNothingDamaged,
            "a_backup_replaces_an_absent_stream",
        ),
    ];
    assert_rejected(damage::CASES, &defects, Harness::boxed);
}

#[test]
fn without_a_defect_every_case_passes() {
    let harness = || Harness::boxed(Defect::None);
    assert_eq!(rejected_by(damage::CASES, harness), [""; 0]);
}
