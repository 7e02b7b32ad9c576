//! A record of the input: its events, with their objects and sequences.

use std::sync::Arc;

use esm_core::event::{MetadataValue, Revision, is_rfc3339};
use esm_core::id::{ObjectId, ObjectKey, ObjectName};
use esm_core::{Error, ErrorKind, Result};
use esm_format::cloudevent::{self, Decoded};
use esm_jq::MappedEvent;

use super::incoming::Located;
use super::map::{self, BuiltIn, RecordMap};
use super::numbers::Numbering;
use super::records::{Format, Shape};
use crate::events::{self, OBJECT};

/// How an input is read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// The name of all objects, instead of the events' `source`.
    pub(crate) name: Option<ObjectName>,
    /// The largest event, as a line, in bytes.
    pub(crate) max_event_bytes: u64,
    /// Where the sequences of events come from.
    pub(crate) numbering: Numbering,
    /// What makes events of records; `None` where lines are events.
    pub(crate) map: Option<Arc<RecordMap>>,
    /// What the records are, with a map.
    pub(crate) format: Format,
    /// The delimiter of CSV.
    pub(crate) delimiter: u8,
}

impl Reading {
    /// How the records are read.
    pub(super) fn shape(&self) -> Shape {
        Shape {
            format: self.map.is_some().then_some(self.format),
            delimiter: self.delimiter,
            max_bytes: self.max_event_bytes,
        }
    }

    /// Returns the events of a record.
    ///
    /// # Errors
    /// `Invalid` or `TooLarge`; the caller knows the record's number.
    pub(super) fn events(&self, record: &[u8]) -> Result<Vec<Located>> {
        let Some(map) = &self.map else {
            return Ok(vec![self.line(record)?]);
        };
        let mapped = map.events(record)?;
        mapped.into_iter().map(|event| self.mapped(event)).collect()
    }

    /// Reads a line that is an event.
    fn line(&self, line: &[u8]) -> Result<Located> {
        self.check_size(line.len())?;
        refuse_json_of_many_lines(line)?;
        let decoded = cloudevent::decode(line).map_err(|error| not_an_event(line, error))?;
        if let Some(time) = decoded.event.time.as_deref().filter(|t| !is_rfc3339(t)) {
            return Err(not_a_time(time));
        }
        self.locate(decoded, None, line.len())
    }

    /// Takes what a map made.
    fn mapped(&self, mapped: MappedEvent) -> Result<Located> {
        let decoded = Decoded {
            event: mapped.event,
            source: mapped.source,
            subject: mapped.subject,
            sequence: mapped.sequence.map(Revision),
        };
        let located = self.locate(decoded, mapped.object, 0)?;
        let mut line = Vec::new();
        let revision = Revision(located.sequence.unwrap_or_default());
        let bytes = events::line(&located.object, revision, &located.event, &mut line).len();
        self.check_size(bytes)?;
        Ok(Located { bytes, ..located })
    }

    fn check_size(&self, bytes: usize) -> Result<()> {
        let limit = self.max_event_bytes;
        if bytes as u64 > limit {
            return Err(too_large(limit).context(format!("line of {bytes} bytes")));
        }
        Ok(())
    }

    fn locate(
        &self,
        mut decoded: Decoded,
        object: Option<String>,
        bytes: usize,
    ) -> Result<Located> {
        let named = object.map(MetadataValue::Text);
        let object = match named.or_else(|| decoded.event.metadata.remove(OBJECT)) {
            Some(named) => self.exported(&named)?,
            None => self.object(decoded.source.as_deref(), decoded.subject.as_deref())?,
        };
        Ok(Located {
            sequence: decoded.sequence.map(|sequence| sequence.0),
            event: decoded.into_event_of(&object),
            object,
            bytes,
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

/// The error of a line that is not an event, with the map that makes one of it.
fn not_an_event(line: &[u8], error: Error) -> Error {
    let Some(fields) = map::fields(line) else {
        return error;
    };
    if fields.iter().any(|field| field == "specversion") {
        return error;
    }
    let map = BuiltIn::of_fields(fields.iter().map(String::as_str));
    error.with_hint(match map {
        Some(map) => format!("import it with a map: esm import --map {} FILE", map.name),
        None => "lines are CloudEvents; JSON of another form needs a map: esm import --map MAP.jq \
                 FILE (see docs/importing.md)"
            .to_owned(),
    })
}

/// Names files of JSON that are not one event a line.
fn refuse_json_of_many_lines(line: &[u8]) -> Result<()> {
    let (what, program) = match line.trim_ascii() {
        [b'[', ..] => ("a JSON array", ".[]"),
        b"{" => ("the begin of an event on several lines", "."),
        _ => return Ok(()),
    };
    let hint = format!(
        "of CloudEvents, import one a line: jq -c '{program}' FILE | esm import -; anything else needs \
         --map, which reads this as it is"
    );
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
            numbering: Numbering::Given,
            map: None,
            format: Format::Auto,
            delimiter: b',',
        }
    }

    fn line(extra: &str) -> String {
        format!(r#"{{"specversion":"1.0","id":"1","type":"T",{extra}"data":{{"a":1}}}}"#)
    }

    #[test]
    fn source_and_subject_name_the_object() -> Result<()> {
        let text = line(r#""source":"order","subject":"7/b","sequence":"3","#);
        let incoming = reading().line(text.as_bytes())?;
        assert_eq!(incoming.object.to_string(), "order/7/b");
        assert_eq!(incoming.sequence, Some(3));
        assert!(incoming.event.metadata.is_empty());
        Ok(())
    }

    #[test]
    fn a_name_takes_the_place_of_the_source_which_is_kept() -> Result<()> {
        let text = line(r#""source":"/shop/orders","subject":"7","sequence":0,"#);
        let error = reading().line(text.as_bytes()).unwrap_err();
        assert!(
            error.hint().is_some_and(|h| h.contains("--name")),
            "{error}"
        );
        let named = Reading {
            name: Some(ObjectName::new("order")?),
            ..reading()
        };
        let incoming = named.line(text.as_bytes())?;
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
        let incoming = reading().line(text.as_bytes())?;
        assert_eq!(incoming.object.to_string(), "order/7/b");
        let metadata = &incoming.event.metadata;
        assert_eq!(metadata.get("source"), Some(&"s".into()));
        assert_eq!(metadata.get("subject"), Some(&"9".into()));
        assert_eq!(metadata.get("esmobject"), None);
        for wrong in ["7", "\"order\"", "\"\""] {
            let text = line(&format!(
                r#""source":"s","subject":"9","esmobject":{wrong},"#
            ));
            let error = reading().line(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("esmobject"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |extra: &str| {
            let error = reading().line(line(extra).as_bytes()).unwrap_err();
            error.to_string()
        };
        assert!(error(r#""subject":"7","sequence":"0","#).contains("source"));
        assert!(error(r#""source":"o","sequence":"0","#).contains("subject"));
        assert!(error(r#""source":"o","subject":"7","sequence":"x","#).contains("sequence"));
    }

    #[test]
    fn a_time_is_rfc_3339_or_refused() {
        let read = |time: &str| {
            let extra = format!(r#""source":"o","subject":"7","sequence":"0","time":"{time}","#);
            reading().line(line(&extra).as_bytes())
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
            let error = reading().line(text.as_bytes()).unwrap_err();
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
        let error = reading().line(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::TooLarge);
    }
}
