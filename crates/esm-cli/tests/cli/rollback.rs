//! `esm rollback` after the cutover, `--reversible-with`, `--reversible-for`

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, ObjectId};
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_objectstore::{OpenOptions, local_directory};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::esm::Esm;
use crate::migrate::PROGRAM;
use crate::orders;

/// The way back of [`PROGRAM`].
const DOWN: &str = r#"
if .type == "Paid" then empty
elif .type == "Invoiced" then .type = "OrderPaid"
elif .type == "OrderPlaced" and .schemaversion == 2
then .schemaversion = 1 | .data |= with_entries(if .key == "note" then .key = "text" else . end)
elif .type == "OrderShipped" then .
else . end
"#;

struct Migrated {
    esm: Esm,
    down: String,
    /// What was exported before.
    before: String,
    migration: String,
}

/// Three orders, migrated.
fn migrated(options: &[&str]) -> Migrated {
    let esm = Esm::new();
    esm.import(&orders::sorted(3, 5));
    let before = esm.export();
    let (up, down) = (esm.file("v2.jq", PROGRAM), esm.file("v1.jq", DOWN));
    let mut migrate = vec!["migrate", "--all", "--transform", &up, "-o", "json"];
    migrate.extend(options.iter().map(|option| match *option {
        "DOWN" => down.as_str(),
        other => other,
    }));
    let result = esm.run(&migrate).succeeded().json();
    let migration = result["migration"].as_str().expect("an id").to_owned();
    Migrated {
        esm,
        down,
        before,
        migration,
    }
}

impl Migrated {
    /// New code appends an invoice to an order, after its five events.
    fn append(&self, order: &str) {
        let line = orders::line(order, 5).replace("NoteTaken", "Invoiced");
        self.esm.import(&line);
    }

    /// Checks that every line of the earlier export is still there, and beside it events of these
    /// types.
    #[track_caller]
    fn restored(&self, added: &[&str]) {
        let after = self.esm.export();
        let (mut old, mut new) = (self.before.lines(), Vec::new());
        let mut next = old.next();
        for line in after.lines() {
            if next == Some(line) {
                next = old.next();
            } else {
                new.push(line);
            }
        }
        assert_eq!(next, None, "an original is missing or has changed");
        let types: Vec<_> = new
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["type"].clone())
            .collect();
        assert_eq!(types, added);
    }
}

#[test]
fn originals_come_back_byte_for_byte_and_what_came_since_goes_through_the_program() {
    let m = migrated(&[]);
    m.append("00001");
    let untouched = m.esm.files();
    let refused = m.esm.run(&["rollback", &m.migration]);
    refused.failed(7, &["order/00001", "order/00001/5", "Invoiced", "down"]);
    let shown = m.esm.run(&["rollback", &m.migration, "--dry-run"]);
    assert_eq!(shown.code, Some(7), "{shown:?}");
    shown.printed("order/00001/5").printed("cannot be executed");
    let dry = ["rollback", &m.migration, "--down", &m.down, "--dry-run"];
    m.esm.run(&dry).succeeded().printed("nothing was written");
    assert_eq!(m.esm.files(), untouched, "something was written");

    let back = ["rollback", &m.migration, "--down", &m.down, "-o", "json"];
    let result = m.esm.run(&back).succeeded().json();
    assert_eq!(result["statistics"]["migrated"], 3);
    m.restored(&["OrderPaid"]);
    m.esm.run(&["verify", "--all"]).succeeded().printed("equal");
    let id = result["migration"].as_str().expect("an id");
    m.esm.run(&["status", id]).succeeded().printed(&m.migration);
    let again = ["rollback", &m.migration, "--down", &m.down];
    m.esm.run(&again).succeeded().printed("nothing to do");
    // the rollback is a migration, and can be rolled back too
    let up = m.esm.path("v2.jq");
    let redo = ["rollback", id, "--down", up.to_str().expect("a path")];
    m.esm
        .run(&redo)
        .succeeded()
        .printed("the events from before it are restored");
    assert!(m.esm.export().contains("Invoiced"));
}

#[test]
fn a_way_back_that_was_declared_is_used_and_shown_in_the_plan() {
    let m = migrated(&["--reversible-with", "DOWN"]);
    m.append("00002");
    m.esm.run(&["rollback", &m.migration]).succeeded();
    m.restored(&["OrderPaid"]);

    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    let (up, down) = (esm.file("v2.jq", PROGRAM), esm.file("v1.jq", DOWN));
    let plan = ["plan", "--all", "--transform", &up];
    esm.run(&plan)
        .succeeded()
        .printed("reversibility:\n- ")
        .printed("until the first event");
    let with = [
        &plan[..],
        &["--reversible-with", &down, "--reversible-for", "7d"],
    ]
    .concat();
    let shown = esm.run(&with);
    shown
        .succeeded()
        .printed("through its down")
        .printed("final");
    let fails = esm.file("fails.jq", "error(\"no way back\")");
    let with = [&plan[..], &["--reversible-with", &fails, "-o", "json"]].concat();
    let found = esm.run(&with).succeeded().json();
    assert_eq!(found["way_back"]["failure"]["event"], "order/00000/0");
}

