//! Files of a store that were lost or exchanged: every command that needs them ends with 9 and names
//! them, and none takes what is left for all.

use std::fs;
use std::path::PathBuf;

use crate::esm::Esm;
use crate::orders;

/// An order of six events that was migrated, in cells of two, and a backup of it.
struct Migrated {
    esm: Esm,
    order: String,
    backup: String,
}

fn migrated() -> Migrated {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 6));
    let migrate = ["migrate", "--all", "--cell-events", "2"];
    esm.run(&migrate).succeeded();
    let create = ["backup", "create", "--all", "-o", "json"];
    let backup = esm.run(&create).succeeded().json()["id"].clone();
    Migrated {
        esm,
        order: "order/00000".to_owned(),
        backup: backup.as_str().expect("an id").to_owned(),
    }
}

/// The folders of the closed stream's and of the active stream's cells.
fn streams(esm: &Esm) -> (PathBuf, PathBuf) {
    let folders = fs::read_dir(esm.path("store/streams")).expect("the streams");
    let mut folders: Vec<_> = folders
        .map(|entry| entry.expect("a folder").path())
        .collect();
    folders.sort_by_key(|folder| folder.to_string_lossy().contains("-v2"));
    let mut cells = folders.into_iter().map(|folder| folder.join("c"));
    let mut next = || cells.next().expect("two streams");
    (next(), next())
}

fn cell(number: u64) -> String {
    format!("{number:020}")
}

#[test]
fn a_lost_end_of_the_active_stream_is_named_by_every_command() {
    let Migrated { esm, order, .. } = migrated();
    let lost = streams(&esm).1.join(cell(2));
    fs::remove_file(&lost).unwrap();
    let before = esm.files();
    let lines = esm.file("lines", orders::sorted(1, 6));
    for command in [
        &["export", "--all"][..],
        &["read", &order],
        &["list"],
        &["import", &lines],
        &["backup", "create", "--all"],
        &["plan", "--all", "--again"],
    ] {
        esm.run(command).failed(
            9,
            &[
                "stream lost its last events: found 4 events, at least 6 are known",
                &order,
                "streams/order-00000-v2",
                &format!("c/{}", cell(2)),
                "restore the object from a backup",
            ],
        );
    }
    let verified = esm.run(&["verify", "--all"]);
    verified.failed(9, &[]).printed("DAMAGED: 1 of 1 object");
    verified.printed("found 4 events, at least 6 are known");
    let shown = esm.run(&["show", &order]);
    shown.failed(9, &[]).printed("stream lost its last events");
    assert_eq!(esm.files(), before, "nothing was written");
    let migrated = esm.run(&["migrate", "--all", "--again"]);
    assert_eq!(migrated.code, Some(9), "{migrated:?}");
}

#[test]
fn a_lost_stream_is_not_an_empty_one_and_a_backup_replaces_it() {
    let Migrated { esm, order, backup } = migrated();
    fs::remove_dir_all(streams(&esm).1).unwrap();
    esm.run(&["export", "--all"]).failed(
        9,
        &["stream is absent: found 0 events, at least 6 are known"],
    );
    let restore = [
        "backup",
        "restore",
        &backup,
        "--object",
        &order,
        "--replace",
    ];
    esm.run(&restore).succeeded();
    assert_eq!(esm.export(), orders::sorted(1, 6));
    esm.run(&["list"]).succeeded();
    // what was lost stays lost
    esm.run(&["verify", "--all"]).failed(9, &[]);
}

#[test]
fn a_lost_close_and_lost_streams_are_not_equal() {
    let Migrated { esm, order, .. } = migrated();
    let (closed, _) = streams(&esm);
    let cells = fs::read_dir(&closed).unwrap().count() as u64;
    fs::remove_file(closed.join(cell(cells - 1))).unwrap();
    esm.run(&["verify", &order])
        .failed(9, &[])
        .printed("stream lost its Close: found 6 events");
    fs::remove_dir_all(esm.path("store/streams")).unwrap();
    esm.run(&["verify", "--all"])
        .failed(9, &[])
        .printed("stream is absent: found 0 events");
}

#[test]
fn exchanged_first_cells_are_not_exported_as_each_others() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 1));
    let folders = fs::read_dir(esm.path("store/streams")).expect("the streams");
    let cells: Vec<_> = folders
        .map(|entry| entry.unwrap().path().join("c").join(cell(0)))
        .collect();
    let aside = esm.path("aside");
    fs::rename(&cells[0], &aside).unwrap();
    fs::rename(&cells[1], &cells[0]).unwrap();
    fs::rename(&aside, &cells[1]).unwrap();
    let exported = esm.run(&["export", "--all"]);
    exported.failed(
        9,
        &[
            "belongs to another stream: order-0000",
            "c/00000000000000000000",
        ],
    );
    assert_eq!(exported.stdout, "");
}

#[test]
fn a_document_that_lags_behind_hides_no_migration_from_verify() {
    let Migrated { esm, .. } = migrated();
    let documents = esm.path("store/documents/order/00000");
    let mut versions: Vec<PathBuf> = fs::read_dir(documents)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    versions.sort();
    fs::remove_file(versions.last().unwrap()).unwrap();
    let verified = esm
        .run(&["verify", "--all", "-o", "json"])
        .succeeded()
        .json();
    assert_eq!(verified["events"], 6, "{verified}");
}
