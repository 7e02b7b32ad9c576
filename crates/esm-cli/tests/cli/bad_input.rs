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
            "another event stands at order/00000 sequence 1",
            "payload differs from byte",
        ],
    );
    assert_eq!(esm.files(), before);
}

#[test]
fn from_standard_input_what_came_before_stays_and_it_is_said() {
    let esm = Esm::new();
    let input = format!("{}not an event\n", orders::sorted(1, 600));
    let ran = esm.run_with(&input, &["import"]);
    ran.failed(2, &["line 601", "what was imported stays"]);
    ran.printed("imported").printed("500");
    let error = esm.run_with(&input, &["import", "-o", "json"]).json_error();
    assert_eq!(error["kind"], "invalid");
    esm.import(&orders::sorted(1, 601));
    assert_eq!(esm.export(), orders::sorted(1, 601));
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
    esm.run(&["import", &empty]).succeeded();
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
