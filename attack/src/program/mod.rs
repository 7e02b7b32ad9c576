//! The program under attack: started, bounded in time, and judged by what every command promises.

mod command;
mod outcome;
mod patience;
mod traced;

pub(crate) use command::{Esm, kill_after, run, wait};
pub(crate) use outcome::{Ended, Outcome};
pub(crate) use patience::{pause, until};
pub(crate) use traced::{At, CALLS, Frozen, Tools, at_another_time, killed};
