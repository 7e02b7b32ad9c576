//! Upcasters as jq programs.

use esm_core::Result;
use esm_core::event::{Event, Revision};
use esm_core::transform::{
    EventTransformer as _, MaskingKey, TransformContext, TransformError, Transformed, Upcasters,
};
use esm_jq::compile_upcasters;

use crate::events::{event, object};

const FIRST: (&str, &str) = ("Placed.v1-v2.jq", ".data.currency = \"EUR\"");
const SECOND: (&str, &str) = (
    "Placed.v2-v3.jq",
    ".schemaversion = 3 | .data.price = {amount: .data.total, currency: .data.currency}
     | del(.data.total, .data.currency)",
);

fn upcasters(files: &[(&str, &str)]) -> Result<Upcasters> {
    compile_upcasters(files.iter().copied(), None)
}

fn apply(upcasters: &Upcasters, event: &Event) -> Result<Transformed, TransformError> {
    let object = object();
    upcasters.transform(event, &TransformContext::new(&object, Revision(3)))
}

fn refusal(files: &[(&str, &str)]) -> String {
    upcasters(files).unwrap_err().to_string()
}

#[test]
fn each_program_gives_the_new_version_whether_it_sets_it_or_not() {
    let both = upcasters(&[SECOND, FIRST]).unwrap();
    let placed = event("Placed", r#"{"total":1.10}"#);
    let Ok(Transformed::Events(outputs)) = apply(&both, &placed) else {
        panic!("it is changed");
    };
    assert_eq!(outputs[0].schema().to_string(), "Placed v3");
    let expected = r#"{"price":{"amount":1.10,"currency":"EUR"}}"#;
    assert_eq!(outputs[0].payload, expected);
    assert_eq!(outputs[0].metadata, placed.metadata);
}

#[test]
fn a_program_that_changes_nothing_changes_the_version_alone() {
    let bump = upcasters(&[("Placed.v1-v2.jq", ".")]).unwrap();
    let placed = event("Placed", "{ }");
    let Ok(Transformed::Events(outputs)) = apply(&bump, &placed) else {
        panic!("it is changed");
    };
    assert_eq!(outputs[0].schema_version.0, 2);
    assert_eq!(outputs[0].payload, placed.payload);
}

#[test]
fn an_output_without_a_version_gets_the_new_one() {
    for program in [
        "{id, type, data: {made: 1}}",
        "del(.schemaversion) | .data.made = 1",
    ] {
        let made = upcasters(&[FIRST, ("Placed.v2-v3.jq", program)]).unwrap();
        let Ok(Transformed::Events(outputs)) = apply(&made, &event("Placed", "{}")) else {
            panic!("it is changed");
        };
        assert_eq!(outputs[0].schema().to_string(), "Placed v3", "{program}");
        let old = upcasters(&[("Placed.v2-v3.jq", "{id, type, schemaversion: 1}")]).unwrap();
        let error = apply(&old, &placed_of_version(2)).unwrap_err();
        assert_eq!(
            error.message,
            "Placed.v2-v3.jq gives Placed v1, not Placed v3"
        );
    }
}

fn placed_of_version(version: u32) -> Event {
    let mut event = event("Placed", "{}");
    event.schema_version.0 = version;
    event
}

#[test]
fn a_test_for_other_versions_that_was_left_over_is_refused() {
    for left_over in [
        "if .type == \"Placed\" and .schemaversion == 1 then .data.name |= \"x\" end",
        "select(.schemaversion < 2)",
        "if (.schemaversion // 1) == 1 then .data = 1 end",
        "if .schemaversion | IN(1, 3) then .data = 1 end",
    ] {
        assert_eq!(
            refusal(&[FIRST, ("Placed.v2-v3.jq", left_over)]),
            "Placed.v2-v3.jq: the program tests .schemaversion for other versions than 2"
        );
    }
    let own = "if .schemaversion == 1 then .data = 1 elif .schemaversion == 2 then .data = 2 end";
    assert!(upcasters(&[FIRST, ("Placed.v2-v3.jq", own)]).is_ok());
}

#[test]
fn an_error_has_the_name_of_its_file() {
    let fails = upcasters(&[FIRST, ("Placed.v2-v3.jq", "error(\"no total\")")]).unwrap();
    let error = apply(&fails, &event("Placed", "{}")).unwrap_err();
    assert_eq!(error.rule, "Placed.v2-v3.jq");
    assert!(error.message.contains("no total"), "{error}");
    let renames = upcasters(&[("Placed.v1-v2.jq", ".type = \"Other\"")]).unwrap();
    let error = apply(&renames, &event("Placed", "{}")).unwrap_err();
    assert_eq!(
        error.message,
        "Placed.v1-v2.jq gives Other v1, not Placed v2"
    );
}

#[test]
fn a_file_that_is_no_step_and_one_that_does_not_compile_are_refused() {
    assert_eq!(
        refusal(&[FIRST, ("library.jq", ".")]),
        "name of an upcaster does not say its step: library.jq"
    );
    let message = refusal(&[("Placed.v1-v2.jq", ".data = now")]);
    assert!(message.contains("Placed.v1-v2.jq:1:9"), "{message}");
    assert_eq!(
        refusal(&[(
            "Placed.v1-v2.jq",
            "if .type == \"placed\" then .data = 1 end"
        )]),
        "Placed.v1-v2.jq: the program leaves every event of type Placed as it is"
    );
    assert_eq!(refusal(&[]), "upcasters have no step");
}

#[test]
fn forks_and_gaps_name_their_files() {
    assert_eq!(
        refusal(&[FIRST, ("Placed.v1-v3.jq", "."), SECOND]),
        "upcasters fork: two steps lead from Placed v1: to v2 (Placed.v1-v2.jq), and to v3 \
         (Placed.v1-v3.jq)"
    );
    assert_eq!(
        refusal(&[FIRST, ("%50laced.v1-v2.jq", ".")]),
        "upcasters fork: two steps lead from Placed v1: to v2 (Placed.v1-v2.jq), and to v2 \
         (%50laced.v1-v2.jq)"
    );
    assert_eq!(
        refusal(&[FIRST, ("Placed.v3-v4.jq", ".")]),
        "upcasters have a gap: no step leads on from Placed v2, and the newest version is v4 \
         (Placed.v1-v2.jq, Placed.v3-v4.jq)"
    );
}

#[test]
fn too_many_and_too_long_programs_are_refused() {
    let names: Vec<_> = (1..=1_001)
        .map(|n| format!("A.v{n}-v{}.jq", n + 1))
        .collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), ".")).collect();
    assert!(refusal(&many).contains("A.v1001-v1002.jq"), "named");
    let long = format!(".# {}", "x".repeat(600_000));
    let two = [("A.v1-v2.jq", &*long), ("A.v2-v3.jq", &*long)];
    assert!(refusal(&two).contains("A.v2-v3.jq"), "named");
}

