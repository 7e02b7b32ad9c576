//! What a migration does, how it is named, and which command continues it.

use std::process::Child;

use serde_json::Value;

use crate::esm::{Esm, Ran, is_at_work};
use crate::orders;

/// The only migration in `esm status --all`.
fn status(esm: &Esm) -> Option<Value> {
    let ran = esm.run(&["status", "--all", "-o", "json"]);
    let all = ran.succeeded().json();
    all["migrations"]
        .as_array()
        .expect("a list")
        .last()
        .cloned()
}

/// Polls until the migration is in this condition.
fn until(esm: &Esm, child: &mut Child, condition: &str) -> Value {
    loop {
        if let Some(seen) = status(esm).filter(|seen| seen["condition"] == condition) {
            return seen;
        }
        is_at_work(child);
    }
}

fn ended(child: Child) -> Ran {
    Ran::new(child.wait_with_output().expect("esm ends"))
}

fn id(seen: &Value) -> &str {
    seen["migration"].as_str().expect("an id")
}

/// A program that renames a type, and one that fails on the second event.
fn programs(esm: &Esm) -> (String, String) {
    let fails = esm.file(
        "fails.jq",
        "if .type == \"OrderPaid\" then error(\"no price\") else . end",
    );
    let works = esm.file(
        "works.jq",
        "if .type == \"OrderPaid\" then .type = \"Paid\" else . end",
    );
    (fails, works)
}

#[test]
fn status_names_ready_paused_and_ended_migrations_and_the_command_that_continues_them() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 5));
    let migrate = [
        "migrate",
        "--all",
        "--cutover",
        "manual",
        "--progress",
        "off",
    ];
    let mut child = esm.command(&migrate).spawn().expect("esm starts");
    let ready = until(&esm, &mut child, "ready");
    assert_eq!(ready["continued_by"], "esm cutover");
    assert_eq!(ready["waits_for"], "the command to cut over");
    let line = esm.run(&["watch", "--once"]);
    line.succeeded()
        .printed("ready; waiting for the command to cut over (`esm cutover`)");

    esm.run(&["pause", "--author", "eve"]).succeeded();
    let paused = until(&esm, &mut child, "paused");
    assert_eq!(paused["continued_by"], "esm resume");
    esm.run(&["status", id(&paused)])
        .printed("waits for\tbeing resumed; paused by eve (`esm resume`)");

    esm.run(&["resume"]).succeeded();
    esm.run(&["cutover"]).succeeded();
    ended(child).succeeded();
    let all = status(&esm).expect("a migration");
    assert_eq!(all["condition"], "ended");
    assert_eq!(all["status"], "completed");
}

#[test]
fn what_a_killed_process_published_last_is_shown_with_its_age() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 5));
    let migrate = ["migrate", "--all", "--cutover", "manual"];
    let options = ["--progress", "off"];
    let mut child = esm
        .command(&[&migrate[..], &options].concat())
        .spawn()
        .expect("esm starts");
    until(&esm, &mut child, "ready");
    child.kill().expect("killed");
    child.wait().expect("ended");

    esm.run(&["watch", "--every", "50ms"])
        .failed(1, &[])
        .printed("no process runs it; `esm resume` continues it");
    let dead = status(&esm).expect("a migration");
    assert_eq!(dead["condition"], "dead", "{dead}");
    assert_eq!(dead["progress"]["events_copied"], 5, "{dead}");
    assert!(dead["progress"]["eta"].is_null(), "{dead}");
    assert!(dead["progress_age_seconds"].as_f64().is_some(), "{dead}");
    esm.run(&["status", id(&dead)])
        .succeeded()
        .printed("state\tprocess ended")
        .printed("last published\t")
        .printed("of 5 events")
        .printed("s ago")
        .printed("counted\twhat the journal recorded until ");
}

#[test]
fn durations_are_seconds_in_every_report() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 5));
    let migrated = esm
        .run(&["migrate", "--all", "-o", "json"])
        .succeeded()
        .json();
    assert!(migrated["statistics"]["longest_redirect_seconds"].is_f64());
    for arguments in [
        &["status", "--all", "-o", "json"][..],
        &["status", id(&migrated), "-o", "json"],
        &["watch", id(&migrated), "-o", "json"],
        &["lock", "list", "-o", "json"],
    ] {
        let ran = esm.run(arguments);
        let document: Value = serde_json::from_str(ran.stdout.lines().next().unwrap_or("null"))
            .unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        assert_in_seconds(&document);
    }
}

/// Beside each duration in the form of its type there is a number of seconds.
#[track_caller]
fn assert_in_seconds(value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter().filter(|(name, _)| *name != "plan") {
                let seconds = fields.get(&format!("{name}_seconds"));
                let is_duration = field.get("nanos").is_some();
                assert!(!is_duration || seconds.is_some_and(Value::is_f64), "{name}");
                assert_in_seconds(field);
            }
        }
        Value::Array(items) => items.iter().for_each(assert_in_seconds),
        _ => {}
    }
}

