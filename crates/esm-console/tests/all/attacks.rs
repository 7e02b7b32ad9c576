//! Other sites, strangers, and text that pretends to be a page.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Method, StatusCode};
use esm_console::{Console, ConsoleOptions};
use esm_core::Result;
use esm_core::id::ObjectId;
use serde_json::json;

use crate::world::{Browser, LISTENING, NAME, Shop, event};

/// An address of each kind.
fn paths(slug: &str) -> Vec<String> {
    let of_store = [
        "",
        "/objects",
        "/objects/order/1",
        "/locks",
        "/backups",
        "/migrations/x",
        "/migrations/x/plan",
    ];
    let mut paths: Vec<_> = of_store
        .iter()
        .map(|path| format!("/s/{slug}{path}"))
        .collect();
    let others = [
        "/",
        "/plans/1",
        "/search?q=x",
        "/events?path=/",
        "/metrics",
        "/healthz",
        "/session",
        "/assets/console.js",
        "/assets/console.css",
        "/api/v1/stores",
        "/nothing",
    ];
    paths.extend(others.map(str::to_owned));
    paths.push(format!("/api/v1/stores/{slug}/migrations"));
    paths
}

#[tokio::test(start_paused = true)]
async fn a_foreign_name_gets_nothing_from_any_route() -> Result<()> {
    let shop = Shop::new().await?;
    let browser = shop
        .browser(ConsoleOptions::new().allow_control("eve"))
        .await;
    for path in paths(&shop.slug()) {
        for method in [Method::GET, Method::POST] {
            for host in [
                "evil.example",
                "evil.example:7717",
                "127.0.0.1",
                "127.0.0.1:80",
                "",
            ] {
                let mut request = browser.request(method.clone(), &path);
                request
                    .headers_mut()
                    .unwrap()
                    .insert(HOST, host.parse().unwrap());
                let reply = browser.send(request.body(Body::empty()).unwrap()).await;
                assert_eq!(
                    reply.status,
                    StatusCode::MISDIRECTED_REQUEST,
                    "{host} {path}"
                );
            }
        }
    }
    let mut twice = browser.request(Method::GET, "/");
    twice
        .headers_mut()
        .unwrap()
        .append(HOST, NAME.parse().unwrap());
    let reply = browser.send(twice.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::MISDIRECTED_REQUEST);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_is_reached_under_the_address_that_it_listens_on() -> Result<()> {
    let shop = Shop::new().await?;
    for (address, host) in [
        ("127.8.9.1:7717", "127.8.9.1:7717"),
        ("127.8.9.1:80", "127.8.9.1"),
        ("[::1]:80", "[::1]"),
        ("127.0.0.1:80", "localhost"),
    ] {
        let options = ConsoleOptions::new().listening(address.parse().unwrap());
        let service = Console::new(vec![shop.source()], options)?.into_service();
        let request = axum::http::Request::get("/healthz").header(HOST, host);
        let request = request.body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{host} of {address}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn another_origin_posts_nothing() -> Result<()> {
    let shop = Shop::new().await?;
    let console = Console::new(
        vec![shop.source()],
        ConsoleOptions::new()
            .listening(LISTENING)
            .allow_control("eve"),
    )?;
    let code = console.code();
    let browser = Browser::signed_in(console).await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:8000"),
    ] {
        for path in [
            "/session".to_owned(),
            format!("/s/{}/migrations/x/pause", shop.slug()),
        ] {
            let request = browser
                .request(Method::POST, &path)
                .header(name, value)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            let body = Body::from(format!("code={code}"));
            let reply = browser.send(request.body(body).unwrap()).await;
            assert_eq!(
                reply.status,
                StatusCode::FORBIDDEN,
                "{name}: {value} {path}"
            );
        }
    }
    // the code was not used up
    assert_eq!(browser.sign_in(&code).await.status, StatusCode::SEE_OTHER);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn strangers_forged_cookies_and_used_codes_get_nothing() -> Result<()> {
    let shop = Shop::new().await?;
    let console = Console::new(
        vec![shop.source()],
        ConsoleOptions::new().listening(LISTENING),
    )?;
    let code = console.code();
    let stranger = Browser::signed_in(console).await.stranger();
    assert_eq!(stranger.sign_in(&code).await.status, StatusCode::SEE_OTHER);
    assert_eq!(stranger.sign_in(&code).await.status, StatusCode::FORBIDDEN);
    assert_eq!(stranger.sign_in("").await.status, StatusCode::FORBIDDEN);
    let forged = stranger.with_cookie(&format!("esm_console_7717={}", "0".repeat(64)));
    let other_name = stranger.with_cookie("esm_console=x; a=b");
    let free = ["/healthz", "/assets/", "/session", "/nothing"];
    for browser in [stranger, forged, other_name] {
        for path in paths(&shop.slug()) {
            if free.iter().any(|free| path.starts_with(free)) {
                continue;
            }
            let reply = browser.get(&path).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(!reply.text().contains("Zoë"), "{path}: {}", reply.text());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn every_answer_forbids_scripts_frames_and_reading_by_others() -> Result<()> {
    let shop = Shop::new().await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    for browser in [browser.stranger(), browser] {
        for path in paths(&shop.slug())
            .iter()
            .filter(|path| !path.starts_with("/events"))
        {
            let headers = browser.get(path).await.headers;
            let policy = headers["content-security-policy"].to_str().unwrap();
            for part in [
                "default-src 'none'",
                "frame-ancestors 'none'",
                "trusted-types esm",
            ] {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
            assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
            assert!(
                !headers.contains_key("access-control-allow-origin"),
                "{path}"
            );
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn read_only_has_no_route_for_a_command() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    let mut all = paths(&shop.slug());
    for act in [
        "pause", "resume", "set", "cutover", "withdraw", "cancel", "rollback",
    ] {
        all.push(format!("/s/{}/migrations/{migration}/{act}", shop.slug()));
    }
    for path in all.iter().filter(|path| *path != "/session") {
        let reply = browser.post(path, &json!({"reason": "x"})).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_posted_is_bounded() -> Result<()> {
    let shop = Shop::new().await?;
    let browser = shop
        .browser(ConsoleOptions::new().allow_control("eve"))
        .await;
    let huge = "x".repeat(1 << 20);
    let refused = browser.sign_in(&huge).await.status;
    assert_eq!(refused, StatusCode::PAYLOAD_TOO_LARGE);
    let path = format!("/s/{}/migrations/x/pause", shop.slug());
    let refused = browser.post(&path, &json!({ "reason": huge })).await.status;
    assert_eq!(refused, StatusCode::PAYLOAD_TOO_LARGE);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn text_of_others_is_text_on_every_page() -> Result<()> {
    const EVIL: &str = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>";
    let shop = Shop::new().await?;
    let object: ObjectId = format!("order/{EVIL}").parse()?;
    let payload = serde_json::to_string(&json!({ EVIL: EVIL })).unwrap();
    let evil = event(EVIL, EVIL, &payload);
    shop.world.create_object(&object, [vec![evil]]).await?;
    let program = format!(".type = \"b\" # {EVIL}");
    let service = shop.service();
    let result = service
        .migrate(object.clone())
        .transform(esm_jq::JqTransformer::compile(EVIL, &program)?)
        .annotate("esm.transform.name", EVIL)
        .annotate("esm.transform.jq", &program)
        .execute()
        .await?;
    let options = ConsoleOptions::new().allow_control(EVIL);
    let browser = shop.browser(options).await;
    let slug = shop.slug();
    let encoded = "order/%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%22%27%26%3C/script%3E%3Cscript%3Ealert%282%29%3C/script%3E";
    for path in [
        "/".to_owned(),
        format!("/s/{slug}/objects"),
        format!("/s/{slug}/objects?q=%3Cimg"),
        format!("/s/{slug}/objects/{encoded}"),
        format!("/s/{slug}/objects/{encoded}?type=%3Cimg%20src%3E"),
        format!("/s/{slug}/migrations/{}", result.migration),
        format!("/s/{slug}/migrations/{}/plan", result.migration),
        "/search?q=%3Cimg%20src%3Dx%3E".to_owned(),
    ] {
        let page = browser.page(&path).await;
        assert!(!page.contains("<img"), "{path}: {page}");
        assert!(!page.contains("<script>"), "{path}: {page}");
        assert!(
            page.contains("&lt;img") || path == "/",
            "{path} does not show it: {page}"
        );
    }
    let unknown = browser
        .get(&format!("/s/{slug}/objects/order/%3Cimg%3E"))
        .await;
    assert!(!unknown.text().contains("<img"), "{}", unknown.text());
    Ok(())
}
