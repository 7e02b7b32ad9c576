//! `esm import --map`: records of every form, and what is wrong with them.

use std::io::Write as _;

use serde_json::json;

use crate::esm::Esm;

/// Makes an event of `{"o", "n", "at", "d"}`.
const MAP: &str =
    r#"{ object: "order/\(.o)", id: "\(.o)-\(.n)", type: "T", sequence: .n, data: .d }"#;

fn rows(count: usize) -> Vec<String> {
    let row = |n: usize| format!(r#"{{"o":"{}","n":{},"d":{{"price":1.10}}}}"#, n % 2, n / 2);
    (0..count).map(row).collect()
}

#[test]
fn lines_arrays_and_values_on_several_lines_are_imported_alike() {
    let rows = rows(6);
    let pretty = rows.join("\n").replace(",\"d\"", ",\n  \"d\"");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(format!("[{}]", rows.join(",")).as_bytes())
        .unwrap();
    let gzip = gzip.finish().unwrap();
    let csv = "o,n,d\n0,0,1.10\n1,0,1.10\n0,1,1.10\n1,1,1.10\n0,2,1.10\n1,2,1.10\n";
    let mut exports = Vec::new();
    for input in [
        rows.join("\n").as_bytes(),
        format!("[\n{}\n]\n", rows.join(",\n")).as_bytes(),
        pretty.as_bytes(),
        &gzip,
        format!("\u{feff}{csv}").as_bytes(),
    ] {
        let esm = Esm::new();
        let map = esm.file(
            "map.jq",
            MAP.replace(
                ".d }",
                ".d | if type == \"string\" then {price: tonumber} else . end }",
            ),
        );
        let file = esm.file("input", input);
        esm.run(&["import", "--map", &map, &file])
            .succeeded()
            .printed("imported 6 events of 2 objects");
        // from standard input, and again
        esm.run_with(input, &["import", "--map", &map])
            .succeeded()
            .printed("nothing to do: all 6 events of 2 objects were there already");
        exports.push(esm.export());
    }
    assert!(
        exports[0].contains(r#""data":{"price":1.10}"#),
        "{exports:?}"
    );
    assert!(
        exports.iter().all(|export| *export == exports[0]),
        "{exports:?}"
    );
}

#[test]
fn a_long_array_is_imported_in_chunks_and_checked_before() {
    let esm = Esm::new();
    let map = esm.file("map.jq", MAP);
    let long = "x".repeat(8 << 10);
    let mut rows = rows(6_001);
    for row in &mut rows {
        *row = row.replace("1.10", &format!("\"{long}\""));
    }
    let array = format!("[{}]", rows.join(","));
    let file = esm.file("array.json", &array);
    esm.run(&["import", "--map", &map, &file])
        .succeeded()
        .printed("imported 6,001 events of 2 objects");
    // nothing is written of a file whose last element is wrong
    let other = Esm::new();
    let file = other.file("array.json", array.replace("]", ",7]"));
    other
        .run(&["import", "--map", &map, &file])
        .failed(2, &["element 6002: map", "nothing was imported"]);
    assert!(other.files().is_empty());
}

#[test]
fn a_name_and_a_number_are_given_to_records_without() {
    let esm = Esm::new();
    let map = esm.file(
        "map.jq",
        r#"{ subject: .o, id: "\(.o)\(.n)", type: "T", data: .n }"#,
    );
    let file = esm.file("rows", rows(4).join("\n"));
    let import = ["import", "--map", &map, &file];
    esm.run(&import).failed(2, &["line 1", "source", "--name"]);
    let named = [&import[..], &["--name", "order"]].concat();
    esm.run(&named)
        .failed(2, &["line 1", "sequence", "--number"]);
    let numbered = [&named[..], &["--number"]].concat();
    esm.run(&numbered)
        .succeeded()
        .printed("imported 4 events of 2 objects");
    esm.run(&numbered).succeeded().printed("were there already");
    let both = [&numbered[..], &["--renumber"]].concat();
    esm.run(&both).failed(2, &["--renumber"]);
    // a number is not replaced without a word
    let map = esm.file("with.jq", MAP);
    esm.run(&["import", "--map", &map, &file, "--number"])
        .failed(2, &["line 1: event has a sequence", "--renumber"]);
}

#[test]
fn several_events_of_a_record_and_none_are_counted() {
    let esm = Esm::new();
    let map = esm.file(
        "map.jq",
        r#".events[] | { object: "o/1", id: ., type: "T", data: null }"#,
    );
    let file = esm.file(
        "rows",
        r#"{"events":["a","b"]} {"events":[]} {"events":["c"]}"#,
    );
    let import = ["import", "--map", &map, "--number", &file, "-o", "json"];
    let dry = esm.run(&[&import[..], &["--dry-run"]].concat());
    let expected = json!({"valid": true, "events": 3, "objects": 1, "skipped": 1});
    assert_eq!(dry.succeeded().json(), expected);
    let expected = json!({
        "complete": true, "events": 3, "objects": 1, "imported": 3, "present": 0, "skipped": 1,
    });
    assert_eq!(esm.run(&import).succeeded().json(), expected);
}

#[test]
fn an_event_that_a_map_makes_too_large_is_refused_before_anything_is_written() {
    let esm = Esm::new();
    let map = esm.file(
        "map.jq",
        r#"{ object: "o/1", id: "1", type: "T", sequence: 0, data: ("x" * 9000) }"#,
    );
    let file = esm.file("rows", "{}");
    esm.run(&["import", "--map", &map, &file, "--max-event-size", "4KiB"])
        .failed(
            2,
            &[
                "line 1: line of",
                "--max-event-size",
                "nothing was imported",
            ],
        );
    assert!(esm.files().is_empty());
}

/// An input, the arguments, and what the refusal says: what, where, and how to mend it.
struct Wrong {
    input: &'static [u8],
    arguments: &'static [&'static str],
    says: &'static [&'static str],
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_a_way_to_mend_it() {
    let wrong = |input, arguments, says| Wrong {
        input,
        arguments,
        says,
    };
    let table: &[Wrong] = &[
        // without a map
        wrong(b"id,stream_id,type\n1,a,b\n", &[], &["CSV", "--map postgres"]),
        wrong(b"id;stream_name;position;global_position;type\n", &[], &["CSV", "--map message-db"]),
        wrong(br#"{"streamId":"a-1","eventNumber":0,"eventType":"T"}"#, &[], &["line 1", "specversion", "--map kurrent"]),
        wrong(br#"{"a":1}"#, &[], &["line 1", "specversion", "--map MAP.jq"]),
        wrong(b"[\n{}]", &[], &["line 1", "JSON array", "jq -c '.[]'"]),
        wrong(b"{\n  \"id\": 1\n}", &[], &["line 1", "several lines", "jq -c '.'"]),
        wrong(b"\xff\xfe{\0", &[], &["UTF-16", "iconv"]),
        wrong(b"PK\x03\x04\x14\0", &[], &["zip archive", "unzip -p"]),
        wrong(b"BZh91AY&SY", &[], &["bzip2", "bzip2 -dc"]),
        wrong(b"\xfd7zXZ\0\0", &[], &["xz data", "xz -dc"]),
        wrong(b"PGDMP\x01\x0e", &[], &["PostgreSQL", "\\copy"]),
        wrong(b"SQLite format 3\0\x10", &[], &["SQLite", "sqlite3 -json"]),
        wrong(b"--\n-- PostgreSQL database dump\n", &[], &["SQL", "\\copy"]),
        wrong(b"<events><e/></events>", &[], &["XML", "--map MAP.jq"]),
        wrong(b"\x1f\x8b\x08\0\0", &[], &["gzip data is damaged or ends too early"]),
        // with one
        wrong(b"\xff\xfei\0d\0", &["--map", "postgres"], &["UTF-16", "iconv"]),
        wrong(b"PK\x03\x04\x14\0", &["--map", "postgres"], &["zip archive", "unzip -p"]),
        wrong(b"{}", &["--map", "absent.jq"], &["no such file", "postgres, cqrs-es"]),
        wrong(b"a,b\n1\n", &["--map", "postgres"], &["line 2", "1 fields", "quote"]),
        wrong(b"a,a\n1,2\n", &["--map", "postgres"], &["line 1", "\"a\" twice"]),
        wrong(b"a;b\n1;2\n", &["--map", "postgres"], &["line 1", "--delimiter ';'"]),
        wrong(b"a\tb\n1\t2\n", &["--map", "postgres"], &["line 1", "--delimiter tab"]),
        wrong(b"a,b\n1,\"2\n", &["--map", "postgres"], &["line 2", "within a quoted field"]),
        wrong(b"a,b\n1,\xff\n", &["--map", "postgres"], &["line 2", "column \"b\" is not UTF-8"]),
        wrong(b"a,b\n1,2\n", &["--map", "postgres"], &["line 2", "no value for the stream", "there are the fields a, b", "--show-map postgres"]),
        wrong(b"stream_name,position,global_position,type,id\na-1,0,1,T,x\n", &["--map", "axon"], &["line 2", "payload", "--map message-db"]),
        wrong(b"position,stream_name,id,type,data\n0,a-1,1,T,{x\n", &["--map", "message-db"], &["line 2", "data: ", "Invalid JSON at byte 1"]),
        wrong(b"aggregate_identifier,event_identifier,payload_type,sequence_number,payload\na,1,T,0,\\x7b7d\n", &["--map", "axon"], &["line 2", "payload is binary", "convert_from"]),
        wrong(b"id,stream_id,version,type,data,time\n1,a-1,0,T,{},2026-01-02 03:04:05\n", &["--map", "postgres"], &["line 2", "`time` has no time zone", "append"]),
        wrong(b"id,stream_id,version,type,data\n1,a-1,x,T,{}\n", &["--map", "postgres"], &["line 2", "`sequence` is no whole number"]),
        wrong(b"id,stream_id,version,type,data\n1,a-1,1,T,{}\n2,a-1,0,T,{}\n", &["--map", "postgres", "--renumber"], &["line 3", "does not ascend: 0 after 1", "order by"]),
        wrong(b"[{\"a\":1},", &["--map", "postgres"], &["element 1", "no value for the stream"]),
        wrong(b"[", &["--map", "cloudevents"], &["element 1 (line 1)", "cut off"]),
        wrong(b"{\"id\":\"1\"}\n{\"id\":x}", &["--map", "cloudevents"], &["line 1", "`type` is missing"]),
        wrong(b"{\"id\":\"1\",\n\"type\":x}", &["--map", "cloudevents"], &["line 1", "not JSON, at column 8 of its line 2"]),
        wrong(b"{}\n", &["--format", "csv"], &["--map"]),
        wrong(b"{}\n", &["--map", "postgres", "--delimiter", "abc"], &["one ASCII character"]),
    ];
    for row in table {
        let esm = Esm::new();
        let file = esm.file("input", row.input);
        let ran = esm.run(&[&["import", &file], row.arguments].concat());
        let shown = String::from_utf8_lossy(row.input);
        assert!(matches!(ran.code, Some(2 | 3)), "{shown}: {ran:?}");
        for says in row.says {
            assert!(
                ran.stderr.contains(says),
                "{shown}: {says:?} is missing in {ran:?}"
            );
        }
        assert!(esm.files().is_empty(), "{shown}: something was written");
    }
}

#[test]
fn a_map_with_a_fault_is_shown_with_its_line() {
    let esm = Esm::new();
    let map = esm.file("map.jq", "{ object: .a,\n  id: nwo }");
    let file = esm.file("rows", "{}");
    esm.run(&["import", "--map", &map, &file])
        .failed(2, &["map.jq:2:7", "undefined function: nwo"]);
}

#[test]
fn a_built_in_map_is_printed_and_is_used_by_its_file_alike() {
    let esm = Esm::new();
    esm.run(&["import", "--list-maps"])
        .succeeded()
        .printed("kurrent\t");
    let maps = esm.run(&["import", "--list-maps", "-o", "json"]);
    assert_eq!(maps.succeeded().json()["maps"][0]["name"], "postgres");
    esm.run(&["import", "--show-map", "none"])
        .failed(3, &["none", "kurrent"]);
    let shown = esm.run(&["import", "--show-map", "cloudevents"]);
    let map = esm.file("mine.jq", &shown.succeeded().stdout);
    let events = esm.file("events", format!("[{}]", crate::orders::line("7", 0)));
    esm.run(&["import", "--map", &map, &events])
        .succeeded()
        .printed("imported 1 event");
    esm.run(&["import", "--map", "cloudevents", &events])
        .succeeded()
        .printed("were there already");
}

/// Columns that the map does not know, a schema version and the order of all events are kept.
#[test]
fn nothing_of_a_table_is_left_out() {
    let esm = Esm::new();
    let rows = "id,event_id,stream_id,version,type,data,metadata,tenant_id,schema_version\n\
        41,e-1,order-7,0,Placed,{},\"{\"\"by\"\":\"\"eve\"\"}\",eu,3\n\
        42,e-2,order-7,1,Paid,{},,,2\n";
    let file = esm.file("events.csv", rows);
    esm.run(&["import", "--map", "postgres", &file]).succeeded();
    let exported = esm.export();
    let lines: Vec<serde_json::Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect();
    let [first, second] = &lines[..] else {
        panic!("{exported}");
    };
    assert_eq!(first["id"], "e-1");
    assert_eq!(first["globalposition"], 41);
    assert_eq!(first["schemaversion"], 3);
    assert_eq!(first["by"], "eve");
    assert!(first.to_string().contains("tenant_id"), "{first}");
    assert!(first.to_string().contains("eu"), "{first}");
    assert_eq!(second["schemaversion"], 2);
    assert!(!second.to_string().contains("tenant"), "{second}");
}

/// Client libraries that print no id name an event by its number and its stream.
#[test]
fn an_event_of_kurrent_without_an_id_gets_the_name_of_a_link_to_it() {
    let esm = Esm::new();
    let event = |number: u64| {
        format!(
            "{{\"streamId\":\"cart-100\",\"eventNumber\":{number},\"eventType\":\"Added\",\"data\":{{}}}}\n"
        )
    };
    let file = esm.file("events", event(12) + &event(13));
    esm.run(&["import", "--map", "kurrent", "--renumber", &file])
        .succeeded();
    let exported = esm.export();
    assert!(exported.contains("\"12@cart-100\""), "{exported}");
}
