//! Writing a batch: what is there already is compared, the rest is appended.

use std::sync::Arc;

use esm_core::difference;
use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::router::{ObjectClient, ObjectReader};
use esm_core::{Error, ErrorKind, Result};
use futures::TryStreamExt as _;

use super::lanes::{Batch, Pending};
use super::line::Reading;
use super::target::{State, is_settled_by_reading};

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
    /// Number of events that were appended before.
    pub(crate) appended: u64,
}

impl AtLine {
    /// An error of this line.
    pub(crate) fn new(line: u64, error: Error) -> Self {
        Self {
            line,
            error,
            appended: 0,
        }
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
    client: ObjectClient,
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
            None => State::load(client.reader(), &batch.object)
                .await
                .map_err(|e| AtLine::new(line, e))?,
        };
        let mut events = decode(&reading, &batch.events)?;
        let there = compare(client.reader(), &known, &batch, &events).await?;
        let present = before.take().unwrap_or(there);
        let rest = events.split_off(there);
        match append(&client, &mut known, &batch, rest).await {
            Ok(()) => return Ok(Written::new(batch, present, known)),
            Err(failed) if is_settled_by_reading(&failed.error) => {
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

/// Compares what the store has with the batch, and tells how many of its events are there.
async fn compare(
    reader: &ObjectReader,
    state: &State,
    batch: &Batch<State>,
    events: &[Event],
) -> Result<usize, AtLine> {
    let line = |index: usize| batch.events.get(index).map_or(0, |p| p.line);
    state
        .reaches(&batch.object, batch.first)
        .map_err(|e| AtLine::new(line(0), e))?;
    let there = state.next_sequence() - batch.first;
    let there = usize::try_from(there).unwrap_or(usize::MAX);
    let there = there.min(batch.events.len());
    let mut stored = state.stored(reader, &batch.object, batch.first);
    for (index, given) in events[..there].iter().enumerate() {
        let at = |error: Error| AtLine::new(line(index), error);
        let sequence = batch.first + index as u64;
        let Some(stored) = stored.try_next().await.map_err(at)? else {
            let message = "event is missing in the store";
            let message = format!("{message}: {} sequence {sequence}", batch.object);
            return Err(at(Error::corrupt(message)));
        };
        if let Some(difference) = difference(given, &stored) {
            return Err(at(different(&batch.object, sequence, &difference)));
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

/// Appends the last events of a batch. Where they are refused, those before the first that is
/// refused are appended one by one, so that its line can be told.
async fn append(
    client: &ObjectClient,
    state: &mut State,
    batch: &Batch<State>,
    events: Vec<Event>,
) -> Result<(), AtLine> {
    let lines = &batch.events[batch.events.len() - events.len()..];
    let Some(first) = lines.first() else {
        return Ok(());
    };
    let several = (lines.len() > 1).then(|| events.clone());
    let Err(error) = state.append(client, &batch.object, events).await else {
        return Ok(());
    };
    let Some(events) = several.filter(|_| is_refused(&error)) else {
        return Err(AtLine::new(first.line, error));
    };
    for (appended, (pending, event)) in (0..).zip(lines.iter().zip(events)) {
        let alone = state.append(client, &batch.object, vec![event]).await;
        alone.map_err(|error| AtLine {
            line: pending.line,
            error,
            appended,
        })?;
    }
    Ok(())
}

fn is_refused(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge)
}

fn decode(reading: &Reading, lines: &[Pending]) -> Result<Vec<Event>, AtLine> {
    let event = |pending: &Pending| match reading.read(pending.text.as_bytes()) {
        Ok(incoming) => Ok(incoming.event),
        Err(error) => Err(AtLine::new(pending.line, error)),
    };
    lines.iter().map(event).collect()
}
