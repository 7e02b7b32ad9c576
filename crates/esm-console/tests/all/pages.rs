//! What the pages say, and their twins in JSON.

use axum::http::StatusCode;
use esm_console::ConsoleOptions;
use esm_core::Result;
use esm_core::event::{Event, Schema};
use esm_core::id::Fingerprint;
use esm_core::store::{RecordKey, RecordsExt as _};
use esm_core::transform::{
    EventTransformer, Identity, TransformContext, TransformError, Transformed,
};
use esm_view::migration::{Program, ProgramFile, Role};

use crate::world::{Shop, transformer};

fn has(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part:?} is missing in {page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_without_migrations_says_what_to_do_next() -> Result<()> {
    let shop = Shop::new().await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    let page = browser.page("/").await;
    has(
        &page,
        &[
            "no migration in this store yet",
            "esm plan --all",
            "Read-only",
        ],
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_migration_is_listed_shown_and_explained() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    let slug = shop.slug();
    let address = format!("/s/{slug}/migrations/{migration}");
    for path in ["/".to_owned(), format!("/s/{slug}")] {
        has(
            &browser.page(&path).await,
            &[&address, "completed", "1 migration"],
        );
    }
    let page = browser.page(&address).await;
    has(
        &page,
        &[
            "What is happening?",
            "Every event was copied, transformed and verified",
            "esm rollback",
            "4 → 4",
            "1 by v2.jq",
            "Nobody has given a command",
        ],
    );
    let json = browser
        .get(&format!(
            "/api/v1{}",
            address.replacen("/s/", "/stores/", 1)
        ))
        .await;
    assert_eq!(json.json()["status"], "completed");
    assert_eq!(json.json()["condition"], "ended");
    assert!(json.headers.contains_key("x-esm-seen"));
    let all = browser
        .get(&format!("/api/v1/stores/{slug}/migrations"))
        .await;
    assert_eq!(
        all.json()["migrations"][0]["migration"],
        migration.to_string()
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_address_takes_a_part_of_an_id_and_the_api_answers_in_json_always() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    let (slug, id) = (shop.slug(), migration.to_string());
    let (begin, end) = (&id[..8], &id[id.len() - 8..]);
    for part in [begin, end] {
        let document = format!("/api/v1/stores/{slug}/migrations/{part}");
        assert_eq!(browser.get(&document).await.json()["migration"], id);
        let page = browser.page(&format!("/s/{slug}/migrations/{part}")).await;
        has(&page, &["completed"]);
    }
    let api = format!("/api/v1/stores/{slug}");
    for (path, status) in [
        (format!("{api}/migrations/abc"), 400),
        (format!("{api}/migrations/zzzz"), 404),
        (format!("{api}/nothing"), 404),
        ("/api/v2".to_owned(), 404),
    ] {
        let answer = browser.get(&path).await;
        assert_eq!(answer.status, status, "{path}");
        let error = &answer.json()["error"];
        assert!(error["message"].is_string(), "{path}: {error}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_plan_tells_renamed_moved_changed_dropped_and_split_apart() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    let page = browser
        .page(&format!("/s/{}/migrations/{migration}/plan", shop.slug()))
        .await;
    has(
        &page,
        &[
            "4 events",
            "✎</span> renamed",
            ".data.customer_name",
            "→</span> moved",
            ".data.address.city",
            "≠</span> changed",
            "−</span> dropped",
            "↷</span> in event 2",
            "+</span> added",
            "split into 2",
            "dropped by v2.jq",
            "v2.jq",
        ],
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_saved_plan_is_shown_with_its_risks() -> Result<()> {
    let shop = Shop::new().await?;
    let plan = shop
        .service()
        .migrate(shop.order.clone())
        .transform(transformer());
    let plan = plan.dry_run().await?;
    let options = ConsoleOptions::new().plan("plan.json", plan.clone());
    let browser = shop.browser(options).await;
    let page = browser.page("/plans/1").await;
    has(
        &page,
        &[
            "Saved plan plan.json",
            "made <time",
            "Risks",
            "Assumptions",
            "renamed",
            &plan.reversibility,
        ],
    );
    let json = browser.get("/api/v1/plans/1").await.json();
    assert_eq!(json["events"], 4);
    for path in ["/plans/0", "/plans/2", "/api/v1/plans/0", "/api/v1/plans/2"] {
        assert_eq!(
            browser.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_object_has_its_streams_and_its_events_in_pages() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let many = (0..60).map(|n| esm_testkit::event(format!("m{n}"), "Paid"));
    shop.world.append(&shop.order, many.collect()).await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    let slug = shop.slug();
    let objects = browser.page(&format!("/s/{slug}/objects?q=order/1")).await;
    let address = format!("/s/{slug}/objects/order/1%20%3F%23%25");
    has(&objects, &[&address, "read all 1 name"]);
    let page = browser.page(&address).await;
    has(
        &page,
        &[
            "closed by",
            &migration.to_string(),
            "active",
            "Zoë",
            "Later",
        ],
    );
    let later = browser.page(&format!("{address}?from=50&type=Paid")).await;
    has(&later, &["<span class=\"revision\">63</span>"]);
    assert!(!later.contains("Later"), "{later}");
    let lines = format!("/api/v1/stores/{slug}/events/order/1%20%3F%23%25?from=62");
    assert_eq!(browser.get(&lines).await.text().lines().count(), 2);
    let json = browser
        .get(&format!(
            "/api/v1/stores/{slug}/objects/order/1%20%3F%23%25"
        ))
        .await;
    assert_eq!(json.json()["events"], 64);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn revisions_are_those_of_the_current_stream_also_while_the_document_is_behind() -> Result<()>
{
    let shop = Shop::new().await?;
    let before = shop.world.document(&shop.order).await?;
    shop.migrate().await?;
    // as if the process had ended between the Close and the document
    let records = shop.world.records();
    let key = RecordKey::Document(shop.order.clone());
    let next = records.latest(&key).await?.unwrap().number + 1;
    records.put_as(&key, next, &before).await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    let address = format!("/s/{}/objects/order/1%20%3F%23%25", shop.slug());
    let page = browser.page(&address).await;
    has(&page, &["The document is behind", "Packed", "Sent"]);
    assert!(!page.contains("Note"), "{page}");
    assert_eq!(page.matches("<span class=\"revision\">").count(), 4);
    has(
        &browser.page(&format!("{address}?from=2")).await,
        &["<span class=\"revision\">2</span><strong>Sent"],
    );
    let json = address.replacen("/s/", "/api/v1/stores/", 1);
    let lines = browser
        .get(&json.replacen("/objects/", "/events/", 1))
        .await;
    assert!(!lines.text().contains("\"Note\""), "{}", lines.text());
    Ok(())
}

/// Notes on which thread it runs.
#[derive(Debug, Default)]
struct Threads(std::sync::Mutex<Vec<std::thread::ThreadId>>);

impl EventTransformer for Threads {
    fn fingerprint(&self) -> Fingerprint {
        Identity.fingerprint()
    }

    fn handles(&self, _: &Schema) -> bool {
        true
    }

    fn transform(
        &self,
        _: &Event,
        _: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        self.0.lock().unwrap().push(std::thread::current().id());
        Ok(Transformed::Unchanged)
    }
}

#[tokio::test(start_paused = true)]
async fn a_saved_plan_shows_its_upcasters_and_the_fields_that_they_mask() -> Result<()> {
    let shop = Shop::new().await?;
    let steps = [
        ("Paid.v1-v2.jq", ".data.by = \"Bonn\""),
        (
            "Placed.v1-v2.jq",
            "del(.data.customer) | .data.city = \"erased\"",
        ),
    ];
    let files = steps.map(|(file, program)| ProgramFile {
        file: file.to_owned(),
        program: program.to_owned(),
    });
    let program = Program::upcasters("steps", files.to_vec());
    let described = shop.service().migrate(shop.order.clone());
    let described = described.transform(program.compile(None)?);
    let annotations = program.annotations(Role::Transform).into_iter();
    let described = annotations.fold(described, |described, (key, text)| {
        described.annotate(key, text)
    });
    let options = ConsoleOptions::new().plan("v2", described.dry_run().await?);
    let page = shop.browser(options).await.page("/plans/1").await;
    has(
        &page,
        &[
            "Paid.v1-v2.jq",
            "Placed.v1-v2.jq",
            "del(.data.customer)",
            "Masked fields",
            "Placed v1 <code>.data.city</code>: replaced, 1 value",
            "Placed v1 <code>.data.customer</code>: removed, 1 value",
            "Paid v2 <code>.data.by</code>: <strong>not masked</strong>, 1 value that is masked",
        ],
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_mask_never_runs_on_the_threads_that_answer() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let plan = shop
        .service()
        .migrate(shop.order.clone())
        .transform(esm_jq::JqTransformer::compile("v3.jq", ".type += \"3\"")?);
    let plan = plan.dry_run().await?;
    let mask = std::sync::Arc::new(Threads::default());
    let options = ConsoleOptions::new().mask(mask.clone()).plan("v3", plan);
    let browser = shop.browser(options).await;
    let slug = shop.slug();
    for path in [
        format!("/s/{slug}/migrations/{migration}/plan"),
        format!("/s/{slug}/objects/order/1%20%3F%23%25"),
        "/plans/1".to_owned(),
    ] {
        browser.page(&path).await;
        let threads = std::mem::take(&mut *mask.0.lock().unwrap());
        assert!(!threads.is_empty(), "{path}");
        // all of this test runs on one
        assert!(!threads.contains(&std::thread::current().id()), "{path}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_search_finds_migrations_and_objects() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    browser.page("/").await;
    let found = browser.get(&format!("/search?q={migration}")).await;
    assert_eq!(found.status, StatusCode::SEE_OTHER);
    let to = found.headers["location"].to_str().unwrap();
    assert!(to.ends_with(&migration.to_string()), "{to}");
    let search = browser.get("/search?q=1").await;
    assert!(search.headers.contains_key("x-esm-seen"));
    has(&search.text(), &["/objects/order/1%20"]);
    assert_eq!(
        browser.get("/search?q=").await.status,
        StatusCode::BAD_REQUEST
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_said_to_be_not_there() -> Result<()> {
    let shop = Shop::new().await?;
    let browser = shop.browser(ConsoleOptions::new()).await;
    let slug = shop.slug();
    let unknown = "0192d3a0-7c1e-7aaa-8bbb-0123456789ab";
    for (path, status) in [
        ("/s/none".to_owned(), 404),
        (format!("/s/{slug}/migrations/{unknown}"), 404),
        (format!("/s/{slug}/migrations/{unknown}/plan"), 404),
        (format!("/s/{slug}/migrations/x"), 400),
        (format!("/s/{slug}/objects/order/none"), 404),
        (format!("/s/{slug}/objects/x"), 400),
        (format!("/api/v1/stores/{slug}/objects/order/none"), 404),
        ("/nothing/here".to_owned(), 404),
    ] {
        let reply = browser.get(&path).await;
        assert_eq!(reply.status.as_u16(), status, "{path}: {}", reply.text());
    }
    for path in ["locks", "backups", "objects"] {
        browser.page(&format!("/s/{slug}/{path}")).await;
        let json = browser.get(&format!("/api/v1/stores/{slug}/{path}")).await;
        assert_eq!(json.status, StatusCode::OK, "{path}");
        json.json();
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn payloads_are_hidden_or_masked_on_request() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let slug = shop.slug();
    let plan = format!("/s/{slug}/migrations/{migration}/plan");
    let object = format!("/s/{slug}/objects/order/1%20%3F%23%25");
    let mask = r#"if .type == "Placed" then .data |= map_values("***") else . end"#;
    let mask = esm_jq::JqTransformer::compile("mask.jq", mask)?;
    for options in [
        ConsoleOptions::new().hide_payloads(),
        ConsoleOptions::new().mask(std::sync::Arc::new(mask)),
    ] {
        let browser = shop.browser(options).await;
        for path in [&plan, &object] {
            let page = browser.page(path).await;
            assert!(!page.contains("Zoë"), "{page}");
        }
        let events = format!("/api/v1/stores/{slug}/events/order/1%20%3F%23%25");
        assert_eq!(
            browser.get(&events).await.status,
            StatusCode::NOT_IMPLEMENTED
        );
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn metrics_have_documented_names_and_ask_for_a_token() -> Result<()> {
    let shop = Shop::new().await?;
    shop.migrate().await?;
    let browser = shop
        .browser(ConsoleOptions::new().metrics_token("secret"))
        .await;
    let text = browser.page("/metrics").await;
    has(
        &text,
        &[
            "esm_store_up{store=\"memory:\"} 1",
            "esm_migrations{store=\"memory:\",condition=\"ended\"} 1",
            "# TYPE esm_migration_lag_events gauge",
        ],
    );
    let documented = include_str!("../../../../docs/console.md");
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(
            documented.contains(name),
            "{name} is not in docs/console.md"
        );
    }
    let stranger = browser.stranger();
    assert_eq!(
        stranger.get("/metrics").await.status,
        StatusCode::UNAUTHORIZED
    );
    for (token, status) in [
        ("secret", StatusCode::OK),
        ("secre", StatusCode::UNAUTHORIZED),
    ] {
        let request = stranger.request(axum::http::Method::GET, "/metrics");
        let request = request.header("authorization", format!("Bearer {token}"));
        let reply = stranger
            .send(request.body(axum::body::Body::empty()).unwrap())
            .await;
        assert_eq!(reply.status, status, "{token}");
    }
    Ok(())
}
