//! The console as a service: its routes, and what protects them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use esm_core::{Error, Result};
use tower_http::csrf::CsrfLayer;

use crate::access::{
    Hosts, Sessions, add_headers, check_host, require_control, require_session, sign_in,
};
use crate::options::ConsoleOptions;
use crate::shared::Shared;
use crate::source::Source;
use crate::{api, assets, control, live, metrics, page, upkeep};

/// Bytes of a request's body, at most: what is posted is a code, or a command.
pub(crate) const BODY: usize = 16 << 10;
/// How long a request may take until the answer begins.
const PATIENCE: Duration = Duration::from_secs(30);

/// A console over opened stores.
#[derive(Debug, Clone)]
pub struct Console {
    shared: Arc<Shared>,
    sessions: Arc<Sessions>,
    hosts: Arc<Hosts>,
}

impl Console {
    /// A console over these stores.
    ///
    /// # Errors
    /// `Invalid` if there is no store, one is named twice, or the console is reached under no name.
    pub fn new(sources: Vec<Source>, options: ConsoleOptions) -> Result<Self> {
        if sources.is_empty() {
            return Err(Error::invalid("the console has no store to show"));
        }
        Source::ensure_apart(&sources)?;
        let listening = options.listening;
        let own = listening.into_iter().flat_map(|address| {
            // a tunnel leads to it under each of them
            let loopback = ["127.0.0.1", "localhost", "[::1]"];
            let loopback = loopback.map(|name| format!("{name}:{}", address.port()));
            loopback.into_iter().chain([address.to_string()])
        });
        let names: Vec<_> = own.chain(options.hosts.iter().cloned()).collect();
        if names.is_empty() {
            return Err(
                Error::invalid("the console has no name under which it is reached")
                    .with_hint("give the address, or a host with its port"),
            );
        }
        let cookie = match listening {
            Some(address) => format!("esm_console_{}", address.port()),
            None => "esm_console".to_owned(),
        };
        let signed_in = options.signed_in.clone();
        let proxy = options.proxy.clone();
        let shared = Shared::new(sources, options);
        Ok(Self {
            sessions: Arc::new(
                Sessions::new(shared.environment.clone(), cookie, signed_in).with_proxy(proxy),
            ),
            hosts: Arc::new(Hosts::new(names)),
            shared: Arc::new(shared),
        })
    }

    /// A new one-time code to sign in with: the fragment of the link is `#code=` and the code. Where a
    /// proxy signs people in, no code does.
    pub fn code(&self) -> String {
        self.sessions.code()
    }

    /// The console as a service, for instance for `axum::serve` or [`serve`](crate::serve).
    pub fn into_service(self) -> Router {
        let shared = Arc::clone(&self.shared);
        let pages = page::routes().with_state(Arc::clone(&shared));
        let mut private = Router::new()
            .merge(api::routes())
            .merge(live::routes(pages.clone()));
        if shared.options.control.is_some() {
            let commands = control::routes().merge(upkeep::routes());
            private = private.merge(commands.route_layer(middleware::from_fn(require_control)));
        }
        let private = private.with_state(Arc::clone(&shared)).merge(pages).layer(
            middleware::from_fn_with_state(Arc::clone(&self.sessions), require_session),
        );
        let mut session = Router::new();
        if shared.options.proxy.is_none() {
            session = session.route("/session", post(sign_in));
        }
        let session = session.with_state(Arc::clone(&self.sessions));
        let metrics = metrics::routes(Arc::clone(&self.sessions)).with_state(Arc::clone(&shared));
        let environment = shared.environment.clone();
        Router::new()
            .merge(private)
            .merge(session)
            .merge(metrics)
            .merge(assets::routes())
            .route("/healthz", get(|| async { "ok\n" }))
            .fallback(page::not_found)
            .method_not_allowed_fallback(page::not_found)
            .layer(DefaultBodyLimit::max(BODY))
            .layer(CsrfLayer::new())
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                let environment = environment.clone();
                async move {
                    let answered = environment.within(PATIENCE, next.run(request)).await;
                    answered.unwrap_or_else(too_slow)
                }
            }))
            .layer(middleware::from_fn_with_state(self.hosts, check_host))
            .layer(middleware::from_fn(add_headers))
    }
}

fn too_slow() -> Response {
    let seconds = PATIENCE.as_secs();
    let text = format!("503: no answer within {seconds} s\n");
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
