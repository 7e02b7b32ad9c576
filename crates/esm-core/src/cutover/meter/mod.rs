//! What a run measures: the time of each stage, and how much of its work is done.
//!
//! | file | idea |
//! |---|---|
//! | `stages` | time spent reading, transforming, appending and waiting |
//! | `work` | units done and the time they took, by phase |
//! | `lap` | what is timed: an object under way, its rest, a phase |

mod lap;
mod stages;
mod work;

pub(crate) use lap::{Lap, Resting, UnderWay};
pub use stages::StageTimes;
pub(crate) use stages::{Meter, Stage};
pub(crate) use work::{Phase, PhasesWork, SmallCost, SmallWork, Totals, is_large};
