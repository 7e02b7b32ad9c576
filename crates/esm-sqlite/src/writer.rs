//! The one connection of a process that writes. Calls that wait for it share a transaction.

use std::ffi::c_int;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use esm_cells::WriteFailure;
use esm_core::{Error, ErrorKind, Result};
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::change::{Change, Done, apply, sweep};
use crate::failure::{error, is_of_the_disk};
use crate::schema;

/// Bytes of one transaction, so that it delays others by milliseconds only.
const TRANSACTION_BYTES: usize = 4 << 20;

/// Pages of the log after which it is copied into the file, as SQLite does by itself.
const LOG_PAGES: c_int = 1_000;

type Outcome = Result<Done, WriteFailure>;

struct Request {
    change: Change,
    reply: Sender<Outcome>,
}

/// The connection that writes. Whichever call gets it makes the changes of all that wait.
pub(crate) struct Writer {
    connection: Mutex<Connection>,
    waiting: Mutex<Vec<Request>>,
    path: Arc<PathBuf>,
    /// Set once the disk has failed.
    failed: Arc<AtomicBool>,
}

/// Why a transaction failed.
struct Failure {
    cause: rusqlite::Error,
    /// Whether it may have taken place.
    in_doubt: bool,
}

impl From<rusqlite::Error> for Failure {
    fn from(cause: rusqlite::Error) -> Self {
        Self {
            cause,
            in_doubt: false,
        }
    }
}

impl Failure {
    /// A commit that finds no room has not written its last page, so the log ends before it.
    fn of_commit(cause: rusqlite::Error) -> Self {
        Self {
            in_doubt: cause.sqlite_error_code() != Some(ErrorCode::DiskFull),
            cause,
        }
    }
}

impl Writer {
    /// Opens the connection. Sets `failed` once the disk has failed.
    pub(crate) fn open(path: Arc<PathBuf>, failed: Arc<AtomicBool>) -> Result<Self> {
        let mut connection = schema::writer(&path)?;
        let seen = Arc::clone(&failed);
        connection
            .wal_hook(Some(move |log: &mut Wal, pages: c_int| {
                checkpoint(log, pages, &seen);
                Ok(())
            }))
            .map_err(|e| error(&e, &path))?;
        if let Err(cause) = sweep(&connection) {
            tracing::debug!(%cause, "litter of uploads not removed");
        }
        Ok(Self {
            connection: Mutex::new(connection),
            waiting: Mutex::default(),
            path,
            failed,
        })
    }

    /// Makes a change; returns once it is durable. Blocks.
    pub(crate) fn change(&self, change: Change) -> Outcome {
        let (reply, outcome) = channel();
        lock(&self.waiting).push(Request { change, reply });
        let mut connection = lock(&self.connection);
        // each round makes the oldest changes that wait, so this one is reached
        loop {
            if let Some(outcome) = self.received(&outcome) {
                return outcome;
            }
            let requests = self.next();
            self.serve(&mut connection, requests);
        }
    }

    /// The outcome of a change that was made, perhaps by another call.
    fn received(&self, outcome: &Receiver<Outcome>) -> Option<Outcome> {
        match outcome.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(WriteFailure::Unknown(Error::new(
                ErrorKind::Unavailable,
                format!("call that wrote has ended: {}", self.path.display()),
            )))),
        }
    }

    /// Takes the oldest requests that fit into a transaction, and at least one.
    fn next(&self) -> Vec<Request> {
        let mut waiting = lock(&self.waiting);
        let mut bytes = 0;
        let fitting = waiting.iter().take_while(|request| {
            let fits = bytes < TRANSACTION_BYTES;
            bytes += request.change.bytes();
            fits
        });
        let count = fitting.count();
        waiting.drain(..count).collect()
    }

    /// Makes the changes in one transaction; one by one, if one of them fails.
    fn serve(&self, connection: &mut Connection, requests: Vec<Request>) {
        match self.transaction(connection, &requests) {
            Ok(done) => {
                for (request, done) in requests.into_iter().zip(done) {
                    // the caller of a dropped future receives nothing
                    let _ = request.reply.send(Ok(done));
                }
            }
            Err(failure) if requests.len() > 1 && !failure.in_doubt => {
                for request in requests {
                    self.serve(connection, vec![request]);
                }
            }
            Err(failure) => {
                for request in requests {
                    let _ = request.reply.send(Err(self.refused(&failure)));
                }
            }
        }
    }

    fn transaction(
        &self,
        connection: &mut Connection,
        requests: &[Request],
    ) -> Result<Vec<Done>, Failure> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Failure::from(disk_failed()));
        }
        let result = attempt(connection, requests);
        if let Err(failure) = &result
            && is_of_the_disk(&failure.cause)
        {
            self.failed.store(true, Ordering::Release);
        }
        result
    }

    fn refused(&self, failure: &Failure) -> WriteFailure {
        let error = error(&failure.cause, &self.path);
        if failure.in_doubt {
            WriteFailure::Unknown(error)
        } else {
            WriteFailure::Refused(error)
        }
    }
}

/// Copies a log that has become long into the file. SQLite would do the same and ignore a sync that
/// failed; the next one may then succeed without having written.
fn checkpoint(log: &mut Wal, pages: c_int, failed: &AtomicBool) {
    if pages >= LOG_PAGES
        && let Err(cause) = log.checkpoint()
        && is_of_the_disk(&cause)
    {
        failed.store(true, Ordering::Release);
    }
}

fn attempt(connection: &mut Connection, requests: &[Request]) -> Result<Vec<Done>, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = requests
        .iter()
        .map(|request| apply(&transaction, &request.change))
        .collect::<rusqlite::Result<_>>()?;
    transaction.commit().map_err(Failure::of_commit)?;
    Ok(done)
}

/// What a call gets after the disk has failed.
pub(crate) fn disk_failed() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(
        code,
        Some("an earlier call found the disk failing".to_owned()),
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
