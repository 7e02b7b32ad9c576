//! An event and what becomes of it as text.

use esm_core::transform::{EventSample, SampleOutcome, SampledEvent};
use esm_view::diff::{Change, Fields, changes, fields};

use crate::output::{Style, Text, bytes, count, counted, shortened};

/// Differences that are shown of an output.
const SHOWN: usize = 20;
/// Characters of a value that are shown.
const VALUE: usize = 60;
/// Characters of two values that are shown on one line.
const PAIR: usize = 40;
/// Characters of the payload of a failing event that are shown.
const PAYLOAD: usize = 200;

/// An event before and after its transformation, as lines.
pub(crate) fn sample_text(sample: &EventSample) -> Text {
    let before = fields(&sample.before);
    let mut text = heading(sample);
    match &sample.outcome {
        SampleOutcome::Changed => {
            for output in &sample.after {
                add_changes(&mut text, changes(&before, &fields(output)));
            }
        }
        SampleOutcome::Split => add_outputs(&mut text, sample, &without_names(before)),
        SampleOutcome::Dropped { .. } => {
            add_changes(&mut text, changes(&without_names(before), &Fields::new()));
        }
        SampleOutcome::Failed { message, .. } => {
            text.push(Text::styled(
                Style::Failure,
                format_args!("  error: {message}"),
            ));
            text.push(format!("  value: {}", value_text(&sample.before)));
        }
    }
    let mut events = sample.after.iter().chain([&sample.before]);
    if let Some(cut) = events.find(|event| event.cut) {
        let size = bytes(cut.payload_bytes);
        text.push(format!(
            "  (only the beginning is compared: the payload has {size})"
        ));
    }
    text
}

fn add_outputs(text: &mut Text, sample: &EventSample, before: &Fields) {
    for (index, output) in sample.after.iter().enumerate() {
        let which = format!("output {} of {}", index + 1, count(sample.outputs));
        text.push(format!("  {which}: {}, id {}", output.schema, output.id));
        let after = without_names(fields(output));
        add_changes(text, changes(before, &after));
    }
    let more = sample.outputs.saturating_sub(sample.after.len() as u64);
    if more > 0 {
        text.push(format!("  … and {}", counted(more, "more output")));
    }
}

/// The fields that a heading does not name.
fn without_names(mut fields: Fields) -> Fields {
    for named in [".id", ".type", ".schemaversion"] {
        fields.remove(named);
    }
    fields
}

/// The beginning of an event's payload, on one line.
pub(crate) fn value_text(event: &SampledEvent) -> String {
    match &event.payload {
        None => format!("({} that are not text)", bytes(event.payload_bytes)),
        Some(payload) => shortened(payload, PAYLOAD),
    }
}

fn heading(sample: &EventSample) -> Text {
    let what = match &sample.outcome {
        SampleOutcome::Changed => "changed".to_owned(),
        SampleOutcome::Split => format!("split into {}", count(sample.outputs)),
        SampleOutcome::Dropped { rule } => format!("dropped by {rule}"),
        SampleOutcome::Failed { rule, .. } => format!("failed by {rule}"),
    };
    let before = &sample.before;
    let line = format!(
        "{} {what}: {} revision {}, id {}",
        before.schema, sample.object, sample.revision, before.id
    );
    Text::styled(Style::Heading, line)
}

fn add_changes(text: &mut Text, changes: Vec<Change>) {
    let hidden = changes.len().saturating_sub(SHOWN) as u64;
    for change in changes.into_iter().take(SHOWN) {
        add_change(text, &change);
    }
    if hidden > 0 {
        text.push(format!("  … and {}", counted(hidden, "more field")));
    }
}

fn add_change(text: &mut Text, change: &Change) {
    let value = |value: &str| shortened(value, VALUE);
    match change {
        Change::Removed { path, value: old } => {
            text.push(line(Style::Removed, '-', path, &value(old)));
        }
        Change::Added { path, value: new } => {
            text.push(line(Style::Added, '+', path, &value(new)));
        }
        Change::Changed { path, from, to } if is_short(from, to) => {
            text.push(line(Style::Changed, '~', path, &format!("{from} -> {to}")));
        }
        Change::Changed { path, from, to } => {
            text.push(line(Style::Removed, '-', path, &value(from)));
            text.push(line(Style::Added, '+', path, &value(to)));
        }
        Change::Moved { from, to, value: v } => {
            let moved = format!("{from} -> {to}");
            text.push(line(Style::Changed, '>', &moved, &value(v)));
        }
    }
}

fn is_short(from: &str, to: &str) -> bool {
    from.chars().count() + to.chars().count() <= PAIR
}

fn line(style: Style, sign: char, path: &str, value: &str) -> Text {
    Text::styled(style, format_args!("  {sign} {path}  {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use esm_core::event::{Event, Revision, Schema};
    use esm_core::id::{EventId, EventType};

    fn event(event_type: &str, payload: &str) -> Event {
        let event_type = EventType::new(event_type).expect("a type");
        Event::new(
            EventId::new("7").expect("an id"),
            event_type,
            payload.to_owned(),
        )
    }

    fn sample(outcome: SampleOutcome, outputs: &[Event]) -> EventSample {
        let before = event(
            "Placed",
            r#"{"a": "x\u001b[2J", "long": "text that is long enough", "n": 1.10}"#,
        );
        EventSample {
            object: "order/1".parse().expect("an object"),
            revision: Revision(4),
            outcome,
            before: SampledEvent::new(&before),
            after: outputs.iter().map(SampledEvent::new).collect(),
            outputs: outputs.len() as u64,
        }
    }

    #[test]
    fn a_changed_event_is_shown_field_by_field() {
        let mut output = event(
            "Placed",
            r#"{"b": "x\u001b[2J", "long": "text that has another end", "n": 1.1}"#,
        );
        output.schema_version = Schema::new("Placed", 2).expect("a schema").version;
        let text = sample_text(&sample(SampleOutcome::Changed, &[output]));
        assert_eq!(
            text.to_string(),
            r#"Placed v1 changed: order/1 revision 4, id 7
  ~ .schemaversion  1 -> 2
  > .data.a -> .data.b  "x\u001b[2J"
  - .data.long  "text that is long enough"
  + .data.long  "text that has another end"
  ~ .data.n  1.10 -> 1.1"#
        );
    }

    #[test]
    fn outputs_dropped_events_and_failures_are_shown() {
        let outputs = [event("A", r#"{"n": 1.10}"#), event("B", "{}")];
        let split = sample_text(&sample(SampleOutcome::Split, &outputs)).to_string();
        assert!(
            split.starts_with("Placed v1 split into 2: order/1 revision 4"),
            "{split}"
        );
        assert!(
            split.contains("\n  output 1 of 2: A v1, id 7\n  - .data.a"),
            "{split}"
        );
        let rule = "v2.jq".to_owned();
        let dropped =
            sample_text(&sample(SampleOutcome::Dropped { rule: rule.clone() }, &[])).to_string();
        assert!(
            dropped.starts_with("Placed v1 dropped by v2.jq: order/1"),
            "{dropped}"
        );
        let message = "no\u{1b}".to_owned();
        let failed = sample_text(&sample(SampleOutcome::Failed { rule, message }, &[])).to_string();
        assert!(
            failed.contains("\n  error: no\\u{1b}\n  value: {\"a\": \"x"),
            "{failed}"
        );
    }
}
