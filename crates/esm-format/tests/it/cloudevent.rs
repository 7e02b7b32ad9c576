//! Lines of CloudEvents: what is read, what is refused, and what is written.

use esm_core::event::{Event, MetadataValue, Revision, SchemaVersion};
use esm_core::{Error, ErrorKind, Result};
use esm_format::cloudevent::{Attributes, Decoded, decode, encode};

/// A line with the required attributes and these.
fn with(attributes: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","type":"T",{attributes}}}"#)
}

fn read(attributes: &str) -> Result<Decoded> {
    decode(with(attributes).as_bytes())
}

fn export(event: &Event) -> String {
    let object = "order/7".parse().unwrap();
    let mut line = Vec::new();
    encode(event, &Attributes::of(&object, Revision(3)), &mut line);
    String::from_utf8(line).unwrap()
}

#[test]
fn export_after_import_is_the_same_line() {
    for line in [
        r#"{"specversion":"1.0","id":"1","source":"order","subject":"7","type":"T","sequence":"3","schemaversion":1,"time":"2011-10-01T00:38:44.546+02:00","datacontenttype":"application/json","data":{"a" : 1.50, "b":"\u00e9é"}}"#,
        r#"{"specversion":"1.0","id":"1","source":"order","subject":"7","type":"T","sequence":"3","schemaversion":4294967295,"data":null}"#,
        r#"{"specversion":"1.0","id":"1","source":"order","subject":"7","type":"T","sequence":"3","schemaversion":1,"datacontenttype":"text/plain","data":"a\nb"}"#,
        r#"{"specversion":"1.0","id":"1","source":"order","subject":"7","type":"T","sequence":"3","schemaversion":1,"datacontenttype":"application/soap+xml","data":"<a/>"}"#,
        r#"{"specversion":"1.0","id":"1","source":"order","subject":"7","type":"T","sequence":"3","schemaversion":1,"datacontenttype":"image/png","dataschema":"urn:x","flag":true,"number":-9223372036854775808,"data_base64":"AP8="}"#,
        r#"{"specversion":"1.0","id":"1","source":"order","subject":"7","type":"T","sequence":"3","schemaversion":1}"#,
    ] {
        let event = decode(line.as_bytes())
            .unwrap()
            .into_event_of(&"order/7".parse().unwrap());
        assert_eq!(export(&event), line);
    }
}

