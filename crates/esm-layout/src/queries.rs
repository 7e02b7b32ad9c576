//! The SQL that reads a layout's tables.

use esm_core::id::ObjectName;

use crate::catalogue::Table;
use crate::layout::{Layout, ObjectRule};
use crate::listing::{ListedPage, Listing};
use crate::sql::{quoted, table};
use crate::tables::Tables;

/// The SQL that reads the tables of a layout that [fits](crate::Fit).
///
/// Every value is a parameter of type text, `bigint` where it is said; the SQL casts it to the type
/// of its column, so that indexes are used. Results are text, `bigint` or `bytea`, independent of
/// the settings of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queries {
    /// Events of a stream. Parameters: the values of the key columns, then as `bigint` the first
    /// number, the rows to skip, the most rows, and the bytes after which the page ends.
    pub page: String,
    /// The last event of a stream. Parameters: the key.
    pub last: String,
    /// The number of events of a stream. Parameters: the key.
    pub count: String,
    /// The time of a stream's first event; no row without events. Parameters: the key.
    pub first_time: String,
    /// The key of the stream of an object; absent where the object says it. Parameters: the values
    /// of [`ObjectRule::columns`].
    pub resolve: Option<String>,
    /// All events in global order: the columns of an event, then those that name the object, then
    /// the key; absent without a global order. No parameters.
    pub global: Option<String>,
    /// The keys of streams with absent numbers. Parameters: as `bigint` the first number.
    pub with_holes: String,
    /// The number of events that are in no stream, because a column of their key is null or the
    /// table of streams lacks it; absent where that cannot be. No parameters.
    pub without_stream: Option<String>,
    /// For each column of the key, in order, its place among the columns that name the object;
    /// where [`resolve`](Self::resolve) is absent.
    pub key_of_object: Vec<usize>,
    /// Whether the payload is `bytea`, and not text.
    pub payload_is_bytes: bool,
    /// Whether the payload is JSON by the type of its column.
    pub payload_is_json: bool,
    listing: Listing,
    rule: ObjectRule,
}

impl Queries {
    /// Returns the queries for these tables. `limit` of the listing's pages is part of the SQL.
    pub fn new(layout: &Layout, events: &Table, streams: Option<&Table>) -> Self {
        let tables = Tables {
            layout,
            events,
            streams,
        };
        let event = tables.event_columns();
        let (from, key) = (table(events), tables.key_condition());
        let number = format!("e.{}", quoted(&layout.events.number));
        let next = layout.events.key.len();
        let [first, skip, most, bytes] = [1, 2, 3, 4].map(|n| format!("${}", next + n));
        let payload = format!("e.{}", quoted(&layout.events.payload));
        let page = format!(
            "SELECT {event} FROM (SELECT e.*, sum(coalesce(pg_column_size({payload}), 0) + 100) \
             OVER (ORDER BY {number} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) \
             AS esm_bytes_before FROM (SELECT * FROM {from} e WHERE {key} AND {number} >= {first} \
             ORDER BY {number} LIMIT {most} OFFSET {skip}) e) e \
             WHERE esm_bytes_before IS NULL OR esm_bytes_before < {bytes} ORDER BY {number}"
        );
        let payload_type = tables.type_of(events, &layout.events.payload);
        let first_time = format!(
            "SELECT {} FROM {from} e WHERE {key} ORDER BY {number} LIMIT 1",
            tables.time()
        );
        Self {
            page,
            last: format!(
                "SELECT {event} FROM {from} e WHERE {key} ORDER BY {number} DESC LIMIT 1"
            ),
            count: format!("SELECT count(*) FROM {from} e WHERE {key}"),
            first_time,
            resolve: tables.resolve(),
            global: tables.global(&event),
            with_holes: tables.with_holes(),
            without_stream: tables.without_stream(),
            key_of_object: tables.key_of_object(),
            payload_is_bytes: payload_type == "bytea",
            payload_is_json: matches!(payload_type, "json" | "jsonb"),
            listing: Listing::new(&tables),
            rule: layout.object.clone(),
        }
    }

    /// Returns the query of a page of streams: those of one name if it is given, those after a
    /// place if there was a page before. Streams of other names may be among them.
    pub fn list(
        &self,
        name: Option<&ObjectName>,
        after: Option<&[String]>,
        most: usize,
    ) -> ListedPage {
        self.listing.page(&self.rule, name, after, most)
    }

    /// Returns, for each column of the key, in order, its place among the values of a row of
    /// [`list`](Self::list) that the next page begins after.
    pub fn key_of_listed(&self) -> &[usize] {
        &self.listing.key
    }
}
