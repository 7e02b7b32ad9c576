//! `esm store`: lost markers, copies, and ids.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::esm::{Esm, Ran};
use crate::orders;

impl Esm {
    fn store_id(&self, store: &str) -> String {
        let shown = self.run(&["store", "show", "--store", &self.url(store), "-o", "json"]);
        let shown = shown.succeeded().json();
        shown["id"].as_str().expect("an id").to_owned()
    }

    fn marker(&self, store: &str) -> std::path::PathBuf {
        self.path(store).join("esm.json")
    }

    fn lose_marker(&self, store: &str) {
        fs::remove_file(self.marker(store)).expect("there is a marker");
    }

    fn adopt(&self, store: &str, more: &[&str]) -> Ran {
        let url = self.url(store);
        let mut arguments = vec!["store", "init", "--adopt", "--store", &url, "-o", "json"];
        arguments.extend(more);
        self.run(&arguments)
    }

    fn copy(&self, to: &str) {
        copy(&self.path("store"), &self.path(to));
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

fn remove(folder: std::path::PathBuf) {
    fs::remove_dir_all(folder).expect("there is such a folder");
}

/// Orders in a store, migrated once, with a backup in it.
fn migrated() -> Esm {
    let esm = Esm::new();
    esm.import(&orders::sorted(3, 4));
    let store = esm.url("store");
    esm.run(&["migrate", "--all", "--backup", &store])
        .succeeded();
    esm
}

#[test]
fn no_command_makes_another_store_of_one_that_has_lost_its_marker() {
    let esm = migrated();
    esm.lose_marker("store");
    let before = esm.files();
    let file = esm.file("more", orders::sorted(4, 4));
    for arguments in [
        &["store", "init"][..],
        &["store", "show"],
        &["import", &file],
        &["import", &file, "--create"],
        &["list"],
        &["export", "--all"],
        &["migrate", "--all", "--again"],
        &["backup", "create", "--all"],
        &["lock", "list"],
    ] {
        let ran = esm.run(arguments);
        ran.failed(9, &["esm.json", "is missing", "esm store init --adopt"]);
    }
    assert_eq!(esm.files(), before);
}

#[test]
fn adopting_brings_the_id_back_from_whatever_still_names_it() {
    for lost in [
        &[][..],
        &["documents"],
        &["documents", "journals"],
        &["documents", "journals", "backups"],
        &["journals", "backups", "locks"],
    ] {
        let esm = migrated();
        let (id, exported) = (esm.store_id("store"), esm.export());
        esm.lose_marker("store");
        for folder in lost {
            remove(esm.path("store").join(folder));
        }
        let adopted = esm.adopt("store", &[]).succeeded().json();
        assert_eq!(adopted["id"], id.as_str(), "{lost:?}");
        assert!(adopted["adopted"]["times"].as_u64() > Some(0), "{adopted}");
        assert!(
            adopted["adopted"]["not_recovered"][0].is_string(),
            "{adopted}"
        );
        assert_eq!(esm.store_id("store"), id);
        if !lost.contains(&"documents") {
            assert_eq!(esm.export(), exported);
        }
        let again = esm.adopt("store", &[]).succeeded().json();
        assert_eq!(
            (&again["id"], &again["adopted"]),
            (&adopted["id"], &Value::Null)
        );
    }
}

#[test]
fn what_only_another_place_names_is_found_there() {
    let esm = Esm::new();
    esm.import(&orders::sorted(3, 4));
    esm.run(&["store", "init", "--store", &esm.url("target")])
        .succeeded();
    let (target, id) = (esm.url("target"), esm.store_id("target"));
    esm.run(&["migrate", "--all", "--to", &target]).succeeded();
    esm.run(&["store", "init", "--store", &esm.url("bk")])
        .succeeded();
    esm.run(&[
        "backup",
        "create",
        "--all",
        "--other-store",
        &target,
        "--backup",
        &esm.url("bk"),
    ])
    .succeeded();
    esm.lose_marker("target");
    esm.adopt("target", &[]).failed(
        3,
        &["nothing names the id", "--other-store", "--backup", "--id"],
    );

    let home = esm.url("store");
    let adopted = esm
        .adopt("target", &["--other-store", &home])
        .succeeded()
        .json();
    assert_eq!(adopted["id"], id.as_str());
    let home_id = esm.store_id("store");
    let known: Vec<&str> = (adopted["adopted"]["other_stores"].as_array())
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(known, [home_id.as_str()]);

    esm.lose_marker("target");
    let adopted = esm
        .adopt("target", &["--backup", &esm.url("bk")])
        .succeeded()
        .json();
    assert_eq!(adopted["id"], id.as_str());
    esm.run(&["export", "--all", "--other-store", &target])
        .succeeded();
}

#[test]
fn adopting_asks_for_the_id_where_several_are_found_or_none() {
    let esm = migrated();
    let (old, exported) = (esm.store_id("store"), esm.export());
    esm.run(&["store", "new-id", "--yes"]).succeeded();
    let new = esm.store_id("store");
    esm.import(&orders::sorted(4, 4));
    esm.lose_marker("store");
    esm.adopt("store", &[])
        .failed(2, &["several ids", &old, &new, "--id"]);
    assert!(!esm.marker("store").exists());
    let adopted = esm.adopt("store", &["--id", &new]).succeeded().json();
    assert_eq!(adopted["id"], new.as_str());
    assert_eq!(adopted["aliases"][0], old.as_str());
    assert!(esm.export().starts_with(&exported));

    let other = Esm::new();
    other.import(&orders::sorted(1, 1));
    let id = other.store_id("store");
    other.lose_marker("store");
    remove(other.path("store/documents"));
    other
        .adopt("store", &[])
        .failed(3, &["nothing names the id"]);
    other.adopt("store", &["--id", &id]).succeeded();
    assert_eq!(other.store_id("store"), id);
}

#[test]
fn adopting_names_the_damage_that_hides_what_it_looks_for() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 2));
    let id = esm.store_id("store");
    esm.lose_marker("store");
    let document = esm.path("store/documents/order/00001/00000000000000000000");
    fs::write(&document, "{}").expect("the file can be written");
    let adopted = esm.adopt("store", &[]).succeeded().json();
    assert_eq!(adopted["id"], id.as_str());
    let not_recovered = adopted["adopted"]["not_recovered"].to_string();
    assert!(not_recovered.contains("order/00001"), "{not_recovered}");
    esm.adopt("nowhere", &[]).failed(3, &[]);
}

