//! What a map puts out, checked and made an event.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use esm_core::event::{Event, Metadata, is_rfc3339};
use esm_core::id::{EventId, EventType};

use crate::output::{check_version, metadata_value, required, schema_version, text};
use crate::value::{Map, Val, kind, write};

/// Where metadata is kept that does not fit into attributes, as JSON text.
const REST: &str = "metadata";

/// Keys of metadata that the place of an event has.
const PLACE: [&str; 4] = ["source", "subject", "object", "esmobject"];

/// An event that a program made of a record, and what the program said about its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedEvent {
    /// The event, without `source` and `subject` in its metadata.
    pub event: Event,
    /// The field `object`.
    pub object: Option<String>,
    /// The field `source`.
    pub source: Option<String>,
    /// The field `subject`.
    pub subject: Option<String>,
    /// The field `sequence`.
    pub sequence: Option<u64>,
}

/// Makes an event of an output.
///
/// # Errors
/// Names the field that keeps it from being an event.
pub(crate) fn event(output: &Val) -> Result<MappedEvent, String> {
    let Val::Obj(object) = output else {
        return Err(format!("it is {} instead of an object", kind(output)));
    };
    let fields = Fields::of(object)?;
    let text_of = |name: &str| match fields.get(name) {
        Some(value) => text(name, value).map(|text| Some(text.to_owned())),
        None => Ok(None),
    };
    let mut event = Event {
        id: fields.id()?,
        event_type: fields.event_type()?,
        schema_version: schema_version(fields.get("schemaversion"))?,
        content_type: text_of("datacontenttype")?,
        time: fields.time()?,
        metadata: fields.metadata()?,
        payload: Bytes::new(),
    };
    event.payload = fields.payload(event.is_json())?;
    Ok(MappedEvent {
        event,
        object: text_of("object")?,
        source: text_of("source")?,
        subject: text_of("subject")?,
        sequence: fields.sequence()?,
    })
}

/// The fields of an output; what is `null` is absent, except for `data`.
struct Fields<'a> {
    known: Vec<(&'a str, &'a Val)>,
    others: Vec<(&'a str, &'a Val)>,
}

/// Fields that are not metadata.
const KNOWN: [&str; 13] = [
    "object",
    "source",
    "subject",
    "specversion",
    "id",
    "type",
    "sequence",
    "schemaversion",
    "datacontenttype",
    "time",
    "data",
    "data_base64",
    "metadata",
];

impl<'a> Fields<'a> {
    fn of(object: &'a Map) -> Result<Self, String> {
        let mut fields = Self {
            known: Vec::with_capacity(KNOWN.len()),
            others: Vec::new(),
        };
        for (key, value) in object {
            let name = key.as_str().ok_or("a name is no valid Unicode")?;
            if matches!(value, Val::Null) && name != "data" {
                continue;
            }
            if KNOWN.contains(&name) {
                fields.known.push((name, value));
            } else {
                fields.others.push((name, value));
            }
        }
        fields.get("specversion").map_or(Ok(()), check_version)?;
        Ok(fields)
    }

    fn get(&self, name: &str) -> Option<&'a Val> {
        let found = self.known.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    fn id(&self) -> Result<EventId, String> {
        let id = match self.get("id") {
            Some(Val::Num(number)) => {
                let number = number.integer().ok_or("`id` is a number, but no integer")?;
                Cow::Owned(number.to_string())
            }
            given => Cow::Borrowed(required("id", given)?),
        };
        EventId::new(id).map_err(|e| format!("`id` is wrong: {e}"))
    }

    fn event_type(&self) -> Result<EventType, String> {
        let name = required("type", self.get("type"))?;
        EventType::new(name).map_err(|e| format!("`type` is wrong: {e}"))
    }

    fn sequence(&self) -> Result<Option<u64>, String> {
        let parsed = match self.get("sequence") {
            None => return Ok(None),
            Some(Val::Num(number)) => number.integer().and_then(|number| number.try_into().ok()),
            Some(value) => text("sequence", value)?.parse().ok(),
        };
        let wrong = || "`sequence` is no whole number from 0 on".to_owned();
        parsed.map(Some).ok_or_else(wrong)
    }

