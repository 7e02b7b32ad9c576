//! An event as column values: the inverse of reading a row.

use std::borrow::Cow;

use bytes::Bytes;
use esm_core::event::{Event, Metadata, MetadataValue};
use esm_core::{Error, Result};
use esm_layout::EventTable;
use serde_json::Value;
use serde_json::value::RawValue;

use super::transformer::version_text;
use crate::layout::{EventColumns, Rows};

/// The attribute of an event that holds the members of its metadata that attributes cannot hold.
const NATIVE: &str = "native-metadata";
/// The member of the metadata that belongs to esm where it copies events.
const ESM: &str = "$esm";

/// A row as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadRow {
    pub(super) columns: EventColumns,
    /// The whole row, as the server writes it.
    pub(super) text: String,
    /// How many rows of the page are before it.
    pub(super) place: u64,
    /// The last number of the stream when it was read.
    pub(super) last: i64,
}

/// What becomes of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    Same,
    New(Option<String>),
}

/// A row, and what its columns become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) row: ReadRow,
    pub(super) event_type: Kept,
    pub(super) class: Kept,
    pub(super) version: Kept,
    pub(super) payload: Kept,
    pub(super) metadata: Kept,
}

/// Turns events into column values of one table.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) rows: Rows,
    pub(super) table: EventTable,
}

impl Columns {
    /// Reads a row of a page: its place, the columns of an event, and its text; `last` is the last number
    /// of the stream.
    ///
    /// # Errors
    /// `Corrupt` for values that are none of an event.
    pub(super) fn row(&self, row: &[Option<String>], last: i64) -> Result<ReadRow> {
        let [
            place,
            number,
            id,
            event_type,
            version,
            payload,
            metadata,
            time,
            class,
            text,
        ] = row
        else {
            return Err(Error::corrupt("a row has an unexpected number of columns"));
        };
        let required = |value: &Option<String>| {
            let value = value.clone();
            value.ok_or_else(|| Error::corrupt("a row has an unexpected null"))
        };
        let integer = |value: &Option<String>| -> Result<i64> {
            let text = required(value)?;
            text.parse()
                .map_err(|_| Error::corrupt(format!("not a number: {text}")))
        };
        Ok(ReadRow {
            columns: EventColumns {
                number: integer(number)?,
                id: id.clone(),
                event_type: required(event_type)?,
                version: version.clone(),
                payload: payload.as_deref().map(|p| self.bytes(p)).transpose()?,
                metadata: metadata.clone(),
                time: time.clone(),
                class: class.clone(),
            },
            text: required(text)?,
            place: integer(place)?.unsigned_abs(),
            last,
        })
    }

    fn is_bytes(&self) -> bool {
        self.table.payload.kind == "bytea"
    }

