//! What an error of the server or of a connection means to a caller.

use std::error::Error as _;

use esm_core::{Error, ErrorKind};
use tokio_postgres::error::{DbError, SqlState};

/// Returns an error for what a server or a connection reported while reading. Nothing was written.
pub(crate) fn explain(error: tokio_postgres::Error) -> Error {
    let Some(reported) = error.as_db_error() else {
        return of_connection(error);
    };
    let kind = kind(reported);
    let code = reported.code().code();
    let mut message = format!("{} (SQLSTATE {code})", reported.message());
    if let Some(detail) = reported.detail() {
        message = format!("{message}: {detail}");
    }
    let explained = Error::new(kind, message);
    match hint(reported) {
        Some(hint) => explained.with_hint(hint),
        None => explained,
    }
}

fn of_connection(error: tokio_postgres::Error) -> Error {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let hint = if message.contains("does not support TLS") {
        Some("enable ssl on the server, or choose sslmode=disable or sslmode=prefer")
    } else if message.contains("password missing") {
        Some("set PGPASSWORD, or write the password into a password file (~/.pgpass or PGPASSFILE)")
    } else if message.contains("certificate") {
        Some("name the root certificates with sslrootcert=FILE; sslmode=require does not verify")
    } else {
        None
    };
    let kind = if message.contains("password missing") {
        ErrorKind::PermissionDenied
    } else {
        ErrorKind::Unavailable
    };
    let explained = Error::new(kind, message).with_source(error);
    match hint {
        Some(hint) => explained.with_hint(hint),
        None => explained,
    }
}

fn kind(reported: &DbError) -> ErrorKind {
    let code = reported.code();
    if [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ]
    .contains(code)
    {
        return ErrorKind::PermissionDenied;
    }
    if [
        SqlState::INVALID_CATALOG_NAME,
        SqlState::UNDEFINED_TABLE,
        SqlState::INVALID_SCHEMA_NAME,
    ]
    .contains(code)
    {
        return ErrorKind::NotFound;
    }
    if *code == SqlState::DISK_FULL {
        return ErrorKind::StorageFull;
    }
    match &code.code()[..2] {
        // a value that is none of its type
        "22" => ErrorKind::Invalid,
        // a table or an index is damaged
        "XX" => ErrorKind::Corrupt,
        "0A" | "42" => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    }
}

fn hint(reported: &DbError) -> Option<&'static str> {
    let code = reported.code();
    if *code == SqlState::INVALID_PASSWORD {
        return Some(
            "set PGPASSWORD, or write the password into a password file (~/.pgpass or PGPASSFILE)",
        );
    }
    if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        return Some(
            "pg_hba.conf of the server decides who may connect from where, and whether TLS is \
             required: sslmode=require",
        );
    }
    if *code == SqlState::INVALID_CATALOG_NAME {
        return Some("name the database in the address: postgres://user@host/database");
    }
    if reported.message().contains("conflict with recovery") {
        return Some("read from the primary, or raise max_standby_streaming_delay on the standby");
    }
    if reported.message().contains("during recovery") {
        return Some("connect to the primary: this server is a standby");
    }
    None
}
