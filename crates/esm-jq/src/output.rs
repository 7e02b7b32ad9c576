//! What a program puts out, checked and made an event again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use esm_core::event::{Event, Metadata, MetadataValue, SchemaVersion, is_rfc3339};
use esm_core::id::{EventId, EventType};
use esm_core::transform::TransformContext;

use crate::input::Input;
use crate::value::{Map, Val, kind, same, write};

/// Makes an event of an output. Without `schemaversion` it has the version `absent`.
///
/// # Errors
/// Says what keeps it from being a CloudEvent.
pub(crate) fn event(
    output: &Val,
    input: &Input,
    original: &Event,
    context: &TransformContext<'_>,
    absent: SchemaVersion,
) -> Result<Event, String> {
    let Val::Obj(object) = output else {
        return Err(format!("it is {} instead of an object", kind(output)));
    };
    let attributes = Attributes::of(object, original, context)?;
    let content_type = attributes.content_type(original)?;
    let mut event = Event {
        id: attributes.id(original)?,
        event_type: attributes.event_type(original)?,
        schema_version: match attributes.schema_version {
            None => absent,
            version => schema_version(version)?,
        },
        content_type,
        time: attributes.time(original)?,
        metadata: Metadata::new(),
        payload: Bytes::new(),
    };
    event.payload = attributes.payload(input, original, event.is_json())?;
    event.metadata = attributes.metadata;
    Ok(event)
}

/// The attributes of an output; what is `null` is not there, except for `data`.
#[derive(Default)]
struct Attributes<'a> {
    id: Option<&'a Val>,
    event_type: Option<&'a Val>,
    schema_version: Option<&'a Val>,
    content_type: Option<&'a Val>,
    time: Option<&'a Val>,
    data: Option<&'a Val>,
    base64: Option<&'a Val>,
    metadata: Metadata,
}

