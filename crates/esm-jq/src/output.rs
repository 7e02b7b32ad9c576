//! What a program puts out, checked and made an event again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use esm_core::event::{Event, Metadata, MetadataValue, SchemaVersion};
use esm_core::id::{EventId, EventType};
use esm_core::transform::TransformContext;
use jaq_json::{Map, Val};

use crate::input::{self, Input};
use crate::value::{integer, kind, same, write};

/// Makes an event of an output.
///
/// # Errors
/// Says what keeps it from being a CloudEvent.
pub(crate) fn event(
    output: &Val,
    input: &Input,
    original: &Event,
    context: &TransformContext<'_>,
) -> Result<Event, String> {
    let Val::Obj(object) = output else {
        return Err(format!("it is {} instead of an object", kind(output)));
    };
    let attributes = Attributes { object, original };
    if let Some(version) = attributes.text("specversion")?
        && version != "1.0"
    {
        return Err(format!("`specversion` is not \"1.0\": {version:?}"));
    }
    let mut event = Event {
        id: attributes.id()?,
        event_type: attributes.event_type()?,
        schema_version: attributes.schema_version()?,
        content_type: attributes.content_type()?,
        time: attributes.time()?,
        metadata: attributes.metadata(context)?,
        payload: Bytes::new(),
    };
    event.payload = attributes.payload(input, event.is_json())?;
    Ok(event)
}

struct Attributes<'a> {
    object: &'a Map,
    original: &'a Event,
}

