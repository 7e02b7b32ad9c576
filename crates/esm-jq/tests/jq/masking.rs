//! Masking of personal data: what jq does not have.

use esm_core::Error;
use esm_core::transform::{EventTransformer as _, MaskingKey, Transformed};
use esm_jq::JqTransformer;

use crate::events::{apply, compile, event, events, failure};

fn key(secret: &str) -> MaskingKey {
    MaskingKey::new(secret.as_bytes()).unwrap()
}

fn with_key(program: &str, key: &MaskingKey) -> JqTransformer {
    JqTransformer::compile_with_key("test.jq", program, key).unwrap()
}

fn payload(transformer: &JqTransformer, data: &str) -> String {
    match apply(transformer, &event("T", data)).unwrap() {
        Transformed::Events(events) => String::from_utf8(events[0].payload.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pseudonym_is_that_of_the_key() {
    let key = key("a secret of the tests");
    let masking = with_key("(.data | .. | .email? | strings) |= pseudonym", &key);
    let [ada, bob] =
        ["ada@example.com", "bob@example.com"].map(|who| key.pseudonym(who.as_bytes()));
    assert_eq!(
        payload(
            &masking,
            r#"{"email":"ada@example.com","n":1.10,"to":[{"email":"bob@example.com"},{"email":null}]}"#
        ),
        format!(r#"{{"email":"{ada}","n":1.10,"to":[{{"email":"{bob}"}},{{"email":null}}]}}"#)
    );
    let unchanged = apply(&masking, &event("T", r#"{"n":1}"#)).unwrap();
    assert_eq!(unchanged, Transformed::Unchanged);
}

#[test]
fn the_key_counts_where_pseudonyms_are_made() {
    let [one, other] = ["a secret of the tests", "another secret of the tests"].map(key);
    let masking = |key| with_key(".data.a |= pseudonym", key).fingerprint();
    assert_ne!(masking(&one), masking(&other));
    assert!(
        masking(&one)
            .as_str()
            .ends_with(&format!(":key:{}", one.id()))
    );
    assert_eq!(
        with_key(".data.a = 1", &one).fingerprint(),
        compile(".data.a = 1").fingerprint()
    );
    // a function of this name that the program defines is its own
    let own = compile("def pseudonym: \"x\"; .data.a |= pseudonym");
    assert_eq!(payload(&own, r#"{"a":"b"}"#), r#"{"a":"x"}"#);
}

#[test]
fn without_a_key_a_program_that_makes_pseudonyms_is_refused() {
    let error = JqTransformer::compile("test.jq", ".data.a\n  |= pseudonym").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("test.jq:2:6: `pseudonym` needs a masking key"),
        "{error}"
    );
    let hint = Error::hint(&error).unwrap();
    assert!(hint.contains("--masking-key"), "{hint}");
}

#[test]
fn what_is_no_text_fails_without_being_shown() {
    let key = key("a secret of the tests");
    let masking = with_key(".data.a |= pseudonym", &key);
    let error = apply(&masking, &event("T", r#"{"a":{"b":"private"}}"#)).unwrap_err();
    assert_eq!(
        error.message,
        "pseudonym input must be a string (line 1, column 12)"
    );
}

#[test]
fn a_date_says_less_in_the_form_it_has() {
    let before = event(
        "T",
        r#"{"at":"2026-05-17T10:11:12.5+02:00","born":"1990-12-10"}"#,
    );
    let after = events(
        ".data.at |= floor_date(\"month\") | .data.born |= floor_date(\"year\")",
        &before,
    );
    assert_eq!(
        after[0].payload,
        r#"{"at":"2026-05-01T00:00:00.0+02:00","born":"1990-01-01"}"#
    );
    for (program, expected) in [
        (
            ".data.born |= floor_date(\"week\")",
            "floor_date takes \"year\", \"month\", \"day\" or \"hour\"",
        ),
        (
            ".data |= floor_date(\"year\")",
            "floor_date input must be a string",
        ),
        (
            ".type |= floor_date(\"year\")",
            "floor_date input must be a date or a time",
        ),
    ] {
        assert!(failure(program, &before).starts_with(expected), "{program}");
    }
}
