//! Writes an object's events: those that are stored are compared, the rest is appended.

use esm_core::difference;
use esm_core::id::ObjectId;
use esm_core::router::ObjectClient;
use esm_core::{Error, ErrorKind, Result};
use futures::TryStreamExt as _;

use super::events::{Batch, Numbered, Work};
use super::incoming::AtRecord;
use super::target::{End, State, is_settled_by_reading};

/// What was done with an object's events.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) object: ObjectId,
    /// Events appended.
    pub(super) appended: u64,
    /// Events that were stored before.
    pub(super) present: u64,
    /// Where the object ends now, if that is known; or why not all were written.
    pub(super) result: Result<Option<End>, AtRecord>,
}

/// How often a batch is tried while others write to the same object.
const TRIES: usize = 8;

/// Writes an object's events, or with `dry_run` only compares those that are stored. Idempotent:
/// after an unknown outcome or a conflict, what is stored is read back and compared, so that nothing
/// is written twice.
pub(super) async fn write(
    client: ObjectClient,
    work: Work,
    end: Option<End>,
    dry_run: bool,
) -> Written {
    let mut writing = Writing {
        client,
        object: work.object,
        dry_run,
        end,
        appended: 0,
        present: 0,
    };
    let mut result = Ok(());
    for batch in work.batches {
        result = writing.batch(batch).await;
        if result.is_err() {
            break;
        }
    }
    Written {
        object: writing.object,
        appended: writing.appended,
        present: writing.present,
        result: result.map(|()| writing.end),
    }
}

struct Writing {
    client: ObjectClient,
    object: ObjectId,
    dry_run: bool,
    end: Option<End>,
    appended: u64,
    present: u64,
}

impl Writing {
    async fn batch(&mut self, batch: Batch) -> Result<(), AtRecord> {
        let line = batch.events.first().map_or(0, |event| event.line);
        // of the batch's events, those that are counted as appended or present
        let mut counted = 0;
        let mut may_be_ours = false;
        let mut last = None;
        for _ in 0..TRIES {
            let mut state = self
                .state(batch.first)
                .await
                .map_err(|e| AtRecord::new(line, e))?;
            let stored = self.compare(&state, &batch).await?;
            let found = stored.saturating_sub(counted) as u64;
            if may_be_ours {
                self.appended += found;
            } else {
                self.present += found;
            }
            counted = counted.max(stored);
            if self.dry_run {
                return Ok(());
            }
            match self
                .append(&mut state, &batch.events[stored..], &mut counted)
                .await
            {
                Ok(()) => {
                    self.end = Some(state.into_end());
                    return Ok(());
                }
                Err(failed) if is_settled_by_reading(&failed.error) => {
                    may_be_ours = failed.error.may_have_applied();
                    last = Some(failed);
                }
                Err(failed) => return Err(failed),
            }
        }
        Err(last.unwrap_or_else(|| {
            let message = format!("others kept writing to {}", self.object);
            AtRecord::new(line, Error::new(ErrorKind::Unavailable, message))
        }))
    }

    async fn state(&mut self, sequence: u64) -> Result<State> {
        match self.end.take().filter(|end| end.next == sequence) {
            Some(end) => Ok(State::at(end)),
            None => State::load(Some(self.client.reader()), &self.object).await,
        }
    }

    /// Compares the batch with what is stored, and returns how many of its events are.
    async fn compare(&self, state: &State, batch: &Batch) -> Result<usize, AtRecord> {
        let first = batch.events.first().map_or(0, |event| event.line);
        if !self.dry_run {
            // a dry run does not have the events that would have been written before
            let reached = state.reaches(&self.object, batch.first);
            reached.map_err(|e| AtRecord::new(first, e))?;
        }
        let stored = state.next_sequence().saturating_sub(batch.first);
        let stored = usize::try_from(stored).unwrap_or(usize::MAX);
        let stored = stored.min(batch.events.len());
        if stored == 0 {
            return Ok(0);
        }
        let mut found = state.stored(self.client.reader(), &self.object, batch.first);
        for (sequence, given) in (batch.first..).zip(&batch.events[..stored]) {
            let at = |error: Error| AtRecord::new(given.line, error);
            let place = format!("{} sequence {sequence}", self.object);
            let Some(found) = found.try_next().await.map_err(at)? else {
                let message = format!("event is missing in the store: {place}");
                return Err(at(Error::corrupt(message)));
            };
            if let Some(difference) = difference(&given.event, &found) {
                return Err(at(different(&place, &difference)));
            }
        }
        Ok(stored)
    }

    /// Appends events. Where they are refused together, those before the first that is refused are
    /// appended one by one, so that the error names its line.
    async fn append(
        &mut self,
        state: &mut State,
        events: &[Numbered],
        counted: &mut usize,
    ) -> Result<(), AtRecord> {
        let Some(first) = events.first() else {
            return Ok(());
        };
        match self.append_together(state, events, counted).await {
            Err(error) if events.len() > 1 && is_refused(&error) => {}
            appended => return appended.map_err(|e| AtRecord::new(first.line, e)),
        }
        for event in events {
            let alone = std::slice::from_ref(event);
            let appended = self.append_together(state, alone, counted).await;
            appended.map_err(|e| AtRecord::new(event.line, e))?;
        }
        Ok(())
    }

    async fn append_together(
        &mut self,
        state: &mut State,
        events: &[Numbered],
        counted: &mut usize,
    ) -> Result<()> {
        let copies = events
            .iter()
            .map(|numbered| numbered.event.clone())
            .collect();
        state.append(&self.client, &self.object, copies).await?;
        *counted += events.len();
        self.appended += events.len() as u64;
        Ok(())
    }
}

fn different(place: &str, difference: &str) -> Error {
    Error::new(
        ErrorKind::Conflict { actual: None },
        format!("another event is stored at {place}: {difference}"),
    )
    .with_hint("an import never overwrites; give the objects another name with --name")
}

fn is_refused(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge)
}