#[test]
fn an_id_is_recognised_by_its_end_and_candidates_are_named() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 5));
    let backup = [
        "backup",
        "create",
        "--all",
        "--id",
        "kept-in-2026",
        "-o",
        "json",
    ];
    esm.run(&backup).succeeded();
    let migrated = esm
        .run(&["migrate", "--all", "-o", "json"])
        .succeeded()
        .json();
    let whole = id(&migrated).to_owned();
    let end = &whole[whole.len() - 8..];
    let seen = esm.run(&["status", end, "-o", "json"]).succeeded().json();
    assert_eq!(id(&seen), whole);
    esm.run(&["status", "zzzz"])
        .failed(3, &["unknown migration: zzzz"]);
    esm.run(&["backup", "verify", "2026"]).succeeded();
    esm.run(&["backup", "show", "none"]).failed(3, &["none"]);

    // the ids of two migrations begin with the same time
    esm.run(&["rollback", end]).succeeded();
    let beginning = &whole[..4];
    let several = esm.run(&["status", beginning]);
    several.failed(2, &["several migrations fit", &whole, "more characters"]);
    esm.run(&["status", &whole[whole.len() - 3..]])
        .failed(2, &["4 characters"]);
}

#[test]
fn a_rollback_takes_the_only_candidate_and_the_status_names_what_reversed_it() {
    let esm = Esm::new();
    esm.run(&["store", "init"]).succeeded();
    esm.run(&["rollback"])
        .failed(3, &["no migration to roll back"]);
    esm.import(&orders::sorted(1, 5));
    let migrated = esm
        .run(&["migrate", "--all", "-o", "json"])
        .succeeded()
        .json();
    let reversed = esm.run(&["rollback", "-o", "json"]).succeeded().json();
    let seen = esm
        .run(&["status", id(&migrated), "-o", "json"])
        .succeeded()
        .json();
    assert_eq!(seen["reversed_by"], reversed["migration"]);
    esm.run(&["status", id(&migrated)])
        .printed("state\treversed");
    // what was reversed is no candidate any more
    esm.run(&["rollback"])
        .failed(3, &["no migration to roll back"]);
}

#[test]
fn wrong_arguments_are_an_error_document_with_json() {
    let esm = Esm::new();
    let ran = esm.run(&["migrate", "--nope", "--output", "json"]);
    assert_eq!(ran.code, Some(2));
    let error = ran.json_error();
    assert_eq!(error["kind"], "invalid");
    assert_eq!(error["exit_code"], 2);
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("--nope"), "{error}");
    let missing = esm.run(&["-ojson", "pause", "a", "b"]);
    assert_eq!(missing.json_error()["exit_code"], 2);
}

#[test]
fn a_failed_program_is_amended_and_the_advice_says_so() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 5));
    let (fails, works) = programs(&esm);
    let failed = esm.run(&["migrate", "--all", "--transform", &fails]);
    failed.failed(7, &["no price", "esm migrate --amend FILE.jq"]);
    assert!(!failed.stderr.contains("esm resume"), "{failed:?}");
    esm.run(&["migrate", "--amend", &works])
        .succeeded()
        .printed("migrated 1 object");
    assert!(esm.export().contains("\"type\":\"Paid\""));
    let all = esm
        .run(&["status", "--all", "-o", "json"])
        .succeeded()
        .json();
    let states: Vec<_> = all["migrations"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|seen| seen["status"].clone())
        .collect();
    assert_eq!(states, ["rolled_back", "completed"]);
    esm.run(&["migrate", "--amend", &works])
        .failed(3, &["no unfinished migration"]);
}

#[test]
fn a_migration_that_has_cut_over_an_object_is_not_amended() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 1));
    esm.import(&orders::sorted(2, 5).replace("00000", "00002"));
    let original = esm.export();
    let (fails, works) = programs(&esm);
    let options = ["--transform", &fails, "--keep-going", "--all"];
    let failed = esm.run(&[&["migrate"][..], &options].concat());
    failed.failed(7, &["undoes the rest", "reverses what was cut over"]);
    let migrated = esm.export();
    esm.run(&["migrate", "--amend", &works])
        .failed(4, &["has already cut over"]);
    assert_eq!(esm.export(), migrated);

    // what the output says: undo the rest, reverse what was cut over, begin anew
    let rollback = ["rollback", id_of(&failed)];
    esm.run(&rollback).succeeded();
    assert_eq!(esm.export(), migrated);
    let again = ["plan", "--all", "--transform", &works];
    esm.run(&again)
        .succeeded()
        .printed("not all by the same migration");
    esm.run(&rollback).succeeded();
    assert_eq!(esm.export(), original);
    esm.run(&["migrate", "--all", "--transform", &works])
        .succeeded()
        .printed("migrated 3 objects");
}

/// The id of the migration that a command reports.
fn id_of(ran: &Ran) -> &str {
    let line = ran
        .stdout
        .lines()
        .find(|line| line.starts_with("migration\t"));
    line.and_then(|line| line.split('\t').nth(1))
        .expect("an id")
}

