//! What is changed in the database, each by a statement or two.

use bytes::Bytes;
use esm_cells::Uploaded;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

/// Rows of litter that one opening removes.
const SWEPT_ROWS: u32 = 64;
/// An upload that was begun this long ago and has no object belongs to a process that died. One
/// that is still running fails when it ends, because its parts are counted.
const UPLOAD_SECONDS: u32 = 24 * 60 * 60;

/// A change of the database.
#[derive(Debug)]
pub(crate) enum Change {
    /// Creates an object that is absent.
    Create { key: String, body: Bytes },
    /// Writes an object, whether it exists or not.
    Overwrite { key: String, body: Bytes },
    /// Deletes an object, if it exists.
    Delete { key: String },
    /// Draws the number of an upload.
    BeginUpload,
    /// Writes a part of an upload.
    Part {
        upload: i64,
        number: u64,
        body: Bytes,
    },
    /// Makes an object of the parts of an upload.
    EndUpload { uploaded: Uploaded, key: String },
}

impl Change {
    /// Returns how many bytes of objects it writes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Create { body, .. } | Self::Overwrite { body, .. } | Self::Part { body, .. } => {
                body.len()
            }
            Self::Delete { .. } | Self::BeginUpload | Self::EndUpload { .. } => 0,
        }
    }
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// The change took place.
    Changed,
    /// The object exists, and nothing was changed.
    Exists,
    /// The number of a new upload.
    Upload(i64),
    /// Parts of the upload are missing, and nothing was changed.
    PartsMissing,
}

/// Makes a change.
pub(crate) fn apply(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<Done> {
    match change {
        Change::Create { key, body } => {
            let changed = transaction
                .prepare_cached(
                    "INSERT INTO object (key, size, body) VALUES (?1, ?2, ?3)
                     ON CONFLICT (key) DO NOTHING",
                )?
                .execute(params![key, body.len(), &body[..]])?;
            Ok(if changed == 0 {
                Done::Exists
            } else {
                Done::Changed
            })
        }
        Change::Overwrite { key, body } => {
            transaction
                .prepare_cached(
                    "INSERT INTO object (key, size, body) VALUES (?1, ?2, ?3)
                     ON CONFLICT (key) DO UPDATE
                     SET size = excluded.size, body = excluded.body, upload = NULL",
                )?
                .execute(params![key, body.len(), &body[..]])?;
            Ok(Done::Changed)
        }
        Change::Delete { key } => delete(transaction, key),
        Change::BeginUpload => {
            transaction
                .prepare_cached("INSERT INTO upload (begun_at) VALUES (unixepoch())")?
                .execute(())?;
            Ok(Done::Upload(transaction.last_insert_rowid()))
        }
        Change::Part {
            upload,
            number,
            body,
        } => {
            transaction
                .prepare_cached("INSERT INTO part (upload, number, body) VALUES (?1, ?2, ?3)")?
                .execute(params![upload, number, &body[..]])?;
            Ok(Done::Changed)
        }
        Change::EndUpload { uploaded, key } => end_upload(transaction, *uploaded, key),
    }
}

fn delete(transaction: &Transaction<'_>, key: &str) -> rusqlite::Result<Done> {
    let upload: Option<i64> = transaction
        .prepare_cached("DELETE FROM object WHERE key = ?1 RETURNING upload")?
        .query_row([key], |row| row.get(0))
        .optional()?
        .flatten();
    if let Some(upload) = upload {
        transaction.execute("DELETE FROM part WHERE upload = ?1", [upload])?;
        transaction.execute("DELETE FROM upload WHERE number = ?1", [upload])?;
    }
    Ok(Done::Changed)
}

fn end_upload(
    transaction: &Transaction<'_>,
    uploaded: Uploaded,
    key: &str,
) -> rusqlite::Result<Done> {
    let Uploaded {
        upload,
        parts,
        bytes,
    } = uploaded;
    let stored: u64 = transaction.query_row(
        "SELECT count(*) FROM part WHERE upload = ?1",
        [upload],
        |row| row.get(0),
    )?;
    if stored != parts {
        return Ok(Done::PartsMissing);
    }
    let changed = transaction.execute(
        "INSERT INTO object (key, size, upload) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING",
        params![key, bytes, upload],
    )?;
    Ok(if changed == 0 {
        Done::Exists
    } else {
        Done::Changed
    })
}

/// Removes parts of uploads whose process died long ago, a bounded number.
pub(crate) fn sweep(connection: &Connection) -> rusqlite::Result<()> {
    let dead = format!(
        "SELECT number FROM upload WHERE begun_at < unixepoch() - {UPLOAD_SECONDS}
         AND NOT EXISTS (SELECT 1 FROM object WHERE object.upload = upload.number)"
    );
    let any: bool =
        connection.query_row(&format!("SELECT EXISTS ({dead})"), (), |row| row.get(0))?;
    if !any {
        return Ok(());
    }
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         DELETE FROM part WHERE rowid IN (
             SELECT rowid FROM part WHERE upload IN ({dead}) LIMIT {SWEPT_ROWS});
         DELETE FROM upload WHERE number IN ({dead})
             AND NOT EXISTS (SELECT 1 FROM part WHERE part.upload = upload.number);
         COMMIT;"
    ))
}
