//! What a migration is doing, for people and programs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a migration is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationStatus {
    /// Claimed; nothing is planned yet.
    Pending,
    /// Backing up, analysing or copying.
    InProgress,
    /// Stopped at a safe point on request; can be resumed.
    Paused,
    /// Comparing target and source.
    Verifying,
    /// Closing the source.
    CuttingOver,
    /// Everything that was asked for is done.
    Completed,
    /// Stopped by an error; can be resumed or rolled back.
    Failed,
    /// Ended on request before anything was planned.
    Cancelled,
    /// Being undone.
    RollingBack,
    /// Undone; the sources are open and active.
    RolledBack,
    /// Undone as far as the store permits: the sources are open and active, and targets are kept
    /// permanently, because the store cannot fence a source.
    Abandoned,
}

impl MigrationStatus {
    /// Whether nothing more will happen.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Cancelled | Self::RolledBack | Self::Abandoned
        )
    }
}

impl fmt::Display for MigrationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::InProgress => "in progress",
            Self::Paused => "paused",
            Self::Verifying => "verifying",
            Self::CuttingOver => "cutting over",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::RollingBack => "rolling back",
            Self::RolledBack => "rolled back",
            Self::Abandoned => "abandoned",
        })
    }
}

/// A step of the saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Getting the distributed lock.
    AcquireLock,
    /// Backing up.
    BackUp,
    /// Looking at all events of the source.
    Analyse,
    /// Copying and transforming.
    Copy,
    /// Comparing target and source.
    Verify,
    /// Closing the source: the pivot.
    CutOver,
    /// Archiving and recording.
    CloseBooks,
    /// Undoing.
    RollBack,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AcquireLock => "acquire lock",
            Self::BackUp => "back up",
            Self::Analyse => "analyse",
            Self::Copy => "copy",
            Self::Verify => "verify",
            Self::CutOver => "cut over",
            Self::CloseBooks => "close books",
            Self::RollBack => "roll back",
        })
    }
}
