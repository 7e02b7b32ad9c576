//! Broken event stores.

mod broken;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use esm_core::id::StoreId;
use esm_core::store::EventStore;
use esm_testkit::conformance::{EventStoreHarness, event_store, run_case};
use esm_testkit::environment;
use esm_testkit::memory::MemoryEventStore;

use self::broken::{Broken, Defect};
use super::judge::{assert_rejected, rejected_by};

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
        let nonce = StoreId::from_uuid(esm_core::clock::Environment::system().uuid_v4());
        Arc::new(Broken {
            nonce,
            place: nonce.to_string(),
            inner,
            defect: self.defect,
            tails: Mutex::default(),
            behind: Mutex::default(),
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
        (
            Defect::NamesAWrongRevision,
            "an_append_at_an_old_tail_conflicts",
        ),
        (
            Defect::NamesAWrongRevision,
            "a_close_at_an_old_tail_conflicts",
        ),
        (
            Defect::NamesAWrongRevision,
            "a_fence_at_an_old_tail_conflicts",
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
        (
            Defect::HasAnotherPlaceEveryTime,
            "all_handles_are_the_same_store",
        ),
        (
            Defect::ForgetsItsEarlierIds,
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
        (
            Defect::ReadsTheNeighbour,
            "streams_do_not_disturb_each_other",
        ),
        (
            Defect::ReadsOnIntoTheNeighbour,
            "streams_do_not_disturb_each_other",
        ),
        (Defect::WritesBehindAClose, "nothing_follows_a_close"),
        (
            Defect::TakesItsOwnFenceForAnothers,
            "a_fence_at_an_old_tail_conflicts",
        ),
        (
            Defect::ForgetsWhatStandsBeforeAClose,
            "what_stands_before_a_close_succeeds_again",
        ),
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
