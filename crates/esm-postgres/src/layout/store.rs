//! The open store of a layout.

use std::sync::Arc;

use esm_core::id::StoreId;
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records, Shortcoming};
use esm_core::{Error, Result};
use esm_foreign::{Finding, ForeignEventStore};
use esm_layout::{EventTable, Layout, Queries};
use futures::stream::BoxStream;

use super::absent::{NoBackups, NoLocks};
use super::catalogue::LayoutTables;
use super::global::{GlobalEvent, in_global_order};
use super::native::LayoutNative;
use super::records::LayoutRecords;
use super::row::{Rows, texts, value};
use super::streams::LayoutStreams;
use crate::connection::{Database, Query};

/// What is the same for a database wherever it is reached, and on its standbys.
const IDENTITY: &str = "
SELECT (pg_control_system()).system_identifier::text,
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database())";

/// Streams that an error names.
const NAMED: usize = 10;

/// The events of another library in a database, read where they are.
///
/// Each stream is an object whose document names it as the only stream. Nothing is ever written, and
/// nothing is held between two queries, so it works on a standby and through a pooler in
/// transaction mode.
#[derive(Debug)]
pub struct LayoutStore {
    streams: Arc<LayoutStreams>,
    rows: Rows,
    events: Arc<dyn EventStore>,
    records: Arc<dyn Records>,
    event_table: EventTable,
    location: String,
    is_recognised: bool,
}

impl LayoutStore {
    /// Opens the layout that the address of a database names, or that is recognised.
    ///
    /// # Errors
    /// `NotFound` or `Invalid` where no layout, or several are recognised; `Unsupported` where the
    /// tables do not fit the layout; `PermissionDenied`, with the `GRANT` that is missing; those of
    /// the server.
    pub async fn open(database: Database) -> Result<Self> {
        let tables = LayoutTables::of_address(&database).await?;
        tables.ensure_fit()?;
        let Some(events) = &tables.events else {
            return Err(Error::not_found("the database has no table of events"));
        };
        let queries = Queries::new(&tables.layout, events, tables.streams.as_ref());
        let event_table = EventTable::new(&tables.layout, events);
        let id = identity(&database, &event_table.full_name).await?;
        let rows = Rows::new(&tables.layout, &queries);
        let is_recognised = database.settings().parameter("layout").is_none();
        let location = database.settings().to_string();
        let streams = Arc::new(LayoutStreams::new(database, tables.layout, queries));
        let native = LayoutNative::new(Arc::clone(&streams), rows.clone());
        let finding = Finding {
            shortcoming: Shortcoming::CloseNotHonoured,
            seen: "applications that do not know esm append to the tables".to_owned(),
        };
        Ok(Self {
            events: Arc::new(ForeignEventStore::unmarked(Arc::new(native), id, finding)),
            records: Arc::new(LayoutRecords {
                streams: Arc::clone(&streams),
                store: id,
            }),
            streams,
            rows,
            event_table,
            location,
            is_recognised,
        })
    }

    /// Returns the layout.
    pub fn layout(&self) -> &Layout {
        &self.streams.layout
    }

    /// Returns the table of events, as `schema.table`.
    pub fn table(&self) -> &str {
        &self.event_table.full_name
    }

    pub(crate) fn event_table(&self) -> &EventTable {
        &self.event_table
    }

    pub(crate) fn streams(&self) -> &Arc<LayoutStreams> {
        &self.streams
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Returns whether the layout was recognised from the catalogue, and not named.
    pub fn is_recognised(&self) -> bool {
        self.is_recognised
    }

    /// Returns where the database is, for messages; without credentials.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Returns the streams. They cannot be written to.
    pub fn event_store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.events)
    }

    /// Returns a document for each stream. There are no other records, and none can be written.
    pub fn records(&self) -> Arc<dyn Records> {
        Arc::clone(&self.records)
    }

    /// Returns locks of which none is held and none can be acquired.
    pub fn locks(&self) -> Arc<dyn LockProvider> {
        Arc::new(NoLocks)
    }

    /// Returns backups of which there are none and none can be created.
    pub fn backups(&self) -> Arc<dyn BackupProvider> {
        Arc::new(NoBackups)
    }

    /// Checks the numbers of all streams, and that every event is in a stream.
    ///
    /// # Errors
    /// `Corrupt`, naming the first streams that lack numbers; as
    /// [`ensure_all_in_streams`](Self::ensure_all_in_streams).
    pub async fn check(&self) -> Result<()> {
        let queries = &self.streams.queries;
        if !self.layout().events.holes {
            let sql = format!("{} LIMIT {NAMED}", queries.with_holes);
            let first = [self.layout().events.first];
            let found = self.streams.read(&sql, &[], &first).await?;
            let names = found
                .iter()
                .map(|row| Ok(shown(&texts(row, 0..row.len())?)));
            let names: Vec<String> = names.collect::<Result<_>>()?;
            if !names.is_empty() {
                let names = names.join("; ");
                return Err(
                    Error::corrupt(format!("numbers are missing in streams: {names}"))
                        .with_hint("`esm read` names the numbers"),
                );
            }
        }
        self.ensure_all_in_streams().await
    }

    /// Checks that every event is in a stream: commands that read all streams would leave out
    /// another.
    ///
    /// # Errors
    /// `Corrupt`, with the number of such events; those of the server.
    pub async fn ensure_all_in_streams(&self) -> Result<()> {
        let Some(lost) = &self.streams.queries.without_stream else {
            return Ok(());
        };
        let rows = self.streams.read(lost, &[], &[]).await?;
        match rows.first().map(|row| value::<i64>(row, 0)).transpose()? {
            None | Some(0) => Ok(()),
            Some(events) => Err(Error::corrupt(format!(
                "events are in no stream: {events} in {}",
                self.table()
            ))
            .with_hint("a column of their key is null, or the table of streams lacks it")),
        }
    }

    /// Reads all events in their global order, from one state of the database. Holds a transaction
    /// open until it is read to its end or dropped.
    ///
    /// # Errors
    /// `Unsupported` for a layout without a global order; those of the server.
    pub async fn in_global_order(&self) -> Result<BoxStream<'static, Result<GlobalEvent>>> {
        in_global_order(Arc::clone(&self.streams), self.rows.clone()).await
    }
}

/// The values of a key, for people.
fn shown(key: &[Option<String>]) -> String {
    let values: Vec<_> = key.iter().map(|v| v.as_deref().unwrap_or("null")).collect();
    values.join(", ")
}

/// The id of the store: the same for the same table, in every process and on every standby.
async fn identity(database: &Database, table: &str) -> Result<StoreId> {
    let rows = database.read(&Query::new(IDENTITY)).await.map_err(|e| {
        e.context("the identity of the server cannot be read")
            .with_hint("GRANT EXECUTE ON FUNCTION pg_control_system() TO this user")
    })?;
    let Some(row) = rows.first() else {
        return Err(Error::corrupt("the server has no identity"));
    };
    let (system, oid): (String, i64) = (value(row, 0)?, value(row, 1)?);
    let mut hash = blake3::Hasher::new_derive_key("esm layout store id v1");
    hash.update(format!("{system} {oid} {table}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    let id = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    Ok(StoreId::from_uuid(id))
}
