//! A line of the input: an event, its object and its sequence.

use esm_core::event::{Event, MetadataValue, is_rfc3339};
use esm_core::id::{ObjectId, ObjectKey, ObjectName};
use esm_core::{Error, ErrorKind, Result};
use esm_format::cloudevent;

use crate::events::OBJECT;

/// An event of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incoming {
    pub(super) object: ObjectId,
    pub(super) sequence: u64,
    pub(super) event: Event,
}

/// An error, and the line that it is about; 0 for none.
#[derive(Debug)]
pub(super) struct AtLine {
    pub(super) line: u64,
    pub(super) error: Error,
}

impl AtLine {
    /// An error of this line.
    pub(super) fn new(line: u64, error: Error) -> Self {
        Self { line, error }
    }

    /// The error, with its line in front if it is about one.
    pub(super) fn into_error(self) -> Error {
        match self.line {
            0 => self.error,
            line => self.error.context(format!("line {line}")),
        }
    }
}

/// How lines are read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// The name of all objects, instead of the events' `source`.
    pub(crate) name: Option<ObjectName>,
    /// The longest line, in bytes.
    pub(crate) max_event_bytes: u64,
    /// Whether the sequences of each object are replaced by 0, 1, 2, …
    pub(crate) renumber: bool,
}

impl Reading {
    /// Reads a line.
    ///
    /// # Errors
    /// `Invalid` or `TooLarge`; the caller knows the line's number.
    pub(super) fn read(&self, line: &[u8]) -> Result<Incoming> {
        let size = line.len() as u64;
        if size > self.max_event_bytes {
            let limit = self.max_event_bytes;
            return Err(too_large(limit).context(format!("line of {size} bytes")));
        }
        refuse_json_of_many_lines(line)?;
        let mut decoded = cloudevent::decode(line)?;
        if let Some(time) = decoded.event.time.as_deref().filter(|t| !is_rfc3339(t)) {
            return Err(not_a_time(time));
        }
        let object = match decoded.event.metadata.remove(OBJECT) {
            Some(named) => self.exported(&named)?,
            None => self.object(decoded.source.as_deref(), decoded.subject.as_deref())?,
        };
        let sequence = decoded.sequence.ok_or_else(|| {
            Error::invalid("attribute is missing: sequence").with_hint(
                "give each event its position in its object as \"sequence\", from \"0\" on",
            )
        })?;
        Ok(Incoming {
            sequence: sequence.0,
            event: decoded.into_event_of(&object),
            object,
        })
    }

    /// The object that an export names beside the event's own `source` and `subject`.
    fn exported(&self, named: &MetadataValue) -> Result<ObjectId> {
        let MetadataValue::Text(text) = named else {
            return Err(Error::invalid(format!("attribute is not text: {OBJECT}")));
        };
        let object: ObjectId = (text.parse())
            .map_err(|e: Error| e.context(format!("attribute {OBJECT} names no object")))?;
        Ok(match &self.name {
            Some(name) => ObjectId::new(name.clone(), object.key().clone()),
            None => object,
        })
    }

    fn object(&self, source: Option<&str>, subject: Option<&str>) -> Result<ObjectId> {
        let name = match (&self.name, source) {
            (Some(name), _) => name.clone(),
            (None, Some(source)) => ObjectName::new(source).map_err(|e| {
                e.context("source cannot be an object's name")
                    .with_hint("give the objects a name with --name NAME")
            })?,
            (None, None) => {
                return Err(Error::invalid("attribute is missing: source")
                    .with_hint("or give the objects a name with --name NAME"));
            }
        };
        let subject = subject.ok_or_else(|| {
            Error::invalid("attribute is missing: subject")
                .with_hint("the subject says which object of its name the event belongs to")
        })?;
        let key =
            ObjectKey::new(subject).map_err(|e| e.context("subject cannot be an object's key"))?;
        Ok(ObjectId::new(name, key))
    }
}

/// Names files of JSON that are not one event a line.
fn refuse_json_of_many_lines(line: &[u8]) -> Result<()> {
    let (what, program) = match line.trim_ascii() {
        [b'[', ..] => ("a JSON array", ".[]"),
        b"{" => ("the begin of an event on several lines", "."),
        _ => return Ok(()),
    };
    let hint = format!("import one event a line: jq -c '{program}' FILE | esm import -");
    Err(Error::invalid(format!("line is {what}, not an event")).with_hint(hint))
}

