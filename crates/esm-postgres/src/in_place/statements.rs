//! The statements that read, swap and restore the rows of a stream.

use esm_layout::{EventTable, TypedColumn, literal};

use super::change::{Change, Kept, ReadRow};
use super::claim::Claim;
use super::selected::{Kind, Selected};

/// The rows of a page at most, and the bytes of payload as they are stored after which it ends.
pub(super) const PAGE_ROWS: usize = 512;
const PAGE_BYTES: u64 = 512 * 1024;

/// Writes the statements about one table.
#[derive(Debug, Clone)]
pub(super) struct Statements {
    table: EventTable,
}

/// A stream of the table, as values of the key.
pub(super) type Key = [String];

impl Statements {
    pub(super) fn new(table: EventTable) -> Self {
        Self { table }
    }

    pub(super) fn table(&self) -> &EventTable {
        &self.table
    }

    /// The event `e` is in the stream. The text is compared too: `07` is not the stream `7`.
    pub(super) fn in_stream(&self, key: &Key) -> String {
        let columns = self.table.key.iter().zip(key);
        let conditions = columns.map(|(column, value)| {
            let (name, value) = (&column.quoted, literal(value));
            if column.kind == "text" {
                format!("e.{name} = {value}")
            } else {
                format!("e.{name} = {value} AND e.{name}::text = {value}")
            }
        });
        conditions.collect::<Vec<_>>().join(" AND ")
    }

    pub(super) fn number(&self) -> String {
        format!("e.{}", self.table.number)
    }

