//! Sign-in by a proxy in front of the console.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Method;
use axum::http::header::{CONTENT_TYPE, HOST};
use esm_console::{Console, ConsoleOptions, TrustedProxy};
use esm_core::Result;
use serde_json::json;
use tower::ServiceExt as _;

use crate::control::waiting;
use crate::world::Shop;

/// What a request has.
struct Sent<'a> {
    from: &'a str,
    headers: &'a [(&'a str, &'a str)],
}

const ANN: (&str, &str) = ("x-forwarded-user", "ann");
const OPS: (&str, &str) = ("x-forwarded-groups", "dev, ops");

async fn send(console: &Console, method: Method, path: &str, sent: Sent<'_>) -> (u16, String) {
    let from: SocketAddr = format!("{}:4711", sent.from).parse().unwrap();
    let mut request = axum::http::Request::builder().method(&method).uri(path);
    request = request.header(HOST, "console.example");
    for (name, value) in sent.headers {
        request = request.header(*name, *value);
    }
    request = request.extension(ConnectInfo(from));
    let body = if method == Method::POST {
        request = request.header(CONTENT_TYPE, "application/json");
        json!({"reason": "the window is open"}).to_string()
    } else {
        String::new()
    };
    let request = request.body(Body::from(body)).unwrap();
    let service = console.clone().into_service();
    let response = service.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX);
    let body = body.await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn proxy() -> Result<TrustedProxy> {
    TrustedProxy::new("X-Forwarded-User")?
        .network("10.1.0.0/16")?
        .control_group("X-Forwarded-Groups", "ops")
}

fn console(shop: &Shop) -> Result<Console> {
    let options = ConsoleOptions::new()
        .host("console.example")
        .allow_control("esm@server")
        .trusted_proxy(proxy()?);
    Console::new(vec![shop.source()], options)
}

#[tokio::test(start_paused = true)]
async fn only_the_proxy_is_believed_who_somebody_is() -> Result<()> {
    let shop = Shop::new().await?;
    let console = console(&shop)?;
    for (from, headers, status) in [
        ("10.1.2.3", &[ANN][..], 200),
        // a dual-stack socket shows addresses of IPv4 so
        ("[::ffff:10.1.2.3]", &[ANN], 200),
        ("10.2.0.1", &[ANN], 401),
        ("127.0.0.1", &[ANN], 401),
        ("10.1.2.3", &[], 401),
        ("10.1.2.3", &[("x-forwarded-user", " ")], 401),
        ("10.1.2.3", &[ANN, ("x-forwarded-user", "eve")], 401),
    ] {
        let (found, text) = send(&console, Method::GET, "/", Sent { from, headers }).await;
        assert_eq!(found, status, "{from} {headers:?}: {text}");
        assert_eq!(text.contains("Signed in as ann"), status == 200, "{text}");
    }
    // codes sign nobody in
    let from = "10.1.2.3";
    let headers = &[ANN];
    let (status, _) = send(&console, Method::POST, "/session", Sent { from, headers }).await;
    assert_eq!(status, 404);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn commands_are_of_the_person_and_only_of_the_group() -> Result<()> {
    let shop = Shop::new().await?;
    let console = console(&shop)?;
    let (migration, running) = waiting(&shop).await;
    let page = format!("/s/{}/migrations/{migration}", shop.slug());
    let pause = format!("{page}/pause");
    let from = "10.1.2.3";
    for (headers, status) in [
        (&[ANN][..], 403),
        (&[ANN, ("x-forwarded-groups", "dev, opsy")], 403),
        (&[OPS], 401),
        (&[ANN, OPS], 200),
    ] {
        let (found, text) = send(&console, Method::POST, &pause, Sent { from, headers }).await;
        assert_eq!(found, status, "{headers:?}: {text}");
        assert_eq!(text.contains(r#""author":"ann""#), status == 200, "{text}");
    }
    let footer = |text: &str| text.contains("Control is allowed");
    for (headers, controls) in [(&[ANN][..], false), (&[ANN, OPS], true)] {
        let (_, text) = send(&console, Method::GET, &page, Sent { from, headers }).await;
        assert_eq!(footer(&text), controls, "{text}");
        assert_eq!(text.contains("data-dialog"), controls, "{text}");
    }
    running.abort();
    Ok(())
}
