//! One-time codes, and the cookies that they are exchanged for.
//!
//! The link that `esm console` prints has a code in its fragment, which no browser sends to a server
//! or to another site. The page posts the code once and gets a cookie for it.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Form, OriginalUri, Request, State};
use axum::http::header::{COOKIE, HeaderMap, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use esm_core::clock::Environment;
use lru::LruCache;
use serde::Deserialize;

use super::operator::Operator;
use super::proxy::TrustedProxy;
use crate::page::{sign_in_page, through_proxy_page};

/// Codes that are valid at the same time.
const CODES: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");
/// Browsers that are signed in at the same time.
const SESSIONS: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// What is kept of a secret: it can be compared without telling by its time how much of it fits.
type Digest = [u8; 32];

/// The valid codes and sessions.
pub(crate) struct Sessions {
    environment: Environment,
    cookie: String,
    known: Mutex<Known>,
    signed_in: Option<Arc<dyn Fn() + Send + Sync>>,
    proxy: Option<TrustedProxy>,
}

struct Known {
    codes: LruCache<Digest, ()>,
    sessions: LruCache<Digest, ()>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// No session yet. The cookie has this name; the function is called after each sign-in.
    pub(crate) fn new(
        environment: Environment,
        cookie: String,
        signed_in: Option<Arc<dyn Fn() + Send + Sync>>,
    ) -> Self {
        Self {
            environment,
            cookie,
            known: Mutex::new(Known {
                codes: LruCache::new(CODES),
                sessions: LruCache::new(SESSIONS),
            }),
            signed_in,
            proxy: None,
        }
    }

    /// With a proxy that signs people in; then nobody else does.
    pub(crate) fn with_proxy(mut self, proxy: Option<TrustedProxy>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Who sends a request, if that is somebody who is signed in.
    fn operator(&self, request: &Request) -> Option<Operator> {
        match &self.proxy {
            Some(proxy) => proxy.operator(request),
            None => self.allows(request.headers()).then(Operator::of_link),
        }
    }

    /// A new code, valid once.
    pub(crate) fn code(&self) -> String {
        let code = self.secret();
        self.known().codes.put(digest(&code), ());
        code
    }

    /// Exchanges a code for the secret of a session.
    fn exchange(&self, code: &str) -> Option<String> {
        let session = self.secret();
        let mut known = self.known();
        known.codes.pop(&digest(code))?;
        known.sessions.put(digest(&session), ());
        Some(session)
    }

    /// Whether a request has the cookie of a session.
    pub(crate) fn allows(&self, headers: &HeaderMap) -> bool {
        let mut known = self.known();
        let cookies = headers.get_all(COOKIE).iter();
        cookies
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.cookie)
            .any(|(_, value)| known.sessions.get(&digest(value)).is_some())
    }

    fn cookie(&self, session: &str) -> Option<HeaderValue> {
        let name = &self.cookie;
        let cookie = format!("{name}={session}; Path=/; HttpOnly; SameSite=Strict");
        HeaderValue::from_str(&cookie).ok()
    }

    fn secret(&self) -> String {
        let draw = || self.environment.randomness.draw();
        format!("{:032x}{:032x}", draw(), draw())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(secret: &str) -> Digest {
    blake3::hash(secret.as_bytes()).into()
}

/// Lets only signed-in browsers through; others get the page to sign in.
pub(crate) async fn require_session(
    State(sessions): State<Arc<Sessions>>,
    OriginalUri(uri): OriginalUri,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(operator) = sessions.operator(&request) {
        request.extensions_mut().insert(operator);
        return next.run(request).await;
    }
    let path = uri.path();
    if path.starts_with("/api/") || path == "/events" || path == "/metrics" {
        let text = "{\"error\":{\"kind\":\"permission_denied\",\"message\":\"not signed in\"}}\n";
        let json = [(axum::http::header::CONTENT_TYPE, "application/json")];
        return (StatusCode::UNAUTHORIZED, json, text).into_response();
    }
    if sessions.proxy.is_some() {
        return (StatusCode::UNAUTHORIZED, through_proxy_page()).into_response();
    }
    let next = uri.path_and_query().map_or("/", |p| p.as_str());
    (StatusCode::UNAUTHORIZED, sign_in_page(next, false)).into_response()
}

/// What the page to sign in posts.
#[derive(Deserialize)]
pub(crate) struct SignIn {
    code: String,
    #[serde(default)]
    next: String,
}

/// Exchanges a code for a cookie.
pub(crate) async fn sign_in(
    State(sessions): State<Arc<Sessions>>,
    Form(given): Form<SignIn>,
) -> Response {
    let next = if is_own_path(&given.next) {
        given.next.as_str()
    } else {
        "/"
    };
    let session = sessions.exchange(given.code.trim());
    let Some(cookie) = session.and_then(|session| sessions.cookie(&session)) else {
        return (StatusCode::FORBIDDEN, sign_in_page(next, true)).into_response();
    };
    if let Some(signed_in) = &sessions.signed_in {
        signed_in();
    }
    ([(SET_COOKIE, cookie)], Redirect::to(next)).into_response()
}

/// Whether this leads to the console and nowhere else.
fn is_own_path(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
    path.starts_with('/') && !path.starts_with("//") && path.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_valid_once_and_paths_stay_here() {
        let sessions = Sessions::new(Environment::system(), "c".to_owned(), None);
        let code = sessions.code();
        assert!(sessions.exchange("").is_none());
        assert!(sessions.exchange(&code).is_some());
        assert!(sessions.exchange(&code).is_none());
        for path in ["/", "/s/1?q=%20"] {
            assert!(is_own_path(path), "{path}");
        }
        for path in ["", "//evil", "/\\evil", "https://evil", "/\r\nX: y", "/ö"] {
            assert!(!is_own_path(path), "{path}");
        }
    }
}
