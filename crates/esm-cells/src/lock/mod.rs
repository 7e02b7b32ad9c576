//! Locks as numbered acquisitions with heartbeats.

mod acquisition;
mod observed;
mod provider;

pub(crate) use provider::ObjectLocks;
