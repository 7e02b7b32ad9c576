//! `esm backup`

use serde_json::Value;

use crate::esm::Esm;
use crate::orders;

pub(crate) fn created(esm: &Esm, arguments: &[&str]) -> Value {
    let mut all = vec!["backup", "create", "-o", "json"];
    all.extend_from_slice(arguments);
    esm.run(&all).succeeded().json()
}

#[test]
fn a_backup_is_written_verified_listed_and_restored_elsewhere() {
    let esm = Esm::new();
    let lines = orders::sorted(6, 5);
    esm.import(&lines);
    let place = esm.url("backups");
    let before = esm.files();
    let backup = created(
        &esm,
        &["--all", "--backup", &place, "--tag", "reason=audit"],
    );
    assert_eq!(esm.files(), before, "a backup elsewhere wrote to the store");
    assert_eq!(
        (&backup["sections"], &backup["events"]),
        (&6.into(), &30.into())
    );
    assert_eq!(backup["tags"]["reason"], "audit");
    let id = backup["id"].as_str().unwrap();

    let verified = esm.run(&["backup", "verify", id, "--backup", &place, "-o", "json"]);
    assert_eq!(verified.succeeded().json()["sound"], true);
    let listed = esm.run(&["backup", "list", "--backup", &place, "-o", "json"]);
    assert_eq!(listed.succeeded().json()["backups"][0]["id"], id);

    let other = Esm::new();
    other.run(&["store", "init"]).succeeded();
    let restore = ["backup", "restore", id, "--backup", &place];
    other
        .run(&restore)
        .succeeded()
        .printed("restored 30 events of 6 objects");
    assert_eq!(other.export(), lines);
}

#[test]
fn a_restore_never_touches_an_object_that_exists() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    let backup = created(&esm, &["--all"]);
    let id = backup["id"].as_str().unwrap();
    let before = esm.files();
    esm.run(&["backup", "restore", id])
        .failed(4, &["exists already", "--as"]);
    esm.run(&["backup", "restore", id, "--as", "order/new"])
        .failed(2, &["--object"]);
    let absent = [
        "backup",
        "restore",
        id,
        "--object",
        "order/none",
        "--as-name",
        "x",
    ];
    esm.run(&absent).failed(3, &["order/none"]);
    assert_eq!(esm.files(), before);

    let one = [
        "backup",
        "restore",
        id,
        "--object",
        "order/00001",
        "--as",
        "order/new",
    ];
    esm.run(&one).succeeded();
    esm.run(&["backup", "restore", id, "--as-name", "copy"])
        .succeeded();
    let restored = esm.run(&["read", "copy/00001", "-o", "json"]);
    assert_eq!(restored.succeeded().stdout.lines().count(), 3);
    let shown = esm.run(&["show", "order/new", "-o", "json"]).json();
    assert_eq!(shown["document"]["terminated"][0]["reason"], "restored");
}

#[test]
fn a_restore_takes_the_place_of_the_active_stream_and_says_what_it_leaves_behind() {
    let esm = Esm::new();
    let lines = orders::sorted(1, 5);
    let first_three: String = lines.split_inclusive('\n').take(3).collect();
    esm.import(&first_three);
    let backup = created(&esm, &["--all"]);
    let id = backup["id"].as_str().unwrap();
    esm.import(&lines);
    let replace = ["backup", "restore", id, "--replace"];
    esm.run(&replace)
        .succeeded()
        .printed("restored 3 events of 1 object")
        .printed("2 events after what was restored remain in the closed streams");
    assert_eq!(esm.export(), first_three);
    esm.run(&replace)
        .succeeded()
        .printed("1 of them already restored");
}

#[test]
fn a_damaged_backup_is_noticed() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 30));
    let backup = created(&esm, &["--all", "--backup", &esm.url("backups")]);
    let id = backup["id"].as_str().unwrap();
    // the largest file holds the events
    let mut largest = None;
    let mut waiting = vec![esm.path("backups")];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let size = entry.metadata().unwrap().len();
            if entry.path().is_dir() {
                waiting.push(entry.path());
            } else {
                largest = largest.max(Some((size, entry.path())));
            }
        }
    }
    let (_, path) = largest.unwrap();
    let mut content = std::fs::read(&path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0x55;
    std::fs::write(&path, content).unwrap();
    esm.run(&["backup", "verify", id, "--backup", &esm.url("backups")])
        .failed(9, &["error"]);
    let before = esm.files();
    let restore = [
        "backup",
        "restore",
        id,
        "--backup",
        &esm.url("backups"),
        "--as-name",
        "x",
    ];
    esm.run(&restore).failed(9, &["error"]);
    assert_eq!(esm.files(), before);
}

