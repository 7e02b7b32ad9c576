//! An event as the object that a program sees.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use esm_core::event::{Event, MetadataValue};
use esm_core::transform::TransformContext;

use crate::value::{MAX_DEPTH, Map, ReadFault, Text, Val, read};

/// What a program is given for an event.
#[derive(Debug)]
pub(crate) struct Input {
    /// Its `data`.
    pub(crate) data: Option<Val>,
    /// Its `data_base64`.
    pub(crate) base64: Option<Val>,
}

impl Input {
    /// The event's payload as `data` or as `data_base64`: JSON as what it is, other text as a
    /// string, all else (also what claims to be JSON and is none) as base64.
    ///
    /// # Errors
    /// Says what is wrong with a payload that no program can be given.
    pub(crate) fn of(event: &Event) -> Result<Self, String> {
        let data = if event.payload.is_empty() {
            return Ok(Self {
                data: None,
                base64: None,
            });
        } else if event.is_json() {
            match read(&event.payload) {
                Ok(value) => Some(value),
                Err(ReadFault::NotJson(_)) => None,
                Err(ReadFault::TooDeep) => {
                    return Err(format!("its data is nested deeper than {MAX_DEPTH} levels"));
                }
            }
        } else {
            let is_text = event.is_text() && std::str::from_utf8(&event.payload).is_ok();
            is_text.then(|| Val::Str(event.payload.to_vec().into()))
        };
        let base64 = match data {
            Some(_) => None,
            None => Some(BASE64.encode(&event.payload).into()),
        };
        Ok(Self { data, base64 })
    }

    /// The event as CloudEvents' JSON format has it.
    pub(crate) fn object(&self, event: &Event, context: &TransformContext<'_>) -> Arc<Map> {
        let own = |key, filled_in| match event.metadata.get(key) {
            Some(value) => metadata(value),
            None => text(filled_in),
        };
        let mut map = Map::default();
        map.reserve(12 + event.metadata.len());
        let mut set = |key: &'static str, value: Val| {
            map.insert(key.into(), value);
        };
        set("specversion", "1.0".into());
        set("id", text(event.id.as_str()));
        set("source", own("source", context.object.name().as_str()));
        set("subject", own("subject", context.object.key().as_str()));
        set("type", text(event.event_type.as_str()));
        set("sequence", text(&context.revision.to_string()));
        set("schemaversion", Val::int(event.schema_version.0.into()));
        if let Some(time) = &event.time {
            set("time", text(time));
        }
        match event.content_type.as_deref() {
            None => {}
            Some("application/json") => set("datacontenttype", "application/json".into()),
            Some(content_type) => set("datacontenttype", text(content_type)),
        }
        if let Some(data) = &self.data {
            set("data", data.clone());
        }
        if let Some(base64) = &self.base64 {
            set("data_base64", base64.clone());
        }
        for (key, value) in event.metadata.iter() {
            if key != "source" && key != "subject" {
                map.insert(Text::from(key), metadata(value));
            }
        }
        Arc::new(map)
    }
}

fn text(text: &str) -> Val {
    text.into()
}

fn metadata(value: &MetadataValue) -> Val {
    match value {
        MetadataValue::Boolean(value) => Val::Bool(*value),
        MetadataValue::Integer(value) => Val::int(*value),
        MetadataValue::Text(value) => text(value),
    }
}
