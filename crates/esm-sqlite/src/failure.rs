//! What an error of SQLite means.

use std::fmt;
use std::path::Path;

use esm_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

use crate::holder::holder;

/// Returns the project's error for one of SQLite.
pub(crate) fn error(cause: &rusqlite::Error, path: &Path) -> Error {
    let place = path.display();
    let Some(code) = cause.sqlite_error_code() else {
        return Error::corrupt(format!("database has unexpected contents: {place}"))
            .with_source(cause.to_string());
    };
    let (kind, what, hint) = match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => return locked(cause, path),
        ErrorCode::DiskFull => (
            ErrorKind::StorageFull,
            "disk is full",
            Some("free some space; what was acknowledged is kept"),
        ),
        ErrorCode::ReadOnly => (
            ErrorKind::PermissionDenied,
            "database cannot be written",
            Some("the file and its folder must be writable"),
        ),
        ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::AuthorizationForStatementDenied => (
            ErrorKind::PermissionDenied,
            "database cannot be opened",
            Some("the file and its folder must exist, and be readable and writable"),
        ),
        ErrorCode::NotADatabase => (
            ErrorKind::Corrupt,
            "file is no SQLite database, or its first page is damaged",
            Some("check the path; restore the file from a copy"),
        ),
        ErrorCode::DatabaseCorrupt => return damaged(&place).with_source(cause.to_string()),
        ErrorCode::TooBig | ErrorCode::OutOfMemory => {
            (ErrorKind::TooLarge, "object is too large for a row", None)
        }
        ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed => (
            ErrorKind::Unavailable,
            "disk failed",
            Some("check the disk, and start again"),
        ),
        _ => (ErrorKind::Unavailable, "database failed", None),
    };
    let error = Error::new(kind, format!("{what}: {place}")).with_source(cause.to_string());
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The error of a file whose structure is damaged.
pub(crate) fn damaged(place: impl fmt::Display) -> Error {
    Error::corrupt(format!("database is damaged: {place}"))
        .with_hint("restore it from a copy; `sqlite3 FILE .recover` reads what is left")
}

fn locked(cause: &rusqlite::Error, path: &Path) -> Error {
    let holder = holder(path).map_or_else(String::new, |holder| format!(" ({holder})"));
    let message = format!(
        "database is locked by another process{holder}: {}",
        path.display()
    );
    Error::new(ErrorKind::Unavailable, message)
        .with_source(cause.to_string())
        .with_hint("a program that holds a transaction open keeps others from writing; end it")
}

/// Whether nobody knows any more what is on the disk: a sync that failed may succeed when it is
/// repeated, without having written.
pub(crate) fn is_of_the_disk(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}
