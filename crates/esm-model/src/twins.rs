//! Where each twin goes wrong: the smallest scope, and the property that does not hold there.

use crate::property::{journal, object, target};
use crate::scope::{Budget, Expect, Hint, Kind, Scope};
use crate::twin::Twin;
use crate::world::Shape::{Drop, Join, Keep, Split};

/// A twin, where it goes wrong, and what it breaks.
#[derive(Debug)]
pub struct Case {
    /// The twin.
    pub twin: Twin,
    /// The scope in which the whole protocol holds, and the twin does not.
    pub scope: Scope,
    /// The property that the twin breaks.
    pub breaks: &'static str,
}

/// The case of a twin; none for those that are no danger.
pub fn case(twin: Twin) -> Option<Case> {
    let (scope, breaks) = match twin {
        Twin::CloseWithoutExpectedTail => (one_writer(), target::CLOSED),
        Twin::CutoverByRoutingAlone | Twin::DocumentBeforeClose => (one_writer(), object::READABLE),
        Twin::MirrorAtBareRevision => (mirror(), target::VERIFIED),
        Twin::DiscardWithoutFence => (undo(), target::KEPT),
        Twin::OwnPutReadAsConflict => (lost_answer(), object::ONCE),
        Twin::CellsUsedAgain | Twin::CloseRemoved => (deletion(0), object::READABLE),
        Twin::TombstoneWithoutCommit => (deletion(1), object::ONCE),
        Twin::TargetFirstCountCheck => (two_writers(), target::CLOSED),
        Twin::TargetFirstContentCheck => (two_writers(), object::READABLE),
        Twin::FencesBehindDataUnseen => (fence_behind_data(), target::KEPT),
        Twin::TargetsNumberedAnew => (undo_in_a_row(), target::KEPT),
        Twin::SourceLookedAtFirstAndLiveUnseen => (two_migrators_at_once(), object::READABLE),
        Twin::BareRevisionOverClose => (dropped(), object::EXPECTED),
        Twin::RetryOverCloseUnsettled => (lost_answer(), object::ONCE),
        Twin::DualReadBeyondHead => (dual_read(), object::DUAL_READ),
        Twin::PositionOverRestore => (restore(), object::EXPECTED),
        Twin::TakeoverUnseen => (second_attempt(), journal::OUTCOME),
        Twin::JournalReadInAdvance => (undo_of_a_second_attempt(), journal::OUTCOME),
        Twin::HintTakenForEnd => (hint_ahead(), object::READABLE),
        Twin::FirstCellUnseen => (another_store(), object::READABLE),
        Twin::CloseBehindHintUnseen => (two_closes(), object::READABLE),
        Twin::ComparedAsSent | Twin::ComparedBesideAlone | Twin::DifferenceHidden => {
            (compared_beside(), target::CLOSED)
        }
        Twin::StateBegunAnew | Twin::StateKeptOverConflict => (fold(), target::IMAGE),
        Twin::StateUncompared => (damaged_fold(), target::CLOSED),
        Twin::MirrorOfAFold => (mirrored_fold(), target::IMAGE),
        Twin::CloseWithOpenWindow => (open_window(), target::CLOSED),
        Twin::CopiedBehindFlush => (flushed_window(), target::IMAGE),
        Twin::SourceLookedAtFirst | Twin::LiveUnseen => return None,
    };
    Some(Case {
        twin,
        scope,
        breaks,
    })
}

fn one_writer() -> Scope {
    Scope {
        writers: vec![vec![Expect::Any]],
        ..Scope::new("one writer")
    }
}

fn two_writers() -> Scope {
    Scope {
        writers: vec![vec![Expect::Any], vec![Expect::Any]],
        ..Scope::new("two writers")
    }
}

/// The target has two events when the source gets its third.
fn mirror() -> Scope {
    Scope {
        shapes: vec![Split, Keep, Keep],
        writers: vec![vec![Expect::Any, Expect::Any]],
        mirror: true,
        ..Scope::new("a mirror, and counts that differ")
    }
}

/// A Close names a cell of its target that is not there.
fn hint_ahead() -> Scope {
    Scope {
        hint: Hint::Ahead,
        ..two_writers_known()
    }
}

/// One writer expects what it knows, the other nothing.
fn two_writers_known() -> Scope {
    Scope {
        writers: vec![vec![Expect::Known], vec![Expect::Any]],
        ..Scope::new("a hint of the target's end")
    }
}

/// As above, where the Close is right, or names a cell that is no longer the last.
pub fn hint_that_is_there(hint: Hint) -> Scope {
    Scope {
        hint,
        ..two_writers_known()
    }
}

/// Where the target should be, the writers find another stream, as in a store of the same name.
fn another_store() -> Scope {
    Scope {
        decoy: true,
        writers: vec![vec![Expect::Any]],
        ..Scope::new("another store of the same name")
    }
}

