//! What a storage holds, whether or not anything names it.

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::error::Result;
use crate::id::{BackupId, LockName, StreamId};
use crate::store::records::RecordKey;

/// Lists what a storage holds: the one way to find what no document, Close or journal names.
///
/// A provider need not have one. Without it a [`Doctor`](crate::doctor::Doctor) follows what is
/// named, and says that it did not look for anything else.
///
/// Lists only; the other traits read.
#[async_trait]
pub trait Inventory: Send + Sync + Debug + 'static {
    /// Checks what the storage knows of itself, reading all of it, such as the pages of a database.
    ///
    /// # Errors
    /// `Corrupt`; those of the storage.
    async fn check(&self) -> Result<()>;

    /// Everything that is stored, each item once, in no particular order. Memory does not grow with
    /// the number of items. What is created or removed meanwhile may be left out, and a number that
    /// is taken meanwhile may be listed without the one before it.
    fn items(&self) -> BoxStream<'_, Result<StoredItem>>;
}

/// One item of an [`Inventory`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredItem {
    /// Where it is, such as its key or file, for messages; without credentials.
    pub place: String,
    /// What it is.
    pub content: StoredContent,
}

impl StoredItem {
    /// An item at a place.
    pub fn new(place: String, content: StoredContent) -> Self {
        Self { place, content }
    }
}

/// What an item of an [`Inventory`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredContent {
    /// A stream.
    Stream {
        /// The stream.
        stream: StreamId,
        /// The numbers of its cells. None for what is left of a stream without cells.
        cells: Numbers,
    },
    /// A record.
    Record {
        /// The record.
        key: RecordKey,
        /// The numbers of its versions, where each is stored by itself.
        versions: Option<Numbers>,
    },
    /// A lock that is or was held.
    Lock(LockName),
    /// The files of a backup or an archive.
    Backup {
        /// The backup.
        backup: BackupId,
        /// Whether it has a manifest. Without one it is being written, or was never finished.
        has_manifest: bool,
    },
    /// Something of the store whose name cannot be read.
    Unnamed,
    /// Nothing that the store has written.
    Unknown,
}

/// Numbers that are taken, from 0 without gaps where nothing is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers {
    /// How many there are.
    pub count: u64,
    /// The largest.
    pub last: Option<u64>,
}

impl Numbers {
    /// Adds a number that was not added before.
    pub fn add(&mut self, number: u64) {
        self.count += 1;
        self.last = self.last.max(Some(number));
    }

    /// How many there would be if none was missing.
    pub fn expected(&self) -> u64 {
        self.last.map_or(0, |last| last.saturating_add(1))
    }

    /// Whether one below the largest is missing.
    pub fn has_gap(&self) -> bool {
        self.count != self.expected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_missing_below_the_largest_is_a_gap() {
        let numbers = |all: &[u64]| {
            let mut numbers = Numbers::default();
            all.iter().for_each(|number| numbers.add(*number));
            numbers
        };
        for whole in [&[][..], &[0], &[1, 0, 2]] {
            assert!(!numbers(whole).has_gap(), "{whole:?}");
        }
        for gap in [&[1][..], &[0, 2], &[3, 2, 1]] {
            assert!(numbers(gap).has_gap(), "{gap:?}");
        }
    }
}
