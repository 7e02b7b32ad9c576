//! `esm export`

use serde_json::json;

use crate::esm::Esm;
use crate::orders;

#[test]
fn to_a_file_packed_as_its_name_says_and_never_over_another() {
    let esm = Esm::new();
    let lines = orders::sorted(5, 4);
    esm.import(&lines);
    let path = esm.path("out.ndjson.zst");
    let to = path.to_str().unwrap();
    let ran = esm.run(&["export", "--all", "--to", to, "-o", "json"]);
    assert_eq!(
        ran.succeeded().json(),
        json!({"objects": 5, "events": 20, "file": to})
    );
    let unpacked = zstd::decode_all(std::fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(unpacked, lines.as_bytes());

    esm.run(&["export", "--all", "--to", to])
        .failed(4, &["already exists", "--overwrite"]);
    let compress = [
        "export",
        "order/00001",
        "--to",
        to,
        "--overwrite",
        "--compress",
        "none",
    ];
    esm.run(&compress).succeeded();
    let plain = std::fs::read_to_string(&path).unwrap();
    assert_eq!(plain.lines().count(), 4);
    assert!(lines.contains(&plain));
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 1));
    let path = esm.path("out");
    let to = path.to_str().unwrap();
    esm.run(&["export", "order/00000", "order/none", "--to", to])
        .failed(3, &["order/none"]);
    assert!(!path.exists());
    assert!(!esm.path("out.partial").exists());
}

#[test]
fn one_object_a_name_or_unsorted() {
    let esm = Esm::new();
    let lines = orders::sorted(4, 2);
    esm.import(&lines);
    esm.import(&orders::line("x", 0).replace(r#""source":"order""#, r#""source":"invoice""#));
    let one = esm.run(&["export", "order/00002"]);
    assert_eq!(one.succeeded().stdout.lines().count(), 2);
    let named = esm.run(&["export", "--name", "order"]);
    assert_eq!(named.succeeded().stdout, lines);
    let unsorted = esm.run(&["export", "--all", "--unsorted"]);
    assert_eq!(unsorted.succeeded().stdout.lines().count(), 9);
}

#[test]
fn reading_commands_change_nothing() {
    let esm = Esm::new();
    esm.import(&orders::sorted(3, 3));
    let before = esm.files();
    for arguments in [
        &["export", "--all"][..],
        &["list"],
        &["show", "order/00001"],
        &["read", "order/00001"],
        &["lock", "list"],
        &["store", "show"],
        &["backup", "list"],
    ] {
        esm.run(arguments).succeeded();
    }
    assert_eq!(esm.files(), before);
}
