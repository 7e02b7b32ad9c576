//! Reads an input in chunks that fit into memory.

use std::collections::HashMap;

use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::router::ObjectReader;
use esm_core::{Error, Result};

use super::check::{Check, Checked};
use super::line::{AtLine, Reading};
use super::stopped;
use super::writer::Tally;
use crate::input::{Input, Place};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Events of one batch, which becomes a cell.
const BATCH_EVENTS: usize = 500;
/// Bytes of lines of one batch.
const BATCH_BYTES: usize = 1 << 20;
/// Memory that the events of a chunk take, about. Two chunks are in memory at a time.
const CHUNK_BYTES: usize = 16 << 20;
/// Memory that an event takes beside its text, about.
const EVENT_BYTES: usize = 256;

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
    bytes: usize,
}

/// The events of one object in a chunk.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) object: ObjectId,
    pub(super) batches: Vec<Batch>,
}

/// A part of the input.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(super) events: u64,
    pub(super) works: Vec<Work>,
    /// Present in the last chunk: whether the input was read to its end.
    pub(crate) end: Option<Result<()>>,
}

/// Why a chunk ends.
enum Filled {
    Full,
    Ended,
}

/// The events of an input.
#[derive(Debug)]
pub(crate) struct Events {
    input: Input,
    reading: Reading,
    interrupt: Interrupt,
    /// Absent where the input was checked before.
    check: Option<Check>,
}

impl Events {
    /// Opens an input whose events are to be checked.
    ///
    /// # Errors
    /// Those of [`Input::open`].
    pub(crate) async fn open(
        place: &Place,
        reading: Reading,
        interrupt: Interrupt,
        progress: impl FnOnce(Option<u64>) -> Progress,
    ) -> Result<Self> {
        Ok(Self {
            input: Input::open(place, reading.max_event_bytes, progress).await?,
            reading,
            interrupt,
            check: Some(Check::default()),
        })
    }

    /// The same input again, of which nothing has to be checked.
    pub(crate) fn already_checked(self) -> Self {
        Self {
            check: None,
            ..self
        }
    }

    /// Reads the next chunk. An error ends the chunk; the events before it are valid.
    pub(crate) async fn chunk(&mut self) -> Chunk {
        let mut chunk = Chunk::default();
        let stop = self.interrupt.token().clone();
        let filled = tokio::select! {
            biased;
            () = stop.cancelled() => Err(stopped()),
            filled = self.fill(&mut chunk) => filled,
        };
        chunk.end = match filled {
            Ok(Filled::Full) => None,
            Ok(Filled::Ended) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        };
        self.input.tell();
        chunk
    }

    async fn fill(&mut self, chunk: &mut Chunk) -> Result<Filled> {
        let mut places = HashMap::new();
        let mut bytes = 0;
        while bytes < CHUNK_BYTES {
            let Some(line) = self.input.next().await? else {
                return Ok(Filled::Ended);
            };
            let at = |error: Error| AtLine::new(line.number, error).into_error();
            let incoming = self.reading.read(line.text.as_bytes()).map_err(at)?;
            if let Some(check) = &mut self.check {
                check.note(line.number, &incoming)?;
            }
            bytes += line.text.len() + EVENT_BYTES;
            let numbered = Numbered {
                line: line.number,
                event: incoming.event,
            };
            let work = match places.get(&incoming.object) {
                Some(place) => &mut chunk.works[*place],
                None => {
                    places.insert(incoming.object.clone(), chunk.works.len());
                    chunk.works.push_mut(Work::new(incoming.object))
                }
            };
            work.add(incoming.sequence, numbered, line.text.len());
            chunk.events += 1;
        }
        Ok(Filled::Full)
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
            return Err(wrong.into_error());
        }
        chunk.end.replace(Ok(())).unwrap_or(Ok(()))?;
        Ok(checked.tally)
    }

    /// Removes the progress.
    pub(super) fn end(&self) {
        self.input.end();
    }

    /// Checks all events that were read.
    ///
    /// # Errors
    /// Those of [`Check::finish`].
    pub(super) async fn finish(&mut self, reader: Option<&ObjectReader>) -> Result<Checked> {
        let check = self.check.take().unwrap_or_default();
        check.finish(reader, &self.interrupt).await
    }
}

impl Work {
    fn new(object: ObjectId) -> Self {
        Self {
            object,
            batches: Vec::new(),
        }
    }

    fn add(&mut self, sequence: u64, numbered: Numbered, bytes: usize) {
        if let Some(batch) = self.batches.last_mut()
            && batch.next() == Some(sequence)
            && batch.events.len() < BATCH_EVENTS
            && batch.bytes + bytes <= BATCH_BYTES
        {
            batch.events.push(numbered);
            batch.bytes += bytes;
            return;
        }
        self.batches.push(Batch {
            first: sequence,
            events: vec![numbered],
            bytes,
        });
    }
}

impl Batch {
    /// The sequence behind the last event.
    fn next(&self) -> Option<u64> {
        self.first.checked_add(self.events.len() as u64)
    }
}
