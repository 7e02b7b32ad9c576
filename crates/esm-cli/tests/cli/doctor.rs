//! `esm doctor`

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::esm::{Esm, is_at_work};
use crate::orders;
use crate::stores::copy;

/// One object that was migrated, one that was not, and a backup of both.
pub(crate) fn store() -> Esm {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 6));
    let migrate = [
        "migrate",
        "order/00000",
        "--cell-events",
        "2",
        "--close-books",
    ];
    esm.run(&migrate).succeeded();
    let create = ["backup", "create", "--all", "--id", "kept"];
    esm.run(&create).succeeded();
    esm
}

/// The same store, copied: quicker than made.
pub(crate) fn copied(store: &Esm) -> Esm {
    let esm = Esm::new();
    copy(&store.path("store"), &esm.path("store"));
    esm
}

pub(crate) fn doctor(esm: &Esm, arguments: &[&str]) -> (Option<i32>, Value) {
    let ran = esm.run(&[&["doctor", "-o", "json"], arguments].concat());
    (ran.code, ran.json())
}

/// The kinds of what was found, in order.
pub(crate) fn kinds(checkup: &Value) -> Vec<&str> {
    let findings = checkup["findings"].as_array().expect("a list");
    let kinds = findings.iter().map(|f| f["kind"].as_str().expect("a kind"));
    kinds.collect()
}

/// The streams that are reported as damaged, as often as they are.
fn damaged_streams(checkup: &Value) -> Vec<&str> {
    let findings = checkup["findings"].as_array().expect("a list").iter();
    let damaged = findings.filter(|f| f["kind"] == "damaged_stream" || f["kind"] == "lost_events");
    let subjects = damaged.map(|finding| finding["subject"].as_str().expect("text"));
    let streams = subjects.map(|subject| subject.rsplit_once("stream ").expect("a stream").1);
    streams.collect()
}

/// The only entry of a folder whose name contains this.
pub(crate) fn entry(folder: &Path, part: &str) -> PathBuf {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().contains(part))
        })
        .collect();
    assert_eq!(found.len(), 1, "{part}: {found:?}");
    found.remove(0)
}

pub(crate) fn number(number: u64) -> String {
    format!("{number:020}")
}

#[test]
fn a_sound_store_has_no_findings_and_is_left_as_it_is() {
    let esm = store();
    let before = esm.files();
    for depth in [&[][..], &["--quick"], &["--deep"]] {
        let (code, checkup) = doctor(&esm, &[&["--all"], depth].concat());
        assert_eq!(code, Some(0), "{checkup}");
        assert_eq!(checkup["findings"], Value::Array(Vec::new()), "{checkup}");
        assert_eq!(checkup["sound"], true);
        assert_eq!(
            (&checkup["objects"], &checkup["streams"]),
            (&2.into(), &3.into())
        );
        assert_eq!(
            (&checkup["migrations"], &checkup["backups"]),
            (&1.into(), &2.into())
        );
    }
    assert_eq!(esm.files(), before, "a doctor wrote to the store");
    let text = esm.run(&["doctor", "--all"]);
    text.succeeded().printed("sound: 2 objects, 3 streams");
}

#[test]
fn one_object_is_examined_alone_and_an_unknown_one_is_not_found() {
    let esm = store();
    let (code, checkup) = doctor(&esm, &["order/00000"]);
    assert_eq!((code, &checkup["objects"]), (Some(0), &1.into()));
    assert_eq!(checkup["migrations"], 0, "{checkup}");
    esm.run(&["doctor", "order/none"])
        .failed(3, &["order/none"]);
    esm.run(&["doctor", "--name", "none"]).failed(3, &["none"]);
}

/// Damage to the files of a store, and how a doctor names it.
pub(crate) type Damage = (&'static str, fn(&Path), &'static str, i32);

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("written");
}

fn plain(store: &Path) -> PathBuf {
    entry(&store.join("streams"), "order-00001").join("c")
}

