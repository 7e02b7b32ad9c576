//! Migrations in place that are killed, stopped, paused, cancelled and planned before.
#![cfg(unix)]

use std::process::{Child, Command};

use crate::esm::{self, Ran};
use crate::layouts::{CQRS_ES, Shop, shops};

const RENAME: &str =
    r#"if .type == "Added" then .type = "ItemAdded" | .schemaversion = 2 else . end"#;
const STREAMS: &str = "INSERT INTO events SELECT 'cart', s::text, n, 'Added', '1.0',
    json_build_object('Added', n), '{}' FROM generate_series(1, 40) s, generate_series(1, 5) n";
const ALL: u64 = 200;
const SLOW: &str = "--events-per-second=100";

async fn carts() -> Vec<Shop> {
    let shops = shops(CQRS_ES).await;
    for shop in &shops {
        shop.change(STREAMS).await;
    }
    shops
}

/// All rows, to the byte.
async fn rows(shop: &Shop) -> String {
    let rows = "SELECT string_agg(e::text, ' ' ORDER BY e::text) FROM events e";
    shop.value(rows).await.expect("rows")
}

async fn rewritten(shop: &Shop) -> u64 {
    let count = "SELECT count(*)::text FROM esm_in_place.archive WHERE undone_at IS NULL";
    // before the process has created its tables there is none
    shop.value(count)
        .await
        .map_or(0, |count| count.parse().expect("a number"))
}

/// Starts a slow migration, and returns once this many events are rewritten.
async fn half_migrated(shop: &Shop, events: u64) -> Child {
    let program = shop.esm.file("v2.jq", RENAME);
    let migrate = [
        "migrate",
        "--all",
        "--transform",
        &program,
        "--concurrency=2",
        SLOW,
    ];
    let mut child = shop.start(&migrate);
    while rewritten(shop).await < events {
        esm::is_at_work(&mut child);
        tokio::task::yield_now().await;
    }
    child
}

