//! Writes the objects of a chunk concurrently while the next chunk is read.

use std::num::NonZeroUsize;

use esm_core::id::ObjectId;
use esm_core::router::ObjectClient;
use esm_core::store::PageLimit;
use esm_core::{Error, Result};
use lru::LruCache;
use tokio::task::{JoinError, JoinSet};

use super::check::Checked;
use super::events::{Chunk, Events, Work};
use super::incoming::AtRecord;
use super::records::Unit;
use super::stopped;
use super::tally::Tally;
use super::target::End;
use super::write::{Written, write};
use crate::interrupt::Interrupt;
use crate::session::Session;

/// Objects that are written concurrently: a write to a local disk mostly waits for it.
const CONCURRENCY: usize = 16;
/// Objects whose ends are remembered between chunks.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Events of the store that are read at once.
const PAGE: PageLimit = PageLimit {
    cells: 8,
    bytes: 1 << 20,
};

/// Writes an input to a store.
#[derive(Debug)]
pub(crate) struct Writer {
    client: ObjectClient,
    interrupt: Interrupt,
    /// Compare with the store only.
    dry_run: bool,
    ends: LruCache<ObjectId, End>,
    tally: Tally,
}

impl Writer {
    /// Writes to this store, or only compares with it.
    pub(crate) fn new(session: &Session, dry_run: bool) -> Self {
        Self {
            client: session
                .client()
                .remembering(REMEMBERED.get())
                .with_pages(PAGE),
            interrupt: session.interrupt().clone(),
            dry_run,
            ends: LruCache::new(REMEMBERED),
            tally: Tally::default(),
        }
    }

    /// Writes a chunk and all that follow, and says what was done. When it returns, nothing
    /// continues in the background. Events that were not checked before are checked at the end.
    ///
    /// # Errors
    /// That of the first line that could not be written; that of reading the input, after all
    /// events before it were written; that of a check.
    pub(crate) async fn run(
        mut self,
        chunk: Chunk,
        events: &mut Events,
        checked: Option<Tally>,
    ) -> (Tally, Result<()>) {
        let mut result = self.write_all(chunk, events).await;
        events.end();
        self.tally.skipped = events.skipped();
        let checked = match checked {
            Some(tally) => Ok(Checked { tally, wrong: None }),
            None => {
                // after an error only to count the objects
                let reader = self.client.reader();
                events.finish(Some(reader).filter(|_| result.is_ok())).await
            }
        };
        match checked {
            Ok(Checked { tally, wrong }) => {
                self.tally.objects = tally.objects;
                let unit = events.unit();
                let wrong = wrong.map_or(Ok(()), |wrong| Err(wrong.into_error(unit)));
                result = result.and(wrong);
            }
            Err(error) => result = result.and(Err(error)),
        }
        (self.tally, result)
    }

    async fn write_all(&mut self, mut chunk: Chunk, events: &mut Events) -> Result<()> {
        loop {
            self.tally.events += chunk.events();
            let unit = events.unit();
            if let Some(end) = chunk.end {
                self.write(chunk.works, unit).await?;
                return end;
            }
            let next = async { Ok(events.chunk().await) };
            ((), chunk) = tokio::try_join!(self.write(chunk.works, unit), next)?;
        }
    }

    async fn write(&mut self, works: Vec<Work>, unit: Unit) -> Result<()> {
        let mut works = works.into_iter();
        let mut running = JoinSet::new();
        let mut failed = None;
        loop {
            while failed.is_none()
                && running.len() < CONCURRENCY
                && let Some(work) = works.next()
            {
                if self.interrupt.requested() {
                    failed = Some(AtRecord::new(0, stopped()));
                    break;
                }
                let end = self.ends.pop(&work.object);
                running.spawn(write(self.client.clone(), work, end, self.dry_run));
            }
            let Some(done) = running.join_next().await else {
                return failed.map_or(Ok(()), |failed| Err(failed.into_error(unit)));
            };
            if let Err(error) = self.note(done)
                // of several errors, that of the first line is reported
                && failed.as_ref().is_none_or(|known: &AtRecord| error.number < known.number)
            {
                failed = Some(error);
            }
        }
    }

    fn note(&mut self, done: Result<Written, JoinError>) -> Result<(), AtRecord> {
        let written = done.map_err(|panic| {
            let error = Error::corrupt("writing an object's events panicked");
            AtRecord::new(0, error.with_source(panic))
        })?;
        self.tally.imported += written.appended;
        self.tally.present += written.present;
        if let Some(end) = written.result? {
            self.ends.put(written.object, end);
        }
        Ok(())
    }
}