    /// A page of a stream from a number on: how many rows it has, their last number, and that of the
    /// stream; then each row that is selected: its place in the page, the columns of an event, and the
    /// whole row as text. There is one row without these where none is.
    pub(super) fn page(&self, claim: &Claim, selected: &Selected, key: &Key, from: i64) -> String {
        let (table, number, stream) = (&self.table.qualified, self.number(), self.in_stream(key));
        let payload = format!("e.{}", self.table.payload.quoted);
        let (event, of_type) = (&self.table.selected, self.of_type(selected));
        format!(
            "WITH page AS MATERIALIZED (
                 SELECT n, is_open, row_number() OVER (ORDER BY n) - 1 AS place FROM (
                     SELECT n, is_open, sum(CASE WHEN is_open THEN bytes + 100 ELSE 0 END)
                         OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                     FROM (SELECT r.n, r.bytes, r.of_type AND a.number IS NULL AS is_open
                           FROM (SELECT {number} AS n, {of_type} AS of_type,
                                        coalesce(pg_column_size({payload}), 0) AS bytes
                                 FROM {table} e WHERE {stream} AND {number} >= {from}
                                 ORDER BY {number} LIMIT {PAGE_ROWS}) r
                           LEFT JOIN esm_in_place.archive a ON a.migration = '{}' AND a.key = {}
                               AND a.number >= {from} AND a.number = r.n AND a.undone_at IS NULL) s) b
                 WHERE before IS NULL OR before < {PAGE_BYTES}),
             about AS (SELECT count(*) AS rows, max(n) AS last FROM page)
             SELECT about.rows, about.last, (SELECT max({number}) FROM {table} e WHERE {stream}), o.*
             FROM about LEFT JOIN (
                 SELECT page.place, {event}, e::text
                 FROM page JOIN {table} e ON {stream} AND {number} >= {from} AND {number} = page.n
                 WHERE page.is_open) o (place, number, id, type, version, payload, metadata, time, class,
                                        whole) ON true
             ORDER BY o.place",
            claim.migration,
            array(key)
        )
    }

    /// The event `e` is of a type that is selected.
    fn of_type(&self, selected: &Selected) -> String {
        let Selected::Schemas(schemas) = selected else {
            return "true".to_owned();
        };
        let types = schemas.iter().map(|s| literal(s.event_type.as_str()));
        let types = types.collect::<Vec<_>>().join(", ");
        let event_type = &self.table.event_type.quoted;
        format!("e.{event_type}::text = ANY (ARRAY[{types}]::text[])")
    }

    /// Which of these streams have rows that are selected: their keys as JSON.
    pub(super) fn open_streams(
        &self,
        claim: &Claim,
        selected: &Selected,
        keys: &[Vec<String>],
    ) -> String {
        let (table, number) = (&self.table.qualified, self.number());
        let columns = self.table.key.iter().enumerate();
        let values = columns.clone().map(|(n, column)| {
            let values: Vec<_> = keys.iter().map(|key| literal(&key[n])).collect();
            format!("ARRAY[{}]::{}[]", values.join(", "), column.kind)
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let named: Vec<_> = columns.clone().map(|(n, _)| format!("k{n}")).collect();
        let texts: Vec<_> = named.iter().map(|name| format!("{name}::text")).collect();
        let same = columns.map(|(n, column)| format!("e.{} = k{n}", column.quoted));
        let same = same.collect::<Vec<_>>().join(" AND ");
        let (named, key) = (
            named.join(", "),
            format!("ARRAY[{}]::text[]", texts.join(", ")),
        );
        // a stream after the other, each as far as its first such row
        format!(
            "SELECT array_to_json({key})::text FROM unnest({values}) k ({named}), LATERAL (
                 SELECT FROM {table} e WHERE {same} AND {} AND NOT EXISTS (
                     SELECT FROM esm_in_place.archive a WHERE a.migration = '{}' AND a.key = {key}
                         AND a.number = {number} AND a.undone_at IS NULL)
                 LIMIT 1) open",
            self.of_type(selected),
            claim.migration
        )
    }

    /// Rewrites rows that still are as they were read, archives both forms, and fails unless each is
    /// then stored as it was meant.
    ///
    /// A row that is locked by another transaction is not waited for.
    pub(super) fn swap(&self, claim: &Claim, kind: Kind, key: &Key, changes: &[Change]) -> String {
        let (table, number, stream) = (&self.table.qualified, self.number(), self.in_stream(key));
        let numbers = changes.iter().map(|change| change.row.columns.number);
        let (first, last) = (
            numbers.clone().min().unwrap_or_default(),
            numbers.max().unwrap_or_default(),
        );
        let range = format!("{stream} AND {number} BETWEEN {first} AND {last}");
        let given: Vec<_> = changes.iter().map(|change| self.given(change)).collect();
        let rows = changes.len();
        let (set, meant) = (self.set(), self.meant());
        let (others, old) = (self.others(), self.columns_as("old"));
        let new = self.columns_as("new");
        let (migration, key, kind) = (claim.migration, array(key), kind.name());
        let id = self.id();
        format!(
            "WITH fence AS MATERIALIZED ({}),
             given (number, old_row, set_type, type, set_class, class, set_version, version, set_payload, payload,
                    set_metadata, metadata) AS (VALUES {}),
             locked AS MATERIALIZED (
                 SELECT {number}::bigint AS number, e::text AS old_row, {others} AS others,
                        {id} AS id, {old}
                 FROM {table} e
                 WHERE {range} AND {number} IN (SELECT number FROM given)
                     AND EXISTS (SELECT FROM fence)
                 ORDER BY {number} FOR NO KEY UPDATE OF e NOWAIT),
             changed AS (
                 UPDATE {table} e SET {set}
                 FROM given g JOIN locked l ON l.number = g.number AND l.old_row = g.old_row
                 WHERE {range} AND {number} = g.number AND e::text = g.old_row
                 RETURNING l.number, l.id, l.old_type, l.old_class, l.old_version, l.old_payload, l.old_metadata,
                           {new}, {others} = l.others AND {meant} AS meant),
             kept AS (
                 INSERT INTO esm_in_place.archive (migration, key, kind, number, id,
                     old_type, old_class, old_version, old_payload, old_metadata,
                     new_type, new_class, new_version, new_payload, new_metadata)
                 SELECT '{migration}', {key}, '{kind}', number, id,
                     old_type, old_class, old_version, old_payload, old_metadata,
                     new_type, new_class, new_version, new_payload, new_metadata
                 FROM changed RETURNING 1),
             noted AS (
                 INSERT INTO esm_in_place.swap (migration, kind, key, first, last, rows)
                 SELECT '{migration}', '{kind}', {key}, {first}, {last}, count(*) FROM kept
                 RETURNING 1)
             SELECT CASE WHEN (SELECT count(*) FROM changed WHERE meant) = {rows}
                          AND (SELECT count(*) FROM locked) = {rows}
                          AND (SELECT count(*) FROM kept) = {rows}
                          AND (SELECT count(*) FROM noted) = 1
                    THEN {rows}
                    ELSE CAST(format('of {rows} rows, %s are as they were read, and %s would be '
                                     'stored as they are meant',
                                     (SELECT count(*) FROM changed),
                                     (SELECT count(*) FROM changed WHERE meant)) AS int) END",
            claim.fence(),
            given.join(", ")
        )
    }

    /// Restores the rows of a range that still are as a swap wrote them, and returns how many.
    /// Numbers are those of the archive.
    pub(super) fn restore(&self, claim: &Claim, key: &Key, (first, last): (i64, i64)) -> String {
        let (table, number, stream) = (&self.table.qualified, self.number(), self.in_stream(key));
        let range = format!("{stream} AND {number} BETWEEN {first} AND {last}");
        let (migration, key, id) = (claim.migration, array(key), self.id());
        let (now, back) = (self.columns_as("now"), self.back());
        let (written, restored) = (self.written(), self.restored());
        let others = self.others();
        format!(
            "WITH fence AS MATERIALIZED ({}),
             kept AS MATERIALIZED (
                 SELECT a.* FROM esm_in_place.archive a
                 WHERE a.migration = '{migration}' AND a.key = {key} AND a.kind = 'swap'
                     AND a.number BETWEEN {first} AND {last} AND a.undone_at IS NULL),
             locked AS MATERIALIZED (
                 SELECT {number}::bigint AS number, {others} AS others, {id} AS id, {now}
                 FROM {table} e
                 WHERE {range} AND {number} IN (SELECT number FROM kept)
                     AND EXISTS (SELECT FROM fence)
                 ORDER BY {number} FOR NO KEY UPDATE OF e NOWAIT),
             same AS MATERIALIZED (
                 SELECT k.*, l.others FROM kept k JOIN locked l ON l.number = k.number
                     AND ROW(l.id, l.now_type, l.now_class, l.now_version, l.now_payload, l.now_metadata)
                         IS NOT DISTINCT FROM
                         ROW(k.id, {written})),
             changed AS (
                 UPDATE {table} e SET {back} FROM same k
                 WHERE {range} AND {number} = k.number
                 RETURNING k.number, {others} = k.others AND {restored} AS meant),
             marked AS (
                 UPDATE esm_in_place.archive a SET undone_at = clock_timestamp() FROM changed
                 WHERE a.migration = '{migration}' AND a.key = {key} AND a.number = changed.number
                 RETURNING 1)
             SELECT CASE WHEN (SELECT count(*) FROM fence) = 1
                          AND (SELECT count(*) FROM changed WHERE meant) =
                              (SELECT count(*) FROM same)
                          AND (SELECT count(*) FROM marked) = (SELECT count(*) FROM same)
                    THEN (SELECT count(*) FROM same)
                    ELSE CAST(format('of %s rows, %s would be stored as they were',
                                     (SELECT count(*) FROM same),
                                     (SELECT count(*) FROM changed WHERE meant)) AS int) END",
            claim.fence()
        )
    }

    pub(super) fn id(&self) -> String {
        match &self.table.id {
            Some(id) => format!("e.{id}::text"),
            None => "NULL::text".to_owned(),
        }
    }

    /// All columns that must stay, as one text.
    fn others(&self) -> String {
        let others = self.table.others.iter();
        let others: Vec<_> = others.map(|column| format!("e.{column}")).collect();
        format!("ROW({})::text", others.join(", "))
    }

    /// The columns in the order of the archive, each with its role.
    fn roles(&self) -> [(&'static str, Option<&TypedColumn>); 5] {
        [
            ("type", Some(&self.table.event_type)),
            ("class", self.table.class.as_ref()),
            ("version", self.table.version.as_ref()),
            ("payload", Some(&self.table.payload)),
            ("metadata", self.table.metadata.as_ref()),
        ]
    }

    pub(super) fn columns_as(&self, prefix: &str) -> String {
        let columns = self.roles().map(|(role, column)| match column {
            Some(column) => format!("e.{}::text AS {prefix}_{role}", column.quoted),
            None => format!("NULL::text AS {prefix}_{role}"),
        });
        columns.join(", ")
    }

    pub(super) fn present(&self) -> impl Iterator<Item = (&'static str, &TypedColumn)> {
        let roles = self.roles().into_iter();
        roles.filter_map(|(role, column)| Some((role, column?)))
    }

    fn set(&self) -> String {
        let set = self.present().map(|(role, column)| {
            let name = &column.quoted;
            format!("{name} = CASE WHEN g.set_{role} THEN g.{role} ELSE e.{name} END")
        });
        set.collect::<Vec<_>>().join(", ")
    }

    /// Each column holds what was given, or what it held.
    fn meant(&self) -> String {
        let meant = self.present().map(|(role, column)| {
            format!(
                "e.{}::text IS NOT DISTINCT FROM CASE WHEN g.set_{role} THEN g.{role}::text \
                 ELSE l.old_{role} END",
                column.quoted
            )
        });
        meant.collect::<Vec<_>>().join(" AND ")
    }

    fn back(&self) -> String {
        let back = self.present().map(|(role, column)| {
            let (name, kind) = (&column.quoted, &column.kind);
            format!("{name} = CAST(k.old_{role} AS {kind})")
        });
        back.collect::<Vec<_>>().join(", ")
    }

    /// What a swap wrote, as the columns hold it now: their types may have been changed since.
    fn written(&self) -> String {
        let written = self.roles().map(|(role, column)| match column {
            Some(column) => format!("CAST(k.new_{role} AS {})::text", column.kind),
            None => format!("k.new_{role}"),
        });
        written.join(", ")
    }

    fn restored(&self) -> String {
        let restored = self.present().map(|(role, column)| {
            let (name, kind) = (&column.quoted, &column.kind);
            format!("e.{name}::text IS NOT DISTINCT FROM CAST(k.old_{role} AS {kind})::text")
        });
        restored.collect::<Vec<_>>().join(" AND ")
    }

    fn given(&self, change: &Change) -> String {
        let values = [
            &change.event_type,
            &change.class,
            &change.version,
            &change.payload,
            &change.metadata,
        ];
        let columns = self.roles().into_iter().zip(values);
        let columns = columns.map(|((_, column), value)| {
            let kind = column.map_or("text", |column| &column.kind);
            match value {
                Kept::Same => format!("false, NULL::{kind}"),
                Kept::New(None) => format!("true, NULL::{kind}"),
                Kept::New(Some(text)) => format!("true, CAST({} AS {kind})", literal(text)),
            }
        });
        let columns: Vec<_> = columns.collect();
        let ReadRow {
            columns: row, text, ..
        } = &change.row;
        format!(
            "({}::bigint, {}, {})",
            row.number,
            literal(text),
            columns.join(", ")
        )
    }
}

/// The key of a stream in the archive.
pub(super) fn array(key: &Key) -> String {
    let values: Vec<_> = key.iter().map(|value| literal(value)).collect();
    format!("ARRAY[{}]::text[]", values.join(", "))
}
