//! The streams of a layout as native streams of `esm-foreign`.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use esm_core::event::Event;
use esm_core::id::{ObjectId, StreamId};
use esm_core::{Error, Result};
use esm_foreign::{CloseProof, Entry, NativeStore, Profile, Recorded, Slice, SliceLimit};
use lru::LruCache;

use super::row::{NumberedEvent, Rows, value};
use super::streams::LayoutStreams;

/// Streams of which a place is remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// Reads the streams of a layout. The id of a stream is its object.
#[derive(Debug)]
pub(super) struct LayoutNative {
    streams: Arc<LayoutStreams>,
    rows: Rows,
    /// Where numbers may be absent: a position of a stream, and the number of the event there.
    places: Mutex<LruCache<StreamId, Place>>,
}

/// A position, and the least number that an event there has.
#[derive(Debug, Clone, Copy)]
struct Place {
    position: u64,
    number: i64,
}

impl LayoutNative {
    pub(super) fn new(streams: Arc<LayoutStreams>, rows: Rows) -> Self {
        Self {
            streams,
            rows,
            places: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }

    async fn key(&self, stream: &StreamId) -> Result<Option<Vec<String>>> {
        match stream.as_str().parse::<ObjectId>() {
            Ok(object) => self.streams.key(&object).await,
            Err(_) => Ok(None),
        }
    }

    fn has_holes(&self) -> bool {
        self.streams.layout.events.holes
    }

    fn first(&self) -> i64 {
        self.streams.layout.events.first
    }

    /// The place before a position that is known.
    fn place(&self, stream: &StreamId, position: u64) -> Place {
        if position > 0 && !self.has_holes() {
            let number = self.first().saturating_add_unsigned(position);
            return Place { position, number };
        }
        // also what is numbered lower than the layout says is found
        let start = Place {
            position: 0,
            number: i64::MIN,
        };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places
            .get(stream)
            .filter(|known| known.position <= position);
        known.copied().unwrap_or(start)
    }

    fn remember(&self, stream: &StreamId, place: Place) {
        if self.has_holes() {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.put(stream.clone(), place);
        }
    }

    /// # Errors
    /// `Corrupt` for a number that is not the expected one.
    fn check(
        &self,
        stream: &StreamId,
        position: u64,
        last: Option<i64>,
        number: i64,
    ) -> Result<()> {
        let expected = self.first().saturating_add_unsigned(position);
        let what = if last == Some(number) {
            format!("two events have the number {number}")
        } else if number < self.first() {
            format!(
                "an event has the number {number}, and the first one is {}",
                self.first()
            )
        } else if number > expected && !self.has_holes() {
            missing(expected, number - 1)
        } else {
            return Ok(());
        };
        let layout = &self.streams.layout.name;
        Err(Error::corrupt(format!("{what}, in {stream}")).with_hint(format!(
            "if this is no damage, the layout {layout} is not that of the table: a layout file may \
             set events.first and events.holes"
        )))
    }
}

fn missing(first: i64, last: i64) -> String {
    if first == last {
        format!("event {first} is missing")
    } else {
        format!("events {first} to {last} are missing")
    }
}

fn read_only() -> Error {
    Error::unsupported("esm does not append to the tables of another library")
}

#[async_trait]
impl NativeStore for LayoutNative {
    fn profile(&self) -> Profile {
        Profile::new(CloseProof::Nothing).with_finding_marks(true)
    }

    async fn read(&self, stream: &StreamId, from: u64, limit: SliceLimit) -> Result<Slice> {
        let Some(key) = self.key(stream).await? else {
            return Ok(Slice::default());
        };
        let place = self.place(stream, from);
        let skip = i64::try_from(from - place.position).unwrap_or(i64::MAX);
        let most = i64::try_from(limit.entries.max(1)).unwrap_or(i64::MAX);
        let bytes = i64::try_from(limit.bytes).unwrap_or(i64::MAX);
        let numbers = [place.number, skip, most, bytes];
        let rows = self
            .streams
            .read(&self.streams.queries.page, &key, &numbers);
        let mut entries = Vec::new();
        let (mut position, mut last) = (from, None);
        for row in rows.await? {
            let read = self.rows.event(&row).map_err(|e| e.context(stream))?;
            let NumberedEvent { number, event } = read;
            self.check(stream, position, last, number)?;
            let entry = Entry::from(event);
            entries.push(Recorded { position, entry });
            (position, last) = (position + 1, Some(number));
        }
        if let Some(number) = last {
            let number = number.saturating_add(1);
            self.remember(stream, Place { position, number });
        }
        Ok(Slice {
            entries,
            at_end: false,
        })
    }

    async fn last(&self, stream: &StreamId) -> Result<Option<Recorded>> {
        let Some(key) = self.key(stream).await? else {
            return Ok(None);
        };
        let queries = &self.streams.queries;
        let rows = self.streams.read(&queries.last, &key, &[]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let NumberedEvent { number, event } =
            self.rows.event(row).map_err(|e| e.context(stream))?;
        let position = if self.has_holes() {
            self.position_of_last(&key).await?
        } else {
            let position = number.checked_sub(self.first());
            let position = position.and_then(|n| u64::try_from(n).ok());
            position.map_or_else(|| self.check(stream, 0, None, number).map(|()| 0), Ok)?
        };
        let entry = Entry::from(event);
        Ok(Some(Recorded { position, entry }))
    }

    /// No application writes marks.
    async fn last_marked(&self, _stream: &StreamId, _before: u64) -> Result<Option<Recorded>> {
        Ok(None)
    }

    async fn append(&self, _stream: &StreamId, _expected: u64, _new: Vec<Entry>) -> Result<()> {
        Err(read_only())
    }

    async fn append_as_old_writer(
        &self,
        _stream: &StreamId,
        _expected: Option<u64>,
        _event: Event,
    ) -> Result<()> {
        Err(read_only())
    }
}

impl LayoutNative {
    async fn position_of_last(&self, key: &[String]) -> Result<u64> {
        let rows = self
            .streams
            .read(&self.streams.queries.count, key, &[])
            .await?;
        let count: i64 = rows.first().map_or(Ok(0), |row| value(row, 0))?;
        Ok(u64::try_from(count).unwrap_or(0).saturating_sub(1))
    }
}
