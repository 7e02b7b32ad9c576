//! How a journal, a document and a report name a finished backup.

use serde::{Deserialize, Serialize};

use crate::id::BackupId;

/// Refers to a finished backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHandle {
    /// The provider's name.
    pub provider: String,
    /// The backup's name.
    pub id: BackupId,
    /// Number of events in it.
    pub events: u64,
    /// blake3 of the events as stored, in hex.
    pub blake3: String,
}
