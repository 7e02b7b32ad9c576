//! Maps make events of any JSON, and name what is wrong.

use bytes::Bytes;
use esm_core::ErrorKind;
use esm_jq::{JqMap, MappedEvent};

fn map(program: &str, record: &str) -> esm_core::Result<Vec<MappedEvent>> {
    let map = JqMap::compile("rows.jq", program).expect("a program");
    map.map(&Bytes::copy_from_slice(record.as_bytes()))
}

fn only(program: &str, record: &str) -> MappedEvent {
    let mut events = map(program, record).expect("events");
    assert_eq!(events.len(), 1);
    events.remove(0)
}

#[test]
fn a_row_becomes_an_event_whose_numbers_keep_their_digits() {
    let program = r#"{ object: "order/\(.order_id)", id: .n, type, time: .at, sequence: .version,
        schemaversion: 2, tenant: .tenant, data: .body }"#;
    let record = r#"{"order_id":7,"n":12345678901,"type":"Placed","at":"2026-01-02 03:04:05.6+00",
        "version":"3","tenant":"eu","body":{"b":1.10,"a":123456789012345678901234567890}}"#;
    let mapped = only(program, record);
    assert_eq!(mapped.object.as_deref(), Some("order/7"));
    assert_eq!(mapped.sequence, Some(3));
    assert_eq!((&mapped.source, &mapped.subject), (&None, &None));
    let event = mapped.event;
    assert_eq!(event.id.as_str(), "12345678901");
    assert_eq!(event.event_type.as_str(), "Placed");
    assert_eq!(event.schema_version.0, 2);
    assert_eq!(event.time.as_deref(), Some("2026-01-02T03:04:05.6+00:00"));
    assert_eq!(event.metadata.get("tenant"), Some(&"eu".into()));
    let data = r#"{"b":1.10,"a":123456789012345678901234567890}"#;
    assert_eq!(event.payload, data);
}

#[test]
fn a_record_becomes_several_events_or_none() {
    let program = r#".events[] | { source: "order", subject: "7", id, type: "T" }"#;
    let ids = |record| {
        let events = map(program, record).expect("events");
        let id = |mapped: &MappedEvent| mapped.event.id.as_str().to_owned();
        events.iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids(r#"{"events":[{"id":"a"},{"id":"b"}]}"#), ["a", "b"]);
    assert!(ids(r#"{"events":[]}"#).is_empty());
}

#[test]
fn metadata_that_attributes_cannot_have_is_kept_as_one_json_text() {
    let record = r#"{"tenant":"eu","depth":3,"replayed":false,"user":{"id":1.50},"$causationId":"c",
        "type":"x","source":"s","none":null,"top":"hidden"}"#;
    let event = only(r#"{ id: "1", type: "T", top: "own", metadata: . }"#, record).event;
    let metadata: Vec<_> = event.metadata.iter().map(|(key, _)| key).collect();
    assert_eq!(metadata, ["depth", "metadata", "replayed", "tenant", "top"]);
    assert_eq!(event.metadata.get("top"), Some(&"own".into()));
    let rest = concat!(
        r#"{"user":{"id":1.50},"$causationId":"c","type":"x","source":"s","#,
        r#""none":null,"top":"hidden"}"#
    );
    assert_eq!(event.metadata.get("metadata"), Some(&rest.into()));
}

#[test]
fn what_is_no_event_is_named_with_its_field() {
    for (program, said) in [
        (".", "it is a number instead of an object"),
        (r#"{ type: "T" }"#, "`id` is missing"),
        (
            r#"{ id: 1.5, type: "T" }"#,
            "`id` is a number, but no integer",
        ),
        (r#"{ id: "1" }"#, "`type` is missing"),
        (
            r#"{ id: "1", type: "T", sequence: -1 }"#,
            "`sequence` is no whole number",
        ),
        (
            r#"{ id: "1", type: "T", sequence: "x" }"#,
            "`sequence` is no whole number",
        ),
        (
            r#"{ id: "1", type: "T", time: "2026-01-02 03:04:05" }"#,
            "append \"Z\"",
        ),
        (
            r#"{ id: "1", type: "T", time: 5 }"#,
            "`time` is a number instead of a string",
        ),
        (
            r#"{ id: "1", type: "T", time: "soon" }"#,
            "`time` is no time",
        ),
        (r#"{ id: "1", type: "T", metadata: "{}" }"#, "use fromjson"),
        (r#"{ id: "1", type: "T", user: {} }"#, "`user` is an object"),
        (
            r#"{ id: "1", type: "T", data: 1, data_base64: "" }"#,
            "exclude each other",
        ),
        (r#"{ id: "1", type: "T", data: nan }"#, "JSON has no number"),
        (
            r#"{ id: "1", type: "T", object: 7 }"#,
            "`object` is a number",
        ),
        (r#"error("no stream")"#, "no stream"),
        ("def f: f; f", "it may never end"),
    ] {
        let error = map(program, "1").expect_err(program);
        assert_eq!(error.kind(), &ErrorKind::Invalid);
        let text = error.to_string();
        assert!(text.starts_with("map rows.jq: "), "{text}");
        assert!(text.contains(said), "{program}: {text}");
    }
}

#[test]
fn a_record_that_is_no_json_is_named_with_its_place() {
    for (record, said) in [
        ("{\"a\":x}", "not JSON, at column 6"),
        ("{\"a\":1,\n  x}", "not JSON, at column 3 of its line 2"),
        ("", "not JSON, at column 1"),
    ] {
        let text = map(".", record).expect_err(record).to_string();
        assert!(text.contains(said), "{text}");
    }
    let deep = "[".repeat(200) + &"]".repeat(200);
    let text = map(".", &deep).expect_err("deep").to_string();
    assert!(text.contains("nested deeper"), "{text}");
}
