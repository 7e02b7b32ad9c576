//! `--upcasters`, and `esm upcasters`.

use crate::esm::Esm;
use crate::orders;

const STEPS: [(&str, &str); 3] = [
    (
        "OrderPlaced.v1-v2.jq",
        ".data.note = .data.text | del(.data.text)",
    ),
    (
        "OrderPlaced.v2-v3.jq",
        ".schemaversion = 3 | .data.currency = \"EUR\"",
    ),
    ("NoteTaken.v1-v2.jq", "."),
];

/// Writes files into a directory of this name; returns its path as an argument.
fn directory(esm: &Esm, name: &str, files: &[(&str, &str)]) -> String {
    std::fs::create_dir(esm.path(name)).expect("a directory");
    for (file, text) in files {
        esm.file(&format!("{name}/{file}"), text);
    }
    esm.path(name).to_str().expect("a path").to_owned()
}

fn with_steps(orders: usize, files: &[(&str, &str)]) -> (Esm, String) {
    let esm = Esm::new();
    esm.import(&orders::sorted(orders, 3));
    let steps = directory(&esm, "steps", files);
    (esm, steps)
}

fn versions(exported: &str) -> Vec<String> {
    let shown = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let version = event["schemaversion"].as_u64().unwrap_or(1);
        format!("{} v{version}", event["type"].as_str().expect("a type"))
    };
    exported.lines().map(shown).collect()
}

const NEWEST: [&str; 3] = ["OrderPlaced v3", "OrderPaid v1", "NoteTaken v2"];

#[test]
fn plan_transform_migrate_and_verify_take_upcasters() {
    let (esm, steps) = with_steps(1, &STEPS);
    let plan = ["plan", "--all", "--upcasters", &steps, "-o", "json"];
    let plan = esm.run(&plan).succeeded().json();
    assert_eq!(plan["ledger"]["changed"], 2);

    let before = esm.files();
    let all = esm.run(&["transform", "--upcasters", &steps, "--all"]);
    let one = esm.run(&["transform", "--upcasters", &steps, "order/00000"]);
    assert_eq!(one.succeeded().stdout, all.succeeded().stdout);
    let file = esm.file("orders.ndjson", orders::sorted(1, 3));
    let of_file = esm.run(&["transform", &file, "--upcasters", &steps]);
    assert_eq!(of_file.succeeded().stdout, all.stdout);
    std::fs::remove_file(&file).expect("the file");
    assert_eq!(esm.files(), before);

    let migrate = ["migrate", "--all", "--upcasters", &steps];
    esm.run(&migrate).succeeded().printed("migrated 1 object");
    assert_eq!(esm.export(), all.stdout);
    assert_eq!(versions(&all.stdout), NEWEST);
    assert!(
        all.stdout.contains("\"currency\":\"EUR\""),
        "{}",
        all.stdout
    );
    // the programs are in the plan: without the directory it is verified all the same
    std::fs::remove_dir_all(&steps).expect("the directory");
    esm.run(&["verify", "--all"])
        .succeeded()
        .printed("equal: 3 events");
}

#[test]
fn a_migration_with_upcasters_resumes_without_their_directory() {
    let fails = [STEPS[0], ("OrderPlaced.v2-v3.jq", "error(\"no total\")")];
    let (esm, steps) = with_steps(2, &fails);
    let saved = esm.path("plan.json");
    let saved = saved.to_str().expect("a path");
    let failed = esm.run(&["migrate", "--all", "--upcasters", &steps]);
    failed.failed(7, &["OrderPlaced.v2-v3.jq", "no total"]);
    std::fs::remove_dir_all(&steps).expect("the directory");
    // it fails as before: the steps are those of the plan
    esm.run(&["resume"]).failed(7, &["no total"]);

    // mended steps, instead of the ones of the plan
    let mended = directory(&esm, "mended", &STEPS);
    let amend = ["migrate", "--amend", &mended];
    esm.run(&amend).succeeded().printed("migrated 2 objects");
    assert_eq!(versions(&esm.export())[..3], NEWEST);
    esm.run(&["verify", "--all"]).succeeded();

    let plan = ["plan", "--all", "--upcasters", &mended, "--save", saved];
    esm.run(&plan).succeeded().printed("already transformed");
}

#[test]
fn a_saved_plan_has_its_upcasters() {
    let (esm, steps) = with_steps(1, &STEPS);
    let saved = esm.path("plan.json");
    let saved = saved.to_str().expect("a path");
    let plan = ["plan", "--all", "--upcasters", &steps, "--save", saved];
    esm.run(&plan).succeeded();
    std::fs::remove_dir_all(&steps).expect("the directory");
    esm.run(&["migrate", "--plan", saved]).succeeded();
    assert_eq!(versions(&esm.export()), NEWEST);
    let both = ["migrate", "--plan", saved, "--upcasters", "steps"];
    esm.run(&both).failed(2, &["cannot be used with"]);
}

#[test]
fn after_a_rollback_the_original_events_are_there() {
    let (esm, steps) = with_steps(1, &STEPS);
    let before = esm.export();
    esm.run(&["migrate", "--all", "--upcasters", &steps])
        .succeeded();
    esm.run(&["rollback", "--yes"]).succeeded();
    assert_eq!(esm.export(), before);
}

