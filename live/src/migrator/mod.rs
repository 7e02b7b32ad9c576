//! Those who migrate: the real `esm`, and one that no lock keeps away.

mod process;
mod unlocked;

pub(crate) use process::{End, Lease, Migrator};
pub(crate) use unlocked::{Options, run};