#[test]
fn retention_decides_what_may_go() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 1));
    let over = created(&esm, &["--all", "--keep", "0s", "--id", "over"]);
    created(&esm, &["--all", "--keep", "30d", "--id", "kept"]);
    created(&esm, &["--all", "--id", "for-ever"]);
    assert_eq!(over["id"], "over");
    esm.run(&["backup", "create", "--all", "--id", "over"])
        .failed(4, &["over"]);

    esm.run(&["backup", "prune", "--dry-run"])
        .succeeded()
        .printed("over");
    esm.run(&["backup", "prune"]).failed(2, &["--yes"]);
    esm.run(&["backup", "prune", "--yes"])
        .succeeded()
        .printed("deleted 1 backup");
    esm.run(&["backup", "prune", "--yes"])
        .succeeded()
        .printed("nothing to prune");
    esm.run(&["backup", "show", "over"]).failed(3, &["over"]);

    esm.run(&["backup", "delete", "kept", "--yes"])
        .failed(4, &["--despite-retention"]);
    esm.run(&["backup", "delete", "kept", "--yes", "--despite-retention"])
        .succeeded();
    let left = esm.run(&["backup", "list", "-o", "json"]).json();
    assert_eq!(left["backups"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_manifest_that_was_changed_or_exchanged_is_damage() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    for id in ["one", "two"] {
        created(&esm, &["--all", "--id", id, "--keep", "30d"]);
    }
    let path = |id: &str| esm.path(&format!("store/backups/{id}/manifest.json"));
    let (one, two) = (
        std::fs::read_to_string(path("one")).unwrap(),
        std::fs::read_to_string(path("two")).unwrap(),
    );
    let begin = one.find("\"keep_until\": \"").expect("a retention") + 15;
    let mut sooner = one.clone();
    sooner.replace_range(begin..begin + 4, "2001");
    for (changed, said) in [(&sooner, "checksum"), (&two, "another backup")] {
        std::fs::write(path("one"), changed).unwrap();
        for arguments in [
            &["backup", "list"][..],
            &["backup", "show", "one"],
            &["backup", "verify", "one"],
            &["backup", "prune", "--yes"],
            &["backup", "delete", "one", "--yes"],
        ] {
            esm.run(arguments)
                .failed(9, &[said, "backups/one/manifest.json"]);
        }
    }
    std::fs::write(path("one"), &one).unwrap();
    esm.run(&["backup", "verify", "one"]).succeeded();
}

/// The files below the store's folder of backups.
fn files_of_backups(esm: &Esm) -> Vec<String> {
    let files = esm.files().into_iter();
    let paths = files.map(|(path, _)| path.display().to_string());
    paths.filter(|path| path.contains("/backups/")).collect()
}

#[test]
fn a_damaged_manifest_is_listed_as_damaged_beside_the_others_and_can_be_deleted() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    for (id, keep) in [("one", "30d"), ("over", "0s"), ("two", "30d")] {
        created(&esm, &["--all", "--id", id, "--keep", keep]);
    }
    let manifest = esm.path("store/backups/one/manifest.json");
    std::fs::write(&manifest, "{").unwrap();
    let ids = |listed: &serde_json::Value| -> Vec<String> {
        let backups = listed["backups"].as_array().expect("backups").iter();
        backups
            .map(|b| b["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let list = esm.run(&["backup", "list", "-o", "json"]);
    list.failed(9, &["backups/one/manifest.json"]);
    assert_eq!(ids(&list.json()), ["over", "two"]);
    let damaged = list.json()["damaged"][0].as_str().unwrap().to_owned();
    assert!(damaged.contains("backups/one/manifest.json"), "{damaged}");
    esm.run(&["backup", "list"])
        .failed(9, &["backups/one/manifest.json"])
        .printed("two");

    let prune = esm.run(&["backup", "prune", "--yes", "-o", "json"]);
    prune.failed(9, &["backups/one/manifest.json"]);
    assert_eq!(ids(&prune.json()), ["over"]);
    esm.run(&["backup", "delete", "two", "--yes", "--despite-retention"])
        .succeeded();
    esm.run(&["backup", "delete", "one", "--yes"])
        .failed(9, &["--despite-retention"]);
    esm.run(&["backup", "delete", "one", "--yes", "--despite-retention"])
        .succeeded()
        .printed("deleted: one");
    let list = esm.run(&["backup", "list", "-o", "json"]);
    assert_eq!(ids(&list.succeeded().json()), [""; 0]);
    assert_eq!(files_of_backups(&esm), [""; 0]);
}

/// What a deletion that was killed leaves: the manifest goes last.
#[test]
fn a_deletion_that_was_killed_is_repeated_or_completed_by_prune() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 3));
    let files = |id: &str| -> Vec<_> {
        let folder = std::fs::read_dir(esm.path(&format!("store/backups/{id}"))).unwrap();
        let files = folder.map(|entry| entry.unwrap().path());
        files
            .filter(|path| !path.ends_with("manifest.json"))
            .collect()
    };
    for id in ["repeated", "pruned"] {
        created(&esm, &["--all", "--id", id, "--keep", "30d"]);
    }
    std::fs::remove_file(&files("repeated")[0]).unwrap();
    for file in files("pruned") {
        std::fs::remove_file(file).unwrap();
    }
    let delete = [
        "backup",
        "delete",
        "repeated",
        "--yes",
        "--despite-retention",
    ];
    esm.run(&delete).succeeded();
    esm.run(&delete).failed(3, &["repeated"]);
    esm.run(&["backup", "prune", "--dry-run"])
        .succeeded()
        .printed("pruned");
    esm.run(&["backup", "prune", "--yes"])
        .succeeded()
        .printed("deleted 1 backup");
    assert_eq!(files_of_backups(&esm), [""; 0]);
}

/// Without a manifest it is no backup, and no retention is known.
#[test]
fn files_of_a_backup_that_was_never_finished_are_removed_under_its_id() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 3));
    created(&esm, &["--all", "--id", "killed"]);
    std::fs::remove_file(esm.path("store/backups/killed/manifest.json")).unwrap();
    esm.run(&["backup", "delete", "killed", "--yes"])
        .failed(3, &["killed"]);
    assert_eq!(files_of_backups(&esm), [""; 0]);
}
