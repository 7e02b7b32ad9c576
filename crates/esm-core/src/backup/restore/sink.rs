//! Events into a fresh stream, at exact tails, comparing what stands there already.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::backup::restore::request::RestoreOptions;
use crate::clock::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Revision};
use crate::id::StreamRef;
use crate::store::{
    Append, Cell, CellEvent, CellKind, EventStore, Origin, PageLimit, ReadFrom, Tail,
};

/// How often a cell is tried again whose fate is unknown, or that others were faster than.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// How much of what stands there is read at once.
const PAGE: PageLimit = PageLimit {
    cells: 4,
    bytes: 2 << 20,
};

/// Writes events into a fresh stream. What an earlier run has written, or another one writes at the
/// same time, is compared instead of written: both write the same.
#[derive(Debug)]
pub(super) struct Sink {
    store: Arc<dyn EventStore>,
    environment: Environment,
    stream: StreamRef,
    origin: Origin,
    cell_events: usize,
    cell_bytes: u64,
    tail: Tail,
    /// Cells before this one were read or written.
    seen: u64,
    /// Events that agree: the stream's and the backup's.
    agreed: u64,
    /// Events of the stream that were not compared yet; none while something is pending.
    theirs: VecDeque<Event>,
    /// Events of the backup that are not in the stream yet.
    pending: VecDeque<Event>,
    pending_bytes: u64,
}

impl Sink {
    /// # Errors
    /// Those of the store.
    pub(super) async fn open(
        store: &Arc<dyn EventStore>,
        environment: &Environment,
        stream: &StreamRef,
        origin: Origin,
        options: &RestoreOptions,
    ) -> Result<Self> {
        let limits = store.limits();
        let most = usize::try_from(limits.max_cell_events).unwrap_or(usize::MAX);
        Ok(Self {
            tail: store.tail(&stream.stream).await?,
            store: Arc::clone(store),
            environment: environment.clone(),
            stream: stream.clone(),
            origin,
            cell_events: options.cell_events.clamp(1, most),
            cell_bytes: options.cell_bytes.min(limits.max_cell_bytes),
            seen: 0,
            agreed: 0,
            theirs: VecDeque::new(),
            pending: VecDeque::new(),
            pending_bytes: 0,
        })
    }

    /// Whether the stream had no cell when it was last looked at.
    pub(super) fn is_untouched(&self) -> bool {
        self.tail.is_empty()
    }

    /// Adds the next event of the backup.
    ///
    /// # Errors
    /// `Conflict` when the stream is live: somebody has cut over to it. `Corrupt` when it holds
    /// other events than the backup. `TooLarge` and the others of the store.
    pub(super) async fn add(&mut self, event: Event) -> Result<()> {
        let bytes = event.approximate_size();
        while self.is_full_with(bytes) {
            self.flush().await?;
        }
        self.pending_bytes += bytes;
        self.pending.push_back(event);
        self.match_up().await
    }

