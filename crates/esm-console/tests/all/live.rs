//! Live pages.

use axum::body::Body;
use axum::http::Method;
use esm_console::ConsoleOptions;
use esm_core::Result;
use futures::StreamExt as _;
use tower::ServiceExt as _;

use crate::world::{Browser, Shop};

/// The events of a tab, one after the other.
struct Tab(futures::stream::BoxStream<'static, String>);

impl Tab {
    async fn open(browser: &Browser, path: &str) -> Self {
        let address = format!("/events?path={path}");
        let request = browser.request(Method::GET, &address).body(Body::empty());
        let response = browser.service().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let chunks = response.into_body().into_data_stream();
        Self(
            chunks
                .map(|chunk| String::from_utf8_lossy(&chunk.unwrap()).into_owned())
                .boxed(),
        )
    }

    async fn next(&mut self) -> String {
        self.0.next().await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_sent_when_it_has_changed_and_its_age_every_time() -> Result<()> {
    let shop = Shop::new().await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    let mut tab = Tab::open(&browser, "/").await;
    let seen = tab.next().await;
    assert!(
        seen.starts_with("event: seen\ndata: {\"read\":17"),
        "{seen}"
    );
    let page = tab.next().await;
    assert!(page.starts_with("event: page\ndata: "), "{page}");
    assert!(
        !page.contains("<html") && page.contains("no migration"),
        "{page}"
    );
    for _ in 0..3 {
        assert!(
            tab.next().await.starts_with("event: seen"),
            "it has not changed"
        );
    }
    shop.migrate().await?;
    let mut page = tab.next().await;
    while page.starts_with("event: seen") {
        page = tab.next().await;
    }
    assert!(page.contains("completed"), "{page}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_tab_is_of_a_page() -> Result<()> {
    let shop = Shop::new().await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    for path in ["", "http://evil.example/", "/events?path=/"] {
        let reply = browser.get(&format!("/events?path={path}")).await;
        assert_eq!(reply.status, 400, "{path}");
    }
    Ok(())
}
