//! The protocol as it must not be: each twin breaks one rule, and the checker must find out.

/// A way to break the protocol. The names in the documentation are those of the protocol's list of
/// variants that must be caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Twin {
    /// X1: the Close is appended wherever the source ends by now, not at the tail that was verified.
    CloseWithoutExpectedTail,
    /// X2: the document alone is switched to the target; the source is never closed.
    CutoverByRoutingAlone,
    /// X3: the document is switched to the target first, then the source is closed.
    DocumentBeforeClose,
    /// X4: a mirror writes where the target has as many events as the source had before the event,
    /// whatever the target's cursor says.
    MirrorAtBareRevision,
    /// X5: an undo removes the target without a Fence in the source.
    DiscardWithoutFence,
    /// X6: a writer that repeats a put takes the refusal for another's cell; it is its own.
    OwnPutReadAsConflict,
    /// X7: deleting a closed stream frees the numbers of its cells.
    CellsUsedAgain,
    /// X8: deleting a closed stream takes its Close too.
    CloseRemoved,
    /// X9: writers write to the target first; the source is closed when the counts agree.
    TargetFirstCountCheck,
    /// X10: writers write to the target first; the source is closed when the contents agree.
    TargetFirstContentCheck,
    /// X11: a migrator that looks for Fences sees only the last cell of the source.
    FencesBehindDataUnseen,
    /// X12: the targets of each migration are numbered anew, from 0.
    TargetsNumberedAnew,
    /// X13: the source is read before the target, and a target without a cursor is taken for one
    /// that was not begun. [R1](esm_core::protocol#r1) has both halves: see
    /// [`Twin::SourceLookedAtFirst`].
    SourceLookedAtFirstAndLiveUnseen,
    /// X14: an expected position goes over a Close as a bare number.
    BareRevisionOverClose,
    /// X15: a writer whose append has an unknown outcome and finds the stream closed appends to the
    /// target without reading back.
    RetryOverCloseUnsettled,
    /// X16: a dual read returns all that the target has, with the position of the source's end.
    DualReadBeyondHead,
    /// X17: a position is translated over a restore.
    PositionOverRestore,
    /// [R22](esm_core::protocol#r22): a tombstone does not keep the commit id of the cell that it takes the place of.
    TombstoneWithoutCommit,
    /// [R17](esm_core::protocol#r17): a run does not read the journal again before it continues
    /// with a later attempt, closes or fences.
    TakeoverUnseen,
    /// [R24](esm_core::protocol#r24): a run reads the journal before its target has a cell, and not
    /// again before it closes.
    JournalReadInAdvance,
    /// [R7](esm_core::protocol#r7): a writer that meets a Close takes the cell that it names for the
    /// target's last one, and does not look.
    HintTakenForEnd,
    /// [R13](esm_core::protocol#r13): a writer that meets a Close does not look at the target's first
    /// cell.
    FirstCellUnseen,
    /// [R9](esm_core::protocol#r9): a writer that meets a Close does not look whether the target is
    /// closed too.
    CloseBehindHintUnseen,
    /// The comparison beside a copy takes the cell that was sent for the one that is stored.
    ComparedAsSent,
    /// What was compared beside a copy permits the Close: what was copied last is not compared.
    ComparedBesideAlone,
    /// An error of the copy hides a difference that was found beside it, and the comparison
    /// continues behind it.
    DifferenceHidden,
    /// [R25](esm_core::protocol#r25): a run begins a fold with its first state, wherever the target's
    /// cursor is.
    StateBegunAnew,
    /// [R25](esm_core::protocol#r25): a run takes the fold's state from the target once, and continues
    /// with the one that it remembers when another has copied meanwhile.
    StateKeptOverConflict,
    /// [R25](esm_core::protocol#r25): a verification does not compare the state that the target records.
    StateUncompared,
    /// [R25](esm_core::protocol#r25): a writer mirrors an event of a fold, whose state it does not have.
    MirrorOfAFold,
    /// [R26](esm_core::protocol#r26): a source is closed while the fold holds an event.
    CloseWithOpenWindow,
    /// [R27](esm_core::protocol#r27): a run copies behind what was flushed, when a writer has beaten its Close.
    CopiedBehindFlush,
    /// The first half of X13 alone: the source is read before the target. It is no danger: a target
    /// that is live says so, and every write is conditional.
    SourceLookedAtFirst,
    /// The second half of X13 alone: no danger either, because who sees a live target first sees
    /// the Close of its source then.
    LiveUnseen,
}

impl Twin {
    /// All of them.
    pub const ALL: [Self; 34] = [
        Self::CloseWithoutExpectedTail,
        Self::CutoverByRoutingAlone,
        Self::DocumentBeforeClose,
        Self::MirrorAtBareRevision,
        Self::DiscardWithoutFence,
        Self::OwnPutReadAsConflict,
        Self::CellsUsedAgain,
        Self::CloseRemoved,
        Self::TargetFirstCountCheck,
        Self::TargetFirstContentCheck,
        Self::FencesBehindDataUnseen,
        Self::TargetsNumberedAnew,
        Self::SourceLookedAtFirstAndLiveUnseen,
        Self::BareRevisionOverClose,
        Self::RetryOverCloseUnsettled,
        Self::DualReadBeyondHead,
        Self::PositionOverRestore,
        Self::TombstoneWithoutCommit,
        Self::TakeoverUnseen,
        Self::JournalReadInAdvance,
        Self::HintTakenForEnd,
        Self::FirstCellUnseen,
        Self::CloseBehindHintUnseen,
        Self::ComparedAsSent,
        Self::ComparedBesideAlone,
        Self::DifferenceHidden,
        Self::StateBegunAnew,
        Self::StateKeptOverConflict,
        Self::StateUncompared,
        Self::MirrorOfAFold,
        Self::CloseWithOpenWindow,
        Self::CopiedBehindFlush,
        Self::SourceLookedAtFirst,
        Self::LiveUnseen,
    ];
}