#[test]
fn the_fingerprint_covers_every_program_and_the_key() {
    let print = |files: &[(&str, &str)]| upcasters(files).unwrap().fingerprint();
    let both = print(&[FIRST, SECOND]);
    assert_eq!(both, print(&[SECOND, FIRST]));
    assert_ne!(both, print(&[FIRST]));
    let longer = format!("{} ", SECOND.1);
    assert_ne!(both, print(&[FIRST, (SECOND.0, &longer)]));

    let masks = [("A.v1-v2.jq", ".data.a |= pseudonym")];
    let message = refusal(&masks);
    assert!(message.contains("needs a masking key"), "{message}");
    let [one, other] = ["a secret of the tests", "another secret of the tests"].map(|secret| {
        let key = MaskingKey::new(secret.as_bytes()).unwrap();
        let made = compile_upcasters(masks, Some(&key)).unwrap();
        let fingerprint = made.fingerprint();
        assert_eq!(fingerprint.masking_key(), Some(key.id()));
        assert!(
            fingerprint.as_str().starts_with("upcasters:v1:jq"),
            "{fingerprint}"
        );
        fingerprint
    });
    assert_ne!(one, other);
    let hint = one.hint_for(&other);
    assert!(hint.contains(one.masking_key().unwrap()), "{hint}");
}
