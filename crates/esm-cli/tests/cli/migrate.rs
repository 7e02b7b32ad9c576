//! `esm plan`, `migrate`, `resume`, `rollback`, `status`, `verify`

use serde_json::{Value, json};

use crate::esm::Esm;
use crate::orders;

/// Drops notes, splits payments, changes the first event.
pub(crate) const PROGRAM: &str = r#"
if .type == "NoteTaken" then empty
elif .type == "OrderPaid" then (.type = "Invoiced"), (.type = "Paid" | .data = {paid: true})
elif .type == "OrderPlaced" then .schemaversion = 2 | .data |= with_entries(if .key == "text" then .key = "note" else . end)
else . end
"#;

/// A store with some orders, and the program beside it.
fn with_orders(orders: usize, events: usize) -> (Esm, String) {
    let esm = Esm::new();
    esm.import(&orders::sorted(orders, events));
    let program = esm.file("v2.jq", PROGRAM);
    (esm, program)
}

/// What the program makes of the lines, computed without it: canonical JSON, events numbered anew.
fn expected(orders: usize, events: usize) -> Vec<Value> {
    let mut all = Vec::new();
    for order in 0..orders {
        let mut of_order = Vec::new();
        for sequence in 0..events {
            let line = orders::line(&format!("{order:05}"), sequence);
            let mut event: Value = serde_json::from_str(&line).expect("JSON");
            match event["type"].as_str() {
                Some("NoteTaken") => {}
                Some("OrderPaid") => {
                    let id = event["id"].as_str().expect("an id").to_owned();
                    let mut second = event.clone();
                    event["type"] = json!("Invoiced");
                    event["id"] = json!(format!("{id}.0"));
                    second["type"] = json!("Paid");
                    second["id"] = json!(format!("{id}.1"));
                    second["data"] = json!({"paid": true});
                    of_order.extend([event, second]);
                }
                _ => {
                    let data = event["data"].as_object_mut().expect("data");
                    let note = data.remove("text").expect("a text");
                    data.insert("note".to_owned(), note);
                    event["schemaversion"] = json!(2);
                    of_order.push(event);
                }
            }
        }
        for (revision, event) in of_order.iter_mut().enumerate() {
            event["sequence"] = json!(revision.to_string());
        }
        all.extend(of_order);
    }
    all
}

