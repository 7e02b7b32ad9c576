//! `esm import`

use std::io::Write as _;

use serde_json::json;

use crate::esm::Esm;
use crate::orders;

#[test]
fn what_is_exported_is_what_was_imported_line_by_line() {
    let esm = Esm::new();
    let lines = orders::sorted(40, 7);
    let file = esm.file("orders.ndjson", &lines);
    esm.run(&["import", &file])
        .succeeded()
        .printed("imported 280 events of 40 objects");
    assert_eq!(esm.export(), lines);
}

#[test]
fn interleaved_objects_come_out_in_order() {
    let esm = Esm::new();
    esm.import(&orders::interleaved(30, 12));
    assert_eq!(esm.export(), orders::sorted(30, 12));
}

#[test]
fn gzip_and_zstd_are_detected_by_their_content() {
    let lines = orders::sorted(3, 3);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    for packed in [gzip, zstd] {
        let from_file = Esm::new();
        let file = from_file.file("orders", &packed);
        from_file.run(&["import", &file]).succeeded();
        assert_eq!(from_file.export(), lines);

        let from_stdin = Esm::new();
        from_stdin.run_with(&packed, &["import", "-"]).succeeded();
        assert_eq!(from_stdin.export(), lines);
    }
}

#[test]
fn importing_again_does_nothing_and_a_longer_file_goes_on() {
    let esm = Esm::new();
    let file = esm.file("short", orders::sorted(4, 3));
    esm.run(&["import", &file]).succeeded();
    let before = esm.files();
    esm.run(&["import", &file])
        .succeeded()
        .printed("nothing to do: all 12 events of 4 objects were there already");
    assert_eq!(esm.files(), before);

    let file = esm.file("long", orders::sorted(5, 4));
    let ran = esm.run(&["import", &file, "--output", "json"]);
    let expected = json!({
        "complete": true, "events": 20, "objects": 5, "imported": 8, "present": 12,
    });
    assert_eq!(ran.succeeded().json(), expected);
    assert_eq!(esm.export(), orders::sorted(5, 4));
}

#[test]
fn a_file_may_begin_where_the_store_ends() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 3));
    let rest: Vec<String> = (2..6).map(|n| orders::line("00000", n)).collect();
    let file = esm.file("rest", rest.join("\n"));
    esm.run(&["import", &file]).succeeded();
    assert_eq!(esm.export(), orders::sorted(1, 6));
}

#[test]
fn a_long_stream_becomes_few_cells() {
    let esm = Esm::new();
    let ran = esm.import(&orders::sorted(1, 2_300));
    ran.printed("imported 2,300 events");
    let shown = esm.run(&["show", "order/00000", "--output", "json"]).json();
    assert_eq!(shown["streams"][0]["cells"], 5);
    assert_eq!(esm.export(), orders::sorted(1, 2_300));
}

#[test]
fn a_file_of_many_chunks_is_imported_whole_and_again() {
    let esm = Esm::new();
    let lines = orders::large(9_000) + &orders::line("00001", 0) + "\n";
    let file = esm.file("orders", &lines);
    esm.run(&["import", &file])
        .succeeded()
        .printed("imported 9,001 events of 2 objects");
    assert_eq!(esm.export(), lines);
    esm.run(&["import", &file, "--dry-run"])
        .succeeded()
        .printed("valid: 9,001 events of 2 objects");
    let ran = esm.run_with(&lines, &["import", "-o", "json"]);
    let expected = json!({
        "complete": true, "events": 9_001, "objects": 2, "imported": 0, "present": 9_001,
    });
    assert_eq!(ran.succeeded().json(), expected);
}

#[test]
fn a_dry_run_only_checks() {
    let esm = Esm::new();
    let file = esm.file("orders", orders::sorted(2, 2));
    esm.run(&["import", &file, "--dry-run"])
        .succeeded()
        .printed("valid: 4 events of 2 objects");
    assert!(esm.files().is_empty());
}

#[test]
fn a_name_takes_the_place_of_a_source_that_is_a_uri() {
    let esm = Esm::new();
    let line = orders::line("7", 0).replace(r#""source":"order""#, r#""source":"/shop/eu""#);
    let file = esm.file("orders", &line);
    esm.run(&["import", &file])
        .failed(2, &["line 1", "'/'", "--name"]);
    esm.run(&["import", &file, "--name", "order"]).succeeded();
    let read = esm.run(&["read", "order/7", "--output", "json"]);
    // the source that is not the object's name is kept
    let event: serde_json::Value = serde_json::from_str(&read.stdout).unwrap();
    assert_eq!(event["source"], "/shop/eu");
    assert_eq!(event["subject"], "7");
}

#[test]
fn events_that_are_numbered_otherwise_are_numbered_anew_on_request() {
    let esm = Esm::new();
    // from 1; with gaps, as a number over all objects leaves them
    let lines = [("a", 1), ("b", 2), ("a", 3), ("b", 40), ("a", 41)]
        .map(|(order, sequence)| orders::line(order, sequence))
        .join("\n");
    let file = esm.file("lines", lines);
    for dry in [
        &["import", &file, "--dry-run"] as &[&str],
        &["import", &file],
    ] {
        esm.run(dry).failed(2, &["line 1", "gap", "--renumber"]);
    }
    let renumber = ["import", &file, "--renumber"];
    esm.run(&[&renumber[..], &["--dry-run"]].concat())
        .succeeded()
        .printed("valid: 5 events of 2 objects");
    esm.run(&renumber).succeeded().printed("imported 5 events");
    let read = esm.run(&["export", "order/a"]);
    for (number, original) in ["1", "3", "41"].iter().enumerate() {
        let line = read.stdout.lines().nth(number).expect("a line");
        let expected = [
            format!(r#""sequence":"{number}""#),
            format!(r#""originalsequence":"{original}""#),
        ];
        assert!(expected.iter().all(|part| line.contains(part)), "{line}");
    }
    // it can be repeated, and what it exports needs no option
    esm.run(&renumber).succeeded().printed("were there already");
    let exported = esm.file("exported", esm.export());
    let copy = esm.url("copy");
    esm.run(&["--store", &copy, "import", &exported])
        .succeeded();

    let disorder = [orders::line("c", 5), orders::line("c", 4)].join("\n");
    let disorder = esm.file("disorder", disorder);
    esm.run(&["import", &disorder, "--renumber"])
        .failed(2, &["line 2", "does not ascend: 4 after 5"]);
}
