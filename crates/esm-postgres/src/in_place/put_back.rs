//! Putting dropped rows back into a table whose columns may have changed since.
//!
//! A row is inserted with the columns that it was archived with and that the table still has. A column
//! that was added since takes its default; what was in a column that is gone stays in the archive.

use esm_core::{Error, ErrorKind, Result};
use esm_layout::literal;

use super::claim::Claim;
use super::drops::whole;
use super::migration::Rewrite;
use super::shared::Shared;
use super::statements::{Key, Statements, array};

/// A column as the table has it now.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) quoted: String,
    /// Its type with a length.
    pub(super) kind: String,
    is_generated: bool,
    /// Whether a row cannot be inserted without it.
    is_required: bool,
}

/// The columns that the table has now.
#[derive(Debug, Clone)]
pub(super) struct Present(pub(super) Vec<Column>);

impl Present {
    /// # Errors
    /// Those of the server.
    pub(super) async fn of(shared: &Shared) -> Result<Self> {
        let query = format!(
            "SELECT a.attname, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                    a.attgenerated <> '',
                    (a.attnotnull OR t.typnotnull) AND NOT a.atthasdef AND a.attidentity = ''
                        AND t.typdefault IS NULL
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
             WHERE a.attrelid = {}::regclass AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum",
            literal(&shared.statements.table().qualified)
        );
        let rows = shared.wire.read(&query).await?.into_iter();
        let columns = rows.map(|row| {
            let mut values = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || values.next().unwrap_or_default();
            Column {
                name: next(),
                quoted: next(),
                kind: next(),
                is_generated: next() == "t",
                is_required: next() == "t",
            }
        });
        Ok(Self(columns.collect()))
    }

    /// The columns that a row is inserted with that was archived with these.
    fn given<'a>(&'a self, archived: &'a [String]) -> impl Iterator<Item = &'a Column> + Clone {
        let columns = self.0.iter();
        columns.filter(|column| !column.is_generated && archived.contains(&column.name))
    }

    /// The columns of an archived row that none is inserted with.
    fn gone<'a>(&self, archived: &'a [String]) -> impl Iterator<Item = &'a String> {
        archived
            .iter()
            .filter(|name| self.given(archived).all(|column| column.name != **name))
    }

    fn missing(&self, archived: &[String]) -> Option<&Column> {
        let mut required = self.0.iter().filter(|column| column.is_required);
        required.find(|column| !archived.contains(&column.name))
    }
}

impl Statements {
    /// Puts back the rows of a range that are still absent, in a stream that still exists, and returns
    /// how many. All were archived with the same columns.
    pub(super) fn put_back(
        &self,
        claim: &Claim,
        key: &Key,
        (first, last): (i64, i64),
        present: &Present,
        archived: &[String],
    ) -> String {
        let (table, number, stream) = (&self.table().qualified, self.number(), self.in_stream(key));
        let given = present.given(archived);
        let names: Vec<_> = given.clone().map(|c| c.quoted.as_str()).collect();
        let values = given
            .clone()
            .map(|c| format!("CAST(k.whole ->> {} AS {})", literal(&c.name), c.kind));
        let values = values.collect::<Vec<_>>().join(", ");
        let whole = whole(given.map(|c| (c.name.as_str(), c.quoted.as_str())));
        let gone: Vec<_> = present.gone(archived).map(|name| literal(name)).collect();
        let (migration, key) = (claim.migration, array(key));
        format!(
            "WITH fence AS MATERIALIZED ({}),
             kept AS MATERIALIZED (
                 SELECT a.* FROM esm_in_place.archive a
                 WHERE a.migration = '{migration}' AND a.key = {key} AND a.kind = 'drop'
                     AND a.number BETWEEN {first} AND {last} AND a.undone_at IS NULL
                     AND EXISTS (SELECT FROM {table} e WHERE {stream})
                     AND NOT EXISTS (SELECT FROM {table} e WHERE {stream} AND {number} = a.number)),
             put AS (
                 INSERT INTO {table} AS e ({}) OVERRIDING SYSTEM VALUE
                 SELECT {values} FROM kept k WHERE EXISTS (SELECT FROM fence)
                 RETURNING {number}::bigint AS number, {whole} AS whole),
             marked AS (
                 UPDATE esm_in_place.archive a SET undone_at = clock_timestamp() FROM put
                 WHERE a.migration = '{migration}' AND a.key = {key} AND a.number = put.number
                     AND put.whole = a.whole - ARRAY[{}]::text[]
                 RETURNING 1)
             SELECT CASE WHEN (SELECT count(*) FROM fence) = 1
                          AND (SELECT count(*) FROM marked) = (SELECT count(*) FROM kept)
                    THEN (SELECT count(*) FROM kept)
                    ELSE CAST(format('of %s rows, %s would be stored as they were',
                                     (SELECT count(*) FROM kept),
                                     (SELECT count(*) FROM marked)) AS int) END",
            claim.fence(),
            names.join(", "),
            gone.join(", ")
        )
    }
}