fn parsed(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn all_objects_are_migrated_and_the_export_is_what_the_program_says() {
    let (esm, program) = with_orders(12, 5);
    let before = esm.files();
    let plan = esm.run(&["plan", "--all", "--transform", &program, "-o", "json"]);
    let plan = plan.succeeded().json();
    assert_eq!(
        (&plan["objects"], &plan["events"]),
        (&12.into(), &60.into())
    );
    assert_eq!(plan["ledger"]["outputs"], 36);
    let dry = esm.run(&["migrate", "--all", "--transform", &program, "--dry-run"]);
    dry.succeeded().printed("nothing was written");
    assert_eq!(esm.files(), before, "a plan wrote something");

    let backups = esm.url("backups");
    let migrate = [
        "migrate",
        "--all",
        "--transform",
        &program,
        "--backup",
        &backups,
        "--close-books",
    ];
    let mut with_json = migrate.to_vec();
    with_json.extend(["-o", "json"]);
    let result = esm.run(&with_json).succeeded().json();
    assert_eq!(result["success"], true);
    assert_eq!(result["statistics"]["migrated"], 12);
    assert_eq!(result["statistics"]["ledger"]["dropped"]["v2.jq"], 36);
    assert_eq!(parsed(&esm.export()), expected(12, 5));

    let backup = result["statistics"]["backups"][0]["id"].as_str().unwrap();
    esm.run(&["backup", "verify", backup, "--backup", &backups])
        .succeeded();
    let archive = result["statistics"]["archives"][0]["id"].as_str().unwrap();
    esm.run(&["backup", "verify", archive, "--backup", &backups])
        .succeeded();

    esm.run(&migrate)
        .succeeded()
        .printed("nothing to do: 12 objects");
    esm.run(&["verify", "--all"])
        .succeeded()
        .printed("equal: 36 events of 12 objects");
    let shown = esm.run(&["show", "order/00003", "-o", "json"]).json();
    assert_eq!(shown["streams"][0]["state"], "closed");
    assert_eq!(shown["streams"][1]["state"], "active");
    assert!(shown["document"]["terminated"][0]["archive"].is_object());
}

#[test]
fn a_change_that_keeps_the_schema_wants_a_choice_and_what_it_accepts_is_counted() {
    // R11
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    let in_place = r#"if .type == "NoteTaken" then .data.text = "x" else . end"#;
    let program = esm.file("in-place.jq", in_place);
    let migrate = ["migrate", "--all", "--transform", &program];
    esm.run(&["plan", "--all", "--transform", &program])
        .succeeded()
        .printed("--on-retired refuse, or accept-unchanged");
    // before anything is touched
    esm.run(&migrate)
        .failed(2, &["keep their type and schema version", "NoteTaken v1"]);
    let status = esm.run(&["status", "--all", "-o", "json"]).json();
    assert_eq!(status["migrations"], json!([]));

    let accept = [&migrate[..], &["--on-retired", "accept-unchanged"]].concat();
    esm.run(&accept).succeeded();
    let status = esm.run(&["status", "--all", "-o", "json"]).json();
    let migration = status["migrations"][0]["migration"].as_str().unwrap();
    let report = ["status", migration, "-o", "json"];
    let counted = esm.run(&report).json();
    assert_eq!(counted["accepted_unchanged"], Value::Null);
    let show = ["show", "order/00001", "-o", "json"];
    let shown = esm.run(&show).json();
    assert_eq!(shown["streams"][1]["accepted_unchanged"], Value::Null);
    let file = esm.file("more", orders::line("00001", 3));
    esm.run(&["import", &file]).succeeded();
    let shown = esm.run(&show).json();
    let accepted = &shown["streams"][1]["accepted_unchanged"];
    assert_eq!(*accepted, json!({"NoteTaken v1": 1}));
    esm.run(&["show", "order/00001"])
        .succeeded()
        .printed("NoteTaken v1: 1 in");
    // and in the report of the migration
    let counted = esm.run(&report).json();
    assert_eq!(counted["accepted_unchanged"], json!({"NoteTaken v1": 1}));
    esm.run(&["status", migration])
        .succeeded()
        .printed("NoteTaken v1: 1");
}

#[test]
fn what_was_imported_before_a_migration_is_known_after_it() {
    let (esm, program) = with_orders(3, 5);
    esm.run(&["migrate", "--all", "--transform", &program])
        .succeeded();
    let file = esm.file("again", orders::sorted(3, 5));
    esm.run(&["import", &file])
        .succeeded()
        .printed("nothing to do");
    let changed = orders::sorted(3, 5).replacen("\"number\": 2,", "\"number\": 9,", 1);
    let file = esm.file("changed", changed);
    esm.run(&["import", &file])
        .failed(4, &["line 3", "sequence 2", "payload differs"]);

    // new events follow the migrated ones, but not in a retired schema (R11)
    let file = esm.file("old", orders::line("00001", 5));
    esm.run(&["import", &file])
        .failed(2, &["line 1", "retired", "NoteTaken"]);
    let new = orders::line("00001", 5).replace("NoteTaken", "Returned");
    let file = esm.file("new", &new);
    esm.run(&["import", &file])
        .succeeded()
        .printed("imported 1 event");
    esm.run(&["import", &file])
        .succeeded()
        .printed("nothing to do");
    let read = esm.run(&["read", "order/00001", "-o", "json"]);
    assert_eq!(parsed(&read.stdout).last().unwrap()["type"], "Returned");
}

#[test]
fn one_object_under_a_name_of_its_own() {
    let (esm, program) = with_orders(2, 3);
    let migrate = |to: &str| {
        esm.run(&[
            "migrate",
            "order/00000",
            "--transform",
            &program,
            "--to-stream",
            to,
        ])
    };
    migrate("order-00000").failed(2, &["the target is the source"]);
    migrate("renewed").succeeded().printed("target\trenewed.");
    let shown = esm.run(&["show", "order/00000", "-o", "json"]).json();
    let stream = shown["streams"][1]["stream"]["stream"].as_str().unwrap();
    assert!(stream.starts_with("renewed."), "{stream}");
    esm.run(&["migrate", "order/none"])
        .failed(3, &["order/none"]);
    esm.run(&["migrate", "order/00001", "--from-stream", "nonsense"])
        .failed(2, &["not the active stream"]);
    esm.run(&["migrate", "--all", "--to-stream", "x"])
        .failed(2, &["single object"]);
}

#[test]
fn a_plan_is_executed_only_as_long_as_nothing_has_changed() {
    let (esm, program) = with_orders(2, 3);
    let path = esm.path("plan.json");
    let plan = path.to_str().unwrap();
    let save = ["plan", "--all", "--transform", &program, "--save", plan];
    esm.run(&save).succeeded();
    esm.run(&save).failed(4, &["plan.json"]);
    std::fs::remove_file(&program).unwrap();

    let another = Esm::new();
    another.import(&orders::sorted(2, 3));
    another
        .run(&["migrate", "--plan", plan])
        .failed(4, &["changed since the plan was made: store"]);

    esm.run(&["migrate", "--plan", plan])
        .succeeded()
        .printed("migrated 2 objects");
    assert_eq!(parsed(&esm.export()), expected(2, 3));
    esm.run(&["migrate", "--plan", plan])
        .failed(4, &["changed since the plan was made: source", "new plan"]);
    let wrong = esm.file("no-plan", "{}");
    esm.run(&["migrate", "--plan", &wrong])
        .failed(2, &["not a plan"]);
}

#[test]
fn programs_that_are_wrong_change_nothing() {
    let (esm, _) = with_orders(2, 3);
    let before = esm.files();
    let migrate = |program: &str| {
        let program = esm.file("wrong.jq", program);
        esm.run(&["migrate", "--all", "--transform", &program])
    };
    migrate(".type = ").failed(2, &["wrong.jq", "1:9"]);
    esm.run(&["migrate", "--all", "--transform", "/no/such.jq"])
        .failed(3, &["/no/such.jq"]);
    assert_eq!(esm.files(), before);
    let plan = esm.file("wrong.jq", ".type = 7");
    esm.run(&["plan", "--all", "--transform", &plan])
        .failed(7, &[]);
    assert_eq!(esm.files(), before);
}

#[test]
fn an_event_that_fails_stops_it_and_it_is_rolled_back() {
    let (esm, _) = with_orders(3, 3);
    let lines = esm.export();
    let wrong = esm.file(
        "wrong.jq",
        r#"if .type == "OrderPaid" then .type = 7 else . end"#,
    );
    let ran = esm.run(&["migrate", "--all", "--transform", &wrong, "-o", "json"]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let result = ran.json();
    assert_eq!(result["success"], false);
    assert_eq!(result["error"]["kind"], "transform_failed");
    let migration = result["migration"].as_str().unwrap();

    let status = esm.run(&["status", "-o", "json"]).succeeded().json();
    assert_eq!(status["migrations"][0]["migration"], migration);
    let program = esm.file("v2.jq", PROGRAM);
    esm.run(&["migrate", "--all", "--transform", &program])
        .failed(4, &["not finished", migration]);
    for planned in [&["plan"][..], &["migrate", "--dry-run"]] {
        let planned = esm.run(&[planned, &["--all", "--transform", &program]].concat());
        planned
            .failed(4, &[])
            .printed("`esm migrate` refuses it: a migration of all objects is not finished")
            .printed("roll it back");
    }
    esm.run(&["resume"]).failed(7, &["esm rollback"]);
    esm.run(&["rollback", migration, "--reason", "wrong program"])
        .succeeded()
        .printed("rolled back");
    esm.run(&["status"])
        .succeeded()
        .printed("no unfinished migrations");
    esm.run(&["resume"])
        .succeeded()
        .printed("nothing to resume");
    esm.run(&["resume", migration]).failed(4, &["has ended"]);
    assert_eq!(esm.export(), lines);
    esm.run(&["migrate", "--all", "--transform", &program])
        .succeeded();
    assert_eq!(parsed(&esm.export()), expected(3, 3));
}

#[test]
fn migrations_that_are_unknown() {
    let (esm, _) = with_orders(1, 1);
    let id = "0192d3a0-7c1e-7aaa-8bbb-0123456789ab";
    for arguments in [["status", id], ["resume", id], ["rollback", id]] {
        esm.run(&arguments).failed(3, &[id]);
    }
    esm.run(&["status", "nonsense"]).failed(3, &["nonsense"]);
}

#[test]
fn a_byte_order_mark_before_a_program_is_skipped() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 2));
    let program = esm.file("mark.jq", "\u{feff}.schemaversion = 2\r\n");
    esm.run(&["migrate", "--all", "--transform", &program])
        .succeeded();
    assert!(esm.export().contains(r#""schemaversion":2"#));
}

#[test]
fn the_plan_finds_outputs_that_the_store_does_not_accept() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 3));
    // six bytes for each character of 20,000, as it is stored
    let program = esm.file(
        "grow.jq",
        "if .type == \"OrderPaid\" then .schemaversion = 2 | .data = \"\\u0001\" * 20000 else . end",
    );
    let plan = ["plan", "--all", "--transform", &program, "-o", "json"];
    let ran = esm.run(&[&plan[..], &["--max-event-size", "64KiB"]].concat());
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let found = ran.json();
    assert_eq!(found["ledger"]["failed"]["size limit"], 1, "{found}");
    let failure = found["ledger"]["failures"][0].to_string();
    assert!(
        failure.contains("and at most 65536 are accepted") && failure.contains("order/00000/1"),
        "{failure}"
    );
    esm.run(&plan).succeeded();
}

