//! Backups outside of a migration: write, verify, restore, delete and prune them.
//!
//! A backup holds the events of objects' active streams, a section for each stream, as they were
//! when it was written. A [`BackupService`] writes and verifies them in constant memory, however
//! many objects and events there are, and restores them.
//!
//! # Restoring
//! A backup is never written onto a live stream (protocol R19). The events go into a fresh stream
//! that nobody knows of, are read again and compared with the backup, and only then become visible,
//! by one atomic write: the Close of the stream whose place they take. For an object that exists
//! that is its active stream; for a new one it is the empty stream where such an object begins. The
//! Close is made at the exact tail that was seen, so no acknowledged event is ever covered up: what
//! applications appended until then stays readable in the closed stream, and the result says how
//! much that is. Positions do not translate over a restore.
//!
//! | file | idea |
//! |---|---|
//! | `service` | what users call |
//! | `options` | how one is made, by hand or by a migration |
//! | `create`, `write` | objects into a backup; shared with migrations |
//! | `checked` | reading a backup and comparing it with what it says of itself |
//! | `prune` | which backups may go |
//! | `restore/` | a section of a backup into a stream |
//! | `progress` | what users are told |

mod checked;
mod create;
mod options;
mod progress;
mod prune;
mod restore;
mod service;
mod write;

pub use options::BackupOptions;
pub use progress::{BackupProgress, BackupStage};
pub use prune::{PruneFailure, PrunePolicy, PruneReason, Pruned, PrunedBackup};
pub use restore::{ReplacedStream, RestoreOptions, RestoreTarget, Restored, RestoredAll};
pub use service::BackupService;

pub(crate) use progress::Monitor;
pub(crate) use write::{Subject, fresh_id, write_verified};