    /// Writes what is left, and makes sure that the stream holds nothing more. Answers the number
    /// of its events.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(super) async fn finish(&mut self) -> Result<u64> {
        self.match_up().await?;
        // R2: the first cell is written also where there are no events
        while !self.pending.is_empty() || self.tail.is_empty() {
            self.flush().await?;
        }
        while self.is_behind() {
            self.read_on().await?;
        }
        match self.theirs.is_empty() {
            true => Ok(self.agreed),
            false => Err(self.differs("it has more events")),
        }
    }

    fn is_full_with(&self, bytes: u64) -> bool {
        let full =
            self.pending.len() >= self.cell_events || self.pending_bytes + bytes > self.cell_bytes;
        full && !self.pending.is_empty()
    }

    fn is_behind(&self) -> bool {
        self.seen < self.tail.next_seq()
    }

    /// Compares as much as there is to compare. Afterwards, if anything is pending, the stream is
    /// known to its tail.
    async fn match_up(&mut self) -> Result<()> {
        loop {
            while let (Some(ours), Some(theirs)) = (self.pending.front(), self.theirs.front()) {
                if ours != theirs {
                    return Err(self.differs("the events differ"));
                }
                self.pending_bytes = self.pending_bytes.saturating_sub(ours.approximate_size());
                self.pending.pop_front();
                self.theirs.pop_front();
                self.agreed += 1;
            }
            if self.pending.is_empty() || !self.is_behind() {
                return Ok(());
            }
            self.read_on().await?;
        }
    }

    /// Reads a page of what stands there.
    async fn read_on(&mut self) -> Result<()> {
        let from = ReadFrom::Seq(self.seen);
        let page = self.store.read(&self.stream.stream, from, PAGE).await?;
        if page.cells.is_empty() {
            return Err(undone(&self.stream));
        }
        for cell in page.cells {
            self.check(&cell)?;
            self.seen = cell.header.seq + 1;
            self.theirs.extend(cell.events.into_iter().map(|e| e.event));
        }
        Ok(())
    }

    /// A cell that this restore wrote, in this run or another.
    fn check(&self, cell: &Cell) -> Result<()> {
        let header = &cell.header;
        let CellKind::Data { origin, cursor } = &header.kind else {
            return Err(self.live(header.seq));
        };
        if header.seq == 0 && !origin.as_ref().is_some_and(|origin| self.is_mine(origin)) {
            return Err(self.differs("it is of another origin"));
        }
        match cursor {
            None => Err(self.live(header.seq)),
            Some(cursor) if *cursor == header.next_revision() => Ok(()),
            Some(_) => Err(self.differs("a cell's cursor is not the number of events")),
        }
    }

    fn is_mine(&self, origin: &Origin) -> bool {
        let mine = &self.origin;
        (
            &origin.source,
            origin.migration,
            origin.attempt,
            &origin.fingerprint,
        ) == (
            &mine.source,
            mine.migration,
            mine.attempt,
            &mine.fingerprint,
        )
    }

    /// Writes what is pending as one cell, or finds that it was written.
    async fn flush(&mut self) -> Result<()> {
        let append = self.cell();
        for round in 1.. {
            let sent = self
                .store
                .append(&self.stream.stream, &self.tail, append.clone())
                .await;
            let error = match sent {
                Ok(tail) => {
                    self.tail = tail;
                    self.seen = self.tail.next_seq();
                    self.agreed += self.pending.len() as u64;
                    self.pending.clear();
                    self.pending_bytes = 0;
                    return Ok(());
                }
                Err(error) => error,
            };
            if !looks_again(&error) || round == TRIES {
                return Err(error.context(format!("restoring into {}", self.stream)));
            }
            let pause = self.environment.jittered(PAUSE * round);
            self.environment.clock.sleep(pause).await;
            if self.catch_up().await? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn cell(&self) -> Append {
        let cursor = Revision(self.agreed + self.pending.len() as u64);
        Append {
            commit: self.environment.commit_id(),
            origin: self.tail.is_empty().then(|| self.origin.clone()),
            cursor: Some(cursor),
            // positions do not translate over a restore, so no event says where it stems from
            events: self.pending.iter().cloned().map(CellEvent::from).collect(),
        }
    }

    /// Looks whether cells were added, own or others', and compares them.
    async fn catch_up(&mut self) -> Result<bool> {
        let tail = match self.store.tail(&self.stream.stream).await {
            Ok(tail) => tail,
            // the next try says so, if it does not get better
            Err(error) if error.is_retryable() => return Ok(false),
            Err(error) => return Err(error),
        };
        if tail.next_seq() < self.seen {
            return Err(undone(&self.stream));
        }
        self.tail = tail;
        let moved = self.is_behind();
        self.match_up().await?;
        Ok(moved)
    }

    fn live(&self, seq: u64) -> Error {
        let message = format!(
            "the stream is live already: cell {seq} of {} was not written by the restore",
            self.stream
        );
        Error::new(ErrorKind::Conflict { actual: None }, message)
    }

    fn differs(&self, what: &str) -> Error {
        Error::corrupt(format!(
            "an earlier run of this restore left something else than the backup holds: {what} at \
             revision {} of {}",
            self.agreed, self.stream
        ))
        .with_hint("restore again: it begins anew")
    }
}

/// Another run gave this attempt up: its Fence stands in the source.
pub(super) fn undone(target: &StreamRef) -> Error {
    let message = format!("another run of this restore has undone it: {target}");
    Error::new(ErrorKind::Fenced, message).with_hint("restore again: it begins anew")
}

/// Whether an append must be settled by looking at the stream.
fn looks_again(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict { .. }
            | ErrorKind::Closed(_)
            | ErrorKind::Ambiguous
            | ErrorKind::Unavailable
    )
}
