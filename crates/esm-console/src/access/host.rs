//! Only requests to the console's own names are answered.
//!
//! A page of another site can make a browser send requests to this machine under that site's own name
//! (DNS rebinding), and then reads the answers as its own. Such a request has the site's name in
//! `Host`.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// The names, with their ports, under which the console is reached.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(BTreeSet<String>);

impl Hosts {
    /// These names. Letters count in any case.
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|n| n.to_ascii_lowercase()).collect())
    }

    fn has(&self, request: &Request) -> bool {
        let mut hosts = request.headers().get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return false;
        };
        let host = host.to_str().unwrap_or_default().to_ascii_lowercase();
        let target = request.uri().authority();
        let fits_target = target.is_none_or(|t| t.as_str().eq_ignore_ascii_case(&host));
        fits_target && self.0.contains(&host)
    }
}

/// Refuses requests to other names, before anything else reads them.
pub(crate) async fn check_host(
    State(hosts): State<std::sync::Arc<Hosts>>,
    request: Request,
    next: Next,
) -> Response {
    if hosts.has(&request) {
        next.run(request).await
    } else {
        let text = "421: this is not a name of the console; start it with --host NAME:PORT\n";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    }
}