/// Lifts the limit of a migration that no process runs; whoever resumes it reads that.
fn lift(shop: &Shop) {
    let lifted = shop.run(&["set", "--events-per-second", "unlimited"]);
    lifted.failed(8, &["the command is stored"]);
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_at_any_point_is_resumed_to_the_byte() {
    for shop in carts().await {
        let before = rows(&shop).await;
        let program = shop.esm.file("v2.jq", RENAME);
        shop.run(&["migrate", "--all", "--transform", &program])
            .succeeded();
        let after = rows(&shop).await;
        shop.run(&["rollback"]).succeeded();
        assert_eq!(rows(&shop).await, before);
        for events in [1, 70, 180] {
            let mut child = half_migrated(&shop, events).await;
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(rewritten(&shop).await < ALL + events, "{events}");
            lift(&shop);
            shop.run(&["resume"]).succeeded().printed("finished");
            assert_eq!(rows(&shop).await, after, "{events}");
            shop.run(&["rollback"]).succeeded();
            assert_eq!(rows(&shop).await, before, "{events}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_what_can_be_resumed() {
    for shop in carts().await {
        let child = half_migrated(&shop, 20).await;
        signal(&child, "-TERM");
        let ran = Ran::new(child.wait_with_output().unwrap());
        ran.failed(130, &["esm resume", "esm rollback"]);
        assert!(rewritten(&shop).await < ALL);
        shop.run(&["status"]).succeeded().printed("stopped");
        lift(&shop);
        shop.run(&["resume"]).succeeded().printed("finished");
        assert_eq!(rewritten(&shop).await, ALL);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_migration_is_paused_continued_and_hurried() {
    for shop in carts().await {
        let child = half_migrated(&shop, 10).await;
        shop.run(&["pause", "--author", "eva"])
            .succeeded()
            .printed("pause: ");
        let id = shop.run(&["status", "-o", "json"]).json();
        let id = id["migrations"][0]["migration"]
            .as_str()
            .unwrap()
            .to_owned();
        while !shop.run(&["status", &id]).stdout.contains("paused by eva") {}
        let status = shop.run(&["status", &id]);
        status.succeeded().printed("dead rows");
        shop.run(&["set", "--events-per-second", "unlimited"])
            .succeeded()
            .printed("set: done");
        shop.run(&["set", "--cell-events", "5"])
            .failed(2, &["no meaning for events in place"]);
        shop.run(&["resume"]).succeeded().printed("resume: done");
        let ran = Ran::new(child.wait_with_output().unwrap());
        ran.succeeded().printed("finished");
        assert_eq!(rewritten(&shop).await, ALL);
        shop.run(&["pause"])
            .failed(3, &["no migration that is unfinished"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_migration_is_undone_by_its_process() {
    for shop in carts().await {
        let before = rows(&shop).await;
        let child = half_migrated(&shop, 30).await;
        shop.run(&["cancel", "--reason", "wrong program"])
            .succeeded()
            .printed("cancel: ");
        let ran = Ran::new(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(130), "{ran:?}");
        ran.printed("rolled back");
        assert_eq!(rows(&shop).await, before);
        shop.run(&["status"])
            .succeeded()
            .printed("no unfinished migrations");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_executed_unless_its_rows_changed_since() {
    for shop in carts().await {
        let program = shop.esm.file("v2.jq", RENAME);
        let saved = |name: &str, more: &[&str]| {
            let path = shop.esm.path(name).to_str().unwrap().to_owned();
            let plan = ["plan", "--all", "--transform", &program, "--save", &path];
            shop.run(&[&plan[..], more].concat()).succeeded();
            path
        };
        let part = saved("part.json", &["--sample", "2"]);
        shop.run(&["migrate", "--plan", &part])
            .failed(2, &["a part of the events", "--sample"]);
        let plan = saved("plan.json", &[]);
        for change in [
            // neither a number nor a size differs
            "UPDATE events SET payload = '{\"Added\":7}' WHERE aggregate_id = '7' AND sequence = 1",
            "INSERT INTO events VALUES ('cart', '7', 6, 'Other', '1.0', '{}', '{}')",
            "DELETE FROM events WHERE aggregate_id = '7' AND sequence = 6",
        ] {
            let before = rows(&shop).await;
            shop.change(change).await;
            let changed = rows(&shop).await;
            shop.run(&["migrate", "--plan", &plan])
                .failed(4, &["changed since the plan was made", "make a new plan"]);
            assert_eq!(rows(&shop).await, changed);
            assert_ne!(before, changed);
        }
        let plan = saved("again.json", &[]);
        shop.run(&["migrate", "--plan", &plan])
            .succeeded()
            .printed("finished");
        assert_eq!(rewritten(&shop).await, ALL);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_code_is_refused_until_finish_where_that_is_asked_for() {
    for shop in carts().await {
        let program = shop.esm.file("v2.jq", RENAME);
        let migrate = ["migrate", "--all", "--transform", &program];
        let ran = shop.run(&[&migrate[..], &["--on-retired", "refuse"]].concat());
        ran.succeeded().printed("trigger esm_refuse_");
        assert!(
            ran.stderr.contains("once old code has ended: esm finish"),
            "{ran:?}"
        );
        shop.run(&["status"]).succeeded().printed("to be finished");
        let old = "INSERT INTO events VALUES ('cart', '7', 6, 'Added', '1.0', '{}', '{}')
                   RETURNING 'written'";
        assert_eq!(shop.value(old).await, None);
        shop.run(&["finish"]).succeeded().printed("finished");
        assert_eq!(shop.value(old).await.as_deref(), Some("written"));

        // what keeps its schema is asked about
        let same = shop.esm.file(
            "same.jq",
            r#"if .type == "Paid" then .data = {Paid: 1} else . end"#,
        );
        let migrate = ["migrate", "--all", "--transform", &same];
        shop.run(&migrate).failed(
            2,
            &["changed events keep their schema", "--on-retired sweep"],
        );
        shop.run(&[&migrate[..], &["--on-retired", "refuse"]].concat())
            .failed(2, &["cannot be distinguished from new code"]);
        // new code writes what some events become or stay
        let chained = shop.esm.file(
            "chained.jq",
            r#"if .type == "ItemAdded" then .type = "Paid" | .data = {Paid: 1}
               elif .type == "Paid" then .type = "Settled" | .data = {Settled: 1} else . end"#,
        );
        shop.run(&["migrate", "--all", "--transform", &chained])
            .failed(2, &["rewritten itself", "Paid", "in two steps"]);
        let partial = shop.esm.file(
            "partial.jq",
            r#"if .type == "ItemAdded" and (.sequence | tonumber) % 2 == 0
               then .type = "Renamed" | .data = {Renamed: 1} else . end"#,
        );
        let migrate_partly = ["migrate", "--all", "--transform", &partial];
        shop.run(&[&migrate_partly[..], &["--on-retired", "refuse"]].concat())
            .failed(2, &["some events stay as they are", "ItemAdded"]);
        shop.run(&[&migrate[..], &["--on-retired", "sweep"]].concat())
            .succeeded();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancel_could_not_restore_is_said() {
    for shop in carts().await {
        let child = half_migrated(&shop, 30).await;
        // an application changes an event that is rewritten
        shop.change(
            "UPDATE events SET payload = '{\"ItemAdded\": 0}' WHERE (aggregate_id, sequence) IN (
                 SELECT aggregate_id, sequence FROM events WHERE event_type = 'ItemAdded' LIMIT 1)",
        )
        .await;
        shop.run(&["cancel"]).succeeded();
        let ran = Ran::new(child.wait_with_output().unwrap());
        ran.failed(130, &["1 event changed or removed since", "{cart,"]);
        ran.printed("left as they are").printed("rolled back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_undo_of_a_cancel_that_stops_says_what_continues_it() {
    for shop in carts().await {
        let before = rows(&shop).await;
        let child = half_migrated(&shop, 30).await;
        // nobody can tell before that the originals cannot be stored any more
        shop.change(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''never''; END';
             CREATE TRIGGER c BEFORE UPDATE ON events FOR EACH ROW
                 WHEN (NEW.event_type = 'Added') EXECUTE FUNCTION f()",
        )
        .await;
        shop.run(&["cancel"]).succeeded();
        let ran = Ran::new(child.wait_with_output().unwrap());
        assert!(!ran.stderr.contains("esm resume"), "{ran:?}");
        assert!(
            ran.stderr.contains("the undo has begun: `esm rollback"),
            "{ran:?}"
        );
        shop.run(&["status"]).succeeded().printed("rolling back");
        shop.change("DROP TRIGGER c ON events").await;
        shop.run(&["rollback"]).succeeded().printed("rolled back");
        assert_eq!(rows(&shop).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_whose_originals_the_table_takes_no_more_is_refused_with_what_was_altered() {
    for shop in carts().await {
        let before = rows(&shop).await;
        let child = half_migrated(&shop, 30).await;
        shop.change("ALTER TABLE events ADD CONSTRAINT c CHECK (event_type <> 'Added') NOT VALID")
            .await;
        let cancel = shop.run(&["cancel"]);
        // it is accepted before the table is checked, and refused after it
        if cancel.code == Some(0) {
            cancel.printed("cancel: accepted");
        } else {
            assert_eq!(cancel.code, Some(4), "{cancel:?}");
            cancel.printed("constraint c refuses what");
        }
        let ran = Ran::new(child.wait_with_output().unwrap());
        assert!(ran.stderr.contains("DROP CONSTRAINT c"), "{ran:?}");
        shop.run(&["status"]).succeeded().printed("rewriting");
        shop.change("ALTER TABLE events DROP CONSTRAINT c").await;
        shop.run(&["rollback"]).succeeded().printed("rolled back");
        assert_eq!(rows(&shop).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_that_was_edited_is_refused_as_the_events_are() {
    for shop in carts().await {
        let program = shop.esm.file(
            "chained.jq",
            r#"if .type == "Added" then .type = "Paid" | .schemaversion = 2 | .data = {Paid: 1}
               elif .type == "Paid" then .type = "Settled" | .data = {Settled: 1} else . end"#,
        );
        let path = shop.esm.path("plan.json").to_str().unwrap().to_owned();
        let plan = ["plan", "--all", "--transform", &program, "--save", &path];
        let planned = shop.run(&plan);
        planned
            .failed(2, &["the plan was saved"])
            .printed("`esm migrate` refuses it: events become");
        let mut plan: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let schemas = plan["schemas"].as_array_mut().unwrap();
        assert!(
            schemas
                .iter()
                .any(|schema| schema.to_string().contains("Settled"))
        );
        for schema in schemas {
            schema["becomes"] = serde_json::json!([]);
        }
        std::fs::write(&path, plan.to_string()).unwrap();
        let before = rows(&shop).await;
        shop.run(&["migrate", "--plan", &path])
            .failed(2, &["rewritten itself", "Paid"]);
        assert_eq!(rows(&shop).await, before);
    }
}