    fn time(&self) -> Result<Option<String>, String> {
        let Some(value) = self.get("time") else {
            return Ok(None);
        };
        let given = text("time", value)?;
        let time = rfc3339(given);
        if is_rfc3339(&time) {
            return Ok(Some(time.into_owned()));
        }
        if is_rfc3339(&format!("{time}Z")) {
            return Err(format!(
                "`time` has no time zone: {given:?}; if it is UTC, let the map append \"Z\""
            ));
        }
        Err(format!(
            "`time` is no time such as \"2024-01-31T10:00:00Z\": {given:?}"
        ))
    }

    fn payload(&self, is_json: bool) -> Result<Bytes, String> {
        let base64 = self.get("data_base64");
        // only JSON can be null; elsewhere null says that there is no data
        let null_is_data = is_json && base64.is_none();
        let data = self.get("data");
        let data = data.filter(|data| null_is_data || !matches!(data, Val::Null));
        match (data, base64) {
            (Some(_), Some(_)) => Err("`data` and `data_base64` exclude each other".to_owned()),
            (None, None) => Ok(Bytes::new()),
            (None, Some(value)) => BASE64
                .decode(text("data_base64", value)?)
                .map(Bytes::from)
                .map_err(|e| format!("`data_base64` is no base64: {e}")),
            (Some(data), None) if is_json => json("data", data).map(Bytes::from),
            (Some(data), None) => Ok(Bytes::copy_from_slice(text("data", data)?.as_bytes())),
        }
    }

    /// The fields that are not known, and those of `metadata`.
    fn metadata(&self) -> Result<Metadata, String> {
        let mut metadata = Metadata::new();
        for (name, value) in &self.others {
            let value = metadata_value(value)
                .map_err(|e| format!("`{name}` {e}; put it into `metadata` or `data`"))?;
            metadata.insert(*name, value).map_err(|e| e.to_string())?;
        }
        let given = match self.get("metadata") {
            None => return Ok(metadata),
            Some(Val::Obj(given)) => given,
            Some(Val::Str(_)) => {
                return Err("`metadata` is a string instead of an object: use fromjson".to_owned());
            }
            Some(other) => {
                return Err(format!(
                    "`metadata` is {} instead of an object",
                    kind(other)
                ));
            }
        };
        let mut rest = Map::default();
        for (key, value) in given.iter() {
            let name = key.as_str();
            let name = name.ok_or("a name in `metadata` is no valid Unicode")?;
            if !add(&mut metadata, name, value) {
                rest.insert(key.clone(), value.clone());
            }
        }
        if !rest.is_empty() {
            let rest = json("metadata", &Val::obj(rest))?;
            let rest = String::from_utf8_lossy(&rest);
            metadata.insert(REST, &*rest).map_err(|e| e.to_string())?;
        }
        Ok(metadata)
    }
}

/// Adds a field to metadata, if that can have it.
fn add(metadata: &mut Metadata, key: &str, value: &Val) -> bool {
    let taken = key == REST || PLACE.contains(&key) || metadata.get(key).is_some();
    let value = metadata_value(value).ok().filter(|_| !taken);
    value.is_some_and(|value| metadata.insert(key, value).is_ok())
}

fn json(name: &str, value: &Val) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    write(value, &mut bytes).map_err(|e| format!("`{name}` is no JSON: {e}"))?;
    Ok(bytes)
}

/// A time as RFC 3339 has it: PostgreSQL writes a blank in front of the hours, and leaves out the
/// minutes of an offset.
fn rfc3339(time: &str) -> Cow<'_, str> {
    let Some((date, rest)) = time
        .split_once([' ', 'T'])
        .filter(|(date, _)| date.len() == 10)
    else {
        return Cow::Borrowed(time);
    };
    let offset = rest.rfind(['+', '-']).map(|at| rest.len() - at);
    let minutes = if offset == Some(3) { ":00" } else { "" };
    Cow::Owned(format!("{date}T{rest}{minutes}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_postgresql_become_those_of_rfc_3339() {
        for (given, expected) in [
            (
                "2026-01-02 03:04:05.678+00",
                "2026-01-02T03:04:05.678+00:00",
            ),
            ("2026-01-02 03:04:05-07", "2026-01-02T03:04:05-07:00"),
            ("2026-01-02 03:04:05+05:30", "2026-01-02T03:04:05+05:30"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ] {
            assert_eq!(rfc3339(given), expected);
            assert!(is_rfc3339(&rfc3339(given)));
        }
    }
}
