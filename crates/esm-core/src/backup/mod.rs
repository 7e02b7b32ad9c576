//! Backups outside of a migration: write, verify, restore, delete and prune them.
//!
//! A backup holds the events of objects' active streams, a section for each stream, as they were
//! when it was written. A [`BackupService`] writes and verifies them in constant memory, however
//! many objects and events there are, and restores them.
//!
//! # Restoring
//! A backup is never written onto a live stream ([R19](crate::protocol#r19)). A restore is a cutover, as
//! a migration is, with another source. The events go into a fresh stream that nothing names, and are
//! read again and compared with the backup. One atomic write makes them visible: the Close of the
//! stream that they replace. For an existing object that is its active stream; for a new one it is the
//! empty stream where such an object begins. The Close is made at the exact tail that was seen, so no
//! acknowledged event is lost: what applications appended until then stays readable in the closed
//! stream, and the result counts it. Positions do not translate over a restore.
//!
//! | file | idea |
//! |---|---|
//! | `service` | the handle that callers use |
//! | `options` | how one is made, by hand or by a migration |
//! | `create`, `write` | objects into a backup; shared with migrations |
//! | `checked` | reading a backup and comparing it with what it says of itself |
//! | `registry/` | which backups there are, and whether they are sound |
//! | `retention/` | which backups may go, and removing them |
//! | `restore/` | a section of a backup into a stream |
//! | `progress` | progress reports, and where they go |

mod checked;
mod create;
mod options;
mod progress;
mod registry;
mod restore;
mod retention;
mod service;
mod write;

pub use options::BackupOptions;
pub use progress::{BackupProgress, BackupStage};

pub use registry::{BackupDamage, BackupFilter, CheckedBackups, ReadData};
pub use restore::{
    ReplacedStream, RestoreFailure, RestoreOptions, RestoreTarget, RestoreUntil, Restored,
    RestoredAll,
};
pub use retention::{
    KeepReason, KeepRules, KeptBackup, PruneFailure, PrunePolicy, PruneReason, Pruned,
    PrunedBackup, split_damaged,
};
pub use service::BackupService;

pub(crate) use progress::Monitor;
pub(crate) use write::{Subject, fresh_id, write_verified};
