//! Events that are dropped: rows that are removed, and put back by an undo.
//!
//! Only where holes in the numbers are readable and a counter of the stream decides between concurrent
//! appends: then a stale expectation fails, whatever rows there are. The last event of a stream is never
//! removed.

use std::collections::BTreeSet;

use esm_core::event::Schema;
use esm_core::{Error, Result};
use esm_layout::literal;

use super::change::{Change, ReadRow};
use super::claim::Claim;
use super::shared::Shared;
use super::statements::{Key, Statements, array};
use super::swap::{Batch, Swapped, longest};

/// What rows of a stream become.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) rewritten: Vec<Change>,
    pub(super) dropped: Vec<ReadRow>,
    /// Rows to be dropped that are the last of their stream.
    pub(super) left: u64,
    /// The schemas of rows that change, and what they become; none where they are dropped.
    pub(super) schemas: BTreeSet<(Schema, Option<Schema>)>,
}

impl Statements {
    /// Removes rows that still are as they were read, and archives them. Fails unless each is there and
    /// is not the last of its stream. A row that is locked by another transaction is not waited for.
    fn remove(&self, claim: &Claim, key: &Key, rows: &[ReadRow]) -> String {
        let (table, number, stream) = (&self.table().qualified, self.number(), self.in_stream(key));
        let numbers = rows.iter().map(|row| row.columns.number);
        let (first, last) = (
            numbers.clone().min().unwrap_or_default(),
            numbers.max().unwrap_or_default(),
        );
        let range = format!("{stream} AND {number} BETWEEN {first} AND {last}");
        let given = rows
            .iter()
            .map(|row| format!("({}::bigint, {})", row.columns.number, literal(&row.text)));
        let given = given.collect::<Vec<_>>().join(", ");
        let (migration, key, count) = (claim.migration, array(key), rows.len());
        let (old, id) = (self.columns_as("old"), self.id());
        let columns = self.table().all.iter();
        let whole = whole(columns.map(|c| (c.name.as_str(), c.quoted.as_str())));
        format!(
            "WITH fence AS MATERIALIZED ({}),
             given (number, old_row) AS (VALUES {given}),
             last AS MATERIALIZED (
                 SELECT {number}::bigint AS number FROM {table} e WHERE {stream}
                 ORDER BY {number} DESC LIMIT 1 FOR KEY SHARE OF e NOWAIT),
             locked AS MATERIALIZED (
                 SELECT {number}::bigint AS number, e::text AS old_row, {id} AS id, {whole} AS whole,
                        {old}
                 FROM {table} e
                 WHERE {range} AND {number} IN (SELECT number FROM given)
                     AND EXISTS (SELECT FROM fence)
                 ORDER BY {number} FOR UPDATE OF e NOWAIT),
             gone AS (
                 DELETE FROM {table} e USING given g JOIN locked l
                     ON l.number = g.number AND l.old_row = g.old_row
                 WHERE {range} AND {number} = g.number AND e::text = g.old_row
                     AND {number} < (SELECT number FROM last)
                 RETURNING l.*),
             kept AS (
                 INSERT INTO esm_in_place.archive (migration, key, kind, number, id, whole,
                     old_type, old_class, old_version, old_payload, old_metadata)
                 SELECT '{migration}', {key}, 'drop', number, id, whole,
                     old_type, old_class, old_version, old_payload, old_metadata
                 FROM gone RETURNING 1),
             noted AS (
                 INSERT INTO esm_in_place.swap (migration, kind, key, first, last, rows)
                 SELECT '{migration}', 'drop', {key}, {first}, {last}, count(*) FROM kept
                 RETURNING 1)
             SELECT CASE WHEN (SELECT count(*) FROM kept) = {count}
                          AND (SELECT count(*) FROM noted) = 1
                    THEN {count}
                    ELSE CAST(format('of {count} rows, %s are as they were read and not the last',
                                     (SELECT count(*) FROM gone)) AS int) END",
            claim.fence()
        )
    }
}

impl Shared {
    /// Removes rows in one transaction.
    ///
    /// # Errors
    /// As [`swap`](Self::swap).
    pub(super) async fn remove(
        &self,
        claim: &Claim,
        key: &Key,
        rows: &[ReadRow],
        batch: &Batch,
    ) -> Result<Swapped> {
        let statement = self.statements.remove(claim, key, rows);
        let written = self.wire.write(&statement, longest(rows.len())).await;
        self.settled(claim, key, rows, written, batch).await
    }
}

/// Why dropped events cannot be removed from the table, and what to do instead.
pub(super) fn refused(relation: &str, reason: &str) -> Error {
    Error::unsupported(format!("events of {relation} cannot be removed: {reason}"))
        .with_hint("make a placeholder of them instead, such as: .type = \"Erased\" | .data = {}")
}

/// A row `e`: the text of each of these columns, by its name. A call of a function has at most 100
/// arguments, so the columns are in arrays.
pub(super) fn whole<'a>(columns: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let (names, values): (Vec<_>, Vec<_>) = columns
        .map(|(name, quoted)| (literal(name), format!("e.{quoted}::text")))
        .unzip();
    format!(
        "jsonb_object(ARRAY[{}]::text[], ARRAY[{}]::text[])",
        names.join(", "),
        values.join(", ")
    )
}