    fn bytes(&self, text: &str) -> Result<Bytes> {
        if !self.is_bytes() {
            return Ok(Bytes::from(text.to_owned()));
        }
        let digits = text.strip_prefix("\\x").unwrap_or_default().as_bytes();
        let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
        let pairs = digits
            .chunks(2)
            .map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?));
        let bytes: Option<Vec<u8>> = pairs.collect();
        bytes
            .map(Bytes::from)
            .ok_or_else(|| Error::corrupt("a payload is not in hexadecimal form"))
    }

    /// # Errors
    /// `Corrupt` for columns that are no event.
    pub(super) fn event(&self, columns: &EventColumns) -> Result<Event> {
        self.rows.event_of(columns.clone())
    }

    /// Returns how a row changes to hold an event; `None` if it holds it already.
    ///
    /// # Errors
    /// `Unsupported` for an event that the table cannot hold.
    pub(super) fn change(
        &self,
        row: ReadRow,
        before: &Event,
        meant: &Event,
    ) -> Result<Option<Change>> {
        let change = Change {
            event_type: if before.event_type == meant.event_type {
                Kept::Same
            } else {
                Kept::New(Some(meant.event_type.as_str().to_owned()))
            },
            class: self.class(before, meant),
            version: self.version(&row.columns, before, meant),
            payload: self.payload(before, meant)?,
            metadata: self.metadata(&row.columns, before, meant)?,
            row,
        };
        let values = [
            &change.event_type,
            &change.class,
            &change.version,
            &change.payload,
            &change.metadata,
        ];
        if values.iter().all(|value| **value == Kept::Same) {
            return if before == meant {
                Ok(None)
            } else {
                Err(unholdable("id, time and content type stay as they are"))
            };
        }
        let stored = self.event(&self.after(&change)?)?;
        if stored == *meant {
            Ok(Some(change))
        } else {
            Err(unholdable("it would be read back as another"))
        }
    }

    /// The columns after a change, as far as they are known before the server stores them.
    pub(super) fn after(&self, change: &Change) -> Result<EventColumns> {
        let mut columns = change.row.columns.clone();
        if let Kept::New(Some(event_type)) = &change.event_type {
            columns.event_type.clone_from(event_type);
        }
        if let Kept::New(class) = &change.class {
            columns.class.clone_from(class);
        }
        if let Kept::New(version) = &change.version {
            columns.version.clone_from(version);
        }
        if let Kept::New(payload) = &change.payload {
            columns.payload = payload.as_deref().map(|p| self.bytes(p)).transpose()?;
        }
        if let Kept::New(metadata) = &change.metadata {
            columns.metadata.clone_from(metadata);
        }
        Ok(columns)
    }

    /// The name of the class: the attribute of the column's name, or none.
    fn class(&self, before: &Event, meant: &Event) -> Kept {
        let Some(column) = self.class_column() else {
            return Kept::Same;
        };
        let own = |event: &Event| event.metadata.get(column).cloned();
        if own(before) == own(meant) {
            return Kept::Same;
        }
        Kept::New(match own(meant) {
            Some(MetadataValue::Text(class)) => Some(class),
            _ => None,
        })
    }

    fn class_column(&self) -> Option<&str> {
        self.rows
            .class_column()
            .filter(|_| self.table.class.is_some())
    }

    /// The text of the version column. Its form stays: `1.0` becomes `2.0`.
    fn version(&self, columns: &EventColumns, before: &Event, meant: &Event) -> Kept {
        let Some(column) = self.rows.version_column() else {
            return Kept::Same;
        };
        let own = |event: &Event| event.metadata.get(column).cloned();
        if before.schema_version == meant.schema_version && own(before) == own(meant) {
            return Kept::Same;
        }
        Kept::New(Some(match own(meant) {
            Some(MetadataValue::Text(text)) => text,
            _ => version_text(
                columns.version.as_deref().unwrap_or_default(),
                meant.schema_version.0,
            ),
        }))
    }

    fn payload(&self, before: &Event, meant: &Event) -> Result<Kept> {
        if before.payload == meant.payload {
            return Ok(Kept::Same);
        }
        if meant.payload.is_empty() && !self.is_bytes() && self.table.payload.kind != "text" {
            return if self.table.payload.not_null {
                Err(unholdable("the column of the payload cannot be null"))
            } else {
                Ok(Kept::New(None))
            };
        }
        if self.is_bytes() {
            let digits = meant.payload.iter().map(|byte| format!("{byte:02x}"));
            return Ok(Kept::New(Some(format!(
                "\\x{}",
                digits.collect::<String>()
            ))));
        }
        let text = String::from_utf8(meant.payload.to_vec())
            .map_err(|_| unholdable("its payload is not UTF-8"))?;
        Ok(Kept::New(Some(text)))
    }

    fn metadata(&self, columns: &EventColumns, before: &Event, meant: &Event) -> Result<Kept> {
        let own = |event: &Event| self.without_columns(&event.metadata);
        let meant = own(meant);
        if own(before) == meant {
            return Ok(Kept::Same);
        }
        if self.table.metadata.is_none() {
            return Err(unholdable("the layout has no column of metadata"));
        }
        let old = columns.metadata.as_deref().unwrap_or("{}");
        let members: Value = serde_json::from_str(old)
            .map_err(|e| Error::corrupt("metadata is not JSON").with_source(e))?;
        let columns = self
            .rows
            .version_column()
            .into_iter()
            .chain(self.class_column());
        for hidden in columns.chain([ESM]) {
            if members.get(hidden).is_some() {
                let reason = format!("its metadata has a member {hidden}, which would be lost");
                return Err(unholdable(&reason));
            }
        }
        Ok(Kept::New(Some(text_of(&meant)?)))
    }

    /// The metadata without what columns of their own say.
    fn without_columns(&self, metadata: &Metadata) -> Metadata {
        let mut metadata = metadata.clone();
        if let Some(column) = self.rows.version_column() {
            metadata.remove(column);
        }
        if let Some(column) = self.class_column() {
            metadata.remove(column);
        }
        metadata
    }
}

/// Metadata as a JSON object.
fn text_of(metadata: &Metadata) -> Result<String> {
    let invalid = |e| Error::invalid("metadata cannot be written as JSON").with_source(e);
    let mut members = std::collections::BTreeMap::<Cow<'_, str>, Box<RawValue>>::new();
    for (name, value) in metadata.iter() {
        match (name, value) {
            (NATIVE, MetadataValue::Text(json)) => {
                let native: std::collections::BTreeMap<String, Box<RawValue>> =
                    serde_json::from_str(json).map_err(invalid)?;
                members.extend(native.into_iter().map(|(name, value)| (name.into(), value)));
            }
            _ => {
                let value = serde_json::value::to_raw_value(value).map_err(invalid)?;
                members.insert(name.into(), value);
            }
        }
    }
    serde_json::to_string(&members).map_err(invalid)
}

fn unholdable(reason: &str) -> Error {
    Error::unsupported(format!("the table cannot hold the event: {reason}"))
}
