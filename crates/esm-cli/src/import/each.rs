//! The events of an input, one record after another: nothing is kept of them.

use esm_core::id::ObjectName;
use esm_core::{Error, Result};

use super::incoming::{AtRecord, Incoming};
use super::numbers::{Numbering, Numbers};
use super::reading::Reading;
use super::records::{Format, Records};
use crate::input::{Input, Meter, Place};
use crate::progress::Progress;

/// The events of an input whose lines are events.
#[derive(Debug)]
pub(crate) struct EachEvent {
    records: Records,
    meter: Meter,
    reading: Reading,
    numbers: Numbers,
}

/// The events of a record.
#[derive(Debug)]
pub(crate) struct RecordEvents {
    /// The number of the record.
    pub(crate) number: u64,
    pub(crate) events: Vec<Incoming>,
}

impl EachEvent {
    /// Opens an input. `name` replaces the events' `source`.
    ///
    /// # Errors
    /// Those of opening the input.
    pub(crate) async fn open(
        place: &Place,
        name: Option<ObjectName>,
        max_event_bytes: u64,
        progress: impl FnOnce(Option<u64>) -> Progress,
    ) -> Result<Self> {
        let reading = Reading {
            name,
            max_event_bytes,
            numbering: Numbering::Given,
            map: None,
            format: Format::default(),
            delimiter: b',',
        };
        let Input { content, meter } = Input::open(place, progress).await?;
        Ok(Self {
            records: Records::open(content, reading.shape()).await?,
            numbers: Numbers::new(reading.numbering),
            reading,
            meter,
        })
    }

    /// Returns the events of the next record.
    ///
    /// # Errors
    /// Those of reading the input; `Invalid` or `TooLarge`, naming the record.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordEvents>> {
        let unit = self.records.unit();
        let Some(record) = self.records.next().await? else {
            self.meter.end();
            return Ok(None);
        };
        let number = record.number;
        let at = |error: Error| AtRecord::new(number, error).into_error(unit);
        let located = self.reading.events(record.json).map_err(at)?;
        self.meter.tell();
        let events = located
            .into_iter()
            .map(|located| self.numbers.take(located).map_err(at));
        Ok(Some(RecordEvents {
            number,
            events: events.collect::<Result<_>>()?,
        }))
    }

    /// Puts the number of a record in front of an error about it.
    pub(crate) fn at(&self, number: u64, error: Error) -> Error {
        AtRecord::new(number, error).into_error(self.records.unit())
    }
}
