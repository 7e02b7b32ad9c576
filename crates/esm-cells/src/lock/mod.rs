//! Locks as numbered acquisitions with heartbeats.

mod acquisition;
mod observed;
mod provider;

pub(crate) use acquisition::name_of_acquisition;
pub(crate) use provider::ObjectLocks;
