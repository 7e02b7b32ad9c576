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

#[test]
fn an_export_is_imported_into_the_same_objects_whatever_their_events_are_named() {
    let esm = Esm::new();
    // a source that cannot be an object's name, and a program that sets another subject
    let lines = orders::sorted(2, 3).replace(r#""source":"order""#, r#""source":"/shop/orders""#);
    let file = esm.file("lines", &lines);
    esm.run(&["import", &file, "--name", "order"]).succeeded();
    let program = r#"if .type == "OrderPaid" then .schemaversion = 2 | .subject = "9" end"#;
    let program = esm.file("subject.jq", program);
    let risk = "2 events get another source or subject, which does not move them";
    esm.run(&["plan", "--all", "--transform", &program])
        .succeeded()
        .printed(risk);
    esm.run(&["migrate", "--all", "--transform", &program])
        .succeeded();
    let exported = esm.export();
    assert!(
        exported.contains(r#""esmobject":"order/00001""#),
        "{exported}"
    );
    assert!(exported.contains(r#""subject":"9""#), "{exported}");

    let file = esm.file("exported", &exported);
    let copy = esm.url("copy");
    esm.run(&["--store", &copy, "import", &file]).succeeded();
    let again = esm.run(&["--store", &copy, "export", "--all"]);
    assert_eq!(again.succeeded().stdout, exported);
    // an event without a name of its own needs no attribute more
    let plain = Esm::new();
    plain.import(&orders::sorted(2, 3));
    let same = esm.file("same.jq", ".");
    let quiet = plain.run(&["plan", "--all", "--transform", &same]);
    assert!(!quiet.succeeded().stdout.contains("does not move them"));
    assert_eq!(plain.export(), orders::sorted(2, 3));
}
