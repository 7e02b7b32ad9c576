//! Bad input: a clear error, nothing changed.

use serde_json::json;

use crate::esm::Esm;
use crate::orders;

/// Imports a file in which the second line was replaced, into a store with one order.
fn import_with(line: &[u8], arguments: &[&str], said: &[&str]) {
    let esm = Esm::new();
    esm.import(&orders::line("existing", 0));
    let before = esm.files();
    let mut content = orders::line("1", 0).into_bytes();
    content.push(b'\n');
    content.extend_from_slice(line);
    content.push(b'\n');
    let file = esm.file("input", content);
    let mut all = vec!["import", file.as_str()];
    all.extend_from_slice(arguments);
    let mut expected = vec!["line 2", "nothing was imported"];
    expected.extend_from_slice(said);
    esm.run(&all).failed(2, &expected);
    assert_eq!(esm.files(), before, "something was changed");
}

#[test]
fn lines_that_are_no_events() {
    import_with(b"{\"specversion\":", &[], &[]);
    import_with(b"[1,2]", &[], &[]);
    import_with(b"{\"a\":\xff}", &[], &["UTF-8"]);
    let without = |attribute: &str| {
        let line = orders::line("1", 1);
        let mut event: serde_json::Value = serde_json::from_str(&line).unwrap();
        event.as_object_mut().unwrap().remove(attribute);
        event.to_string()
    };
    for attribute in ["specversion", "id", "type", "source", "subject", "sequence"] {
        import_with(without(attribute).as_bytes(), &[], &[attribute]);
    }
}

#[test]
fn gaps_and_duplicates() {
    import_with(
        orders::line("1", 0).as_bytes(),
        &[],
        &["duplicate", "order/1"],
    );
    import_with(
        orders::line("1", 2).as_bytes(),
        &[],
        &["gap", "sequence 1 must come next"],
    );
    // against the store, too: another object that begins late
    import_with(orders::line("2", 3).as_bytes(), &[], &["gap", "order/2"]);
    import_with(
        orders::line("existing", 2).as_bytes(),
        &[],
        &["gap", "order/existing", "sequence 1 must come next"],
    );
}

#[test]
fn an_event_over_the_limit() {
    let large = orders::line("1", 1).replace("1.10\",", &format!("{}\",", "x".repeat(5000)));
    import_with(large.as_bytes(), &["--max-event-size", "4KiB"], &[]);
}

#[test]
fn another_event_in_the_place_of_a_stored_one() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    let before = esm.files();
    let changed = orders::sorted(2, 3).replacen("\"number\": 1,", "\"number\": 7,", 1);
    let file = esm.file("changed", changed);
    esm.run(&["import", &file]).failed(
        4,
        &[
            "line 2",
            "another event is stored at order/00000 sequence 1",
            "payload differs from byte",
        ],
    );
    assert_eq!(esm.files(), before);
}

#[test]
fn from_standard_input_what_came_before_stays_and_it_is_said() {
    let esm = Esm::new();
    let input = format!("{}not an event\n", orders::large(5_000));
    let ran = esm.run_with(&input, &["import"]);
    ran.failed(2, &["line 5001", "what was imported stays"]);
    ran.printed("imported").printed("5,000");
    let error = esm.run_with(&input, &["import", "-o", "json"]).json_error();
    assert_eq!(error["kind"], "invalid");
    esm.import(&orders::large(5_001));
    assert_eq!(esm.export(), orders::large(5_001));
}

#[test]
fn standard_input_that_is_short_is_checked_before_anything_is_written() {
    let esm = Esm::new();
    let input = format!("{}not an event\n", orders::sorted(1, 600));
    let ran = esm.run_with(&input, &["import"]);
    ran.failed(2, &["line 601", "nothing was imported"]);
    assert!(esm.files().is_empty());
}

