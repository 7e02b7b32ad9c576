//! The twins of the pages in JSON: the documents of the commands of `esm`.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use esm_core::id::ObjectId;
use esm_core::{Error, Result};
use esm_format::cloudevent::{self, Attributes};
use esm_view::InSeconds;
use esm_view::migration::{Migrations, Shown};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::failure::failure;
use crate::model::{EventQuery, ObjectQuery};
use crate::page::{SEEN, STALE};
use crate::shared::{Read, Shared};

type Answer = Result<Response, Arc<Error>>;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/stores", get(stores))
        .route("/api/v1/stores/{store}/migrations", get(migrations))
        .route(
            "/api/v1/stores/{store}/migrations/{migration}",
            get(migration),
        )
        .route(
            "/api/v1/stores/{store}/migrations/{migration}/objects",
            get(under_way),
        )
        .route("/api/v1/stores/{store}/objects", get(objects))
        .route("/api/v1/stores/{store}/objects/{*object}", get(object))
        .route("/api/v1/stores/{store}/events/{*object}", get(events))
        .route("/api/v1/stores/{store}/locks", get(locks))
        .route("/api/v1/stores/{store}/backups", get(backups))
        .route("/api/v1/plans/{number}", get(plan))
        .route("/api/{*unknown}", any(unknown))
}

async fn unknown(uri: Uri) -> Response {
    let error = Error::not_found(format!("no document at {}", uri.path()));
    failure(&error.with_hint("begin with /api/v1/stores"))
}

fn answered(answer: Answer) -> Response {
    answer.unwrap_or_else(|error| failure(&error))
}

/// A document with the age of what it says.
fn document<V>(read: Read<V>, value: impl FnOnce(&V) -> Response) -> Answer {
    let seen = read?;
    let mut response = value(&seen.value);
    if let Ok(at) = seen.at.to_string().parse() {
        response.headers_mut().insert(SEEN, at);
    }
    if seen.stale.is_some() {
        let stale = axum::http::HeaderValue::from_static("1");
        response.headers_mut().insert(STALE, stale);
    }
    Ok(response)
}

fn in_seconds(value: impl Serialize) -> Response {
    Json(InSeconds(value)).into_response()
}

async fn stores(State(shared): State<Arc<Shared>>) -> Response {
    let stores = shared.sources.iter().map(|source| {
        json!({
            "store": source.slug(),
            "id": source.stores().home().id(),
            "location": source.location(),
        })
    });
    Json(json!({ "stores": stores.collect::<Vec<_>>() })).into_response()
}

async fn migrations(State(shared): State<Arc<Shared>>, Path(slug): Path<String>) -> Response {
    let load = async {
        let store = shared.find(&slug)?;
        document(shared.board(store).await, |board| {
            let oldest_first = board.migrations.iter().rev();
            in_seconds(Migrations {
                migrations: oldest_first.map(|m| Shown::clone(m)).collect(),
                unreadable: board.unreadable.clone(),
                not_read: board.unread(),
            })
        })
    };
    answered(load.await)
}

async fn migration(
    State(shared): State<Arc<Shared>>,
    Path((slug, migration)): Path<(String, String)>,
) -> Response {
    let load = async {
        let store = shared.find(&slug)?;
        let migration = shared.migration_of(store, &migration).await?;
        document(shared.migration(store, migration).await, |view| {
            in_seconds(&view.watched)
        })
    };
    answered(load.await)
}

/// Which page of a list.
#[derive(Debug, Deserialize)]
struct Paging {
    #[serde(default)]
    page: usize,
}

async fn under_way(
    State(shared): State<Arc<Shared>>,
    Path((slug, migration)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Response {
    let load = async {
        let store = shared.find(&slug)?;
        let migration = shared.migration_of(store, &migration).await?;
        let read = shared.under_way(store, migration, paging.page).await;
        document(read, |found| Json(found).into_response())
    };
    answered(load.await)
}

async fn objects(
    State(shared): State<Arc<Shared>>,
    Path(slug): Path<String>,
    Query(query): Query<ObjectQuery>,
) -> Response {
    let load = async {
        let store = shared.find(&slug)?;
        document(shared.list(store, query).await, |list| {
            Json(json!({
                "objects": list.objects,
                "looked_at": list.looked_at,
                "complete": !list.is_cut,
            }))
            .into_response()
        })
    };
    answered(load.await)
}

fn parsed(object: &str) -> Result<ObjectId, Arc<Error>> {
    object.parse().map_err(Arc::new)
}

async fn object(
    State(shared): State<Arc<Shared>>,
    Path((slug, object)): Path<(String, String)>,
) -> Response {
    let load = async {
        let (store, object) = (shared.find(&slug)?, parsed(&object)?);
        document(shared.object(store, &object).await, |shown| {
            Json(shown).into_response()
        })
    };
    answered(load.await)
}

/// Events as lines of CloudEvents JSON, as `esm read --output json` prints them.
async fn events(
    State(shared): State<Arc<Shared>>,
    Path((slug, object)): Path<(String, String)>,
    Query(query): Query<EventQuery>,
) -> Response {
    let load = async {
        let (store, object) = (shared.find(&slug)?, parsed(&object)?);
        if !shared.payloads.are_whole() {
            let hint = "start `esm console` without --hide-payloads and --mask";
            return Err(Arc::new(
                Error::unsupported("events are not shown in full").with_hint(hint),
            ));
        }
        let shown = shared.object(store, &object).await?;
        let stream = &shown.value.current_stream().stream;
        let page = shared.events(store, &object, stream, query).await;
        document(page, |page| {
            let mut lines = Vec::new();
            for shown in &page.events {
                let attributes = Attributes::of(&object, shown.revision);
                cloudevent::encode(&shown.whole, &attributes, &mut lines);
                lines.push(b'\n');
            }
            ([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response()
        })
    };
    answered(load.await)
}

async fn locks(State(shared): State<Arc<Shared>>, Path(slug): Path<String>) -> Response {
    let load = async {
        let store = shared.find(&slug)?;
        document(shared.locks(store).await, |locks| in_seconds(locks))
    };
    answered(load.await)
}

async fn backups(State(shared): State<Arc<Shared>>, Path(slug): Path<String>) -> Response {
    let load = async {
        let store = shared.find(&slug)?;
        document(shared.backups(store).await, |places| {
            let places = places.iter().map(|place| match &place.backups {
                Ok(shown) => json!({
                    "location": place.location,
                    "backups": shown.backups,
                    "damaged": shown.damaged,
                    "complete": !place.is_cut(),
                }),
                Err(error) => json!({"location": place.location, "error": error.to_string()}),
            });
            Json(json!({ "places": places.collect::<Vec<_>>() })).into_response()
        })
    };
    answered(load.await)
}

async fn plan(State(shared): State<Arc<Shared>>, Path(number): Path<usize>) -> Response {
    let found = number
        .checked_sub(1)
        .and_then(|at| shared.options.plans.get(at));
    match found {
        Some(_) if !shared.payloads.are_whole() => failure(&Error::unsupported(
            "plans contain events, which are hidden",
        )),
        Some((_, plan)) => Json(&**plan).into_response(),
        None => failure(&Error::not_found("no plan of this number")),
    }
}