impl<'a> Attributes<'a> {
    fn of(
        object: &'a Map,
        original: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Self, String> {
        let mut attributes = Self::default();
        for (name, value) in object {
            if matches!(value, Val::Null) && name[..] != *b"data" {
                continue;
            }
            match &name[..] {
                b"specversion" => check_version(value)?,
                b"id" => attributes.id = Some(value),
                b"type" => attributes.event_type = Some(value),
                // The order of events is not the program's to change.
                b"sequence" => {}
                b"schemaversion" => attributes.schema_version = Some(value),
                b"datacontenttype" => attributes.content_type = Some(value),
                b"time" => attributes.time = Some(value),
                b"data" => attributes.data = Some(value),
                b"data_base64" => attributes.base64 = Some(value),
                name => attributes.add_metadata(name, value, original, context)?,
            }
        }
        Ok(attributes)
    }

    /// Metadata is what was not filled in by esm.
    fn add_metadata(
        &mut self,
        name: &[u8],
        value: &Val,
        original: &Event,
        context: &TransformContext<'_>,
    ) -> Result<(), String> {
        let name = std::str::from_utf8(name).map_err(|_| "a name is no valid Unicode")?;
        let filled_in = match name {
            "source" => Some(context.object.name().as_str()),
            "subject" => Some(context.object.key().as_str()),
            _ => None,
        };
        if let (Some(filled_in), Val::Str(text)) = (filled_in, value)
            && text[..] == *filled_in.as_bytes()
            && original.metadata.get(name).is_none()
        {
            return Ok(());
        }
        let value = metadata_value(value).map_err(|e| format!("`{name}` {e}"))?;
        self.metadata
            .insert(name, value)
            .map(drop)
            .map_err(|e| e.to_string())
    }

    fn id(&self, original: &Event) -> Result<EventId, String> {
        let text = required("id", self.id)?;
        if text == original.id.as_str() {
            Ok(original.id.clone())
        } else {
            EventId::new(text).map_err(|e| format!("`id` is wrong: {e}"))
        }
    }

    fn event_type(&self, original: &Event) -> Result<EventType, String> {
        let text = required("type", self.event_type)?;
        if text == original.event_type.as_str() {
            Ok(original.event_type.clone())
        } else {
            EventType::new(text).map_err(|e| format!("`type` is wrong: {e}"))
        }
    }

    fn content_type(&self, original: &Event) -> Result<Option<String>, String> {
        let Some(value) = self.content_type else {
            return Ok(None);
        };
        let text = text("datacontenttype", value)?;
        if original.content_type.as_deref() != Some(text)
            && (!text.contains('/') || text.chars().any(char::is_control))
        {
            return Err(format!("`datacontenttype` is no media type: {text:?}"));
        }
        Ok(Some(text.to_owned()))
    }

    /// A time that was there before is not checked: it is kept as it was written.
    fn time(&self, original: &Event) -> Result<Option<String>, String> {
        let Some(value) = self.time else {
            return Ok(None);
        };
        let text = text("time", value)?;
        if original.time.as_deref() != Some(text) && !is_rfc3339(text) {
            return Err(format!(
                "`time` is no RFC 3339 time, such as \"2024-01-31T10:00:00Z\": {text:?}"
            ));
        }
        Ok(Some(text.to_owned()))
    }

    fn payload(&self, input: &Input, original: &Event, is_json: bool) -> Result<Bytes, String> {
        // Only JSON can be null; elsewhere null says that there is no data.
        let null_is_data = is_json && self.base64.is_none();
        let data = self
            .data
            .filter(|data| null_is_data || !matches!(data, Val::Null));
        match (data, self.base64) {
            (Some(_), Some(_)) => Err("`data` and `data_base64` exclude each other".to_owned()),
            (None, None) => Ok(Bytes::new()),
            (Some(data), None) => payload_of_data(data, input, original, is_json),
            (None, Some(value)) => {
                let text = text("data_base64", value)?;
                if let Some(Val::Str(before)) = &input.base64
                    && before[..] == *text.as_bytes()
                {
                    return Ok(original.payload.clone());
                }
                BASE64
                    .decode(text)
                    .map(Bytes::from)
                    .map_err(|e| format!("`data_base64` is no base64: {e}"))
            }
        }
    }
}

/// The bytes that the payload had if it is still the same, else those of `data` written down.
fn payload_of_data(
    data: &Val,
    input: &Input,
    original: &Event,
    is_json: bool,
) -> Result<Bytes, String> {
    if let Some(before) = &input.data
        && is_json == original.is_json()
        && same(before, data)
    {
        return Ok(original.payload.clone());
    }
    match data {
        _ if is_json => {
            let mut bytes = Vec::with_capacity(original.payload.len() + 64);
            write(data, &mut bytes).map_err(|e| format!("`data` is no JSON: {e}"))?;
            Ok(bytes.into())
        }
        Val::Str(text) if std::str::from_utf8(text).is_ok() => Ok(Bytes::copy_from_slice(text)),
        other => Err(format!(
            "`data` is {} although `datacontenttype` is not JSON; make it a string, or set \
             `data_base64`",
            kind(other)
        )),
    }
}

/// The version of the payload's schema.
pub(crate) fn schema_version(value: Option<&Val>) -> Result<SchemaVersion, String> {
    match value {
        None => Ok(SchemaVersion::default()),
        Some(Val::Num(num)) => num
            .integer()
            .and_then(|version| u32::try_from(version).ok())
            .map(SchemaVersion)
            .ok_or_else(|| {
                let most = u32::MAX;
                format!(
                    "`schemaversion` is no integer from 0 to {most}: {}",
                    num.shown()
                )
            }),
        Some(other) => Err(format!(
            "`schemaversion` is {} instead of a number",
            kind(other)
        )),
    }
}

pub(crate) fn check_version(value: &Val) -> Result<(), String> {
    match text("specversion", value)? {
        "1.0" => Ok(()),
        other => Err(format!("`specversion` is not \"1.0\": {other:?}")),
    }
}

pub(crate) fn required<'a>(name: &str, value: Option<&'a Val>) -> Result<&'a str, String> {
    text(name, value.ok_or_else(|| format!("`{name}` is missing"))?)
}

pub(crate) fn text<'a>(name: &str, value: &'a Val) -> Result<&'a str, String> {
    match value {
        Val::Str(text) => {
            std::str::from_utf8(text).map_err(|_| format!("`{name}` is no valid Unicode"))
        }
        other => Err(format!("`{name}` is {} instead of a string", kind(other))),
    }
}

pub(crate) fn metadata_value(value: &Val) -> Result<MetadataValue, String> {
    match value {
        Val::Bool(value) => Ok(MetadataValue::Boolean(*value)),
        Val::Num(num) => num.integer().map(MetadataValue::Integer).ok_or_else(|| {
            format!(
                "is no 64-bit integer, the only number metadata has: {}",
                num.shown()
            )
        }),
        Val::Str(text) => std::str::from_utf8(text)
            .map(MetadataValue::from)
            .map_err(|_| "is no valid Unicode".to_owned()),
        other => Err(format!(
            "is {} instead of a string, an integer or a boolean",
            kind(other)
        )),
    }
}