#[test]
fn a_name_that_no_object_has_is_not_found() {
    let (esm, program) = with_orders(1, 1);
    let said = ["no object has the name: ordre", "esm list"];
    for arguments in [
        &["migrate", "--name", "ordre"] as &[&str],
        &["plan", "--name", "ordre", "--transform", &program],
        &["transform", &program, "--name", "ordre"],
        &["export", "--name", "ordre"],
        &["verify", "--name", "ordre"],
        &["backup", "create", "--name", "ordre"],
    ] {
        esm.run(arguments).failed(3, &said);
    }
    for abbreviated in ["migr", "stat", "exp"] {
        esm.run(&[abbreviated])
            .failed(2, &["unrecognized subcommand"]);
    }
}

#[test]
fn objects_that_fail_for_one_reason_are_one_failure() {
    let (esm, _) = with_orders(3, 4);
    let manual = ["migrate", "--all", "--cutover", "manual"];
    let ran = esm.run(&[&manual[..], &["--cutover-wait", "100ms"]].concat());
    let objects = "failed: 3 objects (order/00000, order/00001, order/00002), cut over";
    ran.failed(1, &["no cutover command arrived in time", objects]);
    let shown = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(shown.matches("arrived in time").count(), 1, "{shown}");
}

#[test]
fn failures_that_are_alike_are_one_with_a_count_and_the_first() {
    let (esm, _) = with_orders(3, 4);
    let program = r#"if .type == "NoteTaken" then .data.text.x = 1 else . end"#;
    let program = esm.file("wrong.jq", program);
    let plan = esm.run(&["plan", "--all", "--transform", &program]);
    assert_eq!(plan.code, Some(7), "{plan:?}");
    plan.printed("- 6 events by wrong.jq: cannot index a string with \"x\" (line 1, column 31)\n  first: order/0000")
        .printed(" revision 2, NoteTaken v1, id order/0000")
        .printed("\n  value: {\"number\": 2,");
    let plan = esm.run(&["plan", "--all", "--transform", &program, "-o", "json"]);
    let failures = plan.json()["ledger"]["failures"].clone();
    assert_eq!(failures.as_array().map(Vec::len), Some(1), "{failures}");
    assert_eq!(
        (&failures[0]["count"], &failures[0]["revision"]),
        (&json!(6), &json!(2))
    );

    let migrate = ["migrate", "--all", "--transform", &program, "--keep-going"];
    let ran = esm.run(&migrate);
    ran.failed(
        7,
        &[
            "  failed: 3 objects (order/00000, order/00001, order/00002), copy",
            "  event: order/0000",
            " revision 2, NoteTaken v1, id order/0000",
            "  value: {\"number\": 2,",
        ],
    );
    // once, of output and errors together
    let shown = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(shown.matches("cannot be transformed").count(), 1, "{shown}");
    let status = esm.run(&["status", "-o", "json"]).json();
    let migration = status["migrations"][0]["migration"].as_str();
    let migration = migration.expect("an id");
    esm.run(&["watch", migration, "--every", "50ms"])
        .failed(1, &[])
        .printed("; next: `esm migrate --amend`");
    esm.run(&["status", migration])
        .succeeded()
        .printed("stopped\t")
        .printed("NoteTaken v1 order/0000")
        .printed(" at revision 2");
    let report = esm.run(&["resume", migration, "-o", "json"]).json();
    let failure = &report["statistics"]["failures"][0]["failure"];
    assert_eq!(failure["revision"], 2, "{report}");
    assert_eq!(
        failure["message"],
        "cannot index a string with \"x\" (line 1, column 31)"
    );
    let event = &report["error"]["event"];
    assert_eq!(
        (&event["revision"], &event["type"]),
        (&json!(2), &json!("NoteTaken"))
    );
    let value = event["value"].as_str().expect("a value");
    assert!(value.starts_with("{\"number\": 2,"), "{event}");
}