fn active(store: &Path) -> PathBuf {
    entry(&store.join("streams"), "order-00000-v2").join("c")
}

pub(crate) fn document(store: &Path, object: &str) -> PathBuf {
    store.join("documents/order").join(object)
}

fn backup_file(store: &Path, part: &str) -> PathBuf {
    entry(&store.join("backups/kept"), part)
}

pub(crate) const DAMAGE: &[Damage] = &[
    (
        "a byte of a cell",
        |store| flip(&plain(store).join(number(0))),
        "damaged_stream",
        9,
    ),
    (
        "a cell in the middle",
        |store| fs::remove_file(active(store).join(number(1))).expect("removed"),
        "lost_events",
        9,
    ),
    (
        "the last cell",
        |store| fs::remove_file(active(store).join(number(2))).expect("removed"),
        "lost_events",
        9,
    ),
    (
        "a cell twice",
        |store| {
            let (from, to) = (active(store).join(number(2)), active(store).join(number(3)));
            fs::copy(from, to).expect("copied");
        },
        "damaged_stream",
        9,
    ),
    (
        "cells of two streams exchanged",
        |store| {
            let (one, two) = (active(store).join(number(0)), plain(store).join(number(0)));
            let bytes = fs::read(&one).expect("a cell");
            fs::copy(&two, &one).expect("copied");
            fs::write(two, bytes).expect("written");
        },
        "damaged_stream",
        9,
    ),
    (
        "a cell far behind the end",
        |store| {
            let (from, to) = (plain(store).join(number(0)), plain(store).join(number(40)));
            fs::copy(from, to).expect("copied");
        },
        "damaged_stream",
        9,
    ),
    (
        "a document cut off",
        |store| {
            let path = document(store, "00001").join(number(0));
            fs::write(path, "{").expect("written");
        },
        "damaged_document",
        9,
    ),
    (
        "the document of a migrated object",
        |store| fs::remove_dir_all(document(store, "00000")).expect("removed"),
        "missing_document",
        9,
    ),
    (
        "the document of an object that was never migrated",
        |store| fs::remove_dir_all(document(store, "00001")).expect("removed"),
        "stream_without_document",
        0,
    ),
    (
        "all versions of a document but the first",
        |store| {
            let folder = document(store, "00000");
            for version in 1..9 {
                let _ = fs::remove_file(folder.join(number(version)));
            }
        },
        "document_behind",
        0,
    ),
    (
        "the first version of a document",
        |store| fs::remove_file(document(store, "00000").join(number(0))).expect("removed"),
        "damaged_document",
        9,
    ),
    (
        "a journal",
        |store| flip(&entry(&store.join("journals"), "-").join(number(1))),
        "damaged_journal",
        0,
    ),
    (
        "a record of a journal",
        |store| {
            let journal = entry(&store.join("journals"), "-");
            fs::remove_file(journal.join(number(1))).expect("removed");
        },
        "missing_versions",
        0,
    ),
    (
        "a manifest",
        |store| fs::remove_file(backup_file(store, "manifest")).expect("removed"),
        "unfinished_backup",
        0,
    ),
    (
        "a byte of a manifest",
        |store| flip(&backup_file(store, "manifest")),
        "damaged_backup",
        9,
    ),
    (
        "one file of a backup",
        |store| fs::remove_file(backup_file(store, "events")).expect("removed"),
        "damaged_backup",
        9,
    ),
    (
        "all files of a backup",
        |store| {
            fs::remove_file(backup_file(store, "events")).expect("removed");
            fs::remove_file(backup_file(store, "sections")).expect("removed");
        },
        "backup_without_files",
        0,
    ),
    (
        "a byte of a backup's events",
        |store| flip(&backup_file(store, "events")),
        "damaged_backup",
        9,
    ),
    (
        "an archive",
        |store| fs::remove_dir_all(entry(&store.join("backups"), "archive")).expect("removed"),
        "missing_archive",
        0,
    ),
    (
        "a foreign file",
        |store| fs::write(store.join("notes.txt"), "mine").expect("written"),
        "unknown_file",
        0,
    ),
];

