//! What a program does not touch stays as it was, to the byte.

use std::sync::LazyLock;

use esm_core::event::{Event, MetadataValue, SchemaVersion};
use esm_core::id::{EventId, EventType};
use esm_core::transform::Transformed;
use esm_jq::JqTransformer;
use proptest::prelude::*;

use crate::events::{apply, compile, event, events, transform};

#[test]
fn the_program_sees_the_event_as_a_cloudevent() {
    let mut before = event("T", r#"{"a":1.10}"#);
    before.schema_version = SchemaVersion(7);
    before
        .metadata
        .insert("urgent", MetadataValue::Boolean(true))
        .unwrap();
    before
        .metadata
        .insert("retries", MetadataValue::Integer(-3))
        .unwrap();
    let after = events(".data = del(.data)", &before).remove(0);
    assert_eq!(
        std::str::from_utf8(&after.payload),
        Ok(
            r#"{"specversion":"1.0","id":"loan/173688/3","source":"loan","subject":"173688","type":"T","sequence":"3","schemaversion":7,"time":"2011-10-01T00:38:44.546+02:00","datacontenttype":"application/json","retries":-3,"traceparent":"00-ab-cd-01","urgent":true}"#
        )
    );
}

#[test]
fn source_and_subject_are_the_events_own_where_it_has_them() {
    let mut before = event("T", "{}");
    before.metadata.insert("source", "urn:bank").unwrap();
    let after = events(".data = [.source, .subject]", &before).remove(0);
    assert_eq!(after.payload, r#"["urn:bank","173688"]"#);
    assert_eq!(after.metadata, before.metadata);
}

#[test]
fn an_output_that_is_equal_as_json_changes_nothing() {
    let before = event(
        "T",
        r#"{ "n": 1.10, "big": 12345678901234567890, "e": 1e400, "s": "\u00e9" }"#,
    );
    for program in [
        ".",
        ".data = {s: .data.s, e: .data.e, big: .data.big, n: .data.n}",
        ".data.n = 1.1",
        ".data.big |= (. + 1) - 1",
        "to_entries | reverse | from_entries",
        ".sequence = \"99\"",
        "del(.sequence, .specversion, .source, .subject)",
        ".absent = null",
    ] {
        assert_eq!(
            transform(program, &before),
            Ok(Transformed::Unchanged),
            "{program}"
        );
    }
    for program in [
        ".data.n = 1.100000000000000001",
        ".data.big += 1",
        ".data.x = null",
    ] {
        assert!(
            matches!(transform(program, &before), Ok(Transformed::Events(_))),
            "{program}"
        );
    }
}

#[test]
fn numbers_that_are_not_calculated_with_keep_every_digit() {
    let before = event(
        "T",
        r#"{"n":[12345678901234567890,-0,1.10,1e400,1E-7,0.1000000000000000055511151231257827]}"#,
    );
    let after = events(".data.x = 1", &before).remove(0);
    assert_eq!(
        std::str::from_utf8(&after.payload),
        Ok(
            r#"{"n":[12345678901234567890,-0,1.10,1e400,1E-7,0.1000000000000000055511151231257827],"x":1}"#
        )
    );
}

#[test]
fn a_payload_that_is_not_touched_keeps_its_bytes() {
    for (content_type, payload) in [
        (Some("application/json"), &b"{ \"a\" : 1.0,\n\"a\":2 }"[..]),
        (Some("application/json"), b"{ not json"),
        (Some("application/json"), b"\"\\ud800\""),
        (None, b"[1, 2]"),
        (Some("text/plain"), "plain é".as_bytes()),
        (Some("application/octet-stream"), b"\x00\xff\xfe"),
        (Some("application/octet-stream"), b"abc"),
        (Some("application/json"), b""),
    ] {
        let mut before = event("T", "");
        before.content_type = content_type.map(str::to_owned);
        before.payload = payload.into();
        let after = events(".type = \"U\"", &before).remove(0);
        assert_eq!(after.payload, before.payload, "{content_type:?}");
        let (event_type, content_type) = (before.event_type.clone(), before.content_type.clone());
        before.event_type = after.event_type.clone();
        assert_eq!(after, before, "{event_type} {content_type:?}");
    }
}

#[test]
fn binary_data_is_seen_as_base64_and_text_as_a_string() {
    let mut before = event("T", "");
    before.content_type = Some("application/octet-stream".to_owned());
    before.payload = b"\x00\xff"[..].into();
    let after = events(".data_base64 = \"/wA=\"", &before).remove(0);
    assert_eq!(after.payload[..], *b"\xff\x00");
    before.content_type = Some("text/plain".to_owned());
    before.payload = "a é"[..].into();
    let after = events(".data |= ascii_upcase", &before).remove(0);
    assert_eq!(after.payload, "A é");
}

#[test]
fn a_payload_that_becomes_json_is_written_as_json() {
    let mut before = event("T", "");
    before.content_type = Some("text/plain".to_owned());
    before.payload = "plain"[..].into();
    let after = events(".datacontenttype = \"application/json\"", &before).remove(0);
    assert_eq!(after.payload, "\"plain\"");
}

fn metadata_value() -> impl Strategy<Value = MetadataValue> {
    prop_oneof![
        any::<bool>().prop_map(MetadataValue::Boolean),
        any::<i64>().prop_map(MetadataValue::Integer),
        ".*".prop_map(MetadataValue::Text),
    ]
}

const NUMBER: &str = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,5})?";

