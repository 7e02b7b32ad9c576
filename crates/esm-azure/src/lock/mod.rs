//! Locks as leases on blobs of their own.

mod acquisition;
mod lease;
mod provider;

pub(crate) use provider::LeaseLocks;
