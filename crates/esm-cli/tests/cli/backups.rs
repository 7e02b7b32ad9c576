//! `esm backup`

use serde_json::Value;

use crate::esm::Esm;
use crate::orders;

fn created(esm: &Esm, arguments: &[&str]) -> Value {
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
        .printed("2 events appended after the backup");
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
            &["backup", "delete", "one", "--yes", "--despite-retention"],
        ] {
            esm.run(arguments)
                .failed(9, &[said, "backups/one/manifest.json"]);
        }
    }
    std::fs::write(path("one"), &one).unwrap();
    esm.run(&["backup", "verify", "one"]).succeeded();
}
