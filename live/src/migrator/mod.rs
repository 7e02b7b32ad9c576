//! Those who migrate: the real `esm`, and one that no lock keeps away.

mod process;
mod steering;
mod unlocked;

pub(crate) use process::{End, Lease, Migrator, program};
pub(crate) use steering::Steering;
pub(crate) use unlocked::{Options, run};
