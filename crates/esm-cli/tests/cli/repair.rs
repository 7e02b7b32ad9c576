//! `esm repair`

use std::fs;

use serde_json::Value;

use crate::doctor::{DAMAGE, copied, doctor, document, entry, kinds, number, store};
use crate::esm::{Esm, is_at_work};
use crate::stores::copy;

/// Kills a migration of `order/00001` that waits for its cutover.
fn killed(esm: &Esm) -> String {
    let migrate = ["migrate", "order/00001", "--cutover", "manual"];
    let options = ["--phases", "always", "--progress", "off"];
    let mut child = esm
        .command(&[&migrate[..], &options].concat())
        .spawn()
        .expect("esm starts");
    let ready = loop {
        let all = esm.run(&["status", "-o", "json"]).json();
        if all["migrations"][0]["condition"] == "ready" {
            break all["migrations"][0].clone();
        }
        is_at_work(&mut child);
    };
    child.kill().expect("killed");
    child.wait().expect("ended");
    ready["migration"].as_str().expect("an id").to_owned()
}

fn repaired(esm: &Esm, arguments: &[&str]) -> Value {
    let ran = esm.run(&[&["repair", "-o", "json"], arguments].concat());
    ran.succeeded().json()
}

fn outcomes(repaired: &Value) -> Vec<&str> {
    let repairs = repaired["repairs"].as_array().expect("a list");
    let outcomes = repairs
        .iter()
        .map(|one| one["outcome"].as_str().expect("one"));
    outcomes.collect()
}

/// The id of the only finding of this kind.
fn id_of(checkup: &Value, kind: &str) -> String {
    let findings = checkup["findings"].as_array().expect("a list");
    let mut found = findings.iter().filter(|finding| finding["kind"] == kind);
    let id = found.next().unwrap_or_else(|| panic!("{kind}: {checkup}"))["id"].clone();
    assert!(found.next().is_none(), "{kind}: {checkup}");
    id.as_str().expect("an id").to_owned()
}

/// Repairs, after a dry run that wrote nothing, and the doctor finds nothing then.
fn mends(esm: &Esm, kind: &str, arguments: &[&str]) {
    let (_, checkup) = doctor(esm, &["--all", "--deep"]);
    assert_eq!(kinds(&checkup), [kind], "{checkup}");
    let before = esm.files();
    let dry = repaired(esm, &[arguments, &["--dry-run"]].concat());
    assert_eq!(outcomes(&dry), ["would_mend"], "{dry}");
    assert_eq!(esm.files(), before, "a dry run wrote");
    let mended = repaired(esm, &[arguments, &["--yes"]].concat());
    assert_eq!(outcomes(&mended), ["mended"], "{mended}");
    let (code, checkup) = doctor(esm, &["--all", "--deep"]);
    assert_eq!((code, kinds(&checkup)), (Some(0), Vec::new()), "{checkup}");
    let again = repaired(esm, &["--all-safe", "--yes"]);
    assert_eq!(outcomes(&again), [""; 0]);
}

#[test]
fn each_damage_is_mended_or_left_to_the_byte() {
    let sound = store();
    let events = sound.export();
    for (what, damage, kind, _) in DAMAGE {
        let esm = copied(&sound);
        damage(&esm.path("store"));
        match *kind {
            "missing_document" | "document_behind" => {
                mends(&esm, kind, &["--all-safe"]);
                assert_eq!(esm.export(), events, "{what}");
            }
            "stream_without_document" | "backup_without_files" => {
                assert_eq!(outcomes(&repaired(&esm, &["--all-safe", "--yes"])), [""; 0]);
                let (_, checkup) = doctor(&esm, &["--all"]);
                mends(&esm, kind, &[&id_of(&checkup, kind)]);
                assert_eq!(esm.export(), events, "{what}");
            }
            _ => {
                let (before, found) = (esm.files(), doctor(&esm, &["--all", "--deep"]));
                assert_eq!(
                    outcomes(&repaired(&esm, &["--all-safe", "--yes"])),
                    [""; 0],
                    "{what}"
                );
                assert_eq!(esm.files(), before, "{what}");
                let others = found.1["errors"].as_u64().zip(found.1["warnings"].as_u64());
                let others = others.map(|(errors, warnings)| errors + warnings);
                let others = others.expect("numbers");
                let said = repaired(&esm, &["--all-safe", "--dry-run"])["others"].as_u64();
                let said = said.expect("a number");
                assert!(said <= others, "{what}");
                assert!(*kind != "damaged_stream" || said > 0, "{what}");
                for finding in found.1["findings"].as_array().expect("a list") {
                    let id = finding["id"].as_str().expect("an id");
                    let refused = esm.run(&["repair", id, "--yes"]);
                    assert!(refused.code != Some(0), "{what}: {finding}");
                }
                assert_eq!(esm.files(), before, "{what}");
            }
        }
    }
}

