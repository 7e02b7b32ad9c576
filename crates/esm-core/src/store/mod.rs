//! What a provider implements: a trait a file.
//!
//! The traits are small, so that one is implemented in an afternoon. The `…Ext` traits add
//! convenience methods to every implementation.

mod backup;
mod capabilities;
mod cell;
mod document;
mod event_store;
mod inventory;
mod layer;
mod lock;
mod records;
mod stores;

pub use backup::{
    BackupChecksums, BackupContent, BackupDraft, BackupHandle, BackupItem, BackupKind,
    BackupManifest, BackupProvider, BackupReader, BackupSection, BackupSettings, BackupWriter,
    Compression, NewerBackup, SectionSummary,
};
pub use capabilities::{Capabilities, Shortcoming, StoreLimits};
pub use cell::{
    Cell, CellEvent, CellHeader, CellKind, Close, Fence, LastCell, OnRetired, Origin, Restores,
};
pub use document::{EarlierStreams, ObjectDocument, TerminatedStream, TerminationReason};
pub use event_store::{
    Append, EventStore, EventStoreExt, Page, PageLimit, ReadFrom, Settled, Tail,
};
pub use inventory::{Inventory, Numbers, StoredContent, StoredItem};
pub(crate) use layer::{Call, Layer, Layered, ReadOnly};
pub use layer::{Lane, Turn};
pub use lock::{
    HolderProcess, HolderState, LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest,
    ProcessAwareLocks, Processes,
};
pub use records::{Record, RecordCollection, RecordKey, Records, RecordsExt};
pub(crate) use records::{RecordChange, change_record, decode};
pub use stores::Stores;
pub(crate) use stores::other_place;
