//! `esm list`, `show`, `read`, `store`, `lock`, `completions`

use serde_json::{Value, json};

use crate::esm::Esm;
use crate::orders;

#[test]
fn list_finds_objects() {
    let esm = Esm::new();
    esm.import(&orders::sorted(3, 2));
    let all = esm.run(&["list"]);
    assert_eq!(all.succeeded().stdout.lines().count(), 4);
    all.printed("object\tevents\tmigrations\tactive stream")
        .printed("order/00001\t2\t0\torder-00001.");
    let one = esm.run(&["list", "--contains", "02", "--output", "json"]);
    let row: Value = one.succeeded().json();
    assert_eq!(row["object"], "order/00002");
    assert_eq!(row["events"], 2);
    let names = esm.run(&["list", "--names-only", "--name", "order", "--limit", "2"]);
    assert_eq!(names.succeeded().stdout.lines().count(), 2);
    let none = esm.run(&["list", "--migrated"]);
    assert_eq!(none.succeeded().stdout, "");
}

#[test]
fn show_prints_document_and_streams() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 2));
    let shown = esm.run(&["show", "order/00000", "--output", "json"]).json();
    assert_eq!(shown["object"], "order/00000");
    assert_eq!(shown["events"], 2);
    assert_eq!(shown["document_is_behind"], false);
    assert_eq!(shown["streams"].as_array().map(Vec::len), Some(1));
    assert_eq!(shown["streams"][0]["state"], "active");
    assert_eq!(shown["document"]["object"], "order/00000");
    esm.run(&["show", "order/00000"])
        .succeeded()
        .printed("object\torder/00000");
}

#[test]
fn read_shows_a_table_or_whole_events() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 5));
    let table = esm.run(&["read", "order/00000", "--from", "1", "--limit", "2"]);
    assert_eq!(table.succeeded().stdout.lines().count(), 3);
    table.printed("1\tOrderPaid\t1\t");
    let whole = esm.run(&["read", "order/00000", "--from", "3", "-o", "json"]);
    let expected = format!(
        "{}\n{}\n",
        orders::line("00000", 3),
        orders::line("00000", 4)
    );
    assert_eq!(whole.succeeded().stdout, expected);
    let beyond = esm.run(&["read", "order/00000", "--from", "5"]);
    assert_eq!(beyond.succeeded().stdout, "");
}

#[test]
fn a_store_is_made_once() {
    let esm = Esm::new();
    esm.run(&["store", "show"]).failed(3, &[]);
    let made = esm.run(&["store", "init", "-o", "json"]).succeeded().json();
    let again = esm.run(&["store", "init", "-o", "json"]).succeeded().json();
    assert_eq!(made, again);
    let shown = esm.run(&["store", "show", "-o", "json"]).succeeded().json();
    assert_eq!(shown["id"], made["id"]);
    assert_eq!(shown["objects"], 0);
}

#[test]
fn locks_that_nobody_holds() {
    let esm = Esm::new();
    esm.run(&["store", "init"]).succeeded();
    let locks = esm.run(&["lock", "list", "-o", "json"]);
    assert_eq!(locks.succeeded().json(), json!({"locks": []}));
    esm.run(&["lock", "break", "none", "--yes"])
        .failed(3, &["none"]);
}

#[test]
fn completions_for_every_shell() {
    let esm = Esm::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = esm.run(&["completions", shell]);
        script.succeeded().printed("esm").printed("COMPLETE");
    }
}

#[test]
fn every_command_has_help_with_an_example_and_is_in_the_docs() {
    let esm = Esm::new();
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let help = esm.run(&["--help"]);
    let commands = help.stdout.split("Get events in and out:").nth(1).unwrap();
    let commands = commands.split("Options:").next().unwrap();
    let names = commands.lines().filter_map(|line| {
        let line = line.strip_prefix("  ")?;
        let name = line.split(' ').next()?;
        (!name.is_empty() && name != "help").then_some(name)
    });
    let mut count = 0;
    for name in names {
        let help = esm.run(&[name, "--help"]);
        help.succeeded().printed("Examples:");
        assert!(
            docs.contains(&format!("## `esm {name}`")),
            "{name} is not in docs/cli.md"
        );
        count += 1;
    }
    assert!(count >= 24, "{count}");
}

/// Examples are copied from the help: none is wrapped on a terminal of 80 columns.
#[test]
fn examples_fit_on_a_terminal() {
    let esm = Esm::new();
    let pages: &[&[&str]] = &[
        &[],
        &["export"],
        &["plan"],
        &["migrate"],
        &["watch"],
        &["pause"],
        &["resume"],
        &["cutover"],
        &["set"],
        &["cancel"],
        &["rollback"],
        &["status"],
        &["verify"],
        &["list"],
        &["show"],
        &["read"],
        &["lock"],
        &["lock", "list"],
        &["lock", "break"],
        &["store"],
        &["store", "init"],
        &["store", "show"],
        &["completions"],
        &["man"],
        &["backup"],
        &["backup", "create"],
        &["backup", "list"],
        &["backup", "show"],
        &["backup", "verify"],
        &["backup", "restore"],
        &["backup", "delete"],
        &["backup", "prune"],
        &["import"],
        &["transform"],
        &["upcasters"],
        &["upcasters", "check"],
        &["upcasters", "graph"],
    ];
    for page in pages {
        let help = esm.run(&[page, &["--help"][..]].concat());
        let help = &help.succeeded().stdout;
        let heading = if page.is_empty() {
            "Getting started:"
        } else {
            "Examples:"
        };
        let examples = help.split(heading).nth(1);
        let examples = examples.unwrap_or_else(|| panic!("no examples: {page:?}"));
        for line in examples.lines() {
            let width = line.chars().count();
            assert!(width <= 80, "{page:?}: {width} columns: {line}");
        }
    }
}

