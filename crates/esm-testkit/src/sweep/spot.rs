//! One run of a sweep: its operation, fault and continuation.

use std::fmt;
use std::str::FromStr;

use esm_core::{Error, Result};

use crate::faults::{Fault, Gate, Interjection};
use crate::tap::{Call, Effect};

/// One run of a sweep. Its text replays it: `12:after:other`, and with a second fault
/// `12:after:other:5:before`.
///
/// ```
/// use esm_testkit::sweep::{Spot, SpotFault, Then};
///
/// let spot: Spot = "12:after:other".parse()?;
/// assert_eq!((spot.operation, spot.fault, spot.then), (12, SpotFault::CrashAfter, Then::Other));
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The number of the operation of the first process that the fault hits.
    pub operation: u64,
    /// The fault.
    pub fault: SpotFault,
    /// The continuation after the fault.
    pub then: Then,
    /// A fault of the process that continues: the number of its operation, and the fault. Another
    /// process continues after it.
    pub again: Option<(u64, SpotFault)>,
}

/// A fault that a sweep puts at every operation.
///
/// ```
/// use esm_testkit::sweep::{Spot, SpotFault, Then};
///
/// let spot = Spot { operation: 3, fault: SpotFault::Pause, then: Then::Rival, again: None };
/// assert_eq!(spot.to_string(), "3:pause:rival");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpotFault {
    /// `before`: a crash before the operation.
    CrashBefore,
    /// `after`: a crash after the operation.
    CrashAfter,
    /// `fail`: the operation does not happen and fails.
    FailBefore,
    /// `lost`: the operation happens and its response is lost.
    FailAfter,
    /// `twice`: the operation happens twice.
    Duplicate,
    /// `pause`: a process without a lock pauses before the operation, and continues when another
    /// has finished; a zombie.
    Pause,
    /// `write`: an application appends an event before the operation.
    Write,
}

/// The continuation after the fault.
///
/// ```
/// use esm_testkit::sweep::{Spot, Then};
///
/// let spot: Spot = "12:after:back".parse()?;
/// assert_eq!(spot.then, Then::RollBack);
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Then {
    /// `same`: the same holder resumes at once.
    Same,
    /// `other`: another holder resumes, after the lease.
    Other,
    /// `back`: another holder rolls back, after the lease.
    RollBack,
    /// `rival`: another holder begins its own migration.
    Rival,
}

impl Spot {
    /// Returns this spot with another continuation.
    pub(super) fn with(self, then: Then) -> Self {
        Self { then, ..self }
    }
}

impl SpotFault {
    const NAMES: [(Self, &str); 7] = [
        (Self::CrashBefore, "before"),
        (Self::CrashAfter, "after"),
        (Self::FailBefore, "fail"),
        (Self::FailAfter, "lost"),
        (Self::Duplicate, "twice"),
        (Self::Pause, "pause"),
        (Self::Write, "write"),
    ];

    /// The faults of the crash sweep.
    pub const CRASHES: [Self; 5] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::FailBefore,
        Self::FailAfter,
        Self::Duplicate,
    ];

    /// The faults of the sweep of pairs: those that end a process.
    pub const ENDS: [Self; 2] = [Self::CrashBefore, Self::CrashAfter];

    /// Returns whether this fault can happen to such a call.
    pub(super) fn can_happen_to(self, call: &Call) -> bool {
        self != Self::Duplicate || !call.once
    }

    /// Returns whether this fault at such a call leaves a storage that no other fault leaves.
    pub(super) fn matters_at(self, effect: Effect) -> bool {
        effect == Effect::Write || matches!(self, Self::FailBefore | Self::Pause | Self::Write)
    }

    pub(super) fn fault(self, gate: &Gate, write: &Interjection) -> Fault {
        match self {
            Self::CrashBefore => Fault::CrashBefore,
            Self::CrashAfter => Fault::CrashAfter,
            Self::FailBefore => Fault::FailBefore,
            Self::FailAfter => Fault::FailAfter,
            Self::Duplicate => Fault::Duplicate,
            Self::Pause => Fault::Stall(gate.clone()),
            Self::Write => Fault::Interject(write.clone()),
        }
    }
}

impl Then {
    const NAMES: [(Self, &str); 4] = [
        (Self::Same, "same"),
        (Self::Other, "other"),
        (Self::RollBack, "back"),
        (Self::Rival, "rival"),
    ];

    /// The continuations after a crash.
    pub const AFTER_CRASHES: [Self; 3] = [Self::Same, Self::Other, Self::RollBack];

    /// The actor that continues after a crash.
    pub(super) fn goes_on(self) -> &'static str {
        match self {
            Self::Same => "first-2",
            Self::Other | Self::RollBack | Self::Rival => "other-2",
        }
    }

    /// The actions of other processes while a zombie is paused.
    pub const DURING_PAUSES: [Self; 3] = [Self::Other, Self::RollBack, Self::Rival];
}

fn name_of<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    let found = names.iter().find(|(named, _)| named == value);
    found.map_or("", |(_, name)| name)
}

fn named<T: Copy>(names: &[(T, &'static str)], text: &str) -> Option<T> {
    let found = names.iter().find(|(_, name)| *name == text);
    found.map(|(named, _)| *named)
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = name_of(&SpotFault::NAMES, &self.fault);
        let then = name_of(&Then::NAMES, &self.then);
        write!(f, "{}:{fault}:{then}", self.operation)?;
        match &self.again {
            None => Ok(()),
            Some((operation, fault)) => {
                write!(f, ":{operation}:{}", name_of(&SpotFault::NAMES, fault))
            }
        }
    }
}

impl FromStr for Spot {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split(':').collect();
        let fault_at = |operation: &str, fault: &str| {
            let fault = named(&SpotFault::NAMES, fault)?;
            Some((operation.parse().ok()?, fault))
        };
        let read = || {
            let (first, then, again) = match parts.as_slice() {
                [operation, fault, then] => (fault_at(operation, fault)?, then, None),
                [operation, fault, then, operation2, fault2] => {
                    let again = fault_at(operation2, fault2)?;
                    (fault_at(operation, fault)?, then, Some(again))
                }
                _ => return None,
            };
            Some(Self {
                operation: first.0,
                fault: first.1,
                then: named(&Then::NAMES, then)?,
                again,
            })
        };
        read().ok_or_else(|| {
            Error::invalid(format!("not a spot of a sweep: {text:?}"))
                .with_hint("write it as operation:fault:then, for example 12:after:other")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spot_is_read_as_it_is_written() -> Result<()> {
        for (fault, _) in SpotFault::NAMES {
            for (then, _) in Then::NAMES {
                for again in [None, Some((7, fault))] {
                    let spot = Spot {
                        operation: 12,
                        fault,
                        then,
                        again,
                    };
                    assert_eq!(spot.to_string().parse::<Spot>()?, spot);
                }
            }
        }
        for wrong in [
            "",
            "12",
            "12:after",
            "x:after:other",
            "12:after:other:",
            "12:after:other:5",
            "12:after:other:5:never",
            "12:never:other",
        ] {
            assert!(wrong.parse::<Spot>().is_err(), "{wrong:?}");
        }
        Ok(())
    }
}
