//! The report of an error, as text and as JSON.

use esm_core::event::{Revision, Schema};
use esm_core::id::{EventId, ObjectId};
use esm_core::transform::Failure;
use esm_core::{Error, ErrorKind};
use esm_view::InSeconds;
use serde::Serialize;
use serde_json::{Value, json};

use super::style::Style;
use super::text::Text;
use crate::exit::{self, Exit};

/// An error as it is reported: `{"kind", "message", "hint", "causes", "exit_code", …}`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorReport {
    kind: &'static str,
    message: String,
    /// Whether the message shows lines of a program.
    #[serde(skip)]
    has_excerpt: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    retryable: bool,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<FailedEvent>,
    /// The objects that failed in this way; a report as JSON has them elsewhere.
    #[serde(skip)]
    objects: Option<String>,
}

/// The event that a transformation fails on.
#[derive(Debug, Clone, Serialize)]
struct FailedEvent {
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<ObjectId>,
    revision: Revision,
    id: EventId,
    #[serde(flatten)]
    schema: Schema,
    rule: String,
    message: String,
    /// The beginning of its payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl FailedEvent {
    fn new(failure: &Failure) -> Self {
        Self {
            object: failure.object.as_deref().cloned(),
            revision: failure.revision,
            id: failure.event.clone(),
            schema: failure.schema.clone(),
            rule: failure.rule.clone(),
            message: failure.message.clone(),
            value: None,
        }
    }

    /// Where the event is, if its object is known.
    fn place(&self) -> Option<String> {
        let Self {
            object,
            revision,
            id,
            schema,
            ..
        } = self;
        let object = object.as_ref()?;
        Some(format!("{object} revision {revision}, {schema}, id {id}"))
    }
}

impl ErrorReport {
    /// The report of an error.
    pub(crate) fn new(error: &Error) -> Self {
        let lock = match error.kind() {
            ErrorKind::LockHeld(info) => serde_json::to_value(InSeconds(info)).ok(),
            _ => None,
        };
        Self {
            kind: exit::kind_name(error.kind()),
            message: error.to_string(),
            has_excerpt: std::error::Error::source(error)
                .is_some_and(|e| e.is::<esm_jq::Excerpt>()),
            hint: error.hint().map(str::to_owned),
            causes: causes(error),
            retryable: error.is_retryable(),
            exit_code: Exit::from(error.kind()).code(),
            lock,
            event: Failure::of(error).map(FailedEvent::new),
            objects: None,
        }
    }

    /// Adds the beginning of the payload of the failing event.
    #[must_use]
    pub(crate) fn with_value(mut self, value: Option<String>) -> Self {
        if let Some(event) = &mut self.event {
            event.value = value;
        }
        self
    }

    /// Adds the objects that failed in this way.
    #[must_use]
    pub(crate) fn with_objects(mut self, objects: Option<String>) -> Self {
        self.objects = objects;
        self
    }

    /// A line of JSON: `{"error": …}`.
    pub(crate) fn to_json(&self) -> String {
        json!({ "error": self }).to_string()
    }

    /// Lines of text: the error, its causes, and the hint.
    pub(crate) fn to_text(&self) -> Text {
        // a stop on request is no failure
        let mut text = if self.kind == exit::kind_name(&ErrorKind::Cancelled) {
            Text::line(&self.message)
        } else if self.has_excerpt {
            Text::lines(&format!("error: {}", self.message))
        } else {
            Text::styled(Style::Failure, format_args!("error: {}", self.message))
        };
        for cause in &self.causes {
            text.push(format!("  caused by: {cause}"));
        }
        if let Some(objects) = &self.objects {
            text.push(format!("  failed: {objects}"));
        }
        if let Some(place) = self.event.as_ref().and_then(FailedEvent::place) {
            text.push(format!("  event: {place}"));
        }
        if let Some(value) = self.event.as_ref().and_then(|event| event.value.as_ref()) {
            text.push(format!("  value: {value}"));
        }
        if let Some(hint) = &self.hint {
            text.push(format!("  hint: {hint}"));
        }
        text
    }
}

fn causes(error: &Error) -> Vec<String> {
    let mut shown = error.to_string();
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        // many errors repeat the text of their source
        if !shown.contains(&text) {
            causes.push(text.clone());
            shown = text;
        }
        source = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_each_cause_once_and_the_hint() {
        let error = exit::io("reading a.json", std::io::Error::other("disk on fire"))
            .with_hint("call the fire brigade");
        assert_eq!(
            ErrorReport::new(&error).to_text().to_string(),
            "error: reading a.json: disk on fire\n  hint: call the fire brigade"
        );
    }

    #[test]
    fn data_in_an_error_cannot_add_a_line_or_act_on_the_terminal() {
        let error = Error::invalid("unknown type: a\nerror: \u{1b}[2J")
            .with_source(std::io::Error::other("b\r\n"))
            .with_hint("c\u{202e}");
        assert_eq!(
            ErrorReport::new(&error).to_text().to_string(),
            "error: unknown type: a\\nerror: \\u{1b}[2J\n  caused by: b\\r\\n\n  hint: c\\u{202e}"
        );
        assert!(
            ErrorReport::new(&error)
                .to_json()
                .contains(r"a\nerror: \u001b[2J")
        );
    }

    #[test]
    fn an_error_in_a_program_shows_its_lines() {
        let program = "\u{1b}]0;x\u{7} |\n nope";
        let error = esm_jq::JqTransformer::compile("a\nb.jq", program).expect_err("no program");
        let text = ErrorReport::new(&error).to_text().to_string();
        assert!(text.lines().count() > 3, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.starts_with("error: a b.jq:1:"), "{text}");
    }

    #[test]
    fn programs_see_the_kind_and_the_exit_code() {
        let error = Error::not_found("object does not exist: order/1");
        assert_eq!(
            ErrorReport::new(&error).to_json(),
            r#"{"error":{"exit_code":3,"kind":"not_found","message":"object does not exist: order/1","retryable":false}}"#
        );
    }
}