#[test]
fn a_run_that_failed_names_the_objects_that_failed_and_has_its_counts() {
    let fails = r#"if .subject == "00001" or .subject == "00003" then error("no") else . end"#;
    for keep_going in [&[][..], &["--keep-going"]] {
        let esm = Esm::new();
        esm.import(&orders::sorted(5, 3));
        let program = esm.file("fails.jq", fails);
        let objects: Vec<_> = (0..5).map(|n| format!("order/{n:05}")).collect();
        let objects: Vec<_> = objects.iter().map(String::as_str).collect();
        // one after the other, so that the first failure stops the rest
        let options = ["--transform", &program, "--concurrency", "1"];
        let options = [&["migrate"], &objects[..], &options, keep_going].concat();
        esm.run(&options).failed(7, &[]);
        let (migrated, failed, names) = if keep_going.is_empty() {
            (1, 1, "order/00001, copy: ")
        } else {
            (3, 2, "2 objects (order/00001, order/00003), copy: ")
        };
        let state = status(&esm).expect("a migration");
        let statistics = &state["statistics"];
        assert_eq!(statistics["migrated"], migrated, "{state}");
        assert_eq!(statistics["failed"], failed, "{state}");
        assert_eq!(statistics["failures"][0]["object"], "order/00001");
        let listed = esm.run(&["status"]);
        listed
            .succeeded()
            .printed(&format!("\t{migrated}\t{failed}\t"));
        let named = format!("failed in {}: {names}", id(&state));
        assert!(listed.stderr.contains(&named), "{listed:?}");
        esm.run(&["status", id(&state)])
            .succeeded()
            .printed(&format!("objects migrated\t{migrated}\n"))
            .printed(&format!("failed\t{failed}\n"))
            .printed(&format!("failure\t{names}"));
        // a resume that fails again counts what it did; nothing is counted twice
        esm.run(&["resume"]).failed(7, &[]);
        let state = status(&esm).expect("a migration");
        assert_eq!(state["statistics"]["failed"], failed, "{state}");
    }
}

#[test]
fn the_failure_of_one_object_is_named() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 3));
    let program = esm.file("fails.jq", "error(\"no\")");
    esm.run(&["migrate", "order/00000", "--transform", &program])
        .failed(7, &[]);
    let listed = esm.run(&["status"]);
    let named = ": order/00000, copy: ";
    assert!(listed.succeeded().stderr.contains(named), "{listed:?}");
}

#[test]
fn a_linked_store_needs_no_option() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 5));
    let other = esm.url("other");
    esm.run(&["store", "init", "--store", &other]).succeeded();
    let moved = esm.run(&["migrate", "--all", "--to", &other]);
    moved.succeeded();
    let place = esm.path("other").display().to_string();
    for advice in [
        format!("--other-store {place}"),
        format!("esm store link {place}"),
    ] {
        assert!(moved.stderr.contains(&advice), "{moved:?}");
    }
    esm.run(&["show", "order/00000"]).failed(8, &[]);
    esm.run(&["store", "link", "s3://key:secret@bucket/x"])
        .failed(2, &[]);
    esm.run(&["store", "link", &place]).succeeded();
    esm.run(&["show", "order/00000"]).succeeded();
    assert_eq!(esm.export().lines().count(), 5);
    // the migration's own address is enough for its rollback
    esm.run(&["rollback"]).succeeded();
}

#[test]
fn a_rollback_finds_the_store_that_the_migration_moved_to() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 5));
    let before = esm.export();
    let other = esm.url("other");
    esm.run(&["store", "init", "--store", &other]).succeeded();
    esm.run(&["migrate", "--all", "--to", &other]).succeeded();
    esm.run(&["rollback"]).succeeded();
    let options = ["export", "--all", "--other-store", &other];
    assert_eq!(esm.run(&options).succeeded().stdout, before);
}

#[test]
fn a_rollback_after_a_restored_backup_names_the_way_out_and_the_dry_run_does_too() {
    let esm = Esm::new();
    let lines = orders::sorted(1, 5);
    esm.import(&lines);
    let create = ["backup", "create", "--all", "-o", "json"];
    let backup = esm.run(&create).succeeded().json();
    let backup = backup["id"].as_str().expect("an id");
    let (_, works) = programs(&esm);
    esm.run(&["migrate", "--all", "--transform", &works])
        .succeeded();
    let restore = ["backup", "restore", backup, "--replace"];
    esm.run(&restore).succeeded();
    let why = "a restored backup has replaced the stream of order/00000 since";
    let dry = esm.run(&["rollback", "--dry-run"]);
    assert_eq!(dry.code, Some(4), "{dry:?}");
    dry.printed(why);
    esm.run(&["rollback"]).failed(4, &[why, "restore a backup"]);
    assert_eq!(esm.export(), lines);
    // the object can be migrated further: it is migrated again, and rolled back from there
    esm.run(&["migrate", "--all", "--transform", &works])
        .succeeded();
    let last = status(&esm).expect("a migration");
    esm.run(&["rollback", id(&last)]).succeeded();
    assert_eq!(esm.export(), lines);
}
