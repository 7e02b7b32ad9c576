//! Writing a batch: what is there already is compared, the rest is appended.

use std::sync::Arc;

use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::{Error, ErrorKind, Result};

use super::lanes::{Batch, Pending};
use super::line::Reading;
use super::target::State;
use crate::difference::difference;
use crate::session::Session;

/// A batch that is in the store.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: ObjectId,
    pub(crate) cost: u64,
    /// Number of events that were appended.
    pub(crate) appended: u64,
    /// Number of events that were there already.
    pub(crate) present: u64,
    pub(crate) state: State,
}

/// An error, and the line that it is about.
#[derive(Debug)]
pub(crate) struct AtLine {
    pub(crate) line: u64,
    pub(crate) error: Error,
}

impl AtLine {
    /// An error of this line.
    pub(crate) fn new(line: u64, error: Error) -> Self {
        Self { line, error }
    }

    /// The error, with its line in front if it is about one.
    pub(crate) fn into_error(self) -> Error {
        match self.line {
            0 => self.error,
            line => self.error.context(format!("line {line}")),
        }
    }
}

/// How often a batch is tried while others write to the same object.
const TRIES: usize = 8;

/// Writes a batch. Idempotent: after an unknown outcome or a conflict, what is stored is read back
/// and compared, so that nothing is written twice.
///
/// # Errors
/// With the line of the first event that could not be written.
pub(crate) async fn write(
    session: Arc<Session>,
    reading: Arc<Reading>,
    mut batch: Batch<State>,
) -> Result<Written, AtLine> {
    let line = batch.events.first().map_or(0, |p| p.line);
    let mut state = batch.state.take();
    // of those that turn out to be there, how many were there before our own unknown write
    let mut before = None;
    let mut last = None;
    for _ in 0..TRIES {
        let mut known = match state.take() {
            Some(state) => state,
            None => State::load(&session, &batch.object)
                .await
                .map_err(|e| AtLine::new(line, e))?,
        };
        let mut events = decode(&reading, &batch.events)?;
        let there = compare(&session, &known, &batch, &events).await?;
        let present = before.take().unwrap_or(there);
        let rest = events.split_off(there);
        match append(&session, &mut known, &batch, rest).await {
            Ok(()) => return Ok(Written::new(batch, present, known)),
            Err(failed) if is_settled_by_reading(failed.error.kind()) => {
                before = failed.error.may_have_applied().then_some(present);
                last = Some(failed);
            }
            Err(failed) => return Err(failed),
        }
    }
    Err(last.unwrap_or_else(|| {
        let message = format!("others kept writing to {}", batch.object);
        AtLine::new(line, Error::new(ErrorKind::Unavailable, message))
    }))
}

impl Written {
    fn new(batch: Batch<State>, present: usize, state: State) -> Self {
        Self {
            cost: batch.cost(),
            appended: (batch.events.len() - present) as u64,
            present: present as u64,
            object: batch.object,
            state,
        }
    }
}

fn is_settled_by_reading(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Conflict { .. } | ErrorKind::Closed(_) | ErrorKind::Ambiguous
    )
}

/// Compares what the store has with the batch, and tells how many of its events are there.
async fn compare(
    session: &Session,
    state: &State,
    batch: &Batch<State>,
    events: &[Event],
) -> Result<usize, AtLine> {
    let next = state.next_sequence();
    let line = batch.events.first().map_or(0, |p| p.line);
    state
        .reaches(&batch.object, batch.first)
        .map_err(|e| AtLine::new(line, e))?;
    let there = usize::try_from(next - batch.first).unwrap_or(usize::MAX);
    let there = there.min(batch.events.len());
    let mut done = 0;
    while done < there {
        let sequence = batch.first + done as u64;
        let stored = state.page(session, sequence).await;
        let stored = stored.map_err(|e| AtLine::new(batch.events[done].line, e))?;
        if stored.is_empty() {
            let error = Error::corrupt(format!(
                "event is missing in the store: {} sequence {sequence}",
                batch.object
            ));
            return Err(AtLine::new(batch.events[done].line, error));
        }
        for (stored, given) in stored.iter().zip(&events[done..there]) {
            if let Some(difference) = difference(stored, given, ["stored", "given"]) {
                let sequence = batch.first + done as u64;
                return Err(AtLine::new(
                    batch.events[done].line,
                    different(&batch.object, sequence, &difference),
                ));
            }
            done += 1;
        }
    }
    Ok(there)
}

fn different(object: &ObjectId, sequence: u64, difference: &str) -> Error {
    Error::new(
        ErrorKind::Conflict { actual: None },
        format!("another event stands at {object} sequence {sequence}: {difference}"),
    )
    .with_hint("an import never overwrites; give the objects another name with --name")
}

async fn append(
    session: &Session,
    state: &mut State,
    batch: &Batch<State>,
    events: Vec<Event>,
) -> Result<(), AtLine> {
    let lines = &batch.events[batch.events.len() - events.len()..];
    let Some(first) = lines.first() else {
        return Ok(());
    };
    for (pending, event) in lines.iter().zip(&events) {
        state
            .accepts(event)
            .map_err(|e| AtLine::new(pending.line, e))?;
    }
    state
        .append(session, &batch.object, events)
        .await
        .map_err(|e| AtLine::new(first.line, e))
}

fn decode(reading: &Reading, lines: &[Pending]) -> Result<Vec<Event>, AtLine> {
    let event = |pending: &Pending| match reading.read(pending.text.as_bytes()) {
        Ok(incoming) => Ok(incoming.event),
        Err(error) => Err(AtLine::new(pending.line, error)),
    };
    lines.iter().map(event).collect()
}
