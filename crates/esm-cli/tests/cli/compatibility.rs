//! Stores of earlier versions, which are checked in, are read, finished and undone by this one.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::esm::{Esm, Ran};

/// What an earlier version wrote and printed; its README says which.
struct Fixture {
    directory: PathBuf,
    /// A copy of its store.
    esm: Esm,
}

impl Fixture {
    fn open() -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-0.1");
        let esm = Esm::new();
        let packed = std::fs::File::open(directory.join("store.tar.zst")).expect("the store");
        let unpacked = zstd::Decoder::new(packed).expect("a zstd frame");
        tar::Archive::new(unpacked)
            .unpack(esm.path(""))
            .expect("a sound archive");
        Self { directory, esm }
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.join(name)).expect("a file of the fixture")
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).expect("JSON")
    }

    /// Everything that the earlier version printed is printed still. New fields may have been added.
    #[track_caller]
    fn prints(&self, name: &str, found: &Value) {
        let mut differences = Vec::new();
        compare(name, &self.json(name), found, &mut differences);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    /// The migration that this object was last in.
    fn migration(&self, object: &str) -> String {
        let status = self.json("status.json");
        let migrations = status["migrations"].as_array().expect("migrations");
        let found = migrations.iter().rfind(|migration| {
            let objects = migration["plan"]["scope"]["objects"].as_array();
            objects.is_some_and(|objects| objects.iter().any(|named| named == object))
        });
        let id = found.and_then(|migration| migration["migration"].as_str());
        id.expect("a migration of the object").to_owned()
    }

    /// The status of a migration today.
    fn status(&self, migration: &str) -> Value {
        let status = self.esm.run(&["status", migration, "-o", "json"]);
        status.succeeded().json()["status"].clone()
    }

    fn export(&self, arguments: &[&str]) -> String {
        let ran = self.esm.run(&[&["export"], arguments].concat());
        ran.succeeded();
        ran.stdout
    }
}

/// Notes down where `found` lacks something of `expected`.
fn compare(at: &str, expected: &Value, found: &Value, differences: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(fields), Value::Object(_)) => {
            for (name, value) in fields {
                compare(&format!("{at}.{name}"), value, &found[name], differences);
            }
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            for (number, (item, other)) in items.iter().zip(others).enumerate() {
                compare(&format!("{at}[{number}]"), item, other, differences);
            }
        }
        _ if expected == found => {}
        _ => differences.push(format!("{at}: {found}, was {expected}")),
    }
}

fn documents(ran: &Ran) -> Vec<Value> {
    let lines = ran.succeeded().stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn all_that_an_old_store_holds_is_shown_as_before_and_nothing_is_written() {
    let old = Fixture::open();
    let before = old.esm.files();
    assert!(before.len() > 100, "the store was not unpacked");
    assert_eq!(old.export(&["--all"]), old.text("export.ndjson"));

    let mut listed = documents(&old.esm.run(&["list", "-o", "json"]));
    listed.sort_by_key(|object| object["object"].to_string());
    let names: Vec<String> = listed
        .iter()
        .map(|object| object["object"].as_str().expect("a name").to_owned())
        .collect();
    old.prints("list.json", &listed.into());

    let show = |name: &String| old.esm.run(&["show", name, "-o", "json"]);
    let shown: Vec<Value> = names.iter().map(|name| show(name).json()).collect();
    old.prints("show.json", &shown.into());
    let read: usize = names
        .iter()
        .map(|name| documents(&old.esm.run(&["read", name, "-o", "json"])).len())
        .sum();
    assert_eq!(read, old.text("export.ndjson").lines().count());

    for (file, command) in [
        ("status.json", &["status", "--all"][..]),
        ("backups.json", &["backup", "list"]),
        ("locks.json", &["lock", "list"]),
    ] {
        let ran = old.esm.run(&[command, &["-o", "json"]].concat());
        old.prints(file, &ran.succeeded().json());
    }
    for backup in old.json("backups.json")["backups"]
        .as_array()
        .expect("backups")
    {
        let id = backup["id"].as_str().expect("an id");
        let verified = old.esm.run(&["backup", "verify", id, "-o", "json"]);
        assert_eq!(verified.succeeded().json()["sound"], true);
    }
    old.esm
        .run(&["verify", "--all"])
        .succeeded()
        .printed("equal");
    assert_eq!(old.esm.files(), before, "something was written");
}

#[test]
fn migrations_that_an_old_version_left_unfinished_are_resumed() {
    let old = Fixture::open();
    let objects = ["order/paused", "order/stopped", "order/killed"];
    for object in objects {
        let migration = old.migration(object);
        let resume = ["resume", &migration, "--progress=off"];
        let resumed = old.esm.command(&resume).spawn().expect("esm starts");
        let cutover = ["cutover", &migration, "--wait=10m"];
        old.esm.run(&cutover).succeeded();
        Ran::new(resumed.wait_with_output().expect("esm ends")).succeeded();
        assert_eq!(old.status(&migration), "completed");
    }
    assert_eq!(old.export(&objects), old.text("resumed.ndjson"));
    let verify = [&["verify"], &objects[..]].concat();
    old.esm.run(&verify).succeeded().printed("equal");
    let locks = old.esm.run(&["lock", "list", "-o", "json"]).json();
    assert_eq!(locks["locks"], Value::Array(Vec::new()));
}

#[test]
fn a_migration_that_an_old_version_finished_is_rolled_back() {
    let old = Fixture::open();
    let migration = old.migration("order/reversible");
    let back = ["rollback", &migration, "-o", "json"];
    let result = old.esm.run(&back).succeeded().json();
    assert_eq!(result["statistics"]["migrated"], 1);
    assert_eq!(
        old.export(&["order/reversible"]),
        old.text("rolled-back.ndjson")
    );
    // and so is one of several objects, for which no program was given
    let batch = old.migration("order/batch-2");
    old.esm.run(&["rollback", &batch]).succeeded();
    old.esm
        .run(&["verify", "--all"])
        .succeeded()
        .printed("equal");
}

#[test]
fn migrations_that_an_old_version_left_unfinished_are_undone_without_a_trace() {
    let old = Fixture::open();
    for object in ["order/failed", "order/paused", "order/stopped"] {
        let migration = old.migration(object);
        old.esm.run(&["rollback", &migration]).succeeded();
        assert_eq!(old.status(&migration), "rolled_back");
    }
    assert_eq!(old.export(&["--all"]), old.text("export.ndjson"));
}

#[test]
fn a_backup_of_an_old_version_is_restored() {
    let old = Fixture::open();
    old.esm
        .run(&["backup", "restore", "kept", "--as-name", "copy"])
        .succeeded();
    assert_eq!(old.export(&["--name", "copy"]), old.text("restored.ndjson"));
    let archive = old.json("show.json")[0]["document"]["terminated"][0]["archive"]["id"].clone();
    let archive = archive.as_str().expect("an archive");
    let originals = ["backup", "restore", archive, "--as-name", "original"];
    old.esm.run(&originals).succeeded();
    let restored = old.export(&["--name", "original"]);
    assert!(restored.contains("NoteTaken"), "{restored}");
    assert_eq!(restored.lines().count(), 15);
}
