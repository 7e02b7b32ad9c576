//! Why a backup is removed, or kept.

use jiff::Timestamp;
use serde::Serialize;

use crate::id::{HolderId, MigrationId};

/// Why a backup is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PruneReason {
    /// Its retention has ended.
    Expired {
        /// When it ended.
        keep_until: Timestamp,
    },
    /// Its files are gone: it was deleted while it was written. Whatever the policy says.
    NoFiles,
    /// It has no `keep_until`, and is older than the policy's limit.
    Old {
        /// When it was made.
        created_at: Timestamp,
    },
    /// It has no `keep_until`, and no rule keeps it.
    Superseded,
}

/// Why a backup is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeepReason {
    /// It is one of the newest.
    Last {
        /// Which, from 1.
        number: usize,
    },
    /// It is the newest of its day.
    Daily {
        /// The day, in UTC.
        day: String,
    },
    /// It is the newest of its month.
    Monthly {
        /// The month, in UTC.
        month: String,
    },
    /// It has a tag.
    Tag {
        /// The tag, as `key=value`.
        tag: String,
    },
    /// It is the newest of its series.
    Newest,
    /// Its retention has not ended.
    Retention {
        /// When it ends; never if absent.
        keep_until: Option<Timestamp>,
    },
    /// It is an archive.
    Archive,
    /// The migration that made it is unfinished.
    Migration {
        /// The migration.
        migration: MigrationId,
    },
    /// It is being restored.
    InUse {
        /// By whom.
        holder: HolderId,
    },
    /// Another backup has taken its name, or it was deleted meanwhile.
    Changed,
}
