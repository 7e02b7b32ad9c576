//! Backups by hand, and restoring them, on the in-memory fakes.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

mod create;
mod faults;
mod fixture;
mod fresh_stream;
mod new_object;
mod prune;
