//! Each twin breaks one rule of the protocol, and is caught: in its scope the whole protocol holds,
//! and the twin does not.

use esm_model::{
    Case, FORWARD, Hint, ONE_AT_A_TIME, OTHERS, Phases, PhasesTwin, Protocol, Twin, case, explore,
    hint_that_is_there, refute, two_migrators_at_once,
};

/// Asserts that the twin breaks what its case says, and that the whole protocol breaks nothing
/// within the same bounds.
fn is_caught(twin: Twin) -> esm_core::Result<()> {
    let Some(Case { scope, breaks, .. }) = case(twin) else {
        panic!("{twin:?} is no danger");
    };
    let whole = explore(Protocol::whole(scope.clone())?, 1);
    assert!(whole.holds(), "the whole protocol, {}: {whole}", scope.name);
    let broken = refute(Protocol::broken(scope.clone(), twin)?, breaks);
    let found = broken
        .counterexamples
        .iter()
        .find(|(name, _)| *name == breaks);
    let Some((_, actions)) = found else {
        panic!("{twin:?} is not caught, {}: {broken}", scope.name);
    };
    println!("{twin:?}, {}: {breaks}", scope.name);
    for action in actions {
        println!("  {action:?}");
    }
    Ok(())
}

macro_rules! caught {
    ($($name:ident: $twin:ident,)*) => {
        $(
            #[test]
            fn $name() -> esm_core::Result<()> {
                is_caught(Twin::$twin)
            }
        )*

        /// A twin that nobody asserts anything about would be a comment.
        #[test]
        fn every_twin_has_a_test() {
            let dangerous: Vec<_> = Twin::ALL.into_iter().filter(|t| case(*t).is_some()).collect();
            assert_eq!(dangerous, [$(Twin::$twin),*]);
        }
    };
}

caught! {
    x1_close_without_expected_tail: CloseWithoutExpectedTail,
    x2_cutover_by_routing_alone: CutoverByRoutingAlone,
    x3_document_before_close: DocumentBeforeClose,
    x4_mirror_at_a_bare_revision: MirrorAtBareRevision,
    x5_target_removed_without_fence: DiscardWithoutFence,
    x6_own_retried_put_read_as_anothers_conflict: OwnPutReadAsConflict,
    x7_numbered_cells_removed_and_used_again: CellsUsedAgain,
    x8_close_removed: CloseRemoved,
    x9_target_written_first_and_counts_compared: TargetFirstCountCheck,
    x10_target_written_first_and_contents_compared: TargetFirstContentCheck,
    x11_fence_behind_data_not_seen: FencesBehindDataUnseen,
    x12_targets_and_fences_numbered_anew: TargetsNumberedAnew,
    x13_source_read_before_the_targets_tail: SourceLookedAtFirstAndLiveUnseen,
    x14_bare_revision_carried_over_a_close: BareRevisionOverClose,
    x15_retry_across_a_cutover_without_settling: RetryOverCloseUnsettled,
    x16_dual_read_beyond_its_position: DualReadBeyondHead,
    x17_position_translated_over_a_restore: PositionOverRestore,
    r22_tombstone_without_its_commit_id: TombstoneWithoutCommit,
    r17_takeover_not_seen_before_a_close: TakeoverUnseen,
    r24_journal_read_in_advance: JournalReadInAdvance,
    r7_hint_of_a_close_taken_for_the_end: HintTakenForEnd,
    r13_first_cell_of_a_target_not_seen: FirstCellUnseen,
    r9_target_of_a_close_closed_itself_not_seen: CloseBehindHintUnseen,
    i4_cell_compared_as_it_was_sent: ComparedAsSent,
    i4_close_after_a_comparison_beside_the_copy_alone: ComparedBesideAlone,
    i4_difference_hidden_by_an_error_of_the_copy: DifferenceHidden,
    r25_state_of_a_fold_begun_anew: StateBegunAnew,
    r25_state_of_a_fold_kept_over_a_conflict: StateKeptOverConflict,
    r25_state_of_a_fold_not_compared: StateUncompared,
    r25_mirror_of_a_fold: MirrorOfAFold,
    r26_close_with_an_open_window: CloseWithOpenWindow,
    r27_copied_behind_a_flushed_window: CopiedBehindFlush,
}

/// R7 permits to append behind the cell that a Close names, if it is there: the put is conditional.
/// What the twin breaks is that it may not be there.
#[test]
fn r7_a_hint_that_is_there_may_be_taken_for_the_end() -> esm_core::Result<()> {
    for hint in [Hint::Right, Hint::Behind] {
        for twin in [None, Some(Twin::HintTakenForEnd)] {
            let scope = hint_that_is_there(hint);
            let model = match twin {
                Some(twin) => Protocol::broken(scope, twin)?,
                None => Protocol::whole(scope)?,
            };
            let verdict = explore(model, 1);
            assert!(verdict.counterexamples.is_empty(), "{hint:?}: {verdict}");
        }
    }
    Ok(())
}

/// R1 has two halves, and each alone is enough: a finding that the twin with both broken rests on.
#[test]
fn x13_either_half_of_r1_alone_holds() -> esm_core::Result<()> {
    for twin in [Twin::SourceLookedAtFirst, Twin::LiveUnseen] {
        let verdict = explore(Protocol::broken(two_migrators_at_once(), twin)?, 1);
        assert!(verdict.counterexamples.is_empty(), "{twin:?}: {verdict}");
    }
    Ok(())
}

/// The other half of X12: what keeps a stale publisher from overwriting the phases of a later
/// migration is the generation in the entry.
#[test]
fn x12_generations_of_phases_numbered_anew() -> esm_core::Result<()> {
    let twin = Some(PhasesTwin::GenerationsNumberedAnew);
    let verdict = refute(Phases::new(twin)?, FORWARD);
    assert!(!verdict.counterexamples.is_empty(), "{verdict}");
    Ok(())
}

#[test]
fn r20_phases_put_without_compare() -> esm_core::Result<()> {
    let twin = Some(PhasesTwin::PutWithoutCompare);
    let verdict = refute(Phases::new(twin)?, ONE_AT_A_TIME);
    assert!(!verdict.counterexamples.is_empty(), "{verdict}");
    Ok(())
}

/// Only with the migration in the entry can who is over tell what is not its own to take back.
#[test]
fn r20_entries_that_do_not_name_their_migration() -> esm_core::Result<()> {
    let twin = Some(PhasesTwin::MigrationsAlike);
    let verdict = refute(Phases::competing(twin)?, OTHERS);
    let found = verdict
        .counterexamples
        .iter()
        .any(|(name, _)| *name == OTHERS);
    assert!(found, "{verdict}");
    Ok(())
}
