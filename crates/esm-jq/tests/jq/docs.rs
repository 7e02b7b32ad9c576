//! The examples of `docs/transformations.md` do what it says.

use std::path::Path;

use esm_core::event::{Event, MetadataValue, Revision, SchemaVersion};
use esm_core::id::{EventId, EventType, ObjectId};
use esm_core::transform::{EventTransformer, MaskingKey, TransformContext, Transformed};
use esm_jq::JqTransformer;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The fenced blocks of the page: the info string after the fence, and the text.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => open = Some((info, String::new())),
            (None, Some((_, text))) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

fn read(line: &str) -> (ObjectId, Event) {
    let mut attributes: Map<String, Value> = serde_json::from_str(line).unwrap();
    let raw: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(line).unwrap();
    let mut text = |name: &str| match attributes.remove(name) {
        Some(Value::String(text)) => text,
        other => panic!("{name}: {other:?}"),
    };
    let object = format!("{}/{}", text("source"), text("subject"));
    let mut event = Event::new(
        EventId::new(text("id")).unwrap(),
        EventType::new(text("type")).unwrap(),
        raw["data"].get().to_owned(),
    );
    event.time = Some(text("time"));
    event.content_type = Some(text("datacontenttype"));
    assert_eq!((&*text("specversion"), &*text("sequence")), ("1.0", "0"));
    event.schema_version = SchemaVersion(raw["schemaversion"].get().parse().unwrap());
    for (name, value) in attributes {
        if let Value::String(value) = value {
            event.metadata.insert(name, &*value).unwrap();
        }
    }
    (object.parse().unwrap(), event)
}

fn written(object: &ObjectId, event: &Event) -> String {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    let metadata: String = event
        .metadata
        .iter()
        .map(|(name, value)| match value {
            MetadataValue::Text(value) => format!("{}:{},", text(name), text(value)),
            other => panic!("{other:?}"),
        })
        .collect();
    format!(
        r#"{{"specversion":"1.0","id":{},"source":{},"subject":{},"type":{},"sequence":"0","schemaversion":{},"time":{},"datacontenttype":{},{metadata}"data":{}}}"#,
        text(event.id.as_str()),
        text(object.name().as_str()),
        text(object.key().as_str()),
        text(event.event_type.as_str()),
        event.schema_version,
        text(event.time.as_deref().unwrap()),
        text(event.content_type.as_deref().unwrap()),
        std::str::from_utf8(&event.payload).unwrap(),
    ) + "\n"
}

fn outcome(program: &str, object: &ObjectId, event: &Event) -> (&'static str, String) {
    let key = MaskingKey::new(b"the key of this page").unwrap();
    let transformer = match JqTransformer::compile_with_key("example.jq", program, &key) {
        Ok(transformer) => transformer,
        Err(error) => return ("text refused", format!("{error}\n")),
    };
    match transformer.transform(event, &TransformContext::new(object, Revision(0))) {
        Ok(Transformed::Unchanged) => ("json out", written(object, event)),
        Ok(Transformed::Dropped { .. }) => ("json out", String::new()),
        Ok(Transformed::Events(events)) => (
            "json out",
            events.iter().map(|event| written(object, event)).collect(),
        ),
        Ok(other) => panic!("{other:?}"),
        Err(error) => ("text error", format!("{error}\n")),
    }
}

#[test]
fn the_examples_do_what_the_page_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/transformations.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (mut input, mut program, mut checked) = (None, None, 0);
    for (info, text) in blocks(&page) {
        match info {
            "json in" => input = Some(read(&text)),
            "jq" => assert!(
                program.replace(text).is_none(),
                "a program without a result"
            ),
            "json out" | "text error" | "text refused" => {
                let (object, event) = input.as_ref().unwrap();
                let program = program.take().unwrap();
                assert_eq!(outcome(&program, object, event), (info, text), "{program}");
                checked += 1;
            }
            "text" => {
                let steps = steps(&text);
                let steps = steps
                    .iter()
                    .map(|(name, program)| (*name, program.as_str()));
                esm_jq::compile_upcasters(steps, None).unwrap();
                checked += 1;
            }
            // tested by the command line, and by the documentation of `Upcasters`
            "console" | "rust" => {}
            other => panic!("a block that is not checked: {other}"),
        }
    }
    assert_eq!(checked, 9);
}

/// The files of a directory, each with its program beside its name.
fn steps(text: &str) -> Vec<(&str, String)> {
    let mut steps: Vec<(&str, String)> = Vec::new();
    for line in text.lines().skip(1) {
        let line = line.trim();
        match line.split_once(' ') {
            Some((name, program)) if name.ends_with(".jq") => {
                steps.push((name, program.to_owned()))
            }
            _ => steps.last_mut().unwrap().1.push_str(line),
        }
    }
    steps
}