#[test]
fn the_target_of_an_undone_migration_that_came_back_is_removed_and_kept_in_an_archive() {
    let esm = store();
    let events = esm.export();
    let migration = killed(&esm);
    let target = entry(&esm.path("store/streams"), "order-00001-v2");
    copy(&target, &esm.path("kept"));
    esm.run(&["rollback", &migration, "--yes"]).succeeded();
    assert!(!target.exists(), "the rollback removes it");
    copy(&esm.path("kept"), &target);
    mends(&esm, "fenced_target", &["--all-safe"]);
    assert!(!target.exists());
    assert_eq!(esm.export(), events);
    let archives = fs::read_dir(esm.path("store/backups")).expect("a folder");
    let names = archives.map(|entry| entry.expect("an entry").file_name().into_string());
    let names: Vec<String> = names.map(|name| name.expect("text")).collect();
    let is_copy = |name: &&String| name.starts_with("archive-") && name.contains(&migration);
    assert_eq!(names.iter().filter(is_copy).count(), 1, "{names:?}");
}

/// A copier that was paused writes a cell behind the removal of its target.
#[test]
fn a_cell_that_was_written_behind_the_removal_of_its_target_is_removed() {
    let esm = store();
    let events = esm.export();
    let migration = killed(&esm);
    let target = entry(&esm.path("store/streams"), "order-00001-v2");
    let cell = fs::read(target.join("c").join(number(0))).expect("a cell");
    esm.run(&["rollback", &migration, "--yes"]).succeeded();
    fs::create_dir_all(target.join("c")).expect("a folder");
    fs::write(target.join("c").join(number(7)), cell).expect("written");
    mends(&esm, "fenced_target", &["--all-safe"]);
    assert!(!target.join("c").join(number(7)).exists());
    assert_eq!(esm.export(), events);
}

/// Nobody can resume or undo a migration without a journal: its target, its phases and its lock are
/// litter, but its source is open, so it is fenced before.
#[test]
fn what_a_migration_without_a_journal_left_is_removed() {
    let esm = store();
    let events = esm.export();
    let migration = killed(&esm);
    fs::remove_dir_all(entry(&esm.path("store/journals"), &migration)).expect("removed");
    let target = entry(&esm.path("store/streams"), "order-00001-v2");
    let (_, checkup) = doctor(&esm, &["--all"]);
    for kind in ["orphaned_target", "index_leftover", "phase_leftover"] {
        assert!(kinds(&checkup).contains(&kind), "{kind}: {checkup}");
    }
    let before = esm.files();
    repaired(&esm, &["--all-safe", "--dry-run"]);
    assert_eq!(esm.files(), before, "a dry run wrote");
    let mended = repaired(&esm, &["--all-safe", "--yes"]);
    let (left, failed) = (&mended["left"], &mended["failed"]);
    if cfg!(target_os = "linux") {
        assert_eq!((left, failed), (&0.into(), &0.into()), "{mended}");
        assert!(!target.exists());
        let (code, checkup) = doctor(&esm, &["--all", "--deep"]);
        assert_eq!((code, kinds(&checkup)), (Some(0), Vec::new()), "{checkup}");
    }
    assert_eq!(esm.export(), events);
    // the object can be migrated as ever
    esm.run(&["migrate", "order/00001"]).succeeded();
    esm.run(&["verify", "order/00001"]).succeeded();
}