fn not_a_time(time: &str) -> Error {
    Error::invalid(format!("attribute time is not RFC 3339: {time:?}"))
        .with_hint("write times as 2026-01-02T03:04:05Z or 2026-01-02T03:04:05.678+02:00")
}

/// The error of an event over the limit.
fn too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("event is larger than the limit of {limit} bytes"),
    )
    .with_hint("raise the limit with --max-event-size, for every command on this store")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        Reading {
            name: None,
            max_event_bytes: 1000,
            renumber: false,
        }
    }

    fn line(extra: &str) -> String {
        format!(r#"{{"specversion":"1.0","id":"1","type":"T",{extra}"data":{{"a":1}}}}"#)
    }

    #[test]
    fn source_and_subject_name_the_object() -> Result<()> {
        let text = line(r#""source":"order","subject":"7/b","sequence":"3","#);
        let incoming = reading().read(text.as_bytes())?;
        assert_eq!(incoming.object.to_string(), "order/7/b");
        assert_eq!(incoming.sequence, 3);
        assert!(incoming.event.metadata.is_empty());
        Ok(())
    }

    #[test]
    fn a_name_takes_the_place_of_the_source_which_is_kept() -> Result<()> {
        let text = line(r#""source":"/shop/orders","subject":"7","sequence":0,"#);
        let error = reading().read(text.as_bytes()).unwrap_err();
        assert!(
            error.hint().is_some_and(|h| h.contains("--name")),
            "{error}"
        );
        let named = Reading {
            name: Some(ObjectName::new("order")?),
            ..reading()
        };
        let incoming = named.read(text.as_bytes())?;
        assert_eq!(incoming.object.to_string(), "order/7");
        assert_eq!(
            incoming.event.metadata.get("source"),
            Some(&"/shop/orders".into())
        );
        Ok(())
    }

    #[test]
    fn the_object_that_an_export_names_wins_over_source_and_subject() -> Result<()> {
        let text = line(r#""source":"s","subject":"9","sequence":"0","esmobject":"order/7/b","#);
        let incoming = reading().read(text.as_bytes())?;
        assert_eq!(incoming.object.to_string(), "order/7/b");
        let metadata = &incoming.event.metadata;
        assert_eq!(metadata.get("source"), Some(&"s".into()));
        assert_eq!(metadata.get("subject"), Some(&"9".into()));
        assert_eq!(metadata.get("esmobject"), None);
        for wrong in ["7", "\"order\"", "\"\""] {
            let text = line(&format!(
                r#""source":"s","subject":"9","esmobject":{wrong},"#
            ));
            let error = reading().read(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("esmobject"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |extra: &str| {
            let error = reading().read(line(extra).as_bytes()).unwrap_err();
            error.to_string()
        };
        assert!(error(r#""subject":"7","sequence":"0","#).contains("source"));
        assert!(error(r#""source":"o","sequence":"0","#).contains("subject"));
        assert!(error(r#""source":"o","subject":"7","#).contains("sequence"));
        assert!(error(r#""source":"o","subject":"7","sequence":"x","#).contains("sequence"));
    }

    #[test]
    fn a_time_is_rfc_3339_or_refused() {
        let read = |time: &str| {
            let extra = format!(r#""source":"o","subject":"7","sequence":"0","time":"{time}","#);
            reading().read(line(&extra).as_bytes())
        };
        for time in [
            "2016-12-31T23:59:60Z",
            "2024-01-31T10:00:00.0123456789+05:30",
        ] {
            assert_eq!(read(time).unwrap().event.time.as_deref(), Some(time));
        }
        for time in [
            "yesterday",
            "2024-02-30T10:00:00Z",
            "2024-01-31T10:00:00",
            "",
        ] {
            let error = read(time).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Invalid);
            assert!(error.to_string().contains("attribute time"), "{error}");
        }
    }

    #[test]
    fn json_that_is_not_one_event_a_line_is_named_with_a_command() {
        for (text, said, command) in [
            ("[", "array", "jq -c '.[]'"),
            (" [{\"id\":\"1\"}]", "array", "jq -c '.[]'"),
            ("{ ", "several lines", "jq -c '.'"),
        ] {
            let error = reading().read(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert!(
                error.hint().is_some_and(|hint| hint.contains(command)),
                "{error}"
            );
        }
    }

    #[test]
    fn a_long_line_is_refused_by_its_size() {
        let text = line(&format!(r#""x":"{}","#, "y".repeat(2000)));
        let error = reading().read(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::TooLarge);
    }
}
