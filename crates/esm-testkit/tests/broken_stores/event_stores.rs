//! Broken event stores.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::id::{CommitId, StoreId, StreamId};
use esm_core::store::{
    Append, Capabilities, Cell, CellKind, Close, EventStore, Fence, Page, PageLimit, ReadFrom,
    StoreLimits, Tail,
};
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::conformance::{EventStoreHarness, event_store, run_case};
use esm_testkit::environment;
use esm_testkit::memory::MemoryEventStore;

use crate::{assert_rejected, rejected_by};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    DropsTheLastEventOfABatch,
    DividesBatches,
    ClosesAtAnyTail,
    FencesAtAnyTail,
    AppendsAtAnyTail,
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
    CountsAFenceAsAnEvent,
    InventsAStream,
    LooksNotFar,
    TakesItsOwnCloseForAnothers,
    ClosesNoEmptyStream,
    FollowsEveryClose,
    StopsWritersByAFence,
    ChecksThenCloses,
    CutsExtensions,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryEventStore,
    defect: Defect,
    tails: Mutex<BTreeMap<StreamId, Tail>>,
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
        match self.has(Defect::HasAnotherIdEveryTime) {
            true => StoreId::from_uuid(esm_core::clock::Environment::system().uuid_v4()),
            false => self.inner.id(),
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
        Ok(tail)
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        let from = match from {
            ReadFrom::Revision(revision) if self.has(Defect::BeginsAtTheWrongCell) => {
                ReadFrom::Seq(revision.0)
            }
            from => from,
        };
        let mut page = self.inner.read(&self.name(stream), from, limit).await?;
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
                crate::let_others_run().await;
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
        self.inner.append(stream, expected, append).await
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
                crate::let_others_run().await;
                expected = self.inner.tail(stream).await?;
                close.events = expected.next_revision();
            }
            _ => {}
        }
        self.inner.close(stream, &expected, commit, close).await
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
        let expected = match self.has(Defect::FencesAtAnyTail) {
            true => &actual,
            false => expected,
        };
        self.inner.fence(stream, expected, commit, fence).await
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

struct Harness {
    inner: MemoryEventStore,
    defect: Defect,
}

impl Harness {
    fn boxed(defect: Defect) -> Box<dyn EventStoreHarness> {
        let id = StoreId::from_uuid(environment(1).uuid_v4());
        let inner = MemoryEventStore::new(id);
        Box::new(Self { inner, defect })
    }
}

#[async_trait]
impl EventStoreHarness for Harness {
    async fn open(&self) -> Arc<dyn EventStore> {
        let inner = match self.defect {
            Defect::KeepsItToItself => MemoryEventStore::new(self.inner.id()),
            _ => self.inner.clone(),
        };
        Arc::new(Broken {
            inner,
            defect: self.defect,
            tails: Mutex::default(),
        })
    }
}

#[test]
fn every_defect_is_rejected_by_its_case() {
    let defects = [
        (
            Defect::DropsTheLastEventOfABatch,
            "an_append_gives_the_next_tail",
        ),
        (Defect::DividesBatches, "readers_see_whole_batches"),
        (Defect::ClosesAtAnyTail, "a_close_at_an_old_tail_conflicts"),
        (
            Defect::ClosesAtAnyTail,
            "a_fence_between_verification_and_close",
        ),
        (Defect::FencesAtAnyTail, "a_fence_at_an_old_tail_conflicts"),
        (
            Defect::AppendsAtAnyTail,
            "an_append_at_an_old_tail_conflicts",
        ),
        (Defect::ChecksThenWrites, "one_of_many_appends_wins"),
        (
            Defect::AcknowledgesAppendsAfterAClose,
            "nothing_follows_a_close",
        ),
        (
            Defect::AcknowledgesAppendsAfterAClose,
            "no_acknowledged_append_is_lost_by_a_close",
        ),
        (
            Defect::TellsOfAConflictInsteadOfAClose,
            "nothing_follows_a_close",
        ),
        (Defect::TellsOfAnotherClose, "nothing_follows_a_close"),
        (Defect::DoesNotCountAtAClose, "a_close_counts_its_events"),
        (Defect::HasAStaleTail, "a_tail_is_exact_for_everybody"),
        (Defect::TrustsItsOwnAppends, "a_tail_is_exact_for_everybody"),
        (
            Defect::TakesItsOwnWriteForAnothers,
            "the_same_append_succeeds_again",
        ),
        (Defect::LeavesOutControlCells, "pages_join_without_gaps"),
        (Defect::EndsPagesTooEarly, "a_page_knows_the_end"),
        (Defect::BeginsAtTheWrongCell, "reading_begins_at_a_revision"),
        (
            Defect::GivesNoCellThatIsTooLarge,
            "the_first_cell_is_always_in_the_page",
        ),
        (Defect::ReordersEvents, "bytes_survive"),
        (Defect::FoldsCaseOfNames, "odd_names_do_not_collide"),
        (Defect::CutsNames, "odd_names_do_not_collide"),
        (Defect::ChangesBytes, "bytes_survive"),
        (Defect::LosesMetadata, "bytes_survive"),
        (
            Defect::LosesSourceRevisions,
            "what_a_copier_writes_survives",
        ),
        (Defect::LosesCursors, "what_a_copier_writes_survives"),
        (Defect::KeepsItToItself, "writes_outlive_their_handle"),
        (Defect::AcceptsAnything, "an_empty_append_is_refused"),
        (Defect::AcceptsAnything, "what_is_too_large_is_refused"),
        (Defect::DiscardsNothing, "discarding_as_the_capability_says"),
        (
            Defect::DiscardsAlsoTheNeighbours,
            "discarding_as_the_capability_says",
        ),
        (
            Defect::HasAnotherIdEveryTime,
            "all_handles_are_the_same_store",
        ),
        (Defect::CountsAFenceAsAnEvent, "cells_are_chained"),
        (Defect::InventsAStream, "a_missing_stream_is_empty"),
        (Defect::LooksNotFar, "a_fresh_handle_finds_a_far_tail"),
        (
            Defect::TakesItsOwnCloseForAnothers,
            "the_same_close_succeeds_again",
        ),
        (Defect::ClosesNoEmptyStream, "an_empty_stream_can_be_closed"),
        (Defect::FollowsEveryClose, "a_close_is_kept_as_written"),
        (Defect::StopsWritersByAFence, "a_fence_is_stepped_over"),
        (Defect::ChecksThenCloses, "one_of_appends_and_closes_wins"),
        (Defect::CutsExtensions, "streams_do_not_disturb_each_other"),
    ];
    assert_rejected(event_store::CASES, &defects, Harness::boxed);
}

#[test]
fn without_a_defect_every_case_passes() {
    let harness = || Harness::boxed(Defect::None);
    assert_eq!(rejected_by(event_store::CASES, harness), [""; 0]);
}

#[test]
fn a_rejection_says_what_was_found() {
    let name = "an_append_at_an_old_tail_conflicts";
    let case = event_store::CASES.iter().find(|case| case.name == name);
    let case = case.expect("the case exists");
    assert_eq!(format!("{case:?}"), format!("Case({name})"));
    let harness = Harness::boxed(Defect::AppendsAtAnyTail);
    let failure = run_case((case.run)(&*harness)).expect_err("it is rejected");
    let wanted = "an append at an old tail: found success, wanted Conflict";
    assert_eq!(failure.to_string(), wanted);
    assert_eq!(format!("{failure:?}"), wanted, "as a test shows it");
}