#[test]
fn when_its_time_is_over_it_is_final() {
    let m = migrated(&["--reversible-for", "1ms"]);
    let final_now = m.esm.run(&["rollback", &m.migration]);
    final_now.failed(1, &["final", "new migration"]);
}

#[test]
fn one_that_was_moved_on_is_named_and_keeps_the_others_without_keep_going() {
    let m = migrated(&[]);
    let moved = ["migrate", "order/00001", "-o", "json"];
    let moved = m.esm.run(&moved).succeeded().json();
    let newer = moved["migration"].as_str().expect("an id").to_owned();
    let untouched = m.esm.files();
    let refused = m.esm.run(&["rollback", &m.migration]);
    refused.failed(4, &["order/00001", &newer]);
    let shown = m.esm.run(&["rollback", &m.migration, "--dry-run"]);
    assert_eq!(shown.code, Some(4), "{shown:?}");
    shown.printed("order/00001");
    assert_eq!(m.esm.files(), untouched, "something was written");
    m.esm.run(&["rollback", &newer]).succeeded();
    m.esm.run(&["rollback", &m.migration]).succeeded();
    m.restored(&[]);
}

/// Applications append through the library, in this process, while `esm` rolls back in another: one in
/// a schema that both know, one in the new schema, until it is refused.
#[test]
fn nothing_is_lost_while_applications_write() {
    let m = migrated(&[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let stop = CancellationToken::new();
    let (sender, begun) = std::sync::mpsc::channel();
    let writers: Vec<_> = ["OrderShipped", "Invoiced"]
        .map(|event_type| {
            let (store, stop, begun) = (m.esm.path("store"), stop.clone(), sender.clone());
            runtime.spawn(async move { write(&store, event_type, &stop, begun).await })
        })
        .into();
    for _ in &writers {
        begun.recv().expect("a writer writes");
    }
    let back = ["rollback", &m.migration, "--down", &m.down];
    for _ in 0..3 {
        // whichever is faster: one that is beaten too often leaves everything as it was
        let ran = m.esm.run(&back);
        if ran.code == Some(0) {
            break;
        }
        m.esm.run(&["resume", "--all"]);
    }
    m.esm.run(&back).succeeded().printed("nothing to do");
    stop.cancel();
    let mut acknowledged = Vec::new();
    for writer in writers {
        let ids = runtime.block_on(writer).expect("a writer ends");
        assert!(!ids.is_empty(), "a writer wrote nothing");
        acknowledged.extend(ids);
    }
    let mut found: Vec<_> = (m.esm.export().lines())
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].clone())
        .filter_map(|id| id.as_str().map(str::to_owned))
        .filter(|id| id.starts_with("w/"))
        .collect();
    found.sort();
    acknowledged.sort();
    assert_eq!(found, acknowledged);
    m.esm.run(&["verify", "--all"]).succeeded().printed("equal");
}

/// Appends to the orders in turn until it is stopped or refused; returns the acknowledged events.
/// A busy application, but one with pauses: without any, no Close would ever win (R6).
async fn write(
    store: &Path,
    event_type: &str,
    stop: &CancellationToken,
    begun: Sender<()>,
) -> Vec<String> {
    let directory = local_directory(store).await.expect("a directory");
    let store =
        esm_objectstore::open_or_create_with_client(Arc::new(directory), "", OpenOptions::new());
    let store = store.await.expect("a store");
    let environment = Environment::system();
    let client = ObjectClient::new(store.records(), store.event_store(), environment.clone());
    let pause = Duration::from_millis(100);
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let order: ObjectId = format!("order/0000{}", number % 3).parse().expect("an id");
        let id = format!("w/{event_type}/{number}");
        let event_type = EventType::new(event_type).expect("a type");
        let event = Event::new(EventId::new(&id).expect("an id"), event_type, "{}");
        match client
            .append(&order, ExpectedRevision::Any, vec![event])
            .await
        {
            Ok(_) => {
                acknowledged.push(id);
                let _ = begun.send(());
                environment.clock.sleep(environment.jittered(pause)).await;
            }
            Err(error) if *error.kind() == ErrorKind::Invalid => break,
            Err(error) => panic!("{error}"),
        }
    }
    acknowledged
}
