//! Backups of a newer format.

use std::error::Error as StdError;
use std::fmt;

use crate::error::Error;

/// The source of the error for a backup whose format is newer than this version reads. What such a
/// backup needs is not known: it may be one that cannot be read without another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewerBackup;

impl NewerBackup {
    /// Whether it is what caused this error.
    pub fn caused(error: &Error) -> bool {
        error.source().is_some_and(|source| source.is::<Self>())
    }
}

impl fmt::Display for NewerBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a newer version of esm wrote it")
    }
}

impl StdError for NewerBackup {}
