//! Restoring the rows of an archive, several streams at the same time.

use std::sync::atomic::Ordering;

use esm_core::backoff::BackOff;
use esm_core::migration::Amount;
use esm_core::{Error, Result};
use esm_layout::literal;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::put_back::{COLUMNS, Present, columns_of};
use super::run::Running;
use super::shared::AGAIN;
use super::statements::{Key, PAGE_ROWS, array};
use super::swap::{Batch, longest};
use super::undo::Undone;
use super::wire::{Failure, Row};

/// Rows that a report names.
const NAMED: usize = 10;
/// Streams whose names are held at the same time.
const PAGE_STREAMS: usize = 1_000;

/// A stream with rows in the archive.
struct Archived {
    /// The key as the server writes an array.
    text: String,
    key: Vec<String>,
}

/// A row of the archive.
struct ArchivedRow {
    number: i64,
    /// Its size as it is stored.
    bytes: u64,
    /// The columns of a row that was removed.
    columns: Option<Vec<String>>,
}

impl Running {
    /// Restores the rows of the archive.
    pub(super) async fn restore(&self) -> Result<Undone> {
        let present = Present::of(&self.shared).await?;
        let mut undone = Undone::default();
        let mut after: Option<String> = None;
        loop {
            let streams = self.archived_streams(after.as_deref()).await?;
            let Some(last) = streams.last() else {
                undone.left_events.sort();
                return Ok(undone);
            };
            after = Some(last.text.clone());
            let restoring = streams.iter().map(|one| self.restore_stream(one, &present));
            let mut restoring = stream::iter(restoring).buffer_unordered(self.lanes());
            while let Some(one) = restoring.try_next().await? {
                undone.restored += one.restored;
                undone.left += one.left;
                undone.left_events.extend(one.left_events);
                undone.left_events.truncate(NAMED);
            }
        }
    }

    /// Restores the rows of a stream, in transactions of a batch.
    async fn restore_stream(&self, stream: &Archived, present: &Present) -> Result<Undone> {
        let mut undone = Undone::default();
        let (mut from, mut back_off) = (Some(i64::MIN), AGAIN);
        while let Some(first) = from {
            self.shared.check_stop()?;
            let rows = self.shared.read_again(|| self.archived(stream, first));
            let rows = rows.await?;
            let rows = batch(&rows, self.batch.rows());
            let Some(last) = rows.last() else {
                return Ok(undone);
            };
            let amount = Amount {
                events: rows.len() as u64,
                bytes: rows.iter().map(|row| row.bytes).sum(),
            };
            self.steering.wait(&self.shared, amount).await?;
            match self.restore_rows(&stream.key, rows, present).await {
                Ok(restored) => {
                    undone.restored += restored;
                    if restored < rows.len() as u64 {
                        let range = (rows[0].number, last.number);
                        self.name_left(&mut undone, stream, range).await?;
                    }
                    let all = self.read.fetch_add(restored, Ordering::Relaxed) + restored;
                    (self.shared.options.on_progress)(all);
                    from = last.number.checked_add(1);
                    back_off = AGAIN;
                }
                Err(failure) => self.again(failure, &mut back_off).await?,
            }
        }
        Ok(undone)
    }