/// The target of a Close is closed itself before the writer gets there.
fn two_closes() -> Scope {
    Scope {
        migrations: vec![Kind::Forward, Kind::Forward],
        writers: vec![vec![Expect::Any]],
        budget: runs(2),
        ..Scope::new("two Closes")
    }
}

/// One of two copiers writes a wrong cell, while another lane compares.
fn compared_beside() -> Scope {
    Scope {
        initial: 2,
        migrators: 2,
        beside: true,
        budget: Budget {
            damages: 1,
            ..runs(2)
        },
        ..Scope::new("a wrong cell")
    }
}

/// The last event of a fold comes late, or not before the cutover was given up.
fn open_window() -> Scope {
    Scope {
        shapes: vec![Join, Join, Keep],
        writers: vec![vec![Expect::Any], vec![Expect::Any]],
        ..Scope::new("an open window")
    }
}

fn flushed_window() -> Scope {
    Scope {
        name: "a flushed window",
        flush: true,
        ..open_window()
    }
}

/// One of two copiers continues where the other was.
fn fold() -> Scope {
    Scope {
        shapes: vec![Join; 4],
        initial: 4,
        migrators: 2,
        budget: runs(2),
        ..Scope::new("two copiers of a fold")
    }
}

/// The state of a fold is lost on its way to the target.
fn damaged_fold() -> Scope {
    Scope {
        name: "a lost state",
        budget: Budget {
            damages: 1,
            ..runs(1)
        },
        ..open_window()
    }
}

fn mirrored_fold() -> Scope {
    Scope {
        name: "a mirror of a fold",
        mirror: true,
        ..open_window()
    }
}

fn undo() -> Scope {
    Scope {
        migrators: 2,
        undo: true,
        budget: runs(2),
        ..Scope::new("an undo beside a run")
    }
}

/// A run has fenced its own attempt, and another undoes the next one before that was begun: without a
/// Fence, because who begins it afterwards reads the journal before it closes.
fn undo_of_a_second_attempt() -> Scope {
    Scope {
        initial: 2,
        migrators: 2,
        undo: true,
        budget: Budget {
            findings: 1,
            ..runs(2)
        },
        ..Scope::new("an undo beside a second attempt")
    }
}

/// A run fences its own attempt, an event is appended behind the Fence, another run comes.
fn fence_behind_data() -> Scope {
    Scope {
        initial: 2,
        writers: vec![vec![Expect::Any]],
        migrators: 2,
        budget: Budget {
            findings: 1,
            ..runs(2)
        },
        ..Scope::new("an event behind a Fence")
    }
}

/// The first migration is undone, the second completed, and a run of the first wakes up.
fn undo_in_a_row() -> Scope {
    Scope {
        migrations: vec![Kind::Forward, Kind::Forward],
        migrators: 2,
        undo: true,
        budget: runs(3),
        ..Scope::new("an undo, and another migration")
    }
}

fn lost_answer() -> Scope {
    Scope {
        writers: vec![vec![Expect::Any]],
        budget: Budget {
            losses: 1,
            ..runs(1)
        },
        ..Scope::new("a lost answer")
    }
}

fn deletion(losses: u8) -> Scope {
    Scope {
        writers: vec![vec![Expect::Any], vec![Expect::Any]],
        deletion: true,
        budget: Budget { losses, ..runs(1) },
        ..Scope::new("a stream is deleted")
    }
}

/// Two migrators without a lock, and a writer.
pub fn two_migrators_at_once() -> Scope {
    Scope {
        writers: vec![vec![Expect::Any]],
        migrators: 2,
        budget: runs(2),
        ..Scope::new("two migrators at once")
    }
}

/// The target has as many events after an append as the source had before.
fn dropped() -> Scope {
    Scope {
        shapes: vec![Drop, Keep, Keep],
        writers: vec![vec![Expect::Known], vec![Expect::Any]],
        ..Scope::new("a dropped event")
    }
}

fn dual_read() -> Scope {
    Scope {
        writers: vec![vec![Expect::Any]],
        dual_read: true,
        ..Scope::new("a read from both streams")
    }
}

/// The restored stream ends at the same position that a writer knows from before the restore.
fn restore() -> Scope {
    Scope {
        migrations: vec![Kind::Restore(1)],
        initial: 2,
        writers: vec![vec![Expect::Known]],
        ..Scope::new("a restore")
    }
}

/// A run finds its attempt fenced by an undo that has ended.
fn second_attempt() -> Scope {
    Scope {
        migrators: 2,
        undo: true,
        budget: runs(3),
        ..Scope::new("an undo that was begun again")
    }
}

fn runs(runs: u8) -> Budget {
    Budget {
        runs,
        ..Budget::default()
    }
}