/// Each command on the page on operations is understood, and does nothing on a store without
/// migrations.
#[test]
fn every_command_of_the_page_on_operations_is_understood() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let program = esm.file("v2.jq", ".");
    let mut count = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("$ esm ")) {
        let command = line.split("  #").next().unwrap_or_default();
        let command = command.replace("'wrong quarter'", "wrong-quarter");
        let words = command.split_whitespace().map(|word| match word {
            "v2.jq" => program.clone(),
            "manual" => "automatic".to_owned(),
            other => other.to_owned(),
        });
        let words: Vec<_> = words.collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let ran = esm.run(&words);
        assert!(!ran.stderr.contains("Usage:"), "{line}: {ran:?}");
        assert!(matches!(ran.code, Some(0 | 3)), "{line}: {ran:?}");
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

#[test]
fn without_a_command_the_first_commands_fit_a_screen() {
    let esm = Esm::new();
    let ran = esm.run(&[]);
    ran.failed(
        2,
        &["First commands:", "esm import orders.ndjson", "esm --help"],
    );
    let lines = ran.stderr.lines();
    assert!(lines.clone().count() <= 24, "{}", ran.stderr);
    assert!(
        lines.clone().all(|line| line.chars().count() <= 80),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_short_page_of_a_command_fits_a_screen_and_the_long_one_has_every_option() {
    let esm = Esm::new();
    for command in [
        "import",
        "export",
        "plan",
        "transform",
        "migrate",
        "watch",
        "pause",
        "resume",
        "cutover",
        "set",
        "cancel",
        "rollback",
        "status",
        "verify",
        "list",
        "show",
        "read",
        "store",
        "man",
    ] {
        let short = esm.run(&[command, "-h"]).succeeded().stdout.clone();
        let lines = short.lines().count();
        assert!(lines <= 50, "{command}: {lines} lines\n{short}");
        assert!(short.contains("Global options, described by"), "{short}");
        assert!(!short.contains("--max-event-size"), "{short}");
        esm.run(&[command, "--help"])
            .succeeded()
            .printed("--max-event-size");
    }
    let short = esm.run(&["migrate", "-h"]).succeeded().stdout.clone();
    assert!(!short.contains("--cell-events"), "{short}");
    esm.run(&["set", "-h"])
        .succeeded()
        .printed("--events-per-second");
    let more = "backup and archive, failure and rollback, cutover, limits, tuning";
    assert!(short.contains(more), "{short}");
    let long = esm.run(&["migrate", "--help"]).succeeded().stdout.clone();
    let place = |text: &str| {
        long.find(text)
            .unwrap_or_else(|| panic!("no {text}: {long}"))
    };
    let places = [
        "--plan",
        "--dry-run",
        "--transform",
        "--backup",
        "--cutover-after",
        "--cell-events",
    ];
    assert!(places.map(place).is_sorted(), "{long}");
}

#[test]
fn the_version_has_its_details_on_request() {
    let esm = Esm::new();
    let short = esm.run(&["--version"]).succeeded().stdout.clone();
    assert_eq!(short.lines().count(), 1, "{short}");
    for arguments in [["--version", "--verbose"], ["--verbose", "--version"]] {
        let ran = esm.run(&arguments);
        ran.succeeded()
            .printed("commit   ")
            .printed("cells 1, backups 1, plans 1");
        ran.printed("sqlite:");
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let esm = Esm::new();
    let directory = esm.path("man1");
    let man = ["man", directory.to_str().expect("a readable path")];
    esm.run(&man).failed(3, &["man1"]);
    std::fs::create_dir(&directory).expect("a directory");
    esm.run(&man).succeeded();
    for page in ["esm.1", "esm-migrate.1", "esm-backup-create.1", "esm-man.1"] {
        let text = std::fs::read_to_string(directory.join(page)).expect(page);
        assert!(text.contains(".SH NAME"), "{page}: {text}");
    }
}

#[test]
fn a_heading_can_be_left_out() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    for (command, heading) in [
        (&["list"][..], "object\tevents"),
        (&["read", "order/00000"], "revision\ttype"),
        (&["layout", "list"], "layout\tlibrary"),
        (&["show", "order/00000"], "stream\tstate"),
    ] {
        esm.run(command).succeeded().printed(heading);
        let without = esm.run(&[command, &["--no-header"]].concat());
        assert!(!without.succeeded().stdout.contains(heading), "{without:?}");
    }
    let rows = esm.run(&["list", "--no-header"]);
    assert_eq!(rows.stdout.lines().count(), 2, "{rows:?}");
}
