//! `esm backup`: which backups there are, which are sound, which go, and restoring many.

use serde_json::Value;

use crate::backups::created;
use crate::esm::Esm;
use crate::orders;

#[test]
fn a_list_is_filtered_by_everything_that_is_known_of_a_backup() {
    let esm = Esm::new();
    esm.import(&orders::sorted(3, 2));
    created(&esm, &["--all", "--id", "all", "--tag", "reason=audit"]);
    created(
        &esm,
        &["order/00001", "--id", "one", "--tag", "reason=audit"],
    );
    created(&esm, &["order/00002", "order/00000", "--id", "two"]);
    let migrate = ["migrate", "order/00000", "--close-books", "-o", "json"];
    let migrated = esm.run(&migrate).succeeded().json();
    let migration = migrated["migration"].as_str().expect("an id");
    let listed = |filter: &[&str]| -> Vec<String> {
        let ran = esm.run(&[&["backup", "list", "-o", "json"], filter].concat());
        let listed = ran.succeeded().json();
        let ids = listed["backups"].as_array().expect("a list").iter();
        let kinds = ids.map(|b| match b["kind"].as_str() {
            Some("archive") => "archive".to_owned(),
            _ => b["id"].as_str().expect("an id").to_owned(),
        });
        kinds.collect()
    };
    assert_eq!(listed(&["--object", "order/00001"]), ["all", "one"]);
    assert_eq!(listed(&["--object", "order/00002"]), ["all", "two"]);
    assert_eq!(listed(&["--object", "order/none"]), [""; 0]);
    assert_eq!(
        listed(&["--name", "order"]),
        ["all", "one", "two", "archive"]
    );
    assert_eq!(listed(&["--name", "orders"]), [""; 0]);
    assert_eq!(
        listed(&["--tag", "reason=audit", "--object", "order/00002"]),
        ["all"]
    );
    assert_eq!(listed(&["--kind", "archive"]), ["archive"]);
    assert_eq!(listed(&["--migration", migration]), ["archive"]);
    assert_eq!(listed(&["--since", "1h"]).len(), 4);
    assert_eq!(listed(&["--older-than", "1h"]), [""; 0]);
    assert_eq!(listed(&["--older-than", "2100-01-01T00:00:00Z"]).len(), 4);
    esm.run(&["backup", "list", "--since", "yesterday"])
        .failed(2, &["not a time or a duration"]);
}

#[test]
fn a_check_has_exit_codes_for_cron() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 30));
    let check = |arguments: &[&str]| {
        let ran = esm.run(&[&["backup", "check", "-o", "json"], arguments].concat());
        (ran.code, ran.json())
    };
    let (code, none) = check(&[]);
    assert_eq!((code, &none["backups"]), (Some(0), &0.into()));
    let (code, none) = check(&["--max-age", "26h"]);
    assert_eq!((code, &none["too_old"]), (Some(3), &true.into()));

    created(&esm, &["--all", "--id", "one"]);
    created(&esm, &["--all", "--id", "two"]);
    let (code, sound) = check(&["--max-age", "26h", "--read-data"]);
    assert_eq!(
        (code, &sound["sound"], &sound["data_read"]),
        (Some(0), &true.into(), &2.into())
    );
    let (code, old) = check(&["--max-age", "0s"]);
    assert_eq!((code, &old["too_old"]), (Some(3), &true.into()), "{old}");
    let parts = ["1/3", "2/3", "3/3"].map(|part| {
        let (_, checked) = check(&["--read-data-subset", part]);
        checked["data_read"].as_u64().expect("a number")
    });
    assert_eq!(parts.iter().sum::<u64>(), 2, "{parts:?}");
    esm.run(&["backup", "check", "--read-data-subset", "0%"])
        .failed(2, &["5%"]);

    let folder = esm.path("store/backups/one");
    let files = std::fs::read_dir(folder).expect("the backup's files");
    let events = files
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.to_string_lossy().contains("events"))
        .expect("events");
    let mut bytes = std::fs::read(&events).expect("events");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&events, &bytes).expect("written");
    let (code, structure) = check(&[]);
    assert_eq!(
        (code, &structure["sound"]),
        (Some(0), &true.into()),
        "its bytes are not read"
    );
    let (code, rotten) = check(&["--read-data", "--max-age", "26h"]);
    assert_eq!((code, &rotten["damaged"]), (Some(9), &1.into()));
    assert_eq!(rotten["newest"]["backup"], "two");
    let message = rotten["damage"][0]["error"]["message"].to_string();
    assert!(message.contains("events.ndjson.zst"), "{message}");

    std::fs::write(&events, &bytes[..middle]).expect("written");
    let (code, cut) = check(&[]);
    assert_eq!(
        (code, &cut["damage"][0]["backup"]),
        (Some(9), &"one".into())
    );
    esm.run(&["backup", "check"])
        .failed(9, &[])
        .printed("DAMAGED: 1 of 2 backups; the newest sound one is");
}

