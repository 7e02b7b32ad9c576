//! The phases that applications see, and the transitions between them ([R20](crate::protocol#r20)).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The progress of an object's migration, as far as readers and writers act on it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum MigrationPhase {
    /// Reads and writes go to the source.
    #[default]
    Normal,
    /// Writes go to the source, then to the mirror; reads to the source.
    DualWrite,
    /// As `DualWrite`; reads come from the target where it is complete.
    DualRead,
    /// Writes go to the source until it is closed, then to the target.
    Cutover,
    /// Reads and writes go to the target.
    BookClosed,
}

impl MigrationPhase {
    /// All phases, in order.
    pub const ALL: [Self; 5] = [
        Self::Normal,
        Self::DualWrite,
        Self::DualRead,
        Self::Cutover,
        Self::BookClosed,
    ];
}

impl fmt::Display for MigrationPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::DualWrite => "dual write",
            Self::DualRead => "dual read",
            Self::Cutover => "cutover",
            Self::BookClosed => "book closed",
        })
    }
}

/// What happened that may move an object to another phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhaseSignal {
    /// Copying has begun: writers may mirror.
    Copying,
    /// The target was verified: readers may use it.
    Verified,
    /// The source is about to be closed.
    CuttingOver,
    /// The source is closed and the document names the target.
    BooksClosed,
    /// The migration is being undone before its pivot.
    Undo,
}

/// A signal that a phase does not permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no transition from phase {phase:?} by signal {signal:?}")]
pub struct Illegal {
    /// The phase it was in.
    pub phase: MigrationPhase,
    /// The signal it got.
    pub signal: PhaseSignal,
}

/// The phase after a signal: forward one at a time, back one at a time until `Normal`, and nothing
/// goes back from `BookClosed`.
///
/// # Errors
/// [`Illegal`] for every other pair.
pub fn next(phase: MigrationPhase, signal: PhaseSignal) -> Result<MigrationPhase, Illegal> {
    use MigrationPhase::{BookClosed, Cutover, DualRead, DualWrite, Normal};
    Ok(match (phase, signal) {
        (Normal, PhaseSignal::Copying) => DualWrite,
        (DualWrite, PhaseSignal::Verified) => DualRead,
        (DualRead, PhaseSignal::CuttingOver) => Cutover,
        (Cutover, PhaseSignal::BooksClosed) => BookClosed,
        (Cutover, PhaseSignal::Undo) => DualRead,
        (DualRead, PhaseSignal::Undo) => DualWrite,
        (DualWrite, PhaseSignal::Undo) => Normal,
        (phase, signal) => return Err(Illegal { phase, signal }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNALS: [PhaseSignal; 5] = [
        PhaseSignal::Copying,
        PhaseSignal::Verified,
        PhaseSignal::CuttingOver,
        PhaseSignal::BooksClosed,
        PhaseSignal::Undo,
    ];

    #[test]
    fn phases_are_shown_by_their_names() {
        let shown = MigrationPhase::ALL.map(|phase| phase.to_string());
        let names = [
            "normal",
            "dual write",
            "dual read",
            "cutover",
            "book closed",
        ];
        assert_eq!(shown, names);
    }

    #[test]
    fn r20_every_pair_is_one_step_or_refused() {
        let mut table = String::new();
        for phase in MigrationPhase::ALL {
            for signal in SIGNALS {
                match next(phase, signal) {
                    Ok(to) => {
                        assert_eq!((to as i8 - phase as i8).abs(), 1, "one at a time");
                        table += &format!("{phase:?} + {signal:?} -> {to:?}\n");
                    }
                    Err(illegal) => assert_eq!(illegal, Illegal { phase, signal }),
                }
            }
        }
        insta::assert_snapshot!(table, @r"
        Normal + Copying -> DualWrite
        DualWrite + Verified -> DualRead
        DualWrite + Undo -> Normal
        DualRead + CuttingOver -> Cutover
        DualRead + Undo -> DualWrite
        Cutover + BooksClosed -> BookClosed
        Cutover + Undo -> DualRead
        ");
    }
}
