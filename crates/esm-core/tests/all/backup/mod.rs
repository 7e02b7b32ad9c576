//! Backups by hand, and restoring them, on the in-memory fakes.

mod create;
mod faults;
mod fresh_stream;
mod new_object;
mod objects;
mod prune;
mod until;
