//! An event of the input, and an error about one.

use esm_core::Error;
use esm_core::event::Event;
use esm_core::id::ObjectId;

use super::records::Unit;

/// An event of the input, and what the input says about its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) object: ObjectId,
    pub(super) sequence: Option<u64>,
    pub(super) event: Event,
    /// What it takes as a line, in bytes.
    pub(super) bytes: usize,
}

/// An event of the input, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) object: ObjectId,
    pub(crate) sequence: u64,
    pub(crate) event: Event,
}

/// An error, and the number of the record that it is about; 0 for none.
#[derive(Debug)]
pub(super) struct AtRecord {
    pub(super) number: u64,
    pub(super) error: Error,
}

impl AtRecord {
    /// An error of this record.
    pub(super) fn new(number: u64, error: Error) -> Self {
        Self { number, error }
    }

    /// The error, with the record in front if it is about one.
    pub(super) fn into_error(self, unit: Unit) -> Error {
        match self.number {
            0 => self.error,
            number => self.error.context(format!("{unit} {number}")),
        }
    }
}