impl<'a> Attributes<'a> {
    fn get(&self, name: &'static str) -> Option<&'a Val> {
        self.object
            .get(&Val::utf8_str(Bytes::from_static(name.as_bytes())))
    }

    /// An attribute that is text; `null` means that it is not there.
    fn text(&self, name: &'static str) -> Result<Option<&'a str>, String> {
        match self.get(name) {
            None | Some(Val::Null) => Ok(None),
            Some(Val::TStr(text)) => std::str::from_utf8(text)
                .map(Some)
                .map_err(|_| format!("`{name}` is no valid Unicode")),
            Some(other) => Err(format!("`{name}` is {} instead of a string", kind(other))),
        }
    }

    fn required(&self, name: &'static str) -> Result<&'a str, String> {
        self.text(name)?
            .ok_or_else(|| format!("`{name}` is missing"))
    }

    fn id(&self) -> Result<EventId, String> {
        let text = self.required("id")?;
        match text == self.original.id.as_str() {
            true => Ok(self.original.id.clone()),
            false => EventId::new(text).map_err(|e| format!("`id` is wrong: {e}")),
        }
    }

    fn event_type(&self) -> Result<EventType, String> {
        let text = self.required("type")?;
        match text == self.original.event_type.as_str() {
            true => Ok(self.original.event_type.clone()),
            false => EventType::new(text).map_err(|e| format!("`type` is wrong: {e}")),
        }
    }

    fn schema_version(&self) -> Result<SchemaVersion, String> {
        match self.get("schemaversion") {
            None | Some(Val::Null) => Ok(SchemaVersion::default()),
            Some(Val::Num(num)) => integer(num)
                .and_then(|version| u32::try_from(version).ok())
                .map(SchemaVersion)
                .ok_or_else(|| {
                    format!(
                        "`schemaversion` is no integer from 0 to {}: {num}",
                        u32::MAX
                    )
                }),
            Some(other) => Err(format!(
                "`schemaversion` is {} instead of a number",
                kind(other)
            )),
        }
    }

    fn content_type(&self) -> Result<Option<String>, String> {
        let Some(text) = self.text("datacontenttype")? else {
            return Ok(None);
        };
        if self.original.content_type.as_deref() != Some(text)
            && (!text.contains('/') || text.chars().any(char::is_control))
        {
            return Err(format!("`datacontenttype` is no media type: {text:?}"));
        }
        Ok(Some(text.to_owned()))
    }

    /// A time that was there before is not checked: it is kept as it was written.
    fn time(&self) -> Result<Option<String>, String> {
        let Some(text) = self.text("time")? else {
            return Ok(None);
        };
        if self.original.time.as_deref() != Some(text) && !is_rfc3339(text) {
            return Err(format!(
                "`time` is no RFC 3339 time, such as \"2024-01-31T10:00:00Z\": {text:?}"
            ));
        }
        Ok(Some(text.to_owned()))
    }

    fn metadata(&self, context: &TransformContext<'_>) -> Result<Metadata, String> {
        let mut metadata = Metadata::new();
        for (key, value) in self.object {
            let Val::TStr(name) = key else {
                return Err(format!(
                    "a name is {} instead of a string: {key}",
                    kind(key)
                ));
            };
            let name = std::str::from_utf8(name).map_err(|_| "a name is no valid Unicode")?;
            let filled_in = match name {
                "source" => Some(input::source(self.original, context)),
                "subject" => Some(input::subject(self.original, context)),
                _ if Metadata::RESERVED.contains(&name) => continue,
                _ => None,
            };
            let keeps = self.original.metadata.get(name).is_none();
            if *value == Val::Null || (keeps && filled_in.is_some_and(|v| same(&v, value))) {
                continue;
            }
            let value = metadata_value(value).map_err(|e| format!("`{name}` {e}"))?;
            metadata.insert(name, value).map_err(|e| e.to_string())?;
        }
        Ok(metadata)
    }

    fn payload(&self, input: &Input, is_json: bool) -> Result<Bytes, String> {
        let base64 = self.text("data_base64")?;
        match (self.get("data"), base64) {
            (Some(_), Some(_)) => Err("`data` and `data_base64` exclude each other".to_owned()),
            (None, None) => Ok(Bytes::new()),
            (Some(data), None) => self.data(data, input, is_json),
            (None, Some(text)) => {
                if let Some(Val::TStr(before)) = &input.base64
                    && before[..] == *text.as_bytes()
                {
                    return Ok(self.original.payload.clone());
                }
                BASE64
                    .decode(text)
                    .map(Bytes::from)
                    .map_err(|e| format!("`data_base64` is no base64: {e}"))
            }
        }
    }

    fn data(&self, data: &Val, input: &Input, is_json: bool) -> Result<Bytes, String> {
        if let Some(before) = &input.data
            && is_json == self.original.is_json()
            && same(before, data)
        {
            return Ok(self.original.payload.clone());
        }
        match data {
            _ if is_json => {
                let mut bytes = Vec::with_capacity(self.original.payload.len() + 64);
                write(data, &mut bytes).map_err(|e| format!("`data` is no JSON: {e}"))?;
                Ok(bytes.into())
            }
            Val::TStr(text) if std::str::from_utf8(text).is_ok() => {
                Ok(Bytes::copy_from_slice(text))
            }
            other => Err(format!(
                "`data` is {} although `datacontenttype` is not JSON; make it a string, or set \
                 `data_base64`",
                kind(other)
            )),
        }
    }
}

fn metadata_value(value: &Val) -> Result<MetadataValue, String> {
    match value {
        Val::Bool(value) => Ok(MetadataValue::Boolean(*value)),
        Val::Num(num) => integer(num)
            .map(MetadataValue::Integer)
            .ok_or_else(|| format!("is no 64-bit integer, the only number metadata has: {num}")),
        Val::TStr(text) => std::str::from_utf8(text)
            .map(MetadataValue::from)
            .map_err(|_| "is no valid Unicode".to_owned()),
        other => Err(format!(
            "is {} instead of a string, an integer or a boolean",
            kind(other)
        )),
    }
}

fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((start, rest)) = bytes.split_at_checked(19) else {
        return false;
    };
    let shape = b"0000-00-00T00:00:00".iter().zip(start);
    let shaped = shape.into_iter().all(|(shape, byte)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't'),
        shape => shape == byte,
    });
    let zoned = matches!(
        rest,
        [.., b'Z' | b'z'] | [.., b'+' | b'-', _, _, b':', _, _]
    );
    shaped && zoned && text.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for text in [
            "2024-02-29T10:00:00Z",
            "2024-01-31t10:00:00.123456789+02:00",
            "0001-01-01T00:00:00-00:30",
        ] {
            assert!(is_rfc3339(text), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2024-01-31",
            "2024-01-31T10:00:00",
            "2023-02-29T10:00:00Z",
            "2024-01-31 10:00:00Z",
            "2024-01-31T10:00:00+0200",
            "2024-01-31T10:00:00+02:00[Europe/Berlin]",
        ] {
            assert!(!is_rfc3339(text), "{text}");
        }
    }
}
