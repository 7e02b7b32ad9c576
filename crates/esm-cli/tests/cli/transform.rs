//! `esm transform`

use serde_json::Value;

use crate::esm::Esm;
use crate::migrate::PROGRAM;
use crate::orders;

fn with_orders() -> (Esm, String) {
    let esm = Esm::new();
    esm.import(&orders::sorted(3, 4));
    let program = esm.file("v2.jq", PROGRAM);
    (esm, program)
}

#[test]
fn it_prints_what_the_migration_then_stores_and_writes_nothing() {
    let (esm, program) = with_orders();
    let before = esm.files();
    let all = esm.run(&["transform", &program, "--all"]);
    let one = esm.run(&["transform", &program, "order/00001"]);
    let named = esm.run(&["transform", &program, "--name", "order"]);
    assert_eq!(esm.files(), before);
    assert_eq!(named.succeeded().stdout, all.succeeded().stdout);
    let migrate = ["migrate", "--all", "--transform", &program];
    esm.run(&migrate).succeeded();
    assert_eq!(all.stdout, esm.export());
    let exported = esm.run(&["export", "order/00001"]);
    assert_eq!(one.succeeded().stdout, exported.stdout);
}

#[test]
fn a_file_and_standard_input_need_no_store() {
    let (esm, program) = with_orders();
    let stored = esm.run(&["transform", &program, "--all"]).stdout;
    let without = Esm::new();
    let run = |arguments: &[&str]| {
        let mut command = without.command(arguments);
        command.env_remove("ESM_STORE");
        crate::esm::Ran::new(command.output().expect("esm runs"))
    };
    let file = without.file("orders.ndjson", orders::sorted(3, 4));
    let ran = run(&["transform", &program, &file]);
    assert_eq!(ran.succeeded().stdout, stored);
    // each object has its own numbers, also where they alternate
    let ran = without.run_with(orders::interleaved(3, 4), &["transform", &program, "-"]);
    let mut lines: Vec<_> = ran.succeeded().stdout.lines().collect();
    let mut expected: Vec<_> = stored.lines().collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert!(without.files().is_empty(), "a store was created");
    run(&["transform", &program, "order/1"]).failed(2, &["no store given"]);
    run(&["transform", &program, "absent.ndjson"])
        .failed(2, &["neither a file nor an object: absent.ndjson"]);
    run(&["transform", &program, &file, &file]).failed(2, &["a file is transformed alone"]);
    run(&["transform", &program]).failed(2, &["OBJECT|FILE"]);
    let wrong = without.file("wrong", "{\n");
    run(&["transform", &program, &wrong]).failed(2, &["line 1"]);
}

#[test]
fn the_difference_is_that_of_the_plan() {
    let (esm, program) = with_orders();
    let ran = esm.run(&["transform", &program, "order/00001", "--diff"]);
    ran.succeeded()
        .printed("OrderPlaced v1 changed: order/00001 revision 0, id order/00001/0\n")
        .printed("  > .data.text -> .data.note  \"é 🛒 1.10\"\n")
        .printed("OrderPaid v1 split into 2: order/00001 revision 1")
        .printed("NoteTaken v1 dropped by v2.jq: order/00001 revision 3");
    let counts = "4 events: 0 unchanged, 1 changed, 1 split, 2 dropped; nothing was written\n";
    assert_eq!(ran.stderr, counts);

    let diff = ["transform", &program, "order/00001", "--diff", "-o", "json"];
    let ran = esm.run(&diff);
    let samples: Vec<Value> = (ran.succeeded().stdout.lines())
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(samples.len(), 4);
    let plan = ["plan", "order/00001", "--transform", &program, "-o", "json"];
    let plan = esm.run(&plan).succeeded().json();
    for sample in plan["samples"].as_array().expect("samples") {
        assert!(samples.contains(sample), "{sample}");
    }
    assert_eq!(samples[0]["outcome"], "changed");
    assert_eq!(samples[1]["after"][1]["type"], "Paid");
}

#[test]
fn it_ends_with_7_at_the_first_event_that_fails() {
    let (esm, _) = with_orders();
    let program = r#"if .type == "OrderPaid" then error("unpaid: \(.data.number)") else . end"#;
    let program = esm.file("fails.jq", program);
    let said = ["order/00000", "unpaid: 1", "at revision 1"];
    let ran = esm.run(&["transform", &program, "--all"]);
    ran.failed(7, &said);
    assert_eq!(ran.stdout.lines().count(), 1, "what precedes it is printed");
    let ran = esm.run(&["transform", &program, "--all", "--diff"]);
    ran.failed(7, &said)
        .printed("OrderPaid v1 failed by fails.jq: order/00000 revision 1")
        .printed("  error: unpaid: 1\n  value: {\"number\": 1,");
    let file = esm.file("orders.ndjson", orders::sorted(1, 3));
    let ran = esm.run(&["transform", &program, &file]);
    ran.failed(7, &["line 2", "order/00000"]);
}

#[test]
fn values_of_events_are_in_plans_and_not_in_journals() {
    let esm = Esm::new();
    let line = orders::line("1", 0).replace("é", "only-in-the-payload");
    esm.import(&line);
    let program = esm.file("v2.jq", PROGRAM);
    let saved = esm.path("plan.json");
    let saved = saved.to_str().expect("a path");
    let plan = ["plan", "--all", "--transform", &program, "--save", saved];
    esm.run(&plan).succeeded();
    let text = std::fs::read_to_string(saved).expect("the plan");
    assert!(text.contains("only-in-the-payload"), "{text}");
    esm.run(&["migrate", "--plan", saved]).succeeded();
    // the engine's message would quote the value
    let fails = esm.file("fails.jq", ".data.note.x = 1");
    let migrate = ["migrate", "--all", "--transform", &fails, "--again"];
    let said = [
        "cannot index a string with \"x\" (line 1, column 2)",
        "value: {\"number\":0,",
    ];
    esm.run(&migrate).failed(7, &said);
    let mut records = 0;
    for (path, content) in esm.files() {
        if path
            .strip_prefix(esm.path("store"))
            .is_ok_and(|p| p.starts_with("streams"))
        {
            continue;
        }
        records += 1;
        let content = String::from_utf8_lossy(&content);
        assert!(!content.contains("only-in-the-payload"), "{path:?}");
    }
    assert!(records > 5, "{records}");
}
