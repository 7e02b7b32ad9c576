//! An open file: connections that read, and the one that writes.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use esm_cells::WriteFailure;
use esm_core::{Error, ErrorKind, Result};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::address::Address;
use crate::change::{Change, Done};
use crate::failure::error;
use crate::folder;
use crate::schema;
use crate::writer::{Writer, disk_failed};

/// Connections that read at the same time.
const READERS: usize = 4;

/// An open file.
pub(crate) struct Database {
    address: String,
    /// The address with every symbolic link resolved.
    place: String,
    path: Arc<PathBuf>,
    /// Absent where the file was opened for reading only.
    writer: Option<Writer>,
    idle: Mutex<Vec<Connection>>,
    reading: Arc<Semaphore>,
    /// Set once the disk has failed.
    failed: Arc<AtomicBool>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Opens a file that exists and has the tables of a store.
    ///
    /// # Errors
    /// `NotFound` where there is no file, or an empty one; `Unsupported` on a network file system;
    /// those of [`schema::inspect`].
    pub(crate) fn open(address: &Address, read_only: bool) -> Result<Self> {
        let path = Arc::new(address.path.clone());
        if path.is_dir() {
            return Err(Error::invalid(format!(
                "store is a directory, not a file: {}",
                path.display()
            ))
            .with_hint("leave out sqlite: to open a directory"));
        }
        if !path.exists() {
            return Err(absent(address));
        }
        folder::check_local(&path)?;
        let reader = schema::reader(&path)?;
        if schema::inspect(&reader, &path)? == schema::Found::Empty {
            return Err(absent(address));
        }
        let failed = Arc::new(AtomicBool::new(false));
        let writer = if read_only {
            None
        } else {
            Some(Writer::open(Arc::clone(&path), Arc::clone(&failed))?)
        };
        let canonical = path.canonicalize().map_err(|e| folder::error(&e, &path))?;
        Ok(Self {
            address: address.text(),
            place: Address { path: canonical }.text(),
            path,
            writer,
            idle: Mutex::new(vec![reader]),
            reading: Arc::new(Semaphore::new(READERS)),
            failed,
        })
    }

    /// Creates the file, its folder and its tables where they are missing.
    pub(crate) fn create(address: &Address) -> Result<()> {
        if let Some(above) = address.path.parent() {
            folder::create(above).map_err(|e| folder::error(&e, above))?;
            folder::check_local(above)?;
        }
        schema::create(&address.path)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Makes a change; returns once it is durable.
    pub(crate) async fn change(self: &Arc<Self>, change: Change) -> Result<Done, WriteFailure> {
        let this = Arc::clone(self);
        let changed = tokio::task::spawn_blocking(move || match &this.writer {
            Some(writer) => writer.change(change),
            None => Err(WriteFailure::Refused(this.read_only())),
        });
        changed
            .await
            .unwrap_or_else(|e| Err(WriteFailure::Unknown(closed().with_source(e))))
    }

    fn read_only(&self) -> Error {
        Error::unsupported(format!("store was opened read-only: {}", self.address))
    }

    /// Reads with a connection of its own. A read sees every write that was acknowledged before, and
    /// needs no polling to end.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = Arc::clone(self);
        // a task of its own: a future that is not polled would keep its turn from all others
        let reading = tokio::spawn(async move {
            let turn = Arc::clone(&this.reading).acquire_owned().await;
            let turn = turn.map_err(|_| closed())?;
            let read = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                this.query(query)
            });
            read.await.map_err(|e| closed().with_source(e))?
        });
        reading.await.map_err(|e| closed().with_source(e))?
    }

    fn query<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        if self.failed.load(Ordering::Acquire) {
            return Err(error(&disk_failed(), &self.path));
        }
        let connection = match self.idle().pop() {
            Some(connection) => connection,
            None => schema::reader(&self.path)?,
        };
        match query(&connection) {
            Ok(found) => {
                self.idle().push(connection);
                Ok(found)
            }
            Err(cause) => Err(error(&cause, &self.path)),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "program ends, and its calls with it",
    )
}

fn absent(address: &Address) -> Error {
    Error::not_found(format!("no esm store is here: {}", address.text()))
        .with_hint("check the address, or import into it, which makes it a store")
}
