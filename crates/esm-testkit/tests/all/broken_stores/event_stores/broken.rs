//! An event store with one defect, over a right one.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::id::{CommitId, StoreId, StreamId};
use esm_core::store::{
    Append, Capabilities, Cell, CellKind, Close, EventStore, Fence, Page, PageLimit, ReadFrom,
    StoreLimits, Tail,
};
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::environment;
use esm_testkit::memory::MemoryEventStore;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    None,
    DropsTheLastEventOfABatch,
    DividesBatches,
    ClosesAtAnyTail,
    FencesAtAnyTail,
    AppendsAtAnyTail,
    NamesAWrongRevision,
    ChecksThenWrites,
    AcknowledgesAppendsAfterAClose,
    TellsOfAConflictInsteadOfAClose,
    TellsOfAnotherClose,
    DoesNotCountAtAClose,
    HasAStaleTail,
    TrustsItsOwnAppends,
    TakesItsOwnWriteForAnothers,
    LeavesOutControlCells,
    EndsPagesTooEarly,
    BeginsAtTheWrongCell,
    GivesNoCellThatIsTooLarge,
    ReordersEvents,
    FoldsCaseOfNames,
    CutsNames,
    ChangesBytes,
    LosesMetadata,
    LosesSourceRevisions,
    LosesCursors,
    KeepsItToItself,
    AcceptsAnything,
    DiscardsNothing,
    DiscardsAlsoTheNeighbours,
    HasAnotherIdEveryTime,
    HasAnotherPlaceEveryTime,
    ForgetsItsEarlierIds,
    CountsAFenceAsAnEvent,
    InventsAStream,
    LooksNotFar,
    TakesItsOwnCloseForAnothers,
    ClosesNoEmptyStream,
    FollowsEveryClose,
    StopsWritersByAFence,
    ChecksThenCloses,
    CutsExtensions,
    ReadsTheNeighbour,
    ReadsOnIntoTheNeighbour,
    WritesBehindAClose,
    TakesItsOwnFenceForAnothers,
    ForgetsWhatStandsBeforeAClose,
}

#[derive(Debug)]
pub(super) struct Broken {
    pub(super) inner: MemoryEventStore,
    pub(super) defect: Defect,
    pub(super) tails: Mutex<BTreeMap<StreamId, Tail>>,
    /// What was written after a Close.
    pub(super) behind: Mutex<BTreeMap<StreamId, Vec<Cell>>>,
    /// Drawn for each handle.
    pub(super) nonce: StoreId,
    pub(super) place: String,
}

impl Broken {
    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn name(&self, stream: &StreamId) -> StreamId {
        let text = stream.as_str();
        let text = match self.defect {
            Defect::FoldsCaseOfNames => text.to_lowercase(),
            Defect::CutsNames => text.chars().take(200).collect(),
            Defect::CutsExtensions => text.split('.').take(1).collect(),
            _ => text.to_owned(),
        };
        StreamId::new(text).expect("it is still a name")
    }

    /// The answer to a write, which may name the number of cells in place of that of events.
    async fn told(&self, stream: &StreamId, answer: Result<Tail>) -> Result<Tail> {
        let tail = self.inner.tail(stream).await?;
        answer.map_err(|error| match error.kind() {
            ErrorKind::Conflict { .. } if self.has(Defect::NamesAWrongRevision) => {
                let actual = Some(tail.next_seq());
                Error::new(ErrorKind::Conflict { actual }, "stream has moved on")
            }
            _ => error,
        })
    }

    /// Another stream, where there is one.
    fn neighbour(&self, stream: &StreamId) -> Option<StreamId> {
        let mut streams = self.inner.stream_ids().into_iter();
        streams.find(|other| other != stream)
    }

    fn written_behind(&self, stream: &StreamId) -> Vec<Cell> {
        let behind = self.behind.lock().expect("nobody panics here");
        behind.get(stream).cloned().unwrap_or_default()
    }

    /// Writes at the actual tail, whatever tail the caller expects.
    fn write_behind(&self, stream: &StreamId, close: &Tail, append: Append) {
        let mut behind = self.behind.lock().expect("nobody panics here");
        let cells = behind.entry(stream.clone()).or_default();
        let last = cells.last().map(|cell| Tail::after(cell.header.clone()));
        let (commit, kind) = (append.commit, append.kind());
        let count = append.events.len() as u64;
        let header = last
            .as_ref()
            .unwrap_or(close)
            .next_header(commit, count, kind);
        let events = append.events;
        cells.push(Cell { header, events });
    }

