//! The answer in JSON to a request that failed.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use esm_core::{Error, ErrorKind};
use serde_json::json;

/// The answer to a request that failed.
pub(crate) fn failure(error: &Error) -> Response {
    let body = json!({"error": {"message": error.to_string(), "hint": error.hint()}});
    (status(error), Json(body)).into_response()
}

/// The status of an error's answer.
fn status(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::AlreadyExists | ErrorKind::Conflict { .. } => StatusCode::CONFLICT,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unavailable | ErrorKind::PermissionDenied => StatusCode::BAD_GATEWAY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
