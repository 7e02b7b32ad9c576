//! Who sends a request, and who may give commands.

use axum::Json;
use axum::extract::{FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

/// Who sends a request, and whether they may give commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Operator {
    name: Option<String>,
    controls: bool,
}

impl Operator {
    /// Somebody who has opened the link: the one who started the console.
    pub(crate) fn of_link() -> Self {
        Self {
            name: None,
            controls: true,
        }
    }

    /// A person whom a proxy names.
    pub(crate) fn person(name: &str, controls: bool) -> Self {
        Self {
            name: Some(name.to_owned()),
            controls,
        }
    }

    /// Their name, where a proxy has said it.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The author of their commands: the person, where a proxy has said who it is, else the author of
    /// the console's commands.
    pub(crate) fn author<'a>(&'a self, of_console: &'a str) -> &'a str {
        self.name().unwrap_or(of_console)
    }

    /// Whether they may give commands, where the console allows any.
    pub(crate) fn controls(&self) -> bool {
        self.controls
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = std::convert::Infallible;

    /// Nobody, where a request has not passed the sign-in.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Lets only those through who may give commands.
pub(crate) async fn require_control(operator: Operator, request: Request, next: Next) -> Response {
    if operator.controls() {
        return next.run(request).await;
    }
    let error = json!({"error": {
        "kind": "permission_denied",
        "message": "you may see this console and give no commands",
        "hint": "the group of --control-group may",
    }});
    (StatusCode::FORBIDDEN, Json(error)).into_response()
}