#[test]
fn each_damage_is_named_with_what_it_means() {
    let sound = store();
    for (what, damage, kind, code) in DAMAGE {
        let esm = copied(&sound);
        damage(&esm.path("store"));
        let before = esm.files();
        let (ended, checkup) = doctor(&esm, &["--all", "--deep"]);
        let found = kinds(&checkup);
        assert!(found.contains(kind), "{what}: {checkup}");
        assert_eq!(ended, Some(*code), "{what}: {checkup}");
        assert_eq!(checkup["sound"], *code == 0, "{what}: {checkup}");
        let damaged = damaged_streams(&checkup);
        let streams: BTreeSet<_> = damaged.iter().collect();
        assert_eq!(damaged.len(), streams.len(), "{what}: twice: {checkup}");
        for finding in checkup["findings"].as_array().expect("a list") {
            for field in ["detail", "readers", "writers", "remedy", "subject"] {
                assert!(
                    finding[field].as_str().is_some_and(|t| !t.is_empty()),
                    "{finding}"
                );
            }
        }
        assert_eq!(esm.files(), before, "{what}");
    }
}

#[test]
fn a_killed_migration_is_found_and_mended_by_the_command_that_is_named() {
    let esm = store();
    let migrate = [
        "migrate",
        "order/00001",
        "--cutover",
        "manual",
        "--phases",
        "always",
    ];
    let mut child = esm
        .command(&[&migrate[..], &["--progress", "off"]].concat())
        .spawn()
        .expect("esm starts");
    loop {
        let all = esm.run(&["status", "-o", "json"]).json();
        if all["migrations"][0]["condition"] == "ready" {
            break;
        }
        is_at_work(&mut child);
    }
    let (_, checkup) = doctor(&esm, &["--all"]);
    assert_eq!(
        kinds(&checkup),
        [""; 0],
        "nobody who is at work is reported: {checkup}"
    );
    child.kill().expect("killed");
    child.wait().expect("ended");

    let (code, checkup) = doctor(&esm, &["--all"]);
    assert_eq!(code, Some(0), "{checkup}");
    let unfinished = checkup["findings"].as_array().expect("a list").iter();
    let unfinished = unfinished
        .clone()
        .find(|f| f["kind"] == "unfinished_migration");
    let unfinished = unfinished.unwrap_or_else(|| panic!("{checkup}"));
    let commands = unfinished["commands"].as_array().expect("a list");
    let rollback = commands[1].as_str().expect("a command");
    let words: Vec<&str> = rollback.split(' ').skip(1).collect();
    esm.run(&words).succeeded();
    let (_, checkup) = doctor(&esm, &["--all"]);
    assert_eq!(kinds(&checkup), [""; 0], "{checkup}");
}

#[test]
fn a_finding_is_readable_and_its_command_is_on_a_line_of_its_own() {
    let esm = store();
    let cell = active(&esm.path("store")).join(number(2));
    fs::remove_file(cell).expect("removed");
    let ran = esm.run(&["doctor", "order/00000"]);
    ran.failed(9, &[])
        .printed("error lost_events (")
        .printed("  readers: reads fail; what is left is never returned as all")
        .printed("    esm backup restore BACKUP --object order/00000 --replace")
        .printed("DAMAGED: 1 object");
    // the command mends it
    let restore = [
        "backup",
        "restore",
        "kept",
        "--object",
        "order/00000",
        "--replace",
    ];
    esm.run(&restore).succeeded();
    esm.run(&["read", "order/00000"]).succeeded();
    let (code, checkup) = doctor(&esm, &["--all", "--deep"]);
    assert_eq!((code, kinds(&checkup)), (Some(0), vec!["replaced_stream"]));
}
