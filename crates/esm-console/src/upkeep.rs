//! Commands to what is kept: a lock is broken, a backup verified. These routes exist only where control
//! is allowed.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use esm_core::id::{FencingToken, LockName};
use esm_core::store::HolderState;
use esm_core::{Error, ErrorKind, Result};
use esm_view::lock::Held;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Operator;
use crate::control::read;
use crate::failure::failure;
use crate::model::BackupAt;
use crate::shared::{Shared, Store};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/s/{store}/locks/break", post(break_lock))
        .route("/s/{store}/backups/verify", post(verify_backup))
}

/// Whether the console breaks such a lock: only one whose holder is dead, or that is damaged.
pub(crate) fn is_breakable(held: &Held) -> bool {
    let is_dead = matches!(
        held.holder_state,
        HolderState::Dead | HolderState::ProbablyDead
    );
    is_dead || held.lock.damage.is_some()
}

/// What is posted to break a lock: the acquisition that the page has shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Break {
    name: LockName,
    token: String,
}

async fn break_lock(
    State(shared): State<Arc<Shared>>,
    Path(slug): Path<String>,
    operator: Operator,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let broken = async {
        let asked: Break = read(&headers, &body)?;
        let token = asked.token.parse().map(FencingToken);
        let token = token.map_err(|_| Error::invalid("the token of a lock is a number"))?;
        let author = operator.author(shared.author());
        broken(&shared, author, store(&shared, &slug)?, &asked.name, token).await
    };
    answered(broken.await)
}

async fn broken(
    shared: &Shared,
    author: &str,
    store: Store,
    name: &LockName,
    token: FencingToken,
) -> Result<Value> {
    let source = shared.source(store);
    let found = source.locks().inspect(name).await?;
    let found = found.filter(|lock| lock.held || lock.abandoned || lock.damage.is_some());
    let lock = found.ok_or_else(|| Error::not_found(format!("lock is not held: {name}")))?;
    let held = Held::new(lock, source.environment().clock.now());
    if !is_breakable(&held) {
        let error = Error::new(
            ErrorKind::AlreadyExists,
            format!("no sign says that the holder is dead: {name}"),
        );
        return Err(error.with_hint("wait for its lease to end, or use `esm lock break`"));
    }
    source.locks().break_lock(name, token).await?;
    let holder = &held.lock.holder;
    tracing::warn!(lock = %name, %holder, author, "lock was broken from the console");
    Ok(json!({ "text": format!("broken: {name}, held by {holder}") }))
}

/// What is posted to verify a backup.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    place: String,
    id: String,
}

async fn verify_backup(
    State(shared): State<Arc<Shared>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let begun = || {
        let asked: Verify = read(&headers, &body)?;
        let store = store(&shared, &slug)?;
        let place = asked.place.parse();
        let backup = BackupAt {
            store,
            place: place.map_err(|_| Error::invalid("the place of a backup is a number"))?,
            id: asked.id.parse()?,
        };
        shared.verifications.begin(shared.source(store), backup)?;
        Ok(json!({ "text": "the backup is being verified" }))
    };
    answered(begun())
}

fn store(shared: &Shared, slug: &str) -> Result<Store> {
    let found = shared.find(slug);
    found.map_err(|_| Error::not_found("unknown store"))
}

fn answered(answer: Result<Value>) -> Response {
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => failure(&error),
    }
}