#[test]
fn a_damaged_marker_is_named_and_can_be_moved_away_and_adopted() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 2));
    let (id, exported) = (esm.store_id("store"), esm.export());
    let marker = fs::read_to_string(esm.marker("store")).expect("a marker");
    let digit = if id.starts_with('0') { "1" } else { "0" };
    let damaged = marker.replacen(&id, &format!("{digit}{}", &id[1..]), 1);
    fs::write(esm.marker("store"), damaged).expect("the file can be written");
    for arguments in [&["list"][..], &["store", "init", "--adopt"]] {
        esm.run(arguments)
            .failed(9, &["esm.json", "checksum", "esm store init --adopt"]);
    }
    fs::rename(esm.marker("store"), esm.path("aside")).expect("it can be moved");
    esm.adopt("store", &[]).succeeded();
    assert_eq!((esm.store_id("store"), esm.export()), (id, exported));
}

#[test]
fn a_store_and_its_copy_are_not_used_together() {
    let esm = migrated();
    esm.copy("copy");
    let (store, copy) = (esm.url("store"), esm.url("copy"));
    let before = esm.files();
    for arguments in [
        &["migrate", "--all", "--again", "--to", &copy][..],
        &["plan", "--all", "--again", "--to", &copy],
        &["list", "--other-store", &copy],
        &["backup", "create", "--all", "--backup", &copy],
    ] {
        let ran = esm.run(arguments);
        ran.failed(2, &["copy", "/store", "/copy", "esm store new-id"]);
    }
    assert_eq!(esm.files(), before);
    // one place under several addresses is no copy
    esm.run(&["list", "--other-store", &store]).succeeded();
    esm.run(&["migrate", "--all", "--again", "--to", &format!("{store}/.")])
        .succeeded();
}

#[test]
fn a_copy_with_an_id_of_its_own_is_a_store_like_any_other() {
    let esm = migrated();
    esm.copy("copy");
    let (copy, old) = (esm.url("copy"), esm.store_id("store"));
    let exported = esm.export();
    esm.run(&["store", "new-id", "--store", &copy])
        .failed(2, &["--yes"]);
    let renewed = esm.run(&["store", "new-id", "--store", &copy, "--yes", "-o", "json"]);
    let renewed = renewed.succeeded().json();
    assert_ne!(renewed["id"], old.as_str());
    assert_eq!(renewed["aliases"][0], old.as_str());
    let shown = esm
        .run(&["store", "show", "--store", &copy, "-o", "json"])
        .json();
    assert_eq!(
        (&shown["id"], &shown["aliases"]),
        (&renewed["id"], &renewed["aliases"])
    );

    // documents, Closes and journals in it are valid
    let in_copy = |arguments: &[&str]| {
        let ran = esm.run(&[arguments, &["--store", &copy]].concat());
        ran.succeeded();
        ran.stdout
    };
    assert_eq!(in_copy(&["export", "--all"]), exported);
    in_copy(&["verify", "--all"]);
    let more = esm.file("more", orders::sorted(4, 5));
    in_copy(&["import", &more]);
    in_copy(&["migrate", "--all", "--again"]);
    in_copy(&["verify", "--all"]);
    let migrations = esm
        .run(&["status", "--all", "-o", "json", "--store", &copy])
        .json();
    let ids = migrations["migrations"].as_array().expect("a list").iter();
    // ids sort by time
    let newest = ids.filter_map(|found| found["migration"].as_str()).max();
    let newest = newest.expect("an id");
    in_copy(&["rollback", newest]);
    assert_eq!(in_copy(&["export", "--all"]).lines().count(), 20);

    // and streams of the original can move to it
    esm.run(&["migrate", "--all", "--again", "--to", &copy])
        .succeeded();
    let moved = esm.run(&["export", "--all", "--other-store", &copy]);
    assert_eq!(moved.succeeded().stdout, exported);
    esm.run(&["export", "--all"]).failed(8, &["not known"]);
}

#[test]
fn a_copy_is_not_used_together_with_the_original_whose_id_its_documents_name() {
    let esm = migrated();
    esm.copy("copy");
    let (store, copy) = (esm.url("store"), esm.url("copy"));
    esm.run(&["store", "new-id", "--store", &copy, "--yes"])
        .succeeded();
    for arguments in [
        &["list", "--store", &copy, "--other-store", &store][..],
        &[
            "migrate", "--all", "--again", "--store", &copy, "--to", &store,
        ],
    ] {
        esm.run(arguments)
            .failed(2, &["copy of the other store", "esm store new-id"]);
    }
    esm.run(&["store", "new-id", "--yes"]).succeeded();
    esm.run(&[
        "migrate", "--all", "--again", "--store", &copy, "--to", &store,
    ])
    .succeeded();
}