    fn spoil(&self, cell: &mut Cell) {
        match self.defect {
            Defect::ReordersEvents => cell.events.reverse(),
            Defect::CountsAFenceAsAnEvent => {
                if matches!(cell.header.kind, CellKind::Fence(_)) {
                    cell.header.count = 1;
                }
            }
            Defect::LosesCursors => {
                if let CellKind::Data { cursor, .. } = &mut cell.header.kind {
                    *cursor = None;
                }
            }
            _ => {}
        }
        for event in &mut cell.events {
            match self.defect {
                Defect::ChangesBytes => {
                    let text = String::from_utf8_lossy(&event.event.payload).into_owned();
                    event.event.payload = Bytes::from(text);
                }
                Defect::LosesMetadata => event.event.metadata = Default::default(),
                Defect::LosesSourceRevisions => event.source_revision = None,
                _ => {}
            }
        }
    }
}

#[async_trait]
impl EventStore for Broken {
    fn id(&self) -> StoreId {
        if self.has(Defect::HasAnotherIdEveryTime) {
            StoreId::from_uuid(esm_core::clock::Environment::system().uuid_v4())
        } else {
            self.inner.id()
        }
    }

    fn aliases(&self) -> &[StoreId] {
        match self.defect {
            Defect::ForgetsItsEarlierIds => std::slice::from_ref(&self.nonce),
            _ => self.inner.aliases(),
        }
    }

    fn place(&self) -> Option<&str> {
        match self.defect {
            Defect::HasAnotherPlaceEveryTime => Some(&self.place),
            _ => self.inner.place(),
        }
    }