#[test]
fn what_the_object_implies_is_not_kept_but_another_source_is_and_wins() {
    let object = "order/7".parse().unwrap();
    let decoded = read(r#""source":"urn:shop","subject":"7","sequence":3"#).unwrap();
    assert_eq!(decoded.source.as_deref(), Some("urn:shop"));
    let event = decoded.into_event_of(&object);
    let kept: Vec<_> = event.metadata.iter().collect();
    assert_eq!(kept, [("source", &MetadataValue::from("urn:shop"))]);
    let line = export(&event);
    assert!(line.contains(r#""source":"urn:shop""#), "{line}");
    assert!(!line.contains(r#""source":"order""#), "{line}");
    assert!(line.contains(r#""subject":"7""#), "{line}");
}

#[test]
fn numbers_may_be_decimal_strings() {
    for (attributes, version, sequence) in [
        (r#""schemaversion":2,"sequence":"0""#, 2, Some(0)),
        (r#""schemaversion":"2","sequence":0"#, 2, Some(0)),
        (r#""sequence":"00018446744073709551615""#, 1, Some(u64::MAX)),
        (r#""schemaversion":null,"sequence":null"#, 1, None),
    ] {
        let decoded = read(attributes).unwrap();
        assert_eq!(
            decoded.event.schema_version,
            SchemaVersion(version),
            "{attributes}"
        );
        assert_eq!(decoded.sequence, sequence.map(Revision), "{attributes}");
    }
}

#[test]
fn null_counts_as_absent() {
    let event = read(
        r#""time":null,"datacontenttype":"text/plain","x":null,"data":null,"data_base64":null"#,
    )
    .unwrap()
    .event;
    assert_eq!(
        (
            event.time.as_deref(),
            event.metadata.len(),
            event.payload.len()
        ),
        (None, 0, 0)
    );
    let event = read(r#""data":null,"data_base64":"AP8=""#).unwrap().event;
    assert_eq!(&event.payload[..], [0, 0xff]);
}

#[test]
fn a_json_payload_is_taken_as_it_stands() {
    for raw in [
        "null",
        "{ \"a\":1.0 , \"a\":2 }",
        "\"\\ud800\"",
        "1e999",
        "[\n1]",
    ] {
        let event = read(&format!("\"data\": {raw} ")).unwrap().event;
        assert_eq!(event.payload, raw.as_bytes());
    }
}

#[test]
fn a_wrong_line_is_refused_by_attribute_and_column() {
    let cases: &[(&str, &str)] = &[
        ("", "EOF while parsing a value, at column 0"),
        (
            "[]",
            "invalid type: sequence, expected a JSON object, at column 0",
        ),
        ("{} x", "trailing characters, at column 4"),
        ("{}", "attribute is missing: specversion"),
        (
            r#"{"specversion":"0.3"}"#,
            r#"attribute specversion is not "1.0": "0.3""#,
        ),
        (r#"{"specversion":1}"#, "attribute is not text: specversion"),
        (
            r#"{"specversion":"1.0","type":"T"}"#,
            "attribute is missing: id",
        ),
        (
            r#"{"specversion":"1.0","id":"1"}"#,
            "attribute is missing: type",
        ),
        (
            r#"{"specversion":"1.0","id":null,"type":"T"}"#,
            "attribute is missing: id",
        ),
        (
            r#"{"specversion":"1.0","id":"","type":"T"}"#,
            "event id is empty",
        ),
        (
            r#"{"id":"1","id":"1"}"#,
            "attribute is repeated: id, at column 19",
        ),
        (
            r#"{"x":"1","x":"1"}"#,
            "attribute is repeated: x, at column 17",
        ),
        (
            r#"{"x":null,"x":"1"}"#,
            "attribute is repeated: x, at column 18",
        ),
        (
            r#"{"data":1,"data":1}"#,
            "attribute is repeated: data, at column 16",
        ),
        (
            r#"{"x":1.5}"#,
            "attribute is a fraction or a number beyond 64 bits, not text, a whole number, true or false: x, at column 8",
        ),
        (
            r#"{"x":[1]}"#,
            "attribute is an array, not text, a whole number, true or false: x, at column 6",
        ),
        (
            r#"{"time":{}}"#,
            "attribute is an object, not text, a whole number, true or false: time, at column 10",
        ),
        (
            r#"{"x":9223372036854775808}"#,
            "attribute is a number beyond 64 bits with sign, not text, a whole number, true or false: x, at column 24",
        ),
        (
            r#"{"a b":1}"#,
            "metadata key is not 1 to 128 ASCII letters, digits, '_', '-' or '.': \"a b\", at column 9",
        ),
        (
            r#"{"id":"\ud800"}"#,
            "unexpected end of hex escape, at column 14",
        ),
        (
            "{\"id\":\n\"1\"x}",
            "expected `,` or `}`, at column 4 of line 2 of the event",
        ),
    ];
    for (line, message) in cases {
        let error = decode(line.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid, "{line}");
        assert_eq!(&error.to_string(), message, "{line}");
    }
}

#[test]
fn a_wrong_value_is_refused() {
    let message = |r: Result<Decoded>| r.map_err(|e: Error| e.to_string()).unwrap_err();
    for (attributes, expected) in [
        (r#""source":1"#, "attribute is not text: source"),
        (
            r#""schemaversion":-1"#,
            "attribute is not a whole number from 0 on: schemaversion",
        ),
        (
            r#""schemaversion":"v1""#,
            "attribute is not a whole number from 0 on: schemaversion",
        ),
        (
            r#""schemaversion":"+1""#,
            "attribute is not a whole number from 0 on: schemaversion",
        ),
        (
            r#""schemaversion":"""#,
            "attribute is not a whole number from 0 on: schemaversion",
        ),
        (
            r#""schemaversion":4294967296"#,
            "attribute schemaversion is beyond 32 bits: 4294967296",
        ),
        (
            r#""sequence":true"#,
            "attribute is not a whole number from 0 on: sequence",
        ),
        (
            r#""data":1,"data_base64":"AA==""#,
            "attributes exclude each other: data, data_base64",
        ),
        (
            r#""datacontenttype":"text/plain","data":{}"#,
            "attribute data is not text although its content type is not JSON: text/plain",
        ),
    ] {
        assert_eq!(message(read(attributes)), expected, "{attributes}");
    }
    let base64 = message(read(r#""data_base64":"A""#));
    assert!(
        base64.starts_with("attribute is not base64: data_base64: "),
        "{base64}"
    );
}

#[test]
fn a_line_that_is_not_utf8_is_refused_by_column() {
    let mut line = with(r#""x":"é""#).into_bytes();
    line.truncate(line.len() - 3);
    let column = line.len();
    let error = decode(&line).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("event is not UTF-8, at column {column}")
    );
}
