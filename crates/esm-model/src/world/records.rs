//! What is stored beside the streams: the object's document, and the journals.

use super::{Close, Slot};

/// The object's document: which stream is active, and which were before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Document {
    /// Number of the record that holds it.
    pub version: u8,
    /// The active stream.
    pub active: Slot,
    /// The streams before it, each with its Close.
    pub terminated: Vec<(Slot, Close)>,
}

/// One record of a migration's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// The epoch.
    pub epoch: u8,
    /// The run that wrote it, by which a writer recognises its own record after a lost response.
    pub run: u8,
    /// What is recorded.
    pub entry: Entry,
}

/// What a journal records, as `esm_core::protocol::journal::JournalEntry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// A new holder has taken over.
    Claim,
    /// What is to be done.
    Planned,
    /// It is to be undone.
    RollingBack,
    /// The undo came too late.
    RollBackRefused,
    /// It is done.
    Completed,
    /// It was undone.
    RolledBack,
}
