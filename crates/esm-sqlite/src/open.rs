//! Opening stores.

use std::sync::Arc;
use std::time::Duration;

use esm_cells::{Backend, Key, LAYOUT, OpenOptions, Store, Unmarked};
use esm_core::backoff::BackOff;
use esm_core::{Error, ErrorKind, Result};

use crate::address::Address;
use crate::database::Database;
use crate::objects::SqliteObjects;

/// Attempts to create a file: SQLite does not wait where two processes make the same file a
/// write-ahead database.
const CREATE: BackOff = BackOff::new(8, Duration::from_millis(10), Duration::from_millis(400));

/// Returns whether an address is one of this crate's: `sqlite:PATH`.
pub fn is_address(text: &str) -> bool {
    Address::is_one(text)
}

/// Returns an address in a form to keep: a relative path made absolute. Opens nothing.
///
/// # Errors
/// `Invalid` for a malformed address.
pub fn absolute_address(address: &str) -> Result<String> {
    Address::parse(address).map(|address| address.text())
}

/// Opens a store that exists.
///
/// The address is `sqlite:/path/to/file.db`, or `sqlite:file.db` for a path relative to the working
/// directory. With read-only options no row is written; SQLite itself may create the files beside
/// the database (`…-wal`, `…-shm`) that processes share.
///
/// # Errors
/// - `Invalid` for a malformed address, and for a database of another program.
/// - `NotFound` when there is no file, or no store in it.
/// - `PermissionDenied` when the file or its folder cannot be read or written.
/// - `Unsupported` for a store of another layout or a newer format, and on a network file system.
/// - `Corrupt` for a damaged file; `Unavailable` while another process holds a transaction open.
pub async fn open(address: &str, options: OpenOptions) -> Result<Store> {
    let address = Address::parse(address)?;
    Store::open(backend(address, options).await?).await
}

/// Opens a store, or creates one where there is none: the folder, the file, its tables and the
/// marker. Concurrent callers get the same store. With read-only options nothing is created.
///
/// # Errors
/// As [`open`]; `Unsupported` also where the file system has no shared memory for the write-ahead
/// log; `StorageFull`.
pub async fn open_or_create(address: &str, options: OpenOptions) -> Result<Store> {
    let address = Address::parse(address)?;
    if options.read_only {
        return Store::open(backend(address, options).await?).await;
    }
    create(&address, &options).await?;
    Store::open_or_create(backend(address, options).await?).await
}

/// Opens a file that holds a store which has lost its marker: see [`esm_core::recovery`]. Writes
/// nothing.
///
/// # Errors
/// `AlreadyExists` where there is a marker; `NotFound` where there is nothing of a store; otherwise
/// as [`open`].
pub async fn open_unmarked(address: &str, options: OpenOptions) -> Result<Unmarked> {
    let address = Address::parse(address)?;
    Unmarked::open(backend(address, options).await?, &[LAYOUT], Store::new).await
}

async fn create(address: &Address, options: &OpenOptions) -> Result<()> {
    let mut back_off = CREATE;
    loop {
        let address = address.clone();
        match blocking(move || Database::create(&address)).await {
            Err(error)
                if *error.kind() == ErrorKind::Unavailable
                    && back_off.pause(&options.environment).await => {}
            created => return created,
        }
    }
}

async fn backend(address: Address, options: OpenOptions) -> Result<Arc<Backend>> {
    let read_only = options.read_only;
    let database = blocking(move || Database::open(&address, read_only)).await?;
    let objects = SqliteObjects::new(Arc::new(database));
    let backend = Backend::new(Arc::new(objects), Key::default(), options);
    Ok(Arc::new(backend))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        Error::new(
            ErrorKind::Unavailable,
            "opening the database was interrupted",
        )
        .with_source(e)
    })?
}
