//! Locks: one migrator for a scope at a time, to avoid duplicate work.

pub(crate) mod held_lock;
pub(crate) mod options;
pub(crate) mod scope;