    /// Restores rows, and returns how many: one transaction puts back those that were removed, one
    /// rewrites the others. Each is complete in itself.
    async fn restore_rows(
        &self,
        key: &Key,
        rows: &[ArchivedRow],
        present: &Present,
    ) -> Result<u64, Failure> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(0);
        };
        let range = (first.number, last.number);
        let (claim, shared) = (&self.claim, &self.shared);
        let mut restored = 0;
        if let Some(columns) = rows.iter().find_map(|row| row.columns.as_ref()) {
            let put_back = shared
                .statements
                .put_back(claim, key, range, present, columns);
            let put_back = shared.wire.write(&put_back, longest(rows.len())).await?;
            restored += counted(&put_back);
        }
        if rows.iter().any(|row| row.columns.is_none()) {
            let restore = shared.statements.restore(claim, key, range);
            let rewritten = shared.wire.write(&restore, longest(rows.len())).await?;
            restored += counted(&rewritten);
        }
        Ok(restored)
    }

    async fn again(&self, failure: Failure, back_off: &mut BackOff) -> Result<()> {
        if matches!(failure, Failure::TooLong(_)) {
            Batch::halve(&self.batch);
        }
        let is_transient = failure.is_transient();
        let error = failure.into_error();
        self.claim.ensure_held(&self.shared.wire).await?;
        if is_transient && back_off.pause(&self.shared.options.environment).await {
            return Ok(());
        }
        Err(error)
    }

    /// The streams with rows in the archive that are not restored, after a stream.
    async fn archived_streams(&self, after: Option<&str>) -> Result<Vec<Archived>> {
        let place = after.map_or(String::new(), |key| {
            format!(" AND key > {}::text[]", literal(key))
        });
        let query = format!(
            "SELECT DISTINCT key, array_to_json(key)::text FROM esm_in_place.archive
             WHERE migration = '{}' AND kind <> 'down' AND undone_at IS NULL{place}
             ORDER BY key LIMIT {PAGE_STREAMS}",
            self.claim.migration
        );
        let rows = self.shared.wire.read(&query).await?;
        rows.iter().map(|row| Archived::of(row)).collect()
    }

    /// Rows of a stream in the archive that are not restored, from a number on.
    async fn archived(&self, stream: &Archived, from: i64) -> Result<Vec<ArchivedRow>> {
        let query = format!(
            "SELECT number, pg_column_size(a.*), CASE WHEN kind = 'drop' THEN {COLUMNS}::text END
             FROM esm_in_place.archive a
             WHERE migration = '{}' AND key = {} AND kind <> 'down' AND undone_at IS NULL
                 AND number >= {from}
             ORDER BY number LIMIT {PAGE_ROWS}",
            self.claim.migration,
            array(&stream.key)
        );
        let rows = self.shared.wire.read(&query).await?;
        rows.iter().map(|row| ArchivedRow::of(row)).collect()
    }

    /// Counts and names the rows of a range that were not restored.
    async fn name_left(
        &self,
        undone: &mut Undone,
        stream: &Archived,
        (first, last): (i64, i64),
    ) -> Result<()> {
        let query = format!(
            "SELECT number FROM esm_in_place.archive WHERE migration = '{}' AND kind <> 'down'
             AND key = {} AND number BETWEEN {first} AND {last} AND undone_at IS NULL
             ORDER BY number",
            self.claim.migration,
            array(&stream.key)
        );
        for row in self.shared.wire.read(&query).await? {
            undone.left += 1;
            if let (Some(Some(number)), true) = (row.first(), undone.left_events.len() < NAMED) {
                undone.left_events.push(format!("{} {number}", stream.text));
            }
        }
        Ok(())
    }
}

/// The first rows of a page that are restored together: those of them that were removed were archived
/// with the same columns.
fn batch(rows: &[ArchivedRow], most: usize) -> &[ArchivedRow] {
    let columns = rows.iter().find_map(|row| row.columns.as_ref());
    let fits = |row: &ArchivedRow| row.columns.is_none() || row.columns.as_ref() == columns;
    let together = rows.iter().take(most).take_while(|row| fits(row)).count();
    &rows[..together]
}

/// The number that a statement returns; none is 0.
fn counted(rows: &[Row]) -> u64 {
    let mut numbers = rows
        .iter()
        .filter_map(|row| row.first()?.as_deref()?.parse().ok());
    numbers.next().unwrap_or(0)
}

fn damaged() -> Error {
    Error::corrupt("a row of the archive cannot be read")
}

impl Archived {
    fn of(row: &[Option<String>]) -> Result<Self> {
        let [Some(text), Some(key)] = row else {
            return Err(damaged());
        };
        Ok(Self {
            text: text.clone(),
            key: serde_json::from_str(key).map_err(|e| damaged().with_source(e))?,
        })
    }
}

impl ArchivedRow {
    fn of(row: &[Option<String>]) -> Result<Self> {
        let [Some(number), Some(bytes), columns] = row else {
            return Err(damaged());
        };
        Ok(Self {
            number: number.parse().map_err(|_| damaged())?,
            bytes: bytes.parse().map_err(|_| damaged())?,
            columns: columns.as_deref().map(columns_of).transpose()?,
        })
    }
}
