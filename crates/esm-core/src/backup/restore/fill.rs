//! The events of a section into the fresh stream.

use std::collections::VecDeque;
use std::time::Duration;

use crate::backoff::BackOff;
use crate::backup::restore::pivot::{decide, differs};
use crate::cutover::Cutover;
use crate::cutover::attempt::Attempt;
use crate::cutover::target::reader::TargetReader;
use crate::cutover::target::writer::TargetWriter;
use crate::difference;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Revision};
use crate::protocol::decisions::Action;
use crate::store::{CellEvent, ReadFrom, Tail};

/// Appends of one cell, each after observing the target again, before giving up.
const APPEND: BackOff = BackOff::new(8, Duration::from_millis(20), Duration::from_millis(160));

/// How many events a section has before its end was read.
pub(super) const UNKNOWN: Revision = Revision(u64::MAX);

/// Fills a target with the events of a section. Those before the target's cursor were written by an
/// earlier run, or by another one at the same time: they are compared instead, because both write the
/// same.
pub(super) struct Filling<'a> {
    cutover: &'a Cutover<'a>,
    attempt: &'a Attempt,
    writer: TargetWriter<'a>,
    /// What is left to compare of what others wrote.
    written: Option<TargetReader>,
    /// Number of events that are known to be in the target, because they were written or compared.
    placed: Revision,
    /// Events that have no place yet.
    waiting: VecDeque<Event>,
}

impl<'a> Filling<'a> {
    /// Begins a target, or continues one that ends there and is complete for this many events.
    ///
    /// # Errors
    /// `Corrupt` for a target that no restore writes.
    pub(super) fn resume(
        cutover: &'a Cutover<'a>,
        attempt: &'a Attempt,
        tail: Tail,
        from: Revision,
    ) -> Result<Self> {
        let writer = TargetWriter::new(cutover, attempt, Tail::default(), Revision::START);
        let mut filling = Self {
            cutover,
            attempt,
            writer,
            written: None,
            placed: Revision::START,
            waiting: VecDeque::new(),
        };
        if !tail.is_empty() {
            filling.catch_up(tail, from)?;
        }
        Ok(filling)
    }

    /// The target's last tail that is known.
    pub(super) fn tail(&self) -> &Tail {
        self.writer.tail()
    }

    /// Adds the section's next event.
    ///
    /// # Errors
    /// `Conflict` when others have cut over to the target or undone it. `Corrupt` when it holds other
    /// events than the backup. `TooLarge` and the others of the store.
    pub(super) async fn add(&mut self, event: Event) -> Result<()> {
        self.waiting.push_back(event);
        self.place_waiting().await
    }

    /// Writes what is left, and makes sure that the target holds no more than the section.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(super) async fn finish(&mut self) -> Result<()> {
        while self.writer.is_unfinished() {
            self.flush().await?;
            self.place_waiting().await?;
        }
        if self.placed < self.writer.recorded() {
            return Err(self.differs("it has more events"));
        }
        Ok(())
    }

    async fn place_waiting(&mut self) -> Result<()> {
        while let Some(event) = self.waiting.pop_front() {
            if self.placed < self.writer.recorded() {
                self.compare(&event).await?;
                continue;
            }
            let bytes = event.approximate_size();
            if self.writer.is_full_for(1, bytes) {
                // another run may have written it too by the time that there is room
                self.waiting.push_front(event);
                self.flush().await?;
                continue;
            }
            let cursor = self.writer.cursor().plus(1);
            // R19: positions do not translate over a restore, so no event names a source revision
            self.writer.add(cursor, [CellEvent::from(event)], bytes);
        }
        Ok(())
    }

    async fn compare(&mut self, event: &Event) -> Result<()> {
        let found = match &mut self.written {
            Some(written) => written.next().await?,
            None => None,
        };
        let Some((revision, found)) = found else {
            return Err(self.differs("it ends too early"));
        };
        if revision != self.placed {
            return Err(self.differs(&format!("it continues with revision {revision}")));
        }
        if let Some(difference) = difference(event, &found.event) {
            return Err(self.differs(&difference));
        }
        self.placed = self.placed.plus(1);
        Ok(())
    }

    /// Writes what is pending as one cell. Where another run has written at its place, what was
    /// pending waits again.
    async fn flush(&mut self) -> Result<()> {
        let cell = self.writer.take();
        let mut back_off = APPEND;
        loop {
            let Err(error) = self.writer.append(cell.clone()).await else {
                self.placed = self.writer.recorded();
                return Ok(());
            };
            if !is_settled_by_looking(&error) || !back_off.pause(self.cutover.environment).await {
                return Err(error.context(format_args!("restoring into {}", self.attempt.target)));
            }
            let sight = match self.attempt.look().await {
                Ok(sight) => sight,
                // the next append fails again, if it does not get better
                Err(error) if error.is_retryable() => continue,
                Err(error) => return Err(error),
            };
            let Action::Copy { from } = decide(self.attempt, &sight, UNKNOWN, None)? else {
                return Err(moved_on(self.attempt));
            };
            if sight.target_tail.next_seq() > self.writer.tail().next_seq() {
                for copied in cell.events.into_iter().rev() {
                    self.waiting.push_front(copied.event);
                }
                return self.catch_up(sight.target_tail, from);
            }
        }
    }

    /// Others have written the target up to there: it is compared from where it was known to.
    fn catch_up(&mut self, tail: Tail, from: Revision) -> Result<()> {
        if tail.next_revision() != from {
            return Err(self.differs("its cursor is not the number of its events"));
        }
        let known = ReadFrom::Seq(self.writer.tail().next_seq());
        self.written = Some(TargetReader::start(self.attempt, known));
        self.writer.resume(tail, from);
        Ok(())
    }

    fn differs(&self, what: &str) -> Error {
        let at = format!("{what} at revision {}", self.placed);
        differs(self.attempt, &at)
    }
}

/// Others have cut over to the target or undone it.
pub(super) fn moved_on(attempt: &Attempt) -> Error {
    let target = &attempt.target;
    let message = format!("another run has cut over to the restored stream or undone it: {target}");
    Error::new(ErrorKind::Conflict { actual: None }, message)
        .with_hint("restore again: that is safe")
}

/// Whether the outcome of an append is found out by looking at the target.
fn is_settled_by_looking(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict { .. }
            | ErrorKind::Closed(_)
            | ErrorKind::Ambiguous
            | ErrorKind::Unavailable
    )
}
