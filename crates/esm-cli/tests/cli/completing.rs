//! What a shell shows when a command line is completed.

use crate::esm::Esm;
use crate::orders;

/// The candidates for the last of these words, as a shell gets them.
fn completed(esm: &Esm, words: &[&str]) -> Vec<String> {
    let line = [&["--", "esm"][..], words].concat();
    let mut command = esm.command(&line);
    let output = command.env("COMPLETE", "fish").output().expect("esm runs");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let candidates = String::from_utf8(output.stdout).expect("text");
    candidates.lines().map(str::to_owned).collect()
}

#[test]
fn objects_and_migrations_are_those_of_the_store() {
    let esm = Esm::new();
    esm.import(&orders::sorted(3, 2));
    let objects = ["order/00000", "order/00001", "order/00002"];
    for command in ["show", "read", "migrate", "export"] {
        assert_eq!(completed(&esm, &[command, "order/"]), objects, "{command}");
    }
    assert_eq!(completed(&esm, &["show", "ord"]), objects);
    assert_eq!(completed(&esm, &["show", "order/00002"]), objects[2..]);
    assert!(completed(&esm, &["show", "invoice/"]).is_empty());
    esm.run(&["migrate", "order/00001"]).succeeded();
    let status = esm.run(&["status", "--all", "-o", "json"]).json();
    let migration = status["migrations"][0]["migration"]
        .as_str()
        .expect("an id");
    let shown = format!("{migration}\tcompleted: order/00001");
    for command in ["status", "watch", "rollback", "resume"] {
        assert_eq!(completed(&esm, &[command, &migration[..4]]), [&*shown]);
    }
}

#[test]
fn the_store_of_the_command_line_is_meant_and_one_that_cannot_be_read_gives_nothing() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 2));
    let words = ["show", "--store", &esm.url("other"), "order/"];
    assert!(completed(&esm, &words).is_empty());
    let store = format!("--store={}", esm.url("store"));
    assert_eq!(
        completed(&esm, &["show", &store, "order/"]),
        ["order/00000"]
    );
    // nothing was created
    assert!(!esm.path("other").exists());
}

#[test]
fn commands_options_and_files_are_completed() {
    let esm = Esm::new();
    let commands = completed(&esm, &["mi"]);
    assert_eq!(commands.len(), 1, "{commands:?}");
    assert!(commands[0].starts_with("migrate\t"), "{commands:?}");
    let options = completed(&esm, &["migrate", "--cutover-a"]);
    assert_eq!(options.len(), 2, "{options:?}");
    let program = esm.file("v2.jq", ".");
    let begun = program.trim_end_matches(".jq");
    assert_eq!(
        completed(&esm, &["plan", "--transform", begun]),
        [&*program]
    );
}
