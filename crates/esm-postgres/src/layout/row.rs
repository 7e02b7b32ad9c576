//! A row as an event.

use bytes::Bytes;
use esm_core::event::{Event, SchemaVersion};
use esm_core::id::EventId;
use esm_core::{Error, Result};
use esm_foreign::Envelope;
use esm_layout::{Layout, Queries, is_plain_version, schema_version};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

/// Columns of an event in every query that returns events.
pub(super) const EVENT_COLUMNS: usize = 7;

/// An event and its number in the layout's counting.
#[derive(Debug)]
pub(super) struct NumberedEvent {
    pub(super) number: i64,
    pub(super) event: Event,
}

/// Reads rows of one layout.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    version_column: Option<String>,
    version_in_metadata: Option<String>,
    content_type: String,
    payload_is_bytes: bool,
}

impl Rows {
    pub(super) fn new(layout: &Layout, queries: &Queries) -> Self {
        let events = &layout.events;
        let content_type = if queries.payload_is_json {
            "application/json"
        } else if queries.payload_is_bytes {
            "application/octet-stream"
        } else {
            "text/plain"
        };
        let own = events
            .content_type
            .clone()
            .filter(|_| !queries.payload_is_json);
        Self {
            version_column: events.version.clone(),
            version_in_metadata: events.version_in_metadata.clone(),
            content_type: own.unwrap_or_else(|| content_type.to_owned()),
            payload_is_bytes: queries.payload_is_bytes,
        }
    }

    /// # Errors
    /// `Corrupt`, naming the number, for a row that is no event.
    pub(super) fn event(&self, row: &Row) -> Result<NumberedEvent> {
        let number: i64 = value(row, 0)?;
        let event = self.parse(row, number);
        let event = event.map_err(|e| {
            Error::corrupt(format!("event {number} cannot be read: {e}")).with_source(e)
        })?;
        Ok(NumberedEvent { number, event })
    }

    fn parse(&self, row: &Row, number: i64) -> Result<Event> {
        let id: Option<String> = value(row, 1)?;
        let id = EventId::new(id.unwrap_or_else(|| number.to_string()))?;
        let payload = if self.payload_is_bytes {
            value::<Option<Vec<u8>>>(row, 4)?.map(Bytes::from)
        } else {
            value::<Option<String>>(row, 4)?.map(Bytes::from)
        };
        let metadata: Option<String> = value(row, 5)?;
        // a column may hold the JSON null
        let metadata = metadata
            .filter(|text| text.trim() != "null")
            .unwrap_or_default();
        let version = self.version(value(row, 3)?, &metadata)?;
        let envelope = Envelope {
            event_type: value(row, 2)?,
            data: payload.unwrap_or_default(),
            metadata,
        };
        let mut event = envelope.open(id)?.event;
        event.content_type = Some(self.content_type.clone());
        event.time = value(row, 6)?;
        if let Some((version, text)) = version {
            event.schema_version = SchemaVersion(version);
            // what the number does not say stays visible
            if let Some(column) = self.version_column.as_deref()
                && !is_plain_version(&text)
            {
                event.metadata.insert(column, text.as_str())?;
            }
        }
        Ok(event)
    }

    /// The schema version, and the text that says it.
    fn version(&self, column: Option<String>, metadata: &str) -> Result<Option<(u32, String)>> {
        let text = match (&self.version_in_metadata, column) {
            (None, column) => column,
            (Some(_), _) if metadata.is_empty() => None,
            (Some(member), _) => {
                let metadata: Value = serde_json::from_str(metadata)
                    .map_err(|e| Error::corrupt("its metadata is not JSON").with_source(e))?;
                match metadata.get(member) {
                    None | Some(Value::Null) => None,
                    Some(Value::String(text)) => Some(text.clone()),
                    Some(other) => Some(other.to_string()),
                }
            }
        };
        let Some(text) = text else { return Ok(None) };
        let Some(version) = schema_version(&text) else {
            let message = format!("its schema version is no number: {text:?}");
            return Err(Error::corrupt(message));
        };
        Ok(Some((version, text)))
    }
}

/// # Errors
/// `Corrupt` for a value of another type.
pub(super) fn value<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T> {
    row.try_get(column).map_err(|e| {
        Error::corrupt(format!("column {column} of the answer cannot be read")).with_source(e)
    })
}

/// # Errors
/// `Corrupt` for values that are no text.
pub(super) fn texts(row: &Row, columns: std::ops::Range<usize>) -> Result<Vec<Option<String>>> {
    columns.map(|column| value(row, column)).collect()
}
