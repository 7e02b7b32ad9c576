//! Reads an input in chunks that fit into memory.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::router::ObjectReader;
use esm_core::{Error, Result};

use super::check::{Check, Checked};
use super::incoming::{AtRecord, Incoming};
use super::numbers::Numbers;
use super::reading::Reading;
use super::records::{Records, Unit};
use super::stopped;
use super::tally::Tally;
use crate::input::{Input, Meter, Place};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Events of one batch, which becomes a cell.
const BATCH_EVENTS: usize = 500;
/// Bytes of lines of one batch.
const BATCH_BYTES: usize = 1 << 20;
/// Memory that waiting events take, about. When it is full, a quarter of it becomes a chunk, which is
/// written while the next events are read.
const WAITING: usize = 40 << 20;
/// Memory that an event takes beside its text, about.
const EVENT_BYTES: usize = 512;
/// Memory that an object takes beside its events, about.
const OBJECT_BYTES: usize = 512;

/// An event, and the line that it came from.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) line: u64,
    pub(super) event: Event,
}

/// Consecutive events of one object, which are written at once.
#[derive(Debug)]
pub(super) struct Batch {
    /// The sequence of the first event.
    pub(super) first: u64,
    pub(super) events: Vec<Numbered>,
    /// Bytes of their lines.
    bytes: usize,
}

/// Events of one object, in order.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) object: ObjectId,
    pub(super) batches: VecDeque<Batch>,
    /// Memory that it takes, about.
    memory: usize,
}

/// A part of the input, to be written before the next one.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(super) works: Vec<Work>,
    /// Present in the last chunk: whether the input was read to its end.
    pub(crate) end: Option<Result<()>>,
}

/// Events that were read and are not in a chunk yet.
#[derive(Debug, Default)]
struct Waiting {
    works: Vec<Work>,
    /// Where an object is in `works`.
    places: HashMap<ObjectId, usize>,
    memory: usize,
}

/// The events of an input.
#[derive(Debug)]
pub(crate) struct Events {
    records: Records,
    meter: Meter,
    reading: Reading,
    interrupt: Interrupt,
    /// Absent where the input was checked before.
    check: Option<Check>,
    numbers: Numbers,
    waiting: Waiting,
    /// Records of which the map made no event.
    skipped: u64,
}

impl Events {
    /// Opens an input whose events are to be checked.
    ///
    /// # Errors
    /// Those of [`Input::open`] and [`Records::open`].
    pub(crate) async fn open(
        place: &Place,
        reading: Reading,
        interrupt: Interrupt,
        progress: impl FnOnce(Option<u64>) -> Progress,
    ) -> Result<Self> {
        let Input { content, meter } = Input::open(place, progress).await?;
        let records = Records::open(content, reading.shape()).await?;
        Ok(Self {
            check: Some(Check::new(records.unit())),
            numbers: Numbers::new(reading.numbering),
            records,
            meter,
            reading,
            interrupt,
            waiting: Waiting::default(),
            skipped: 0,
        })
    }

    /// The same input again, of which nothing has to be checked.
    pub(crate) fn already_checked(self) -> Self {
        Self {
            check: None,
            ..self
        }
    }

    /// Reads the next chunk. An error ends the input; the events before it are valid.
    pub(crate) async fn chunk(&mut self) -> Chunk {
        let stop = self.interrupt.token().clone();
        let filled = tokio::select! {
            biased;
            () = stop.cancelled() => Err(stopped()),
            filled = self.fill() => filled,
        };
        self.meter.tell();
        let end = match filled {
            Ok(true) => None,
            Ok(false) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        };
        let works = if end.is_none() {
            self.waiting.take(WAITING / 4)
        } else {
            self.waiting.take(usize::MAX)
        };
        Chunk { works, end }
    }

    /// Reads until no more events may wait, or to the end of the input: then it returns `false`.
    async fn fill(&mut self) -> Result<bool> {
        while self.waiting.memory < WAITING {
            let unit = self.records.unit();
            let Some(record) = self.records.next().await? else {
                return Ok(false);
            };
            let number = record.number;
            let at = |error: Error| AtRecord::new(number, error).into_error(unit);
            let events = self.reading.events(record.json).map_err(at)?;
            self.skipped += u64::from(events.is_empty());
            for located in events {
                let bytes = located.bytes;
                let incoming = self.numbers.take(located).map_err(at)?;
                if let Some(check) = &mut self.check {
                    check.note(number, &incoming)?;
                }
                self.waiting.add(number, bytes, incoming);
            }
        }
        Ok(true)
    }

    /// Reads and checks the rest of the input behind a chunk, which becomes the last one.
    ///
    /// # Errors
    /// That of the first line that is wrong; those of [`Check::finish`].
    pub(crate) async fn check(
        &mut self,
        chunk: &mut Chunk,
        reader: Option<&ObjectReader>,
    ) -> Result<Tally> {
        while chunk.end.is_none() {
            *chunk = self.chunk().await;
        }
        self.end();
        self.interrupt.check()?;
        let checked = self.finish(reader).await?;
        if let Some(wrong) = checked.wrong {
            return Err(wrong.into_error(self.unit()));
        }
        chunk.end.replace(Ok(())).unwrap_or(Ok(()))?;
        Ok(Tally {
            skipped: self.skipped,
            ..checked.tally
        })
    }

    /// What the numbers of records count.
    pub(super) fn unit(&self) -> Unit {
        self.records.unit()
    }

    /// Records of which the map made no event.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Removes the progress.
    pub(super) fn end(&self) {
        self.meter.end();
    }