#[test]
fn an_id_that_is_not_unique_in_its_object() {
    let twice = orders::line("1", 1).replace(r#""id":"order/1/1""#, r#""id":"order/1/0""#);
    let said = ["duplicate id in order/1", "order/1/0", "line 1 has it"];
    import_with(twice.as_bytes(), &[], &said);
    // against the store, too, where the input begins behind it
    let twice = twice.replace(r#""subject":"1""#, r#""subject":"existing""#);
    let twice = twice.replace("order/1/0", "order/existing/0");
    let said = [
        "duplicate id in order/existing",
        "an event in the store has it",
    ];
    import_with(twice.as_bytes(), &[], &said);

    // from a long standard input it is found once all was read
    let esm = Esm::new();
    let last = orders::line("00000", 5_000).replace("order/00000/5000", "order/00000/7");
    let input = format!("{}{last}\n", orders::large(5_000));
    let ran = esm.run_with(&input, &["import"]);
    ran.failed(2, &["line 5001", "duplicate id", "line 8 has it"]);
}

#[test]
fn a_time_that_is_not_rfc_3339() {
    for time in [
        "yesterday",
        "2026-02-30T03:04:05Z",
        "2026-01-02T03:04:05",
        "10\\t00",
    ] {
        let line = orders::line("1", 1).replace("2026-01-02T03:04:05.001+02:00", time);
        import_with(line.as_bytes(), &[], &["attribute time", "hint"]);
    }
}

#[test]
fn the_dry_run_refuses_what_the_import_refuses() {
    let line = |sequence| orders::line("1", sequence) + "\n";
    let inputs = [
        line(1) + &line(2),
        line(0) + &line(1) + &line(3),
        line(0) + &line(0),
        line(0).replace("1.10\",", "2\","),
    ];
    let stored = Esm::new();
    stored.import(&line(0));
    let before = stored.files();
    let absent = Esm::new();
    for (number, input) in inputs.iter().enumerate() {
        let esms = if number < 3 {
            vec![&absent]
        } else {
            vec![&stored]
        };
        for esm in esms {
            let file = esm.file("input", input);
            let dry = esm.run(&["import", &file, "--dry-run", "-o", "json"]);
            let real = esm.run(&["import", &file, "-o", "json"]);
            assert_ne!(dry.code, Some(0), "{number}: {dry:?}");
            assert_eq!(dry.code, real.code, "{number}: {dry:?} {real:?}");
            assert_eq!(dry.json_error(), real.json_error(), "{number}");
        }
    }
    assert!(!absent.path("store").exists(), "a store was created");
    assert_eq!(stored.files(), before);
}

#[test]
fn files_in_another_form_are_named_with_a_command_that_helps() {
    let esm = Esm::new();
    let line = orders::line("1", 0);
    let utf16: Vec<u8> = format!("\u{feff}{line}\n")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let array = format!("[{line}]");
    for (input, said, command) in [
        (&utf16[..], "UTF-16", "iconv -f UTF-16"),
        (array.as_bytes(), "JSON array", "jq -c '.[]'"),
    ] {
        let file = esm.file("input", input);
        esm.run(&["import", &file])
            .failed(2, &["line 1", said, command, "nothing was imported"]);
    }
    let joined = format!("\u{feff}{line}\n\u{feff}{}\n", orders::line("1", 1));
    let file = esm.file("input", joined);
    esm.run(&["import", &file])
        .succeeded()
        .printed("imported 2 events");
}

#[test]
fn gzip_may_be_padded_with_zeros_and_garbage_behind_it_is_named() {
    use std::io::Write as _;
    let esm = Esm::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(orders::line("1", 0).as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let file = esm.file("garbage", [&gzip[..], b"garbage"].concat());
    esm.run(&["import", &file]).failed(
        2,
        &[
            "garbage behind the end of the gzip data",
            "nothing was imported",
        ],
    );
    let file = esm.file("padded", [&gzip[..], &[0; 1024]].concat());
    esm.run(&["import", &file])
        .succeeded()
        .printed("imported 1 event");
}

#[test]
fn stores_that_cannot_be_opened() {
    let esm = Esm::new();
    let with = |store: &str| esm.run(&["list", "--store", store]);
    with("ftp://example.org/x").failed(2, &["unknown scheme", "file:///path"]);
    with("").failed(2, &["hint"]);
    let absent = with(&esm.url("absent"));
    absent.failed(3, &["error"]);
    assert!(!esm.path("absent").exists(), "reading made a directory");
    std::fs::create_dir(esm.path("other")).unwrap();
    std::fs::write(esm.path("other/esm.json"), "{\"format\": 999}").unwrap();
    assert_ne!(with(&esm.url("other")).code, Some(0));

    let mut unnamed = esm.command(&["list"]);
    let ran = unnamed.env_remove("ESM_STORE").output().unwrap();
    let ran = crate::esm::Ran::new(ran);
    ran.failed(2, &["no store given", "ESM_STORE"]);
}

#[test]
fn files_that_cannot_be_read() {
    let esm = Esm::new();
    let absent = esm.path("absent");
    esm.run(&["import", absent.to_str().unwrap()])
        .failed(3, &["absent"]);
    let directory = esm.path("");
    esm.run(&["import", directory.to_str().unwrap()])
        .failed(2, &["directory"]);
    let empty = esm.file("empty", "");
    esm.run(&["import", &empty])
        .succeeded()
        .printed("the input has no events");
}

#[test]
fn unknown_objects() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 1));
    for arguments in [
        ["show", "order/none"],
        ["read", "order/none"],
        ["export", "order/none"],
    ] {
        esm.run(&arguments).failed(3, &["order/none", "hint"]);
    }
    let error = esm.run(&["show", "order/none", "--output", "json"]);
    assert_eq!(error.code, Some(3));
    assert_eq!(
        error.json_error(),
        json!({
            "kind": "not_found",
            "message": "unknown object: order/none",
            "hint": "list the objects of this store to see what there is",
            "retryable": false,
            "exit_code": 3,
        })
    );
    esm.run(&["show", "no-slash"]).failed(2, &["name/key"]);
}

#[test]
fn wrong_arguments_end_with_2_and_help_with_0() {
    let esm = Esm::new();
    assert_eq!(esm.run(&["no-such-command"]).code, Some(2));
    assert_eq!(esm.run(&["export"]).code, Some(2));
    assert_eq!(esm.run(&["export", "--all", "order/1"]).code, Some(2));
    assert_eq!(
        esm.run(&["import", "--max-event-size", "much"]).code,
        Some(2)
    );
    esm.run(&["--help"]).succeeded().printed("Exit codes");
    esm.run(&["--version"]).succeeded().printed("esm ");
    esm.run(&["list", "--log", "esm=nonsense"])
        .failed(2, &["log filter"]);
}

#[test]
fn a_cell_that_is_damaged_is_named() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 3));
    let cell = esm
        .files()
        .into_iter()
        .find(|(path, _)| path.to_string_lossy().contains("/c/"))
        .expect("a cell");
    let mut content = cell.1;
    let end = content.len() - 3;
    content.truncate(end);
    std::fs::write(&cell.0, content).unwrap();
    let name = cell.0.file_name().unwrap().to_string_lossy().into_owned();
    esm.run(&["read", "order/00000"]).failed(9, &[&name]);
}
