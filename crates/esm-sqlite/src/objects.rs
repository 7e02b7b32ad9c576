//! Objects as rows.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use esm_cells::{Key, Objects, PART_BYTES, Upload, WriteFailure, list_in_pages, upload_in_parts};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::BoxStream;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::change::{Change, Done};
use crate::database::Database;
use crate::failure::damaged;
use crate::upload::Parts;

/// Keys that are listed at once.
const PAGE: usize = 1_000;

/// The objects of a file.
#[derive(Debug, Clone)]
pub(crate) struct SqliteObjects(Arc<Database>);

impl SqliteObjects {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self(database)
    }

    fn exists(&self, key: &Key) -> WriteFailure {
        WriteFailure::Exists(Error::new(
            ErrorKind::AlreadyExists,
            format!("object exists: {key} in {}", self.0.address()),
        ))
    }
}

#[async_trait]
impl Objects for SqliteObjects {
    fn location(&self) -> &str {
        self.0.address()
    }

    fn place(&self) -> Option<&str> {
        Some(self.0.place())
    }

    async fn check(&self) -> Result<()> {
        let query = |connection: &Connection| -> rusqlite::Result<String> {
            connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))
        };
        match self.0.read(query).await?.as_str() {
            "ok" => Ok(()),
            found => Err(damaged(self.0.address()).with_source(found.to_owned())),
        }
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        let key = key.as_str().to_owned();
        self.0
            .read(move |connection| read_object(connection, &key, range))
            .await
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        let key = key.as_str().to_owned();
        let query = move |connection: &Connection| {
            connection
                .prepare_cached("SELECT size FROM object WHERE key = ?1")?
                .query_row([&key], |row| row.get(0))
                .optional()
        };
        self.0.read(query).await
    }

    async fn create(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        let change = Change::Create {
            key: key.as_str().to_owned(),
            body,
        };
        match self.0.change(change).await? {
            Done::Exists => Err(self.exists(key)),
            _ => Ok(()),
        }
    }

    async fn overwrite(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        let change = Change::Overwrite {
            key: key.as_str().to_owned(),
            body,
        };
        self.0.change(change).await.map(drop)
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let change = Change::Delete {
            key: key.as_str().to_owned(),
        };
        let deleted = self.0.change(change).await;
        deleted.map(drop).map_err(WriteFailure::into_error)
    }

    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        let database = Arc::clone(&self.0);
        let folder = folder.as_str().to_owned();
        list_in_pages(PAGE, move |after| {
            let (database, folder) = (Arc::clone(&database), folder.clone());
            async move {
                let query = move |connection: &Connection| keys(connection, &folder, &after);
                database.read(query).await
            }
        })
    }

    fn upload(&self, key: &Key) -> Upload {
        upload_in_parts(Parts(Arc::clone(&self.0)), key)
    }
}

/// The keys below a folder that follow another, in order.
fn keys(connection: &Connection, folder: &str, after: &str) -> rusqlite::Result<Vec<String>> {
    // what is below a folder begins with its name and a slash, and '0' is the byte after the slash
    let (first, end) = match folder {
        "" => (String::new(), None),
        folder => (format!("{folder}/"), Some(format!("{folder}0"))),
    };
    connection
        .prepare_cached(
            "SELECT key FROM object
             WHERE key >= ?1 AND key > ?2 AND (?3 IS NULL OR key < ?3) ORDER BY key LIMIT ?4",
        )?
        .query_map(params![first, after, end, PAGE], |row| row.get(0))?
        .collect()
}

/// Reads an object, or a range of it; `None` if there is none.
fn read_object(
    connection: &Connection,
    key: &str,
    range: Option<Range<u64>>,
) -> rusqlite::Result<Option<Bytes>> {
    // one transaction: an object that is replaced meanwhile is read as it was or as it is
    let transaction = connection.unchecked_transaction()?;
    let found = transaction
        .prepare_cached("SELECT size, upload FROM object WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((size, upload)) = found else {
        return Ok(None);
    };
    let wanted = clamp(range, size);
    match upload {
        Some(upload) => read_parts(&transaction, upload, wanted).map(Some),
        None => read_body(&transaction, key, wanted).map(Some),
    }
}

/// The bytes of a range that exist.
fn clamp(range: Option<Range<u64>>, size: u64) -> Range<u64> {
    let range = range.unwrap_or(0..size);
    let start = range.start.min(size);
    start..range.end.clamp(start, size)
}

fn read_body(connection: &Connection, key: &str, wanted: Range<u64>) -> rusqlite::Result<Bytes> {
    let body: Vec<u8> = connection
        .prepare_cached("SELECT substr(body, ?2, ?3) FROM object WHERE key = ?1")?
        .query_row(
            // SQLite counts from 1
            params![key, wanted.start + 1, wanted.end - wanted.start],
            |row| row.get(0),
        )?;
    Ok(body.into())
}

fn read_parts(connection: &Connection, upload: i64, wanted: Range<u64>) -> rusqlite::Result<Bytes> {
    let part = PART_BYTES as u64;
    if wanted.is_empty() {
        return Ok(Bytes::new());
    }
    let first = wanted.start / part;
    let mut statement = connection.prepare_cached(
        "SELECT body FROM part WHERE upload = ?1 AND number BETWEEN ?2 AND ?3 ORDER BY number",
    )?;
    let mut rows = statement.query(params![upload, first, (wanted.end - 1) / part])?;
    let mut bytes = BytesMut::new();
    while let Some(row) = rows.next()? {
        bytes.extend_from_slice(row.get_ref(0)?.as_blob()?);
    }
    let bytes = bytes.freeze();
    let start = (wanted.start - first * part) as usize;
    let end = start + (wanted.end - wanted.start) as usize;
    Ok(bytes.slice(start.min(bytes.len())..end.min(bytes.len())))
}