/// Checks that the rows that a migration removed can be put back into the table as it is now. Returns
/// the columns that they cannot get back, because the table has them no more.
///
/// # Errors
/// `Unsupported`, naming the column and what to do; `PermissionDenied` with the `GRANT` that is
/// missing; those of the server.
pub(super) async fn check(shared: &Shared, known: &Rewrite) -> Result<Vec<String>> {
    let removed = format!(
        "FROM esm_in_place.archive WHERE migration = '{}' AND kind = 'drop' AND undone_at IS NULL",
        known.migration
    );
    let archived = archived_columns(shared, &removed).await?;
    if archived.is_empty() {
        return Ok(Vec::new());
    }
    ensure_right(shared).await?;
    let present = Present::of(shared).await?;
    let mut checked: Vec<&str> = Vec::new();
    let mut gone = Vec::new();
    for columns in &archived {
        ensure_named_alike(shared, columns)?;
        if let Some(column) = present.missing(columns) {
            return Err(required(shared, column));
        }
        for column in present.given(columns) {
            if !checked.contains(&column.name.as_str()) {
                ensure_holds(shared, column, &removed).await?;
                checked.push(&column.name);
            }
        }
        gone.extend(present.gone(columns).cloned());
    }
    gone.sort();
    gone.dedup();
    Ok(gone)
}

/// Checks that rows were archived with what makes them events, under the names of now.
fn ensure_named_alike(shared: &Shared, archived: &[String]) -> Result<()> {
    let events = &shared.streams.layout.events;
    let mut required =
        events
            .key
            .iter()
            .chain([&events.number, &events.event_type, &events.payload]);
    match required.find(|name| !archived.contains(name)) {
        Some(name) => Err(Error::unsupported(format!(
            "dropped events cannot be put back: {name} of {} had another name when they were removed",
            shared.relation()
        ))
        .with_hint("give the column its former name, roll back, and rename it again")),
        None => Ok(()),
    }
}

/// The columns that rows were archived with: one list for each form that the table had.
async fn archived_columns(shared: &Shared, removed: &str) -> Result<Vec<Vec<String>>> {
    let query = format!("SELECT DISTINCT {COLUMNS}::text {removed}");
    let rows = shared.wire.read(&query).await?;
    let columns = rows.iter().map(|row| {
        let text = row.first().and_then(Option::as_deref);
        columns_of(text.unwrap_or("null"))
    });
    columns.collect()
}

/// The columns of an archived row, as JSON.
pub(super) const COLUMNS: &str = "(SELECT json_agg(k ORDER BY k) FROM jsonb_object_keys(whole) k)";

/// # Errors
/// `Corrupt` for what is no list of columns.
pub(super) fn columns_of(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json)
        .map_err(|e| Error::corrupt("a row of the archive cannot be read").with_source(e))
}

async fn ensure_right(shared: &Shared) -> Result<()> {
    let query = format!(
        "SELECT format('GRANT INSERT ON %s TO %I', oid::regclass, current_user) FROM pg_class
         WHERE oid = {}::regclass AND NOT has_table_privilege(oid, 'INSERT')",
        literal(&shared.statements.table().qualified)
    );
    match shared
        .wire
        .read(&query)
        .await?
        .pop()
        .and_then(|mut row| row.pop()?)
    {
        Some(grant) => {
            let message = format!("no right to put dropped events back: {}", shared.relation());
            Err(Error::new(ErrorKind::PermissionDenied, message).with_hint(grant))
        }
        None => Ok(()),
    }
}

/// Checks that a column still holds every value that was archived of it, to the byte.
async fn ensure_holds(shared: &Shared, column: &Column, removed: &str) -> Result<()> {
    let (name, kind) = (literal(&column.name), &column.kind);
    let query = format!(
        "SELECT count(*) {removed} AND whole ? {name}
             AND CAST(whole ->> {name} AS {kind})::text IS DISTINCT FROM whole ->> {name}"
    );
    let differs = match shared.wire.read(&query).await {
        Ok(rows) => {
            let count = rows.first().and_then(|row| row.first()?.as_deref());
            if count == Some("0") {
                return Ok(());
            }
            None
        }
        Err(e) if *e.kind() == ErrorKind::Unavailable => return Err(e),
        Err(e) => Some(e),
    };
    let message = format!(
        "dropped events cannot be put back: {} of {} is {kind} now, which does not hold what they had",
        column.name,
        shared.relation()
    );
    let error = Error::unsupported(message)
        .with_hint("give the column its former type, roll back, and change it again");
    Err(match differs {
        Some(source) => error.with_source(source),
        None => error,
    })
}

fn required(shared: &Shared, column: &Column) -> Error {
    let table = &shared.statements.table().qualified;
    Error::unsupported(format!(
        "dropped events cannot be put back: {} of {} was added since, and cannot be null",
        column.name,
        shared.relation()
    ))
    .with_hint(format!(
        "give it a default, for as long as the rollback takes: \
         ALTER TABLE {table} ALTER COLUMN {} SET DEFAULT …",
        column.quoted
    ))
}
