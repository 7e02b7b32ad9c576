//! The undo of a migration before its pivot (R17).
//!
//! Represents `migration::run::undo` and `cutover::undo`: I/O around `decisions::undo`.

use esm_core::protocol::decisions::UndoAction;

use super::run::fence;
use crate::protocol::Protocol;
use crate::twin::Twin;
use crate::world::{Entry, Request, Run, SourceSight, Step, TargetSight, Then, World};

impl Protocol {
    /// A later attempt that was not begun needs no Fence: who wanted to begin it finds the claim in
    /// the journal first.
    pub(super) fn look_whether_begun(&self, world: &World, run: &Run) -> Step {
        let begun = world.stream(run.target).next_seq() > 0;
        if begun || run.attempt == 0 {
            Step::LookAtSource(TargetSight::default())
        } else {
            self.record(world, run, Entry::RolledBack)
        }
    }

    pub(super) fn decide_undo(&self, world: &World, run: &Run, source: SourceSight) -> Step {
        let discard = || {
            let then = Then::Record(Entry::RolledBack);
            Step::Sent(Request::Discard(vec![run.target]), then)
        };
        match self.names.decide_undo(run, source.close, source.fenced) {
            UndoAction::Refuse => self.record(world, run, Entry::RollBackRefused),
            UndoAction::DiscardSuperseded | UndoAction::Discard => discard(),
            UndoAction::Fence if self.is(Twin::DiscardWithoutFence) => discard(),
            UndoAction::Fence => Step::EnsureInCharge(Some(fence(run, source)), Then::Look),
        }
    }
}