    /// Checks all events that were read.
    ///
    /// # Errors
    /// Those of [`Check::finish`].
    pub(super) async fn finish(&mut self, reader: Option<&ObjectReader>) -> Result<Checked> {
        let check = self.check.take();
        let check = check.unwrap_or_else(|| Check::new(self.unit()));
        check.finish(reader, &self.interrupt).await
    }
}

impl Chunk {
    /// Counts the events.
    pub(super) fn events(&self) -> u64 {
        let batches = self.works.iter().flat_map(|work| &work.batches);
        batches.map(|batch| batch.events.len() as u64).sum()
    }
}

impl Waiting {
    fn add(&mut self, line: u64, bytes: usize, incoming: Incoming) {
        let place = match self.places.get(&incoming.object) {
            Some(place) => *place,
            None => {
                let place = self.works.len();
                self.places.insert(incoming.object.clone(), place);
                self.works.push(Work::new(incoming.object));
                self.memory += OBJECT_BYTES;
                place
            }
        };
        let event = incoming.event;
        self.works[place].add(incoming.sequence, Numbered { line, event }, bytes);
        self.memory += bytes + EVENT_BYTES;
    }

    /// Takes events that take so much memory, of the objects with the most first: so that few and
    /// large batches are written, also where the events of many objects alternate.
    fn take(&mut self, memory: usize) -> Vec<Work> {
        let Self { mut works, .. } = std::mem::take(self);
        works.sort_by_key(|work| Reverse(work.memory));
        let (mut taken, mut chunk) = (0, Vec::new());
        for work in works {
            let (now, later) = work.split(memory.saturating_sub(taken));
            taken += now.as_ref().map_or(0, |work| work.memory);
            chunk.extend(now);
            if let Some(work) = later {
                self.places.insert(work.object.clone(), self.works.len());
                self.memory += work.memory;
                self.works.push(work);
            }
        }
        chunk
    }
}

impl Work {
    fn new(object: ObjectId) -> Self {
        Self {
            object,
            batches: VecDeque::new(),
            memory: OBJECT_BYTES,
        }
    }

    fn add(&mut self, sequence: u64, numbered: Numbered, bytes: usize) {
        self.memory += bytes + EVENT_BYTES;
        if let Some(batch) = self.batches.back_mut()
            && batch.next() == Some(sequence)
            && batch.events.len() < BATCH_EVENTS
            && batch.bytes + bytes <= BATCH_BYTES
        {
            batch.events.push(numbered);
            batch.bytes += bytes;
            return;
        }
        self.batches.push_back(Batch {
            first: sequence,
            events: vec![numbered],
            bytes,
        });
    }

    /// Splits off the first batches, until they take this much memory.
    fn split(mut self, memory: usize) -> (Option<Self>, Option<Self>) {
        let mut first = Self::new(self.object.clone());
        while first.memory < memory
            && let Some(batch) = self.batches.pop_front()
        {
            let moved = batch.bytes + batch.events.len() * EVENT_BYTES;
            first.memory += moved;
            self.memory -= moved;
            first.batches.push_back(batch);
        }
        let some = |work: Self| Some(work).filter(|work| !work.batches.is_empty());
        (some(first), some(self))
    }
}

impl Batch {
    /// The sequence behind the last event.
    fn next(&self) -> Option<u64> {
        self.first.checked_add(self.events.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use esm_core::id::{EventId, EventType};

    fn add(waiting: &mut Waiting, object: &str, sequence: u64, bytes: usize) -> Result<()> {
        let incoming = Incoming {
            object: object.parse()?,
            sequence,
            event: Event::new(EventId::new("1")?, EventType::new("T")?, "{}"),
        };
        waiting.add(sequence + 1, bytes, incoming);
        Ok(())
    }

    fn shape(works: &[Work]) -> Vec<(String, Vec<(u64, usize)>)> {
        let batches = |work: &Work| {
            let batches = work.batches.iter();
            batches
                .map(|batch| (batch.first, batch.events.len()))
                .collect()
        };
        works
            .iter()
            .map(|work| (work.object.to_string(), batches(work)))
            .collect()
    }

    #[test]
    fn the_objects_with_the_most_events_are_taken_first_and_none_is_left() -> Result<()> {
        let mut waiting = Waiting::default();
        for (object, events) in [("o/a", 1), ("o/b", 1_200), ("o/c", 2)] {
            for sequence in 0..events {
                add(&mut waiting, object, sequence, 100)?;
            }
        }
        let taken = waiting.take(500 * (100 + EVENT_BYTES) + 2 * OBJECT_BYTES);
        assert_eq!(
            shape(&taken),
            [("o/b".to_owned(), vec![(0, 500), (500, 500)])]
        );
        add(&mut waiting, "o/b", 1_200, 100)?;
        add(&mut waiting, "o/a", 1, 100)?;
        add(&mut waiting, "o/a", 5, 100)?;
        let rest = [
            ("o/b".to_owned(), vec![(1_000, 201)]),
            ("o/a".to_owned(), vec![(0, 2), (5, 1)]),
            ("o/c".to_owned(), vec![(0, 2)]),
        ];
        assert_eq!(shape(&waiting.take(usize::MAX)), rest);
        assert_eq!(waiting.memory, 0);
        assert!(waiting.works.is_empty() && waiting.places.is_empty());
        Ok(())
    }

    #[test]
    fn a_batch_ends_before_its_lines_are_too_long() -> Result<()> {
        let mut waiting = Waiting::default();
        for sequence in 0..5 {
            add(&mut waiting, "o/a", sequence, BATCH_BYTES / 2)?;
        }
        add(&mut waiting, "o/a", 5, 3 * BATCH_BYTES)?;
        let batches = vec![(0, 2), (2, 2), (4, 1), (5, 1)];
        assert_eq!(
            shape(&waiting.take(usize::MAX)),
            [("o/a".to_owned(), batches)]
        );
        Ok(())
    }
}
