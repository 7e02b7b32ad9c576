//! Event stores with one defect each.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use esm_core::id::{CommitId, StoreId, StreamId};
use esm_core::store::{
    Append, Capabilities, CellKind, Close, EventStore, Fence, Page, PageLimit, ReadFrom,
    StoreLimits, Tail,
};
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::memory::MemoryEventStore;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    /// Ignores the tail that a Close expects.
    ClosesAtAnyTail,
    /// Ignores the tail that an append expects.
    AppendsAtAnyTail,
    /// Takes it for corruption when an append does not find the tail that it expects.
    TakesConflictsForCorruption,
    /// Acknowledges what applications append to what was a migration's target, and keeps nothing.
    LosesAppendsToTargets,
    /// Acknowledges a Fence, and keeps nothing.
    FencesNothing,
    /// Discards all targets of migrations where one is to be discarded.
    DiscardsAllTargets,
    DiscardsNothing,
    /// Discards when something is appended the next time.
    DiscardsLate,
}

#[derive(Debug)]
pub(crate) struct Broken {
    inner: MemoryEventStore,
    defect: Defect,
    /// What is still to be discarded.
    late: Mutex<Vec<StreamId>>,
}

impl Broken {
    pub(crate) fn new(inner: MemoryEventStore, defect: Defect) -> Self {
        let late = Mutex::default();
        Self {
            inner,
            defect,
            late,
        }
    }

    /// The tail at which a write lands that expects this one.
    async fn landing(&self, stream: &StreamId, expected: &Tail, how: Defect) -> Result<Tail> {
        if self.defect == how {
            self.inner.tail(stream).await
        } else {
            Ok(expected.clone())
        }
    }

    fn is_target(&self, stream: &StreamId) -> bool {
        let cells = self.inner.snapshot(stream);
        let first = cells.first().map(|cell| &cell.header.kind);
        matches!(
            first,
            Some(CellKind::Data {
                origin: Some(_),
                ..
            })
        )
    }

    async fn discard_all_targets(&self) -> Result<()> {
        let streams = self.inner.stream_ids().into_iter();
        for target in streams.filter(|stream| self.is_target(stream)) {
            self.inner.discard(&target).await?;
        }
        Ok(())
    }

    async fn discard_late(&self) -> Result<()> {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        for stream in late {
            self.inner.discard(&stream).await?;
        }
        Ok(())
    }
}

/// The result of a store that claims to have written this, and has not.
fn acknowledged(expected: &Tail, commit: CommitId, count: usize, kind: CellKind) -> Tail {
    Tail::after(expected.next_header(commit, count as u64, kind))
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
        self.inner.tail(stream).await
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        self.inner.read(stream, from, limit).await
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        self.discard_late().await?;
        let of_application = append.cursor.is_none() && self.is_target(stream);
        if self.defect == Defect::LosesAppendsToTargets && of_application {
            let (count, kind) = (append.events.len(), append.kind());
            return Ok(acknowledged(expected, append.commit, count, kind));
        }
        if self.defect == Defect::TakesConflictsForCorruption
            && self.inner.tail(stream).await? != *expected
        {
            return Err(Error::new(ErrorKind::Corrupt, "the tail is another"));
        }
        let at = self.landing(stream, expected, Defect::AppendsAtAnyTail);
        self.inner.append(stream, &at.await?, append).await
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        mut close: Close,
    ) -> Result<Tail> {
        let at = self.landing(stream, expected, Defect::ClosesAtAnyTail);
        let at = at.await?;
        close.events = at.next_revision();
        self.inner.close(stream, &at, commit, close).await
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        match self.defect {
            Defect::FencesNothing => Ok(acknowledged(expected, commit, 0, CellKind::Fence(fence))),
            _ => self.inner.fence(stream, expected, commit, fence).await,
        }
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        match self.defect {
            Defect::DiscardsAllTargets => self.discard_all_targets().await,
            Defect::DiscardsNothing => Ok(()),
            Defect::DiscardsLate => {
                let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
                late.push(stream.clone());
                Ok(())
            }
            _ => self.inner.discard(stream).await,
        }
    }
}
