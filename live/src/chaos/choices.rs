//! What happens in a round: determined by its seed.

use std::fmt;

use crate::dice::Dice;
use crate::world::{Pace, Size};

/// What happens in a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choices {
    pub(super) seed: u64,
    pub(super) size: Size,
    pub(super) pace: Pace,
    pub(super) trial: Trial,
    /// After so many appends of the trial an application is killed in the middle of whatever it
    /// does, and another one started.
    pub(super) application_killed: Option<u64>,
}

/// What is done to the migrators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trial {
    /// One after the other is killed at its point; the next one resumes.
    Killed(Vec<Moment>),
    /// The first is frozen; when its lease has expired, a second takes over. The first wakes at a
    /// given point of the second's work, or at its end.
    Frozen { at: Moment, woken: Moment },
    /// Two work at once, and no lock keeps them apart: on two migrations, or both on one. Each is
    /// frozen at its point, for so many appends.
    Unlocked {
        shared: bool,
        frozen: [(Moment, u64); 2],
    },
    /// It is killed, or frozen and woken later, and the migration is undone as far as that goes.
    Undone { at: Moment, killed: bool },
    /// It completes, and so many appends later everything is rolled back, originals restored. If a
    /// point is given, the migrator that rolls back is killed there, and another continues.
    Reversed { after: u64, killed: Option<Moment> },
    /// Others steer it by commands: they pause it for so many appends, request a cutover, withdraw the
    /// request, set its rate to unlimited and resume it, and in the end cut it over or cancel it. The
    /// commands come from a console, or each from a process of its own.
    Steered {
        paused: u64,
        console: bool,
        cancelled: bool,
    },
}

/// When something is done to a migrator, unless it has ended before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) sign: Sign,
    /// After so many more appends, of all applications together.
    pub(super) appends: u64,
}

/// What is seen of a migrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It was started.
    Started,
    /// It has its lock and its plan.
    Working,
    /// It has closed so many sources.
    Closed(u64),
}

impl Choices {
    /// The choices of a seed. Kinds of trials take turns, so that a few rounds have them all.
    pub(super) fn of(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let size = Size {
            objects: 2 + dice.below(5) as u32,
            events: (20 << dice.below(9)) + dice.below(20) as u32,
        };
        let pace = Pace {
            writers: 2 + dice.below(3) as u32,
            pause: 200 << dice.below(5),
            seed,
        };
        let moment = || Moment::drawn(&dice, size);
        let trial = match seed % 6 {
            0 => Trial::Killed((0..=dice.below(3)).map(|_| moment()).collect()),
            1 => Trial::Frozen {
                at: moment(),
                woken: moment(),
            },
            2 => Trial::Unlocked {
                shared: dice.one_in(2),
                frozen: [(moment(), dice.magnitude(8)), (moment(), dice.magnitude(8))],
            },
            3 => Trial::Undone {
                at: moment(),
                killed: dice.one_in(2),
            },
            4 => Trial::Reversed {
                after: dice.magnitude(8),
                killed: dice.one_in(2).then(moment),
            },
            _ => Trial::Steered {
                paused: dice.magnitude(8),
                // so that a few rounds have both
                console: seed % 12 == 5,
                cancelled: dice.one_in(2),
            },
        };
        let killed = dice.one_in(3).then(|| dice.magnitude(8));
        Self {
            seed,
            size,
            pace,
            trial,
            application_killed: killed,
        }
    }
}

impl Moment {
    fn drawn(dice: &Dice, size: Size) -> Self {
        let sign = match dice.below(4) {
            0 => Sign::Started,
            1 => Sign::Working,
            _ => Sign::Closed(1 + dice.below(u64::from(size.objects))),
        };
        // right at the sign is where it hurts
        let appends = if dice.one_in(2) { 0 } else { dice.magnitude(6) };
        Self { sign, appends }
    }
}

impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, pace, .. } = self;
        write!(
            f,
            "{} objects of {} events, {} applications every {} µs; {}",
            size.objects, size.events, pace.writers, pace.pause, self.trial
        )?;
        match self.application_killed {
            Some(appends) => write!(f, "; an application killed after {appends}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(moments) => {
                let moments: Vec<_> = moments.iter().map(ToString::to_string).collect();
                write!(f, "killed {}", moments.join(", then "))
            }
            Self::Frozen { at, woken } => write!(f, "frozen {at}, woken {woken} of the second"),
            Self::Unlocked {
                shared,
                frozen: [(first, one), (second, other)],
            } => {
                let on = if *shared {
                    "one migration"
                } else {
                    "two migrations"
                };
                write!(
                    f,
                    "two without a lock on {on}, frozen {first} for {one} and {second} for {other}"
                )
            }
            Self::Undone { at, killed } => {
                let how = if *killed { "killed" } else { "frozen" };
                write!(f, "{how} {at} and undone")
            }
            Self::Reversed { after, killed } => {
                write!(f, "rolled back {after} appends after its end")?;
                match killed {
                    Some(moment) => write!(f, ", that killed {moment}"),
                    None => Ok(()),
                }
            }
            Self::Steered {
                paused,
                console,
                cancelled,
            } => {
                let by = if *console { " from a console" } else { "" };
                let end = if *cancelled { ", then cancelled" } else { "" };
                write!(f, "steered{by}, and paused for {paused} appends{end}")
            }
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sign {
            Sign::Started => f.write_str("at the start")?,
            Sign::Working => f.write_str("at work")?,
            Sign::Closed(number) => write!(f, "at Close {number}")?,
        }
        match self.appends {
            0 => Ok(()),
            appends => write!(f, " + {appends}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_what_happens_and_six_in_a_row_are_of_all_kinds() {
        assert_eq!(Choices::of(7), Choices::of(7));
        let kind = |seed| std::mem::discriminant(&Choices::of(seed).trial);
        let kinds: std::collections::HashSet<_> = (40..46).map(kind).collect();
        assert_eq!(kinds.len(), 6);
    }
}
