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
        Self(names.into_iter().map(|name| plain(&name)).collect())
    }

    fn has(&self, request: &Request) -> bool {
        let mut hosts = request.headers().get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return false;
        };
        let host = plain(host.to_str().unwrap_or_default());
        let target = request.uri().authority();
        let fits_target = target.is_none_or(|target| plain(target.as_str()) == host);
        fits_target && self.0.contains(&host)
    }
}

/// A name in one form: in lower case, and without the port of HTTP, which browsers leave out.
fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.strip_suffix(":80") {
        // an address of IPv6 is in brackets
        Some(bare) if !bare.contains(':') || bare.ends_with(']') => bare.to_owned(),
        _ => name,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_the_port_of_http() {
        let of = |names: &[&str], host: &str| {
            let request = Request::builder().header(HOST, host);
            let request = request.body(axum::body::Body::empty()).unwrap();
            Hosts::new(names.iter().map(|name| (*name).to_owned())).has(&request)
        };
        for (name, host, is_own) in [
            ("127.8.9.1:80", "127.8.9.1", true),
            ("127.8.9.1:80", "127.8.9.1:80", true),
            ("[::1]:80", "[::1]", true),
            ("[::80]:80", "[::80]", true),
            ("Console.Example", "console.example:80", true),
            ("127.0.0.1:8080", "127.0.0.1", false),
            ("127.0.0.1:8080", "127.0.0.1:80", false),
            ("127.0.0.1:80", "127.0.0.1:8080", false),
            ("127.0.0.1:80", "", false),
        ] {
            assert_eq!(of(&[name], host), is_own, "{name} {host}");
        }
    }
}