/// The target of a completed migration is the object, whatever its source and its document say.
#[test]
fn the_active_stream_is_kept_though_its_close_and_its_document_are_lost() {
    let esm = store();
    let sources = entry(&esm.path("store/streams"), "order-00000_2e").join("c");
    let mut cells: Vec<_> = fs::read_dir(&sources).expect("a folder").collect();
    cells.sort_by_key(|cell| cell.as_ref().expect("an entry").path());
    let close = cells.pop().expect("a cell").expect("an entry").path();
    fs::remove_file(close).expect("removed");
    for with_document in [true, false] {
        if !with_document {
            fs::remove_dir_all(document(&esm.path("store"), "00000")).expect("removed");
        }
        let target = entry(&esm.path("store/streams"), "order-00000-v2");
        let before = esm.files();
        let done = repaired(&esm, &["--all-safe", "--yes"]);
        assert!(!outcomes(&done).contains(&"mended"), "{done}");
        assert!(target.exists());
        assert_eq!(esm.files(), before, "{done}");
    }
}

#[test]
fn the_document_that_was_written_again_names_all_streams_and_says_so() {
    let esm = store();
    fs::remove_dir_all(document(&esm.path("store"), "00000")).expect("removed");
    esm.run(&["read", "order/00000"])
        .failed(3, &["order/00000"]);
    mends(&esm, "missing_document", &["--all-safe"]);
    let shown = esm.run(&["show", "order/00000", "-o", "json"]).json();
    assert!(shown["document"]["rebuilt_at"].is_string(), "{shown}");
    assert_eq!(shown["document"]["terminated"][0]["reason"], "migrated");
}

/// A new first version would bring back an old document, or hide a newer one.
#[test]
fn a_document_of_which_later_versions_are_there_is_not_written_again() {
    let esm = store();
    let folder = document(&esm.path("store"), "00000");
    fs::remove_file(folder.join(number(0))).expect("removed");
    let before = esm.files();
    assert_eq!(outcomes(&repaired(&esm, &["--all-safe", "--yes"])), [""; 0]);
    assert_eq!(esm.files(), before);
}

#[test]
fn what_needs_a_decision_is_refused_with_the_command_and_a_lock_of_the_dead_is_broken() {
    let esm = store();
    let migration = killed(&esm);
    let (_, checkup) = doctor(&esm, &["--all"]);
    let id = id_of(&checkup, "unfinished_migration");
    let before = esm.files();
    let resume = format!("esm resume {migration}");
    let ran = esm.run(&["repair", &id, "--yes"]);
    assert!(ran.code != Some(0));
    ran.failed(
        ran.code.expect("a code"),
        &["not mended by repair", &resume],
    );
    esm.run(&["repair", "00000000", "--yes"])
        .failed(3, &["00000000"]);
    esm.run(&["repair", "nonsense"])
        .failed(2, &["eight hexadecimal digits"]);
    assert_eq!(esm.files(), before, "nothing was changed");

    if cfg!(target_os = "linux") {
        let dead = id_of(&checkup, "dead_lock");
        esm.run(&["repair", &dead]).failed(2, &["--yes"]);
        let mended = repaired(&esm, &[&dead, "--yes"]);
        assert_eq!(outcomes(&mended), ["mended"], "{mended}");
        let (_, checkup) = doctor(&esm, &["--all"]);
        assert!(!kinds(&checkup).contains(&"dead_lock"), "{checkup}");
    }
    // the migration is found and undone as before
    esm.run(&["rollback", &migration, "--yes"]).succeeded();
    let (_, checkup) = doctor(&esm, &["--all"]);
    assert_eq!(kinds(&checkup), [""; 0], "{checkup}");
}