#[test]
fn rules_keep_the_newest_and_say_why_each_goes_or_stays() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 2));
    for id in ["a", "b", "c", "d"] {
        created(&esm, &["order/00000", "--id", id]);
    }
    created(
        &esm,
        &["order/00000", "--id", "tagged", "--tag", "reason=audit"],
    );
    created(&esm, &["order/00001", "--id", "other"]);
    created(&esm, &["order/00000", "--id", "retained", "--keep", "1d"]);
    created(&esm, &["order/00000", "--id", "newest"]);
    let rules = [
        "backup",
        "prune",
        "--keep-last",
        "1",
        "--keep-tag",
        "reason=audit",
    ];
    let before = esm.files();
    let dry = esm.run(&[&rules[..], &["--dry-run", "-o", "json"]].concat());
    let dry = dry.succeeded().json();
    assert_eq!(esm.files(), before, "a dry run wrote");
    let reasons = |list: &Value| -> Vec<(String, String)> {
        let all = list.as_array().expect("a list").iter();
        let text = |one: &Value, field: &str| one[field].as_str().expect("a text").to_owned();
        all.map(|one| (text(one, "id"), text(one, "reason")))
            .collect()
    };
    let removed = reasons(&dry["backups"]);
    let ids: Vec<_> = removed.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
    assert!(
        removed
            .iter()
            .all(|(_, reason)| reason == "no rule keeps it")
    );
    let kept = reasons(&dry["kept"]);
    let why = |id: &str| {
        let found = kept.iter().find(|(kept, _)| kept == id);
        found.map_or("", |(_, reason)| reason.as_str())
    };
    assert_eq!(why("tagged"), "tag reason=audit");
    assert_eq!(
        (why("newest"), why("other")),
        ("newest, number 1", "newest, number 1")
    );
    assert!(why("retained").starts_with("retained until "), "{kept:?}");

    let pruned = esm.run(&[&rules[..], &["--yes"]].concat());
    pruned.succeeded().printed("deleted 4 backups");
    let left = esm.run(&["backup", "list", "-o", "json"]).json();
    assert_eq!(left["backups"].as_array().expect("a list").len(), 4);
    esm.run(&["backup", "prune", "--yes"])
        .succeeded()
        .printed("nothing to prune");
    esm.run(&["backup", "prune", "--keep-last", "0"])
        .failed(2, &["the rules keep nothing"]);
}

#[test]
fn backups_of_all_objects_go_by_rules_as_a_group_only() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 2));
    for id in ["a", "b"] {
        created(&esm, &["--all", "--id", id, "--tag", "job=nightly"]);
    }
    created(&esm, &["--all", "--id", "weekly", "--tag", "job=weekly"]);
    created(&esm, &["--all", "--id", "untagged"]);
    created(&esm, &["--all", "--id", "c", "--tag", "job=nightly"]);
    let prune = ["backup", "prune", "--keep-last", "1", "--yes"];
    esm.run(&prune).succeeded().printed("nothing to prune");
    esm.run(&["backup", "prune", "--group-by", "job"])
        .failed(2, &["--group-by without a rule"]);
    let pruned = esm.run(&[&prune[..], &["--group-by", "job"]].concat());
    pruned.succeeded().printed("deleted 2 backups");
    let left = esm.run(&["backup", "list", "-o", "json"]).json();
    let left = left["backups"].as_array().expect("a list");
    let mut left: Vec<_> = left.iter().map(|one| one["id"].as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["c", "untagged", "weekly"].map(Some));
}

#[test]
fn a_restore_that_keeps_going_names_what_it_could_not_restore() {
    let esm = Esm::new();
    esm.import(&orders::sorted(3, 2));
    created(&esm, &["--all", "--id", "kept"]);
    let other = Esm::new();
    let two = orders::sorted(2, 2);
    other.import(&two);
    let place = esm.url("store");
    let restore = ["backup", "restore", "kept", "--backup", &place];
    other.run(&restore).failed(4, &["exists already"]);
    assert_eq!(other.export(), two, "nothing was written");
    let going = other.run(&[&restore[..], &["--keep-going", "-o", "json"]].concat());
    assert_eq!(going.code, Some(4), "{going:?}");
    let going = going.json();
    assert_eq!(
        (&going["objects"], &going["failed"]),
        (&1.into(), &2.into())
    );
    assert_eq!(going["failures"][0]["error"]["kind"], "already_exists");
    assert_eq!(other.export(), orders::sorted(3, 2));
    let again = other.run(&[&restore[..], &["--keep-going"]].concat());
    again
        .failed(4, &[])
        .printed("1 of them already restored; NOT RESTORED: 2 objects");
    let named = other.run(&[&restore[..], &["--name", "none"]].concat());
    named.failed(3, &["no object in backup kept has the name: none"]);
}

#[test]
fn a_restore_until_a_point_has_the_events_up_to_it() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 6));
    created(&esm, &["--all", "--id", "kept"]);
    let restore =
        |arguments: &[&str]| esm.run(&[&["backup", "restore", "kept"], arguments].concat());
    let lines = |object: &str| {
        esm.run(&["export", object])
            .succeeded()
            .stdout
            .lines()
            .count()
    };
    restore(&["--until", "2", "--as-name", "copy"])
        .failed(2, &["--until of one revision for 2 objects", "--object"]);
    restore(&["--object", "order/00001", "--as", "copy/1", "--until", "6"])
        .failed(3, &["order/00001", "6 events", "none at revision 6"]);
    restore(&["--until", "yesterday"]).failed(2, &["not a revision, a time or a duration"]);
    restore(&["--object", "order/00001", "--as", "copy/1", "--until", "2"])
        .succeeded()
        .printed("restored 3 events of 1 object");
    assert_eq!(lines("copy/1"), 3);
    restore(&["--as-name", "then", "--until", "2026-01-02T01:04:05.003Z"])
        .succeeded()
        .printed("restored 8 events of 2 objects");
    assert_eq!(lines("then/00000"), 4);
    restore(&["--object", "order/00000", "--replace", "--until", "1"])
        .succeeded()
        .printed("4 events after what was restored remain in the closed streams");
    assert_eq!(lines("order/00000"), 2);
    restore(&["--as-name", "early", "--until", "2026-01-01T00:00:00Z"])
        .failed(3, &["has no event until 2026-01-01T00:00:00Z"]);
}
