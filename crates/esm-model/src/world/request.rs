//! Writes that were sent, and may not have arrived.

use std::sync::Arc;

use super::{Cell, Document, Record, Slot};

/// A conditional write, on its way to the storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// `EventStore::append`, `close` and `fence`: creates a cell under a number that is free.
    Put {
        /// The stream.
        stream: Slot,
        /// The number.
        seq: u8,
        /// The cell.
        cell: Cell,
        /// Of an application's append that expects a position: how often the object had changed when
        /// the application looked.
        knows: Option<u8>,
    },
    /// `Documents::update`: creates the next version.
    Document(Arc<Document>),
    /// `Journal::append`: creates the next record.
    Journal {
        /// The migration.
        migration: u8,
        /// The record's number.
        number: u8,
        /// The record.
        record: Record,
    },
    /// `EventStore::discard`: removes streams.
    Discard(Vec<Slot>),
}

/// What a sender learns of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// It was not done, and will not be: the number is taken.
    Refused,
    /// Nothing: it may have been done, and may still be.
    Unknown,
}