/// JSON text with all kinds of numbers and strings, spaced oddly.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        NUMBER,
        any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
        "\"(\\\\u[0-9a-fA-F]{4}|\\\\[\"/bfnrt]|[a-z]){0,8}\"",
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let key =
            prop_oneof!["[a-c]", any::<String>()].prop_map(|s| serde_json::to_string(&s).unwrap());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[ {} ]", items.join(" ,\t"))),
            prop::collection::vec((key, inner), 0..6).prop_map(|entries| {
                let entries: Vec<_> = entries.iter().map(|(k, v)| format!("{k} :{v}")).collect();
                format!("{{{} }}", entries.join(",\n"))
            }),
        ]
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let payload = prop_oneof![
        4 => json().prop_map(String::into_bytes),
        1 => any::<Vec<u8>>(),
    ];
    let content_type = prop_oneof![
        Just(None),
        Just(Some("application/json".to_owned())),
        Just(Some("application/vnd.loan+json; charset=utf-8".to_owned())),
        Just(Some("text/plain".to_owned())),
        Just(Some("odd".to_owned())),
    ];
    (
        "[^\\p{Cc}]{1,20}",
        "[^\\p{Cc}]{1,20}",
        any::<u32>(),
        content_type,
        prop::option::of("[^\\p{Cc}]{0,20}"),
        prop::collection::btree_map("[A-Za-z0-9_.-]{1,12}", metadata_value(), 0..5),
        payload,
    )
        .prop_map(
            |(id, event_type, version, content_type, time, metadata, payload)| {
                let mut event = Event::new(
                    EventId::new(id).unwrap(),
                    EventType::new(event_type).unwrap(),
                    payload,
                );
                event.schema_version = SchemaVersion(version);
                event.content_type = content_type;
                event.time = time;
                for (key, value) in metadata {
                    // Some keys are reserved.
                    let _ = event.metadata.insert(key, value);
                }
                event
            },
        )
}

static IDENTITY: LazyLock<JqTransformer> = LazyLock::new(|| compile("."));

static REBUILD: LazyLock<JqTransformer> =
    LazyLock::new(|| compile("to_entries | from_entries | .sequence = \"7\""));

static RENAME: LazyLock<JqTransformer> = LazyLock::new(|| compile(".type = \"renamed\""));

static WRAP: LazyLock<JqTransformer> = LazyLock::new(|| compile(".data = [.data]"));

static SPLIT: LazyLock<JqTransformer> = LazyLock::new(|| {
    compile(
        "(.type += \"!\"), (.data = {was: .data, sorted: [.data | .. | numbers] | sort | unique})",
    )
});

proptest! {
    #[test]
    fn the_identity_changes_no_event(event in any_event()) {
        prop_assert_eq!(apply(&IDENTITY, &event), Ok(Transformed::Unchanged));
    }

    #[test]
    fn rebuilding_an_event_changes_nothing(event in any_event()) {
        prop_assert_eq!(apply(&REBUILD, &event), Ok(Transformed::Unchanged));
    }

    #[test]
    fn renaming_keeps_everything_else(event in any_event()) {
        let mut expected = event.clone();
        expected.event_type = EventType::new("renamed").unwrap();
        prop_assert_eq!(apply(&RENAME, &event), Ok(Transformed::Events(vec![expected])));
    }

    #[test]
    fn the_same_event_gives_the_same_outputs_whoever_asks(event in any_event()) {
        let here = apply(&SPLIT, &event);
        let there = std::thread::scope(|scope| {
            scope.spawn(|| apply(&SPLIT, &event)).join()
        });
        prop_assert_eq!(Some(here), there.ok());
    }

    #[test]
    fn data_that_is_rewritten_is_the_same_json(text in json()) {
        let Ok(expected) = serde_json::from_str::<serde_json::Value>(&text) else {
            // serde_json knows no unpaired surrogates and no numbers beyond 64 bits.
            return Ok(());
        };
        let Ok(Transformed::Events(after)) = apply(&WRAP, &event("T", &text)) else {
            panic!("it is changed");
        };
        let after: serde_json::Value = serde_json::from_slice(&after[0].payload).unwrap();
        prop_assert_eq!(after.get(0), Some(&expected));
    }

    #[test]
    fn numbers_keep_every_digit(numbers in prop::collection::vec(NUMBER, 0..8)) {
        let text = format!("[{}]", numbers.join(","));
        let Ok(Transformed::Events(after)) = apply(&WRAP, &event("T", &text)) else {
            panic!("it is changed");
        };
        prop_assert_eq!(std::str::from_utf8(&after[0].payload), Ok(&*format!("[{text}]")));
    }
}
