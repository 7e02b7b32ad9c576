//! Outputs are checked: what is no CloudEvent is refused, naming the output and the attribute.

use esm_core::event::{MetadataValue, SchemaVersion};

use crate::events::{event, events, failure};

#[test]
fn what_is_no_event_is_refused_with_its_place() {
    let before = event("T", r#"{"a":1}"#);
    for (program, message) in [
        (
            "., 1",
            "output 2 of 2 is no event: it is a number instead of an object",
        ),
        ("null", "it is null instead of an object"),
        ("del(.id)", "`id` is missing"),
        (".id = null", "`id` is missing"),
        (".id = 7", "`id` is a number instead of a string"),
        (".id = \"\"", "`id` is wrong: event id is empty"),
        (".type |= empty", "`type` is missing"),
        (".type = [\"x\"]", "`type` is an array instead of a string"),
        (
            ".type = \"a\\nb\"",
            "`type` is wrong: event type has a control character",
        ),
        (
            ".specversion = \"0.3\"",
            "`specversion` is not \"1.0\": \"0.3\"",
        ),
        (
            ".schemaversion = \"2\"",
            "`schemaversion` is a string instead of a number",
        ),
        (
            ".schemaversion = 1.5",
            "`schemaversion` is no integer from 0 to 4294967295: 1.5",
        ),
        (".schemaversion = -1", "`schemaversion` is no integer"),
        (
            ".schemaversion = 4294967296",
            "`schemaversion` is no integer",
        ),
        (".time = \"yesterday\"", "`time` is no RFC 3339 time"),
        (".time = 5", "`time` is a number instead of a string"),
        (
            ".datacontenttype = \"json\"",
            "`datacontenttype` is no media type: \"json\"",
        ),
        (
            ".data_base64 = \"AA==\"",
            "`data` and `data_base64` exclude each other",
        ),
        (
            "del(.data) | .data_base64 = \"*\"",
            "`data_base64` is no base64",
        ),
        (
            "del(.data) | .data_base64 = 1",
            "`data_base64` is a number instead of a string",
        ),
        (
            ".data.x = nan",
            "`data` is no JSON: JSON has no number NaN, at .[\"x\"]",
        ),
        (
            ".data = [infinite]",
            "`data` is no JSON: JSON has no number inf, at .[0]",
        ),
        (
            ".datacontenttype = \"text/plain\"",
            "`data` is an object although `datacontenttype` is not JSON",
        ),
        (
            ".trace = {a: 1}",
            "`trace` is an object instead of a string, an integer or a boolean",
        ),
        (".trace = 1.5", "`trace` is no 64-bit integer"),
        (
            ".[\"two words\"] = 1",
            "metadata key is not 1 to 128 ASCII letters",
        ),
        (".[\"\"] = 1", "metadata key is not"),
    ] {
        let found = failure(program, &before);
        assert!(found.contains(message), "{program}: {found}");
    }
}

#[test]
fn an_error_of_the_program_is_told() {
    let before = event("T", r#"{"a":1}"#);
    assert_eq!(failure("error(\"no customer\")", &before), "no customer");
    assert_eq!(
        failure(".data.a.b", &before),
        "cannot index a number with \"b\" (line 1, column 9)"
    );
    let long = failure("error(\"é\" * 1000)", &before);
    assert!(long.ends_with('…') && long.len() < 600, "{long}");
}

#[test]
fn attributes_that_esm_fills_in_may_be_left_out() {
    let before = event("T", "{}");
    let after = events("{id: \"x\", type: \"U\"}", &before).remove(0);
    assert_eq!((after.id.as_str(), after.event_type.as_str()), ("x", "U"));
    assert_eq!(after.schema_version, SchemaVersion(1));
    assert!(after.content_type.is_none() && after.time.is_none());
    assert!(after.metadata.is_empty() && after.payload.is_empty());
}

#[test]
fn metadata_is_added_changed_and_taken_away() {
    let mut before = event("T", "{}");
    before
        .metadata
        .insert("old", MetadataValue::Integer(1))
        .unwrap();
    let program =
        ".old = null | .count = 2.0 | .ok = true | .subject = \"other\" | .source = \"loan\"";
    let after = events(program, &before).remove(0);
    let found: Vec<_> = after.metadata.iter().collect();
    let text = |text: &str| MetadataValue::Text(text.to_owned());
    assert_eq!(
        found,
        [
            ("count", &MetadataValue::Integer(2)),
            ("ok", &MetadataValue::Boolean(true)),
            // The object's own name is not written down.
            ("subject", &text("other")),
            ("traceparent", &text("00-ab-cd-01")),
        ]
    );
}

#[test]
fn null_is_data_and_no_data_is_none() {
    let before = event("T", "{}");
    assert_eq!(events(".data = null", &before).remove(0).payload, "null");
    assert_eq!(events("del(.data)", &before).remove(0).payload, "");
    let text = ".data = null | .datacontenttype = \"text/plain\"";
    assert_eq!(events(text, &before).remove(0).payload, "");
    let binary = ".data = null | .data_base64 = \"AA==\"";
    assert_eq!(events(binary, &before).remove(0).payload, "\0");
}
