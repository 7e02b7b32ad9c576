//! A page: its content, and the age of what it shows.

use std::fmt;
use std::sync::Arc;

use axum::http::StatusCode;
use esm_core::{Error, ErrorKind};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Serialize;

use crate::shared::{Read, Store};

/// The times of a page, for the script: ages are by the server's clock, from the time of the reading
/// and not from that of the arrival.
#[derive(Debug, Serialize)]
pub(crate) struct Times {
    /// When what it shows was read, in milliseconds since 1970; the oldest of several.
    read: Option<i64>,
    /// The server's time.
    now: i64,
    /// Whether it could not be read again since.
    stale: bool,
}

impl Times {
    pub(crate) fn of(read: Option<Timestamp>, now: Timestamp, stale: bool) -> Self {
        Self {
            read: read.map(Timestamp::as_millisecond),
            now: now.as_millisecond(),
            stale,
        }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) title: String,
    /// The store that the page is of.
    pub(super) store: Option<usize>,
    /// The address of its twin in JSON.
    pub(super) twin: Option<String>,
    pub(super) body: Markup,
    /// When what it shows was read; the oldest of several.
    pub(super) at: Option<Timestamp>,
    /// Why it could not be read again since.
    pub(super) stale: Option<Arc<Error>>,
    pub(super) status: StatusCode,
}

impl Page {
    pub(super) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self {
            title: title.into(),
            store: None,
            twin: None,
            body,
            at: None,
            stale: None,
            status: StatusCode::OK,
        }
    }

    pub(super) fn of_store(mut self, store: usize) -> Self {
        self.store = Some(store);
        self
    }

    pub(super) fn with_twin(mut self, twin: String) -> Self {
        self.twin = Some(twin);
        self
    }

    /// Adds the age of something that the page shows.
    pub(super) fn reading<V>(mut self, read: &Read<V>) -> Self {
        if let Ok(seen) = read {
            self.at = Some(self.at.map_or(seen.at, |at| at.min(seen.at)));
            self.stale = self.stale.or_else(|| seen.stale.clone());
        }
        self
    }

    /// The page of something that was read of a store, or of the error that it could not be.
    pub(super) fn of_read<V>(store: Store, read: &Read<V>, page: impl FnOnce(&V) -> Self) -> Self {
        let page = match read {
            Ok(seen) => page(&seen.value),
            Err(error) => Self::of_error(error),
        };
        page.of_store(store).reading(read)
    }

    /// The page of an error.
    pub(super) fn of_error(error: &Error) -> Self {
        let (status, title) = match error.kind() {
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "This address cannot be read"),
            ErrorKind::Deleted => (StatusCode::GONE, "Deleted"),
            ErrorKind::Corrupt | ErrorKind::Gone => {
                (StatusCode::INTERNAL_SERVER_ERROR, "Damaged data")
            }
            ErrorKind::PermissionDenied => (StatusCode::BAD_GATEWAY, "The store denies access"),
            ErrorKind::Unavailable => (StatusCode::BAD_GATEWAY, "The store does not answer"),
            ErrorKind::Unsupported => (StatusCode::NOT_IMPLEMENTED, "Not offered"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong"),
        };
        let body = html! {
            section.card.problem {
                h1 { (title) }
                p { (error) }
                @if let Some(hint) = error.hint() { p.hint { (hint) } }
                p { a href="/" { "All migrations" } }
            }
        };
        Self {
            status,
            ..Self::new(title, body)
        }
    }
}
