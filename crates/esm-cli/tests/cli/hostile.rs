//! Data that acts on a terminal: shown escaped wherever text is made for people, exact in JSON.

use serde_json::json;

use crate::esm::{Esm, Ran};

/// Clears the screen, names the window, turns the direction of text, begins another line.
const ACTS: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}1m\u{202e}\u{2066}\u{2028}\r\n\tevil";
/// What ids may have of it.
const IN_IDS: &str = "a\u{202e}b\u{2066}c\u{200f}\u{2028}d";

fn acts(character: char) -> bool {
    let structural = matches!(character, '\n' | '\t');
    (character.is_control() && !structural)
        || "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}".contains(character)
        || ('\u{202a}'..='\u{202e}').contains(&character)
        || ('\u{2066}'..='\u{2069}').contains(&character)
}

#[track_caller]
fn is_plain(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(acts), "{ran:?}");
        assert!(!text.lines().any(|l| l.starts_with("\tevil")), "{ran:?}");
    }
}

/// A store with two hostile events of one object, whose name is returned.
fn store() -> (Esm, String) {
    let esm = Esm::new();
    let object = format!("order/{IN_IDS}");
    let event = |sequence: u64| {
        json!({
            "specversion": "1.0", "id": format!("{IN_IDS}{sequence}"), "source": "order",
            "subject": IN_IDS, "type": format!("T{IN_IDS}"), "sequence": sequence.to_string(),
            "datacontenttype": "text/plain", "data": ACTS,
        })
    };
    esm.import(&format!("{}\n{}\n", event(0), event(1)));
    (esm, object)
}

#[test]
fn no_command_prints_what_a_terminal_acts_on() {
    let (esm, object) = store();
    let fails = esm.file("fails\n\u{1b}[1m.jq", "error(.data)");
    let keeps = esm.file("keeps.jq", "if .subject == \"x\" then error(\"x\") end");
    let drops = esm.file("drops\u{1b}.jq", "empty");
    let broken = esm.file("broken.jq", format!("nope(\n\"{ACTS}\n"));
    let backups = esm.url("backups");
    let tag = format!("why{ACTS}={ACTS}");
    let id = format!("id{IN_IDS}");
    let succeeding: [&[&str]; 14] = [
        &["list"],
        &["list", "--names-only"],
        &["show", &object],
        &["read", &object],
        &["plan", &object, "--transform", &keeps],
        &["plan", &object, "--transform", &drops, "--show", "1"],
        &["transform", &drops, &object, "--diff"],
        &[
            "backup", "create", &object, "--id", &id, "--tag", &tag, "--backup", &backups,
        ],
        &["backup", "list", "--backup", &backups],
        &["backup", "show", &id, "--backup", &backups],
        &["backup", "verify", &id, "--backup", &backups],
        &[
            "migrate",
            &object,
            "--transform",
            &keeps,
            "--close-books",
            "--note",
            &tag,
            "--log",
            "trace",
        ],
        &["verify", "--all"],
        &["status", "--all"],
    ];
    for arguments in succeeding {
        let ran = esm.run(arguments);
        is_plain(ran.succeeded());
    }
    let failing: [&[&str]; 12] = [
        &["plan", &object, "--transform", &fails],
        &["plan", &object, "--transform", &broken],
        &[
            "migrate",
            &object,
            "--transform",
            &fails,
            "--again",
            "--log",
            "trace",
        ],
        &["status"],
        &["watch", "--once"],
        &["rollback", ACTS],
        &[
            "cancel", "--reason", ACTS, "--author", ACTS, "--wait", "1ms",
        ],
        &["backup", "show", &format!("{id}2"), "--backup", &backups],
        &["lock", "break", &format!("object {object}"), "--yes"],
        &["show", &format!("{object}2")],
        &["export", &object, "--to", &broken],
        &["import", ACTS],
    ];
    for arguments in failing {
        is_plain(&esm.run(arguments));
    }
}

#[test]
fn the_error_of_a_program_is_one_line_whatever_it_says() {
    let (esm, object) = store();
    let fails = esm.file("fails.jq", "error(.data)");
    let ran = esm.run(&["migrate", &object, "--transform", &fails]);
    ran.failed(7, &[r"\u{1b}[2J", r"\u{202e}", r"\r\n\tevil"]);
    is_plain(&ran);
    let status = esm.run(&["status", "-o", "json"]).succeeded().json();
    let reason = status["migrations"][0]["stopped"].to_string();
    assert!(
        reason.contains(r"\u001b[2J") && reason.contains(r"\r\n\tevil"),
        "{reason}"
    );
}

#[test]
fn an_event_is_a_line_with_a_tab_between_its_columns() {
    let (esm, object) = store();
    let read = esm.run(&["read", &object]);
    let lines: Vec<_> = read.succeeded().stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in &lines {
        assert_eq!(line.split('\t').count(), 5, "{line:?}");
    }
    assert!(lines[1].contains(r"\u{1b}[2J") && lines[1].ends_with(r"\r\n\tevil"));
    let rows = esm.run(&["list"]);
    assert_eq!(rows.succeeded().stdout.lines().count(), 2);
}

#[test]
fn json_has_the_data_as_it_is() {
    let (esm, object) = store();
    let read = esm.run(&["read", &object, "--limit", "1", "-o", "json"]);
    let event = read.succeeded().json();
    assert_eq!(event["data"], ACTS);
    assert_eq!(event["subject"], IN_IDS);
    let listed = esm.run(&["list", "-o", "json"]).succeeded().json();
    assert_eq!(listed["object"], object);
}

#[test]
fn a_note_of_arguments_that_are_wrong_is_escaped() {
    let esm = Esm::new();
    for arguments in [
        &["list", ACTS] as &[&str],
        &[ACTS],
        &["read", ACTS],
        &["plan", "--batch", ACTS],
    ] {
        let ran = esm.run(arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(!ran.stderr.contains(acts), "{ran:?}");
    }
}
