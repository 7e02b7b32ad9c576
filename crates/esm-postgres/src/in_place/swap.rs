//! Reading and swapping the rows of one stream.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use esm_core::{Error, ErrorKind, Result};

use super::change::{Change, ReadRow};
use super::claim::Claim;
use super::selected::{Kind, Selected};
use super::shared::Shared;
use super::statements::{Key, PAGE_ROWS};
use super::wire::{Failure, Row};

/// How long a transaction of several rows may take: readers of the global order wait for the oldest
/// one that is running. One that takes longer is rolled back, and tried again with fewer rows.
const LONGEST: Duration = Duration::from_millis(250);
/// How long a transaction of a single row may take.
const LONGEST_OF_ONE: Duration = Duration::from_secs(5);

/// How long a transaction that writes so many rows may take.
pub(super) fn longest(rows: usize) -> Duration {
    if rows > 1 { LONGEST } else { LONGEST_OF_ONE }
}

/// Rows of a transaction, which adapts to what the server does in the time.
#[derive(Debug)]
pub(super) struct Batch(AtomicUsize);

impl Default for Batch {
    fn default() -> Self {
        Self(AtomicUsize::new(PAGE_ROWS))
    }
}

impl Batch {
    pub(super) fn rows(&self) -> usize {
        self.0.load(Ordering::Relaxed).clamp(1, PAGE_ROWS)
    }

    pub(super) fn halve(&self) {
        self.0.store((self.rows() / 2).max(1), Ordering::Relaxed);
    }

    fn grow(&self) {
        let rows = self.rows();
        self.0.store(rows + rows / 4 + 1, Ordering::Relaxed);
    }
}

/// Rows of a stream from a number on.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Those that are selected, in order.
    pub(super) rows: Vec<ReadRow>,
    /// How many there are, with those that are not.
    pub(super) read: u64,
    /// The number of the last of these; none after the end of the stream.
    pub(super) end: Option<i64>,
    /// The last number of the stream.
    pub(super) last: i64,
}

/// What became of some rows.
#[derive(Debug)]
pub(super) enum Swapped {
    /// All are rewritten.
    Done,
    /// None is, or it is unknown: the stream is to be read again.
    Again(Error),
}

impl Shared {
    /// Returns rows of a stream from a number on, in order.
    pub(super) async fn page(
        &self,
        claim: &Claim,
        selected: &Selected,
        key: &Key,
        from: i64,
    ) -> Result<Page> {
        let query = self.statements.page(claim, selected, key, from);
        let rows = self.wire.read(&query).await?;
        let mut page = Page::default();
        for row in &rows {
            let [read, end, last, row @ ..] = row.as_slice() else {
                return Err(Error::corrupt("a row has an unexpected number of columns"));
            };
            let number = |text: &Option<String>| text.as_deref()?.parse::<i64>().ok();
            page.read = number(read).unwrap_or_default().unsigned_abs();
            page.end = number(end);
            page.last = number(last).unwrap_or_default();
            // none of the page is selected
            if row.first().is_some_and(Option::is_some) {
                page.rows.push(self.columns.row(row, page.last)?);
            }
        }
        Ok(page)
    }

    /// Rewrites rows in one transaction.
    ///
    /// # Errors
    /// `LockLost` if another process continues the migration; `VerificationFailed` where the server
    /// refuses rows that still are as they were read, or would store something else.
    pub(super) async fn swap(
        &self,
        claim: &Claim,
        kind: Kind,
        key: &Key,
        changes: &[Change],
        batch: &Batch,
    ) -> Result<Swapped> {
        let statement = self.statements.swap(claim, kind, key, changes);
        let written = self.wire.write(&statement, longest(changes.len())).await;
        let rows: Vec<_> = changes.iter().map(|change| change.row.clone()).collect();
        self.settled(claim, key, &rows, written, batch).await
    }

    /// Returns what became of rows that a transaction was to write.
    ///
    /// # Errors
    /// As [`swap`](Self::swap).
    pub(super) async fn settled(
        &self,
        claim: &Claim,
        key: &Key,
        rows: &[ReadRow],
        written: Result<Vec<Row>, Failure>,
        batch: &Batch,
    ) -> Result<Swapped> {
        let failure = match written {
            Ok(_) => {
                batch.grow();
                return Ok(Swapped::Done);
            }
            Err(failure) => failure,
        };
        if matches!(failure, Failure::TooLong(_)) {
            batch.halve();
        }
        if failure.is_transient() {
            return Ok(Swapped::Again(failure.into_error()));
        }
        claim.ensure_held(&self.wire).await?;
        let error = failure.into_error();
        if self.are_as_read(claim, key, rows).await? {
            Err(self.refused(key, rows, error))
        } else {
            Ok(Swapped::Again(error))
        }
    }

    async fn are_as_read(&self, claim: &Claim, key: &Key, rows: &[ReadRow]) -> Result<bool> {
        let Some(first) = rows.first() else {
            return Ok(true);
        };
        let from = first.columns.number;
        let page = self.page(claim, &Selected::Unwritten, key, from).await?;
        let mut now = page.rows;
        now.retain(|row| {
            let number = row.columns.number;
            rows.iter().any(|row| row.columns.number == number)
        });
        // an application that removed the last row made another one the last
        let is_same = |(now, row): (&ReadRow, &ReadRow)| {
            now.columns == row.columns && now.text == row.text && now.last >= row.last
        };
        Ok(now.len() == rows.len() && now.iter().zip(rows).all(is_same))
    }

    fn refused(&self, key: &Key, rows: &[ReadRow], error: Error) -> Error {
        let number = |row: Option<&ReadRow>| row.map_or(0, |row| row.columns.number);
        let (first, last) = (number(rows.first()), number(rows.last()));
        let kind = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::StorageFull => error.kind().clone(),
            _ => ErrorKind::VerificationFailed,
        };
        let message = format!(
            "server does not store events {first} to {last} of {} as they are meant: {error}",
            key.join(", ")
        );
        let refused = Error::new(kind, message).with_source(error);
        refused.with_hint(
            "nothing of these events was changed; a trigger, a constraint or the type of a column \
             changes or refuses what is written",
        )
    }
}
