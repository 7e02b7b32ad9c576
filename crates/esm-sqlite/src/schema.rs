//! The tables of a file, and how a connection is set up.

use std::path::Path;
use std::time::Duration;

use esm_core::{Error, Result};
use rusqlite::{Connection, MAIN_DB, OpenFlags};

use crate::failure::error;

/// `esm1` in ASCII: SQLite's own place for what a file is.
const APPLICATION_ID: i32 = 0x6573_6d31;
/// The format of the tables.
const FORMAT: i32 = 1;
/// How long a connection waits for another process's transaction. Each is far shorter.
const BUSY: Duration = Duration::from_secs(10);

/// An object is a row. The body of one that was uploaded in parts is in `part`, under the number of
/// its upload, which is never used again.
const TABLES: &str = "
CREATE TABLE object (
    key TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    body BLOB,
    upload INTEGER,
    CHECK ((body IS NULL) = (upload IS NOT NULL))
) STRICT;
CREATE TABLE upload (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    begun_at INTEGER NOT NULL
) STRICT;
CREATE TABLE part (
    upload INTEGER NOT NULL,
    number INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT;
CREATE INDEX object_upload ON object (upload) WHERE upload IS NOT NULL;
";

/// What is found at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A database without tables: a new file.
    Empty,
    /// A store's tables.
    Store,
}

/// Opens a connection to a file that exists, for reading.
pub(crate) fn reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    connect(path, flags)
}

/// Opens the connection that writes to a file that exists.
pub(crate) fn writer(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags)?;
    // SQLite opens a file for reading that it may not write
    if connection
        .is_readonly(MAIN_DB)
        .map_err(|e| error(&e, path))?
    {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY);
        return Err(error(&rusqlite::Error::SqliteFailure(code, None), path));
    }
    durable(&connection, path)?;
    // what was deleted is not left in pages that are free
    set(&connection, "PRAGMA secure_delete = ON", path)?;
    Ok(connection)
}

/// Creates the file where there is none, and its tables where it has none. Of several callers one
/// creates them.
pub(crate) fn create(path: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = connect(path, flags)?;
    if inspect(&connection, path)? == Found::Store {
        return Ok(());
    }
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))
        .map_err(|e| error(&e, path))?;
    if mode != "wal" {
        return Err(Error::unsupported(format!(
            "file system has no shared memory for SQLite's write-ahead log: {}",
            path.display()
        ))
        .with_hint("use a directory on a local disk"));
    }
    durable(&connection, path)?;
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(|e| error(&e, path))?;
    if inspect(&transaction, path)? == Found::Empty {
        let marks =
            format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};");
        transaction
            .execute_batch(&format!("{TABLES}{marks}"))
            .map_err(|e| error(&e, path))?;
    }
    transaction.commit().map_err(|e| error(&e, path))
}

/// Returns what a file is.
///
/// # Errors
/// `Unsupported` for a newer format; `Invalid` for a database of another program.
pub(crate) fn inspect(connection: &Connection, path: &Path) -> Result<Found> {
    let number = |pragma: &str| -> Result<i32> {
        connection
            .query_row(&format!("PRAGMA {pragma}"), (), |row| row.get(0))
            .map_err(|e| error(&e, path))
    };
    // counted first: another process may create a store meanwhile, and marks it as one with its tables
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(|e| error(&e, path))?;
    let (application, format) = (number("application_id")?, number("user_version")?);
    if application == APPLICATION_ID {
        if format > FORMAT {
            return Err(Error::unsupported(format!(
                "store has the newer format {format}; this version reads up to {FORMAT}: {}",
                path.display()
            ))
            .with_hint("update esm"));
        }
        return Ok(Found::Store);
    }
    if application == 0 && tables == 0 {
        return Ok(Found::Empty);
    }
    Err(Error::invalid(format!(
        "database belongs to another program: {}",
        path.display()
    ))
    .with_hint("name a file of its own for the store"))
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags).map_err(|e| error(&e, path))?;
    connection.busy_timeout(BUSY).map_err(|e| error(&e, path))?;
    // functions in a schema that somebody changed are not run
    set(&connection, "PRAGMA trusted_schema = OFF", path)?;
    set(&connection, "PRAGMA cell_size_check = ON", path)?;
    Ok(connection)
}

/// Has the log synced at every commit, and never only at a checkpoint; on macOS by the call that
/// reaches the disk.
fn durable(connection: &Connection, path: &Path) -> Result<()> {
    set(
        connection,
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON",
        path,
    )
}

fn set(connection: &Connection, pragma: &str, path: &Path) -> Result<()> {
    connection
        .execute_batch(pragma)
        .map_err(|e| error(&e, path))
}