    fn limits(&self) -> StoreLimits {
        StoreLimits::default()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        let tail = self.inner.tail(&self.name(stream)).await?;
        if self.has(Defect::HasAStaleTail) {
            let mut tails = self.tails.lock().expect("nobody panics here");
            return Ok(tails.insert(stream.clone(), tail.clone()).unwrap_or(tail));
        }
        if self.has(Defect::TrustsItsOwnAppends) {
            let own = self.tails.lock().expect("nobody panics here");
            return Ok(own.get(stream).cloned().unwrap_or(tail));
        }
        if self.has(Defect::InventsAStream) && tail.is_empty() {
            let nothing = Append::events(environment(0).commit_id(), Vec::new());
            return Ok(Tail::after(tail.next_header(
                nothing.commit,
                0,
                nothing.kind(),
            )));
        }
        if self.has(Defect::LooksNotFar) {
            let near = PageLimit {
                cells: 64,
                bytes: u64::MAX,
            };
            let page = self.inner.read(stream, ReadFrom::Seq(0), near).await?;
            let last = page.cells.into_iter().last();
            return Ok(last.map_or(tail, |cell| Tail::after(cell.header)));
        }
        match self.written_behind(stream).pop() {
            Some(cell) => Ok(Tail::after(cell.header)),
            None => Ok(tail),
        }
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        let from = match from {
            ReadFrom::Revision(revision) if self.has(Defect::BeginsAtTheWrongCell) => {
                ReadFrom::Seq(revision.0)
            }
            from => from,
        };
        let neighbour = self.neighbour(stream);
        let stream = match &neighbour {
            Some(other) if self.has(Defect::ReadsTheNeighbour) => other,
            _ => &self.name(stream),
        };
        let mut page = self.inner.read(stream, from, limit).await?;
        page.cells.extend(self.written_behind(stream));
        if let (Defect::ReadsOnIntoTheNeighbour, Some(other)) = (self.defect, &neighbour) {
            page.cells.extend(self.inner.snapshot(other));
        }
        if self.has(Defect::LeavesOutControlCells) {
            page.cells
                .retain(|cell| matches!(cell.header.kind, CellKind::Data { .. }));
        }
        if self.has(Defect::EndsPagesTooEarly) && !page.cells.is_empty() {
            page.at_end = true;
        }
        let bytes: u64 = (page.cells.iter().flat_map(|cell| &cell.events))
            .map(|event| event.event.approximate_size())
            .sum();
        if self.has(Defect::GivesNoCellThatIsTooLarge) && bytes > limit.bytes {
            page.cells.clear();
        }
        page.cells.iter_mut().for_each(|cell| self.spoil(cell));
        Ok(page)
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, mut append: Append) -> Result<Tail> {
        let stream = &self.name(stream);
        let actual = self.inner.tail(stream).await?;
        match self.defect {
            Defect::DropsTheLastEventOfABatch if append.events.len() > 1 => {
                append.events.pop();
            }
            Defect::DividesBatches if append.events.len() > 1 => {
                let rest = append.events.split_off(append.events.len() / 2);
                let rest = Append::events(environment(0).commit_id(), rest);
                let half = self.inner.append(stream, expected, append).await?;
                tokio::task::yield_now().await;
                return self.inner.append(stream, &half, rest).await;
            }
            Defect::AppendsAtAnyTail => return self.inner.append(stream, &actual, append).await,
            Defect::ChecksThenWrites => {
                actual.check_expected(expected)?;
                crate::broken_stores::judge::let_others_run().await;
                let now = self.inner.tail(stream).await?;
                return self.inner.append(stream, &now, append).await;
            }
            Defect::AcknowledgesAppendsAfterAClose if actual.close().is_some() => {
                let (count, kind) = (append.events.len() as u64, append.kind());
                return Ok(Tail::after(actual.next_header(append.commit, count, kind)));
            }
            Defect::TellsOfAConflictInsteadOfAClose if actual.close().is_some() => {
                let kind = ErrorKind::Conflict { actual: None };
                return Err(Error::new(kind, "stream has moved on"));
            }
            Defect::TellsOfAnotherClose => {
                if let Some(close) = actual.close() {
                    let close = Close {
                        target: None,
                        ..close.clone()
                    };
                    return Err(Error::new(ErrorKind::Closed(Box::new(close)), "closed"));
                }
            }
            Defect::WritesBehindAClose if actual.close().is_some() => {
                self.write_behind(stream, &actual, append.clone());
            }
            Defect::ForgetsWhatStandsBeforeAClose if actual.close().is_some() => {
                actual.check_expected(expected)?;
            }
            Defect::TakesItsOwnWriteForAnothers => actual.check_expected(expected)?,
            Defect::StopsWritersByAFence
                if (actual.last.as_ref())
                    .is_some_and(|last| matches!(last.kind, CellKind::Fence(_))) =>
            {
                return Err(Error::new(ErrorKind::Fenced, "the stream is fenced"));
            }
            Defect::TrustsItsOwnAppends => {
                let tail = self.inner.append(stream, expected, append).await?;
                let mut own = self.tails.lock().expect("nobody panics here");
                own.insert(stream.clone(), tail.clone());
                return Ok(tail);
            }
            Defect::AcceptsAnything => {
                let (count, kind) = (append.events.len() as u64, append.kind());
                return match self.inner.append(stream, expected, append.clone()).await {
                    Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::TooLarge) => Ok(
                        Tail::after(expected.next_header(append.commit, count, kind)),
                    ),
                    other => other,
                };
            }
            _ => {}
        }
        let answer = self.inner.append(stream, expected, append).await;
        self.told(stream, answer).await
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail> {
        let stream = &self.name(stream);
        let mut expected = expected.clone();
        let mut close = close;
        if self.has(Defect::ClosesAtAnyTail) {
            expected = self.inner.tail(stream).await?;
            close.events = expected.next_revision();
        }
        if self.has(Defect::DoesNotCountAtAClose) {
            close.events = expected.next_revision();
        }
        let actual = self.inner.tail(stream).await?;
        match self.defect {
            Defect::TakesItsOwnCloseForAnothers => actual.check_expected(&expected)?,
            Defect::ClosesNoEmptyStream if expected.is_empty() => {
                return Err(Error::invalid("there is nothing to close"));
            }
            Defect::FollowsEveryClose => close.continues = true,
            Defect::ChecksThenCloses => {
                actual.check_expected(&expected)?;
                crate::broken_stores::judge::let_others_run().await;
                expected = self.inner.tail(stream).await?;
                close.events = expected.next_revision();
            }
            _ => {}
        }
        let answer = self.inner.close(stream, &expected, commit, close).await;
        self.told(stream, answer).await
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        let stream = &self.name(stream);
        let actual = self.inner.tail(stream).await?;
        if self.has(Defect::TakesItsOwnFenceForAnothers) {
            actual.check_expected(expected)?;
        }
        let expected = if self.has(Defect::FencesAtAnyTail) {
            &actual
        } else {
            expected
        };
        let answer = self.inner.fence(stream, expected, commit, fence).await;
        self.told(stream, answer).await
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        match self.defect {
            Defect::DiscardsNothing => Ok(()),
            Defect::DiscardsAlsoTheNeighbours => {
                for id in self.inner.stream_ids() {
                    if id.as_str().starts_with(stream.as_str()) {
                        self.inner.discard(&id).await?;
                    }
                }
                Ok(())
            }
            _ => self.inner.discard(&self.name(stream)).await,
        }
    }
}
