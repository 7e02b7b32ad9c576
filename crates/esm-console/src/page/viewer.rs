//! What is known of a request for a page, and the answer to it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use esm_core::Error;

use super::content::Page;
use super::layout::{self, Reader};
use crate::access::Operator;
use crate::shared::Shared;

/// Header that says when a page or a document was read.
pub(crate) const SEEN: &str = "x-esm-seen";
/// Header that is there if it could not be read again since.
pub(crate) const STALE: &str = "x-esm-stale";

/// Marks a request of the live stream: only the part of the page that changes is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment;

/// A request for a page.
#[derive(Debug)]
pub(crate) struct Viewer {
    is_fragment: bool,
    path: String,
    operator: Operator,
}

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self {
            is_fragment: parts.extensions.get::<Fragment>().is_some(),
            path: parts.uri.path().to_owned(),
            operator: parts.extensions.get().cloned().unwrap_or_default(),
        })
    }
}

impl Viewer {
    /// Whether commands are offered.
    pub(super) fn controls(&self, shared: &Shared) -> bool {
        shared.options.control.is_some() && self.operator.controls()
    }

    /// The answer: a whole page, or the part of it that changes.
    pub(super) fn show(&self, shared: &Shared, page: Page) -> Response {
        let status = page.status;
        let (at, is_stale) = (page.at, page.stale.is_some());
        let html = if self.is_fragment {
            layout::fragment(&page)
        } else {
            let now = shared.environment.clock.now();
            let reader = Reader {
                path: &self.path,
                name: self.operator.name(),
                controls: self.controls(shared),
            };
            layout::whole(shared, &reader, &page, now)
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

    /// The answer with a page, or with that of an error.
    pub(super) fn answer(&self, shared: &Shared, page: Result<Page, Arc<Error>>) -> Response {
        match page {
            Ok(page) => self.show(shared, page),
            Err(error) => self.fail(shared, &error),
        }
    }

    pub(super) fn fail(&self, shared: &Shared, error: &Error) -> Response {
        self.show(shared, Page::of_error(error))
    }
}

/// The answer where nothing is.
pub(crate) async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, layout::not_found()).into_response()
}
