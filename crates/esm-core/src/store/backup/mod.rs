//! Backups and archives: what a provider implements, and how others name a finished backup.

mod handle;
mod newer;
mod provider;

pub use handle::BackupHandle;
pub use newer::NewerBackup;
pub use provider::{
    BackupChecksums, BackupContent, BackupDraft, BackupItem, BackupKind, BackupManifest,
    BackupProvider, BackupReader, BackupSection, BackupSettings, BackupWriter, Compression,
    SectionSummary,
};
