//! The journal of a migration: its records are appended by compare-and-swap in a claimed epoch.
//!
//! | item | responsibility |
//! |---|---|
//! | [`Journal`] | reads, claims and appends; an append in a lost epoch fails as `Fenced` |
//! | `JournalWatch` | reads ahead to detect a takeover, without blocking appends |
//!
//! The records and their meaning are in [`protocol::journal`](crate::protocol::journal).

mod log;

pub(crate) use log::Journal;

#[cfg(test)]
mod tests;
