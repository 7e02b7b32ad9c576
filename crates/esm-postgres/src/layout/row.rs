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
pub(super) const EVENT_COLUMNS: usize = 8;

/// An event and its number in the layout's counting.
#[derive(Debug)]
pub(super) struct NumberedEvent {
    pub(super) number: i64,
    pub(super) event: Event,
}

/// The columns of an event, as the queries of a layout select them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventColumns {
    pub(crate) number: i64,
    pub(crate) id: Option<String>,
    pub(crate) event_type: String,
    pub(crate) version: Option<String>,
    pub(crate) payload: Option<Bytes>,
    pub(crate) metadata: Option<String>,
    pub(crate) time: Option<String>,
    pub(crate) class: Option<String>,
}

/// Reads rows of one layout.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    version_column: Option<String>,
    version_in_metadata: Option<String>,
    class_column: Option<String>,
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
            class_column: events.class.clone(),
            content_type: own.unwrap_or_else(|| content_type.to_owned()),
            payload_is_bytes: queries.payload_is_bytes,
        }
    }

    /// # Errors
    /// `Corrupt`, naming the number, for a row that is no event.
    pub(super) fn event(&self, row: &Row) -> Result<NumberedEvent> {
        let number: i64 = value(row, 0)?;
        let columns = self.columns(row, number);
        let event = columns.and_then(|columns| self.parse(columns));
        let event = event.map_err(|e| unreadable(number, e))?;
        Ok(NumberedEvent { number, event })
    }

    /// # Errors
    /// `Corrupt`, naming the number, for columns that are no event.
    pub(crate) fn event_of(&self, columns: EventColumns) -> Result<Event> {
        let number = columns.number;
        self.parse(columns).map_err(|e| unreadable(number, e))
    }

    /// The column whose text is an attribute of the event where its number does not say all.
    pub(crate) fn version_column(&self) -> Option<&str> {
        self.version_column.as_deref()
    }

    /// The member of the metadata that holds the schema version.
    pub(crate) fn version_in_metadata(&self) -> Option<&str> {
        self.version_in_metadata.as_deref()
    }

    /// The column whose text is an attribute of the event: the name of the class.
    pub(crate) fn class_column(&self) -> Option<&str> {
        self.class_column.as_deref()
    }

    fn columns(&self, row: &Row, number: i64) -> Result<EventColumns> {
        Ok(EventColumns {
            number,
            id: value(row, 1)?,
            event_type: value(row, 2)?,
            version: value(row, 3)?,
            payload: if self.payload_is_bytes {
                value::<Option<Vec<u8>>>(row, 4)?.map(Bytes::from)
            } else {
                value::<Option<String>>(row, 4)?.map(Bytes::from)
            },
            metadata: value(row, 5)?,
            time: value(row, 6)?,
            class: value(row, 7)?,
        })
    }

    fn parse(&self, columns: EventColumns) -> Result<Event> {
        let id = columns.id.unwrap_or_else(|| columns.number.to_string());
        let id = EventId::new(id)?;
        // a column may hold the JSON null
        let metadata = columns
            .metadata
            .filter(|text| text.trim() != "null")
            .unwrap_or_default();
        let version = self.version(columns.version, &metadata)?;
        let envelope = Envelope {
            event_type: columns.event_type,
            data: columns.payload.unwrap_or_default(),
            metadata,
        };
        let mut event = envelope.open(id)?.event;
        event.content_type = Some(self.content_type.clone());
        event.time = columns.time;
        if let (Some(column), Some(class)) = (self.class_column.as_deref(), columns.class) {
            event.metadata.insert(column, class.as_str())?;
        }
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

fn unreadable(number: i64, error: Error) -> Error {
    Error::corrupt(format!("event {number} cannot be read: {error}")).with_source(error)
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
