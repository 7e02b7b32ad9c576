//! Masking personal data of a store.

use crate::esm::{Esm, Ran, is_at_work};

const EMAIL: &str = "ada.lovelace@example.com";
const PROGRAM: &str = r#"if .type == "Registered" and .schemaversion == 1 then
  .schemaversion = 2
  | (.data.email | strings) |= pseudonym
  | .data.born |= floor_date("year")
  | .data.name = "erased"
end"#;

/// Customers with the same address in two streams.
fn customers(count: usize) -> String {
    let line = |customer: usize| {
        format!(
            r#"{{"specversion":"1.0","id":"{customer}","source":"customer","subject":"{customer}","type":"Registered","sequence":"0","data":{{"email":"{EMAIL}","born":"1990-12-10","name":"Ada Lovelace"}}}}"#
        )
    };
    (0..count).map(|customer| line(customer) + "\n").collect()
}

fn masked(esm: &Esm, key: &str, arguments: &[&str]) -> Ran {
    esm.run(&[arguments, &["--masking-key", key]].concat())
}

#[test]
fn people_have_the_same_pseudonym_in_all_streams_and_stores() {
    let pseudonyms: Vec<String> = (0..2)
        .flat_map(|_| {
            let esm = Esm::new();
            esm.import(&customers(2));
            let program = esm.file("mask.jq", PROGRAM);
            let key = esm.file("masking.key", "a secret of the tests\n");
            let migrate = ["migrate", "--all", "--transform", &program];
            masked(&esm, &key, &migrate).succeeded();
            masked(&esm, &key, &["verify", "--all"]).succeeded();
            let exported = esm.export();
            assert!(
                !exported.contains(EMAIL) && !exported.contains("Ada"),
                "{exported}"
            );
            assert!(exported.contains("1990-01-01"), "{exported}");
            let email = |line: &str| {
                let event: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
                event["data"]["email"].as_str().expect("a text").to_owned()
            };
            exported.lines().map(email).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(pseudonyms.len(), 4);
    assert!(
        pseudonyms
            .iter()
            .all(|other| *other == pseudonyms[0] && other.len() == 26)
    );
}

/// What a directory has of a text, in any of its files, besides those that were given.
fn holds(esm: &Esm, text: &str) -> Vec<String> {
    let found = |bytes: &[u8]| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    let unpacked = |bytes: &[u8]| zstd::decode_all(bytes).unwrap_or_default();
    let all = esm.files().into_iter();
    all.filter(|(_, bytes)| found(bytes) || found(&unpacked(bytes)))
        .map(|(path, _)| path.display().to_string())
        .collect()
}

#[test]
fn the_key_is_written_nowhere() {
    let esm = Esm::new();
    esm.import(&customers(2));
    let program = esm.file("mask.jq", PROGRAM);
    let secret = "a secret that nobody may ever see";
    let key = esm.file("masking.key", secret);
    let migrate = [
        "migrate",
        "--all",
        "--transform",
        &program,
        "--log",
        "trace",
        "-o",
        "json",
    ];
    let ran = masked(&esm, &key, &migrate);
    ran.succeeded();
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(secret));
    assert_eq!(holds(&esm, secret), [""; 0]);
}

#[test]
fn a_key_that_is_missing_or_another_is_refused_before_anything_is_touched() {
    let esm = Esm::new();
    esm.import(&customers(60));
    let program = esm.file("mask.jq", PROGRAM);
    let [key, other] = ["one", "other"].map(|name| {
        esm.file(
            &format!("{name}.key"),
            format!("the {name} secret of the tests"),
        )
    });
    let before = esm.files();
    let migrate = ["migrate", "--all", "--transform", &program];
    esm.run(&migrate).failed(
        2,
        &["`pseudonym` needs a masking key", "--masking-key FILE"],
    );
    let short = esm.file("short.key", "short");
    masked(&esm, &short, &migrate).failed(2, &["short.key", "5 bytes", "at least 16"]);
    masked(&esm, "absent.key", &migrate).failed(3, &["masking key absent.key"]);
    assert_eq!(esm.files(), before);

    let slowly = ["--events-per-second", "20", "--masking-key", &key];
    let mut child = esm.start(&[&migrate[..], &slowly].concat());
    while !esm
        .files()
        .iter()
        .any(|(path, _)| path.to_string_lossy().contains("progress"))
    {
        is_at_work(&mut child);
        std::thread::yield_now();
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let resume = ["resume"];
    esm.run(&resume).failed(2, &["needs a masking key"]);
    masked(&esm, &other, &resume).failed(4, &["give the key with the id"]);
    masked(&esm, &key, &resume).succeeded();
    assert!(!esm.export().contains(EMAIL));
}

#[test]
fn a_plan_lists_masked_fields_and_others_with_the_same_values_and_no_value() {
    let esm = Esm::new();
    let order = format!(
        r#"{{"specversion":"1.0","id":"o1","source":"order","subject":"1","type":"Ordered","sequence":"0","data":{{"contact":{{"mail":"{EMAIL}"}},"total":5}}}}"#
    );
    esm.import(&format!("{}{order}\n", customers(2)));
    let program = esm.file("mask.jq", PROGRAM);
    let key = esm.file("masking.key", "a secret of the tests\n");
    let saved = esm.path("plan.json");
    let saved = saved.to_str().expect("a path");
    let plan = ["plan", "--all", "--transform", &program, "--show", "9"];
    let plan = [&plan[..], &["--save", saved, "--log", "trace"]].concat();
    let ran = masked(&esm, &key, &plan);
    ran.succeeded()
        .printed("Registered\t1\t.data.born\tdate\t2")
        .printed("Registered\t1\t.data.email\tpseudonym\t2")
        .printed("Registered\t1\t.data.name\treplaced\t2")
        .printed("Ordered\t1\t.data.contact.mail\tnot masked\t1")
        .printed("values that are masked are also in fields that are not masked: Ordered v1");
    let json = std::fs::read_to_string(saved).expect("the plan");
    let plan: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(plan["masking"]["fields"][1]["field"], ".data.email");
    assert_eq!(plan["masking"]["fields"][1]["masks"][0], "pseudonym");
    assert_eq!(plan["masking"]["alike"][0]["type"], "Ordered");

    let migrate = ["migrate", "--plan", saved, "--log", "trace"];
    let migrated = masked(&esm, &key, &migrate);
    migrated.succeeded();
    let shown = [
        &ran.stdout,
        &ran.stderr,
        &migrated.stdout,
        &migrated.stderr,
        &json,
    ];
    let streams = esm.path("store").join("streams");
    let records: Vec<_> = (esm.files().into_iter())
        .filter(|(path, _)| path.starts_with(esm.path("store")) && !path.starts_with(&streams))
        .map(|(_, content)| String::from_utf8_lossy(&content).into_owned())
        .collect();
    assert!(records.len() > 5, "{records:?}");
    for text in shown.into_iter().chain(&records) {
        for value in [EMAIL, "1990-12-10", "Ada Lovelace"] {
            assert!(!text.contains(value), "{value}: {text}");
        }
    }
}

#[test]
fn a_plan_of_a_program_that_only_removes_lists_the_fields_and_shows_the_samples() {
    let esm = Esm::new();
    esm.import(&customers(1));
    let program = esm.file("mask.jq", ".schemaversion = 2 | del(.data.email)");
    let plan = ["plan", "--all", "--transform", &program, "--show", "1"];
    esm.run(&plan)
        .succeeded()
        .printed("Registered\t1\t.data.email\tremoved\t1")
        .printed(EMAIL);
    let nothing = esm.file("same.jq", ".schemaversion = 2");
    let plan = ["plan", "--all", "--transform", &nothing, "-o", "json"];
    assert!(esm.run(&plan).succeeded().json().get("masking").is_none());
}
