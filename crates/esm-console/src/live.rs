//! Live pages: one stream of events a tab.
//!
//! Every two seconds the server renders the page of each tab anew, from what all viewers share, and
//! sends the part that changes if it has changed. So there is one way to render a page, and the script
//! needs to know nothing of what it shows.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures::stream::{self, Stream};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

use crate::access::Operator;
use crate::page::{Fragment, SEEN, STALE, Times};
use crate::shared::Shared;

/// Interval between two renderings.
const EVERY: Duration = Duration::from_secs(2);
/// Tabs that are live at the same time. Others poll.
const TABS: usize = 256;
/// Bytes of a page, at most.
const PAGE: usize = 8 << 20;

pub(crate) fn routes(pages: Router) -> Router<Arc<Shared>> {
    Router::new()
        .route("/events", get(events))
        .layer(Extension(pages))
        .layer(Extension(Arc::new(Semaphore::new(TABS))))
}

#[derive(Deserialize)]
struct Tab {
    path: String,
}

/// The state of a tab's stream.
struct Watching {
    shared: Arc<Shared>,
    pages: Router,
    path: String,
    operator: Operator,
    shown: Option<blake3::Hash>,
    is_first: bool,
    _permit: OwnedSemaphorePermit,
}

async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(pages): Extension<Router>,
    Extension(tabs): Extension<Arc<Semaphore>>,
    operator: Operator,
    Query(tab): Query<Tab>,
) -> Response {
    let Ok(permit) = tabs.try_acquire_owned() else {
        let text = "503: too many live tabs\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    if !tab.path.starts_with('/') || tab.path.starts_with("/events") {
        return (StatusCode::BAD_REQUEST, "400: path is not of a page\n").into_response();
    }
    Sse::new(watch(Watching {
        shared,
        pages,
        path: tab.path,
        operator,
        shown: None,
        is_first: true,
        _permit: permit,
    }))
    .into_response()
}

fn watch(watching: Watching) -> impl Stream<Item = Result<Event, Infallible>> {
    let rounds = stream::unfold(watching, |mut watching| async move {
        if !std::mem::take(&mut watching.is_first) {
            watching.shared.environment.clock.sleep(EVERY).await;
        }
        let events = watching.round().await;
        Some((stream::iter(events.into_iter().map(Ok)), watching))
    });
    futures::StreamExt::flatten(rounds)
}

impl Watching {
    /// The events of a round: when the page was read, and the page if it has changed.
    async fn round(&mut self) -> Vec<Event> {
        let Ok(mut request) = Request::get(&self.path).body(Body::empty()) else {
            return Vec::new();
        };
        request.extensions_mut().insert(Fragment);
        request.extensions_mut().insert(self.operator.clone());
        let Ok(response) = self.pages.clone().oneshot(request).await;
        let headers = response.headers();
        let seen = headers.get(SEEN).and_then(|value| value.to_str().ok());
        let seen: Option<Timestamp> = seen.and_then(|text| text.parse().ok());
        let now = self.shared.environment.clock.now();
        let times = Times::of(seen, now, headers.contains_key(STALE));
        let is_page = !response.status().is_redirection();
        let mut events = vec![Event::default().event("seen").data(times.to_string())];
        let body = axum::body::to_bytes(response.into_body(), PAGE).await;
        let Some(html) = body.ok().filter(|_| is_page) else {
            return events;
        };
        let hash = blake3::hash(&html);
        if self.shown.replace(hash) != Some(hash) {
            let html = String::from_utf8_lossy(&html);
            events.push(Event::default().event("page").data(html));
        }
        events
    }
}
