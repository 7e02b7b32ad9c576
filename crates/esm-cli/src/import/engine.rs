//! Reads lines, fills lanes, and writes several batches at the same time.

use std::pin::pin;
use std::sync::Arc;

use esm_core::router::ObjectClient;
use esm_core::store::PageLimit;
use esm_core::{Error, ErrorKind, Result};
use esm_format::ndjson::Line;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::lanes::{LaneLimits, Lanes, Pending};
use super::line::Reading;
use super::sequences::Sequences;
use super::target::State;
use super::write::{AtLine, Written, write};
use crate::input::Input;
use crate::interrupt::Interrupt;
use crate::session::Session;

/// Batches that are written at the same time: a write to a local disk mostly waits for it.
const CONCURRENCY: usize = 16;
/// Objects whose streams are remembered between their batches.
const REMEMBERED: usize = 10_000;
/// How much is read at once of what is there already.
const PAGE: PageLimit = PageLimit {
    cells: 8,
    bytes: 1 << 20,
};

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// Events that were read.
    pub(crate) events: u64,
    /// Objects that they belong to.
    pub(crate) objects: u64,
    /// Events that were written.
    pub(crate) imported: u64,
    /// Events that were there already, and were found equal.
    pub(crate) present: u64,
}

/// Imports one input.
#[derive(Debug)]
pub(crate) struct Engine {
    client: ObjectClient,
    interrupt: Interrupt,
    reading: Arc<Reading>,
    lanes: Lanes<State>,
    sequences: Sequences,
    jobs: JoinSet<Result<Written, AtLine>>,
    failed: Option<AtLine>,
    tally: Tally,
}

impl Engine {
    /// Imports into this store.
    pub(crate) fn new(session: &Session, reading: Reading) -> Self {
        Self {
            client: session.client().remembering(REMEMBERED).with_pages(PAGE),
            interrupt: session.interrupt().clone(),
            reading: Arc::new(reading),
            lanes: Lanes::new(LaneLimits::default()),
            sequences: Sequences::default(),
            jobs: JoinSet::new(),
            failed: None,
            tally: Tally::default(),
        }
    }

    /// Imports everything. Whatever the result, the tally says what was done, and nothing goes on
    /// in the background.
    pub(crate) async fn run(mut self, input: &mut Input) -> (Tally, Result<()>) {
        let read = self.read_all(input).await;
        if read.is_ok() && self.failed.is_none() {
            self.lanes.queue_all();
            self.write_rest().await;
        }
        while let Some(done) = self.jobs.join_next().await {
            self.note(done);
        }
        self.tally.objects = self.sequences.objects();
        let failed = self.failed.map(AtLine::into_error);
        (self.tally, failed.map_or(read, Err))
    }

    async fn read_all(&mut self, input: &mut Input) -> Result<()> {
        let reading = Arc::clone(&self.reading);
        let stop = self.interrupt.token().clone();
        while self.failed.is_none() {
            let Some(line) = self.next_line(input, &stop).await? else {
                return Ok(());
            };
            let number = line.number;
            let at = |error: Error| AtLine::new(number, error).into_error();
            let incoming = reading.read(line.text.as_bytes()).map_err(at)?;
            self.sequences
                .note(&incoming.object, incoming.sequence)
                .map_err(at)?;
            self.tally.events += 1;
            let pending = Pending {
                line: number,
                text: line.text.into(),
            };
            self.lanes
                .push(&incoming.object, incoming.sequence, pending);
            self.start_jobs();
            while !self.lanes.has_room() && self.failed.is_none() {
                input.tell();
                self.finish_one().await;
                self.start_jobs();
            }
        }
        Ok(())
    }

    /// The next line; what is being written goes on while it is waited for.
    async fn next_line<'a>(
        &mut self,
        input: &'a mut Input,
        stop: &CancellationToken,
    ) -> Result<Option<Line<'a>>> {
        let mut line = pin!(input.next());
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(stopped()),
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => {
                    self.note(done);
                    self.start_jobs();
                }
                line = &mut line => return line,
            }
        }
    }

    async fn write_rest(&mut self) {
        self.start_jobs();
        while !self.jobs.is_empty() && self.failed.is_none() {
            if self.interrupt.requested() {
                self.failed = Some(AtLine::new(0, stopped()));
                return;
            }
            self.finish_one().await;
            self.start_jobs();
        }
    }

    fn start_jobs(&mut self) {
        while let Some(done) = self.jobs.try_join_next() {
            self.note(done);
        }
        while self.jobs.len() < CONCURRENCY
            && let Some(batch) = self.lanes.next_batch()
        {
            let (client, reading) = (self.client.clone(), Arc::clone(&self.reading));
            self.jobs.spawn(write(client, reading, batch));
        }
    }

    async fn finish_one(&mut self) {
        if let Some(done) = self.jobs.join_next().await {
            self.note(done);
        }
    }

    fn note(&mut self, done: Result<Result<Written, AtLine>, tokio::task::JoinError>) {
        let failed = match done {
            Ok(Ok(written)) => {
                self.tally.imported += written.appended;
                self.tally.present += written.present;
                self.lanes
                    .written(&written.object, written.cost, written.state);
                return;
            }
            Ok(Err(failed)) => {
                self.tally.imported += failed.appended;
                failed
            }
            Err(panic) => AtLine::new(
                0,
                Error::corrupt("writing a batch ended unexpectedly").with_source(panic),
            ),
        };
        // of several, the first line's is told
        let earlier = self
            .failed
            .as_ref()
            .is_none_or(|known| failed.line < known.line);
        if earlier {
            self.failed = Some(failed);
        }
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "stopped on request")
        .with_hint("run the same command again to go on")
}