#[test]
fn a_directory_that_is_wrong_is_refused_before_anything_is_touched() {
    for (files, said) in [
        (
            vec![
                ("A.v1-v2.jq", "."),
                ("A.v1-v3.jq", "."),
                ("A.v2-v3.jq", "."),
            ],
            vec!["fork", "A v1", "to v2 (A.v1-v2.jq), and to v3 (A.v1-v3.jq)"],
        ),
        (
            vec![("A.v1-v2.jq", "."), ("A.v3-v4.jq", ".")],
            vec!["gap", "A v2", "A.v1-v2.jq, A.v3-v4.jq"],
        ),
        (
            vec![("A.v1-v2.jq", "."), ("A.v2-v1.jq", ".")],
            vec!["circle", "A v1 → v2 → v1 (A.v1-v2.jq, A.v2-v1.jq)"],
        ),
        (
            vec![("A.v2-v1.jq", ".")],
            vec!["leads to a lower version: A v2 → v1 (A.v2-v1.jq)"],
        ),
        (
            vec![("A.v1-v2.jq", "."), ("A.v2.jq", ".")],
            vec!["does not say its step: A.v2.jq", "Placed.v1-v2.jq"],
        ),
        (
            vec![("A.v1-v2.jq", "."), ("A.v2-v3.JQ", ".")],
            vec!["does not say its step: A.v2-v3.JQ"],
        ),
        (
            vec![("A.v1-v2.jq", "."), ("A.v2-v3.jq.txt", ".")],
            vec!["does not say its step: A.v2-v3.jq.txt"],
        ),
        (
            vec![
                ("A.v1-v2.jq", "."),
                ("A.v2-v3.jq", "if .schemaversion == 1 then .data = 1 end"),
            ],
            vec!["A.v2-v3.jq", "other versions than 2"],
        ),
        (vec![("A.v1-v2.jq", ".a |")], vec!["A.v1-v2.jq:1:"]),
        (
            vec![("README.md", "steps")],
            vec!["directory has no upcaster"],
        ),
    ] {
        let (esm, steps) = with_steps(1, &files);
        let before = esm.files();
        for command in [
            &["migrate", "--all", "--upcasters", &steps][..],
            &["plan", "--all", "--upcasters", &steps],
            &["transform", "--all", "--upcasters", &steps],
            &["upcasters", "check", &steps],
            &["upcasters", "graph", &steps],
        ] {
            esm.run(command).failed(2, &said);
        }
        assert_eq!(esm.files(), before);
    }
}

#[test]
fn what_is_given_wrongly_is_said() {
    let (esm, steps) = with_steps(1, &STEPS);
    let program = esm.file("v2.jq", ".");
    let run = |arguments: &[&str]| esm.run(arguments);
    run(&[
        "plan",
        "--all",
        "--transform",
        &program,
        "--upcasters",
        &steps,
    ])
    .failed(2, &["cannot be used with"]);
    run(&["plan", "--all", "--transform", &steps]).failed(2, &["is a directory", "--upcasters"]);
    run(&["plan", "--all", "--upcasters", &program]).failed(2, &["reading upcasters"]);
    run(&["plan", "--all", "--upcasters", "absent"]).failed(3, &["absent"]);
    run(&["transform", "--upcasters", &steps]).failed(2, &["OBJECT|FILE"]);
    run(&["transform", "--upcasters", &steps, "order/00000", "--all"])
        .failed(2, &["--all", "order/00000"]);
    run(&["transform", "--all"]).failed(2, &["FILE.jq"]);
    std::fs::create_dir(esm.path("steps/B.v1-v2.jq")).expect("a directory");
    run(&["upcasters", "check", &steps]).failed(2, &["not a file", "B.v1-v2.jq"]);
    std::fs::rename(esm.path("steps/B.v1-v2.jq"), esm.path("steps/more")).expect("a directory");
    run(&["upcasters", "check", &steps]).failed(2, &["directory among them", "steps/more"]);
}

#[test]
fn an_old_version_without_a_step_is_found_by_the_plan() {
    let (esm, steps) = with_steps(1, &[("OrderPaid.v2-v3.jq", ".")]);
    let said = [
        "no step leads from OrderPaid v1 to a newer version",
        "order/00000",
    ];
    let plan = esm.run(&["plan", "--all", "--upcasters", &steps]);
    assert_eq!(plan.code, Some(7));
    plan.printed(said[0]).printed(said[1]);
}

#[test]
fn the_steps_and_their_graph_are_shown_and_other_files_left_out() {
    let (esm, steps) = with_steps(1, &STEPS);
    esm.file("steps/README.md", "the steps");
    esm.file("steps/.NoteTaken.v1-v2.jq", "left over by an editor");
    let check = esm.run(&["upcasters", "check", &steps]);
    check
        .succeeded()
        .printed("OrderPlaced\tv1 → v2\tv3\tOrderPlaced.v1-v2.jq")
        .printed("3 steps of 2 types: each old version has one way to the newest");
    let json = esm.run(&["upcasters", "check", &steps, "-o", "json"]);
    let json = json.succeeded().json();
    assert_eq!(json["types"][1]["newest"], 3);
    assert_eq!(json["types"][1]["steps"][1]["file"], "OrderPlaced.v2-v3.jq");
    let graph = esm
        .run(&["upcasters", "graph", &steps])
        .succeeded()
        .stdout
        .clone();
    assert_eq!(graph, "NoteTaken: v1 → v2\nOrderPlaced: v1 → v2 → v3\n");
    esm.run(&["upcasters", "graph", &steps, "--format", "mermaid"])
        .succeeded()
        .printed("n0[\"NoteTaken v1\"] -->|\"NoteTaken.v1-v2.jq\"| n1[\"NoteTaken v2\"]");
    esm.run(&["upcasters", "graph", &steps, "--format", "dot"])
        .succeeded()
        .printed("\"OrderPlaced v2\" -> \"OrderPlaced v3\" [label=\"OrderPlaced.v2-v3.jq\"];");
}
