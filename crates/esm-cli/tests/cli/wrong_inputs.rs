//! Wrong input of every kind: the answer says what is wrong, where, and how to mend it.

use crate::esm::Esm;
use crate::orders;

/// Arguments, the exit code, what is said of the error and its place, and what mends it.
type Case<'a> = (&'a [&'a str], i32, &'a [&'a str], &'a str);

#[test]
fn every_wrong_input_is_answered_by_what_where_and_how_to_mend_it() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    let good = esm.file("good.jq", ".schemaversion = 2");
    let broken = esm.file("broken.jq", ".type = ");
    let undefined = esm.file("undefined.jq", ".a | nope(1)");
    let binary = esm.file("binary.jq", b"\xff\xfe");
    let fails = esm.file("fails.jq", ".data.number.x = 1");
    let no_type = esm.file("no-type.jq", ".type = 7");
    let no_plan = esm.file("no-plan.json", "{}");
    let new_plan = esm.file("new-plan.json", r#"{"format":99}"#);
    let orders_file = esm.file("orders.ndjson", orders::sorted(1, 2));
    let gap = esm.file("gap.ndjson", orders::line("7", 5));
    let uri = esm.file(
        "uri.ndjson",
        orders::line("7", 0).replace(r#""source":"order""#, r#""source":"/a/b""#),
    );
    let array = esm.file("array.json", format!("[{}]", orders::line("7", 0)));
    let time = esm.file(
        "time.ndjson",
        orders::line("7", 0).replace("2026-01-02T", "yesterday "),
    );
    let directory = esm.path("");
    let directory = directory.to_str().expect("a path");
    let id = "0192d3a0-7c1e-7aaa-8bbb-0123456789ab";
    let absent = esm.url("absent");
    let before = esm.files();

    let cases: &[Case<'_>] = &[
        (&["lst"], 2, &["unrecognized subcommand 'lst'"], "'list'"),
        (
            &["migr", "--all"],
            2,
            &["unrecognized subcommand 'migr'"],
            "'migrate'",
        ),
        (
            &["list", "--nme", "x"],
            2,
            &["unexpected argument '--nme'"],
            "'--name'",
        ),
        (
            &["list", "--limit", "x"],
            2,
            &["'x'", "--limit <NUMBER>"],
            "a whole number",
        ),
        (
            &["list", "-o", "yaml"],
            2,
            &["'yaml'", "--output <FORMAT>"],
            "[possible values: text, json]",
        ),
        (
            &["list", "--log", "esm=loud"],
            2,
            &["invalid log filter: \"esm=loud\""],
            "for example --log info",
        ),
        (&["list", "--store", ""], 2, &["store"], "hint: "),
        (
            &["list", "--store", "ftp://x"],
            2,
            &["unknown scheme: ftp"],
            "file:///path",
        ),
        (
            &["list", "--store", "s3://u:p@bucket"],
            2,
            &["store address", "password"],
            "in the environment",
        ),
        (&["list", "--store", &absent], 3, &["absent"], "hint: "),
        (&["show"], 2, &["<OBJECT>"], "Usage: esm show"),
        (
            &["show", "order"],
            2,
            &["'order'", "<OBJECT>"],
            "write it as name/key",
        ),
        (
            &["show", "order/9"],
            3,
            &["unknown object: order/9"],
            "list the objects",
        ),
        (
            &["read", "order/00000", "--from", "x"],
            2,
            &["'x'", "--from <REVISION>"],
            "a whole number",
        ),
        (
            &["export"],
            2,
            &["<OBJECT|--name <NAME>|--all>"],
            "Usage: esm export",
        ),
        (
            &["export", "--all", "order/1"],
            2,
            &["'--all' cannot be used with"],
            "Usage: esm export",
        ),
        (
            &["export", "--name", "ordre"],
            3,
            &["no object has the name: ordre"],
            "esm list",
        ),
        (
            &["export", "--all", "--to", &orders_file],
            4,
            &["already exists", "orders.ndjson"],
            "--overwrite",
        ),
        (
            &["plan", "--all", "--transform", "absent.jq"],
            3,
            &["absent.jq"],
            "check the path",
        ),
        (
            &["plan", "--all", "--transform", directory],
            2,
            &[directory],
            "name a file",
        ),
        (
            &["plan", "--all", "--transform", &broken],
            2,
            &["broken.jq:1:"],
            "expected a term",
        ),
        (
            &["plan", "--all", "--transform", &undefined],
            2,
            &["undefined.jq:1:6", "nope/1"],
            "^",
        ),
        (
            &["plan", "--all", "--transform", &binary],
            2,
            &["binary.jq", "not UTF-8 at byte 0"],
            "save the program as UTF-8",
        ),
        (
            &[
                "plan",
                "--all",
                "--transform",
                &good,
                "--save",
                &orders_file,
            ],
            4,
            &["orders.ndjson"],
            "choose another file",
        ),
        (
            &["plan", "--all", "--show", "some"],
            2,
            &["'some'", "--show <NUMBER>"],
            "a whole number",
        ),
        (
            &["transform", &good],
            2,
            &["OBJECT|FILE"],
            "Usage: esm transform",
        ),
        (
            &["transform", &good, "absent.ndjson"],
            2,
            &["neither a file nor an object: absent.ndjson"],
            "name an existing file",
        ),
        (
            &["transform", &good, &orders_file, "-"],
            2,
            &["a file is transformed alone"],
            "cat FILE",
        ),
        (
            &["transform", &fails, "order/00001"],
            7,
            &["order/00001", "at revision 0", "cannot index a number"],
            "fix the transformation",
        ),
        (
            &["transform", &no_type, &orders_file],
            7,
            &["line 1", "order/00000", "type"],
            "fix the transformation",
        ),
        (
            &["migrate", "--plan", &no_plan],
            2,
            &["not a plan", "no-plan.json"],
            "esm plan … --save FILE",
        ),
        (
            &["migrate", "--plan", &new_plan],
            2,
            &["format 99, known is 1"],
            "newer version of esm",
        ),
        (
            &["migrate", "--all", "--on-retired", "x"],
            2,
            &["'x'", "--on-retired <POLICY>"],
            "accept-unchanged",
        ),
        (
            &["migrate", "--all", "--cutover-wait", "3s"],
            2,
            &["--cutover-wait without --cutover manual"],
            "add --cutover manual",
        ),
        (
            &["migrate", "--all", "--cutover-after", "soon"],
            2,
            &["\"soon\"", "--cutover-after <TIME>"],
            "2026-01-02T03:00:00Z",
        ),
        (
            &["migrate", "--all", "--reversible-for", "soon"],
            2,
            &["\"soon\"", "--reversible-for"],
            "for example 45s",
        ),
        (
            &["migrate", "--all", "--tag", "x"],
            2,
            &["\"x\"", "--tag <KEY=VALUE>"],
            "of the form key=value",
        ),
        (
            &["migrate", "--all", "--level", "99"],
            2,
            &["'99'", "--level"],
            "not in 1..=19",
        ),
        (
            &["migrate", "--all", "--backup", "http://x"],
            2,
            &["the store of backups", "unknown scheme: http"],
            "file:///path",
        ),
        (
            &["migrate", "--all", "--archive", "x"],
            2,
            &["--close-books"],
            "Usage: esm migrate",
        ),
        (
            &["import", &gap],
            2,
            &["line 1", "gap in the events of order/7"],
            "--renumber",
        ),
        (
            &["import", &uri],
            2,
            &["line 1", "source cannot be an object's name"],
            "--name NAME",
        ),
        (&["import", &array], 2, &["line 1", "JSON array"], "hint: "),
        (
            &["import", &time],
            2,
            &["line 1", "attribute time"],
            "2026-01-02T03:04:05Z",
        ),
        (
            &["import", "absent.ndjson"],
            3,
            &["absent.ndjson"],
            "check the path",
        ),
        (
            &["import", &orders_file, "--max-event-size", "8MB"],
            2,
            &["\"8MB\"", "--max-event-size"],
            "KiB, MiB or GiB",
        ),
        (
            &["status", id],
            3,
            &["unknown migration", id],
            "list the migrations",
        ),
        (
            &["rollback", id],
            3,
            &["unknown migration", id],
            "list the migrations",
        ),
        (&["set"], 2, &["nothing is to be set"], "name at least one"),
        (
            &["pause"],
            3,
            &["no unfinished migration"],
            "esm status --all",
        ),
        (
            &["lock", "break", "object order/1"],
            3,
            &["lock is not held: object order/1"],
            "esm lock list",
        ),
        (&["store", "new-id"], 2, &["confirmation required"], "--yes"),
        (&["completions", "x"], 2, &["'x'", "<SHELL>"], "bash"),
        (&["list", "--verbose"], 2, &["--verbose"], "Usage: esm"),
    ];
    assert!(cases.len() >= 40);
    for (arguments, code, said, mended_by) in cases {
        let ran = esm.run(arguments);
        ran.failed(*code, said).failed(*code, &[mended_by]);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    assert_eq!(esm.files(), before, "something was changed");
}
