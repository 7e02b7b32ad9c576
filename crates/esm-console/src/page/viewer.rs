//! What is known of a request for a page, and the answer to it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use esm_core::{Error, ErrorKind};
use jiff::Timestamp;
use maud::{Markup, html};

use super::layout;
use crate::live::{SEEN, STALE};
use crate::shared::{Read, Shared};

/// Marks a request of the live stream: only the part of the page that changes is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment;

/// A request for a page.
#[derive(Debug)]
pub(crate) struct Viewer {
    is_fragment: bool,
    pub(super) path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self {
            is_fragment: parts.extensions.get::<Fragment>().is_some(),
            path: parts.uri.path().to_owned(),
        })
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

impl Viewer {
    /// The answer: a whole page, or the part of it that changes.
    pub(super) fn show(&self, shared: &Shared, page: Page) -> Response {
        let status = page.status;
        let (at, is_stale) = (page.at, page.stale.is_some());
        let html = if self.is_fragment {
            layout::fragment(&page)
        } else {
            layout::whole(shared, self, &page)
        };
        let mut response = (status, html).into_response();
        let headers = response.headers_mut();
        let at = at.map(|at| at.to_string());
        if let Some(at) = at.and_then(|at| HeaderValue::from_str(&at).ok()) {
            headers.insert(SEEN, at);
        }
        if is_stale {
            headers.insert(STALE, HeaderValue::from_static("1"));
        }
        response
    }

    pub(super) fn fail(&self, shared: &Shared, error: &Error) -> Response {
        self.show(shared, Page::of_error(error))
    }
}

/// The answer where nothing is.
pub(crate) async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, layout::not_found()).into_response()
}
