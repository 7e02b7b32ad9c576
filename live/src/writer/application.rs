//! What an application does: append at the position that it knows, reload on a conflict, and
//! decide anew.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use esm_bench::counting::Counts;
use esm_core::ErrorKind;
use esm_core::RollingHash;
use esm_core::clock::Environment;
use esm_core::event::{Event, Position};
use esm_core::id::ObjectId;
use esm_core::router::{AppendError, Appended, ExpectedRevision, ObjectClient, ReadPosition};
use futures::TryStreamExt as _;

use super::Part;
use crate::history::{Answer, Entry, HistoryFile, Loaded, Seen};
use crate::process::nanoseconds;
use crate::workload::{Batch, Edition};
use crate::world::Storage;

/// How often an append with an unknown outcome is settled before it stays unknown.
const SETTLINGS: u32 = 5;

/// An application.
#[derive(Debug)]
pub(crate) struct Application {
    client: ObjectClient,
    environment: Environment,
    counts: Counts,
    history: HistoryFile,
    writer: u32,
    /// The next append's number.
    number: u64,
    acknowledged: u64,
    /// The ends of the objects as far as it knows.
    known: HashMap<ObjectId, Position>,
}

impl Application {
    /// An application on a store, with a new history, that takes part in migrations so far.
    pub(crate) async fn open(
        storage: &Storage,
        history: &Path,
        writer: u32,
        part: Part,
    ) -> Result<Self> {
        let counts = Counts::new();
        let store = storage.open_counted(&counts).await?;
        let environment = Environment::system();
        let client = ObjectClient::new(store.records(), store.event_store(), environment.clone());
        let client = part.of(client)?;
        Ok(Self {
            client,
            environment,
            counts,
            history: HistoryFile::create(history)?,
            writer,
            number: 1,
            acknowledged: 0,
            known: HashMap::new(),
        })
    }

    /// How many appends were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Does nothing for a while.
    pub(crate) async fn think(&self, pause: Duration) {
        if !pause.is_zero() {
            self.environment.clock.sleep(pause).await;
        }
    }

    /// Appends so many events that nobody appended before: at the end that it knows, or, where it
    /// need not know, anywhere. After a conflict it reloads, so that the next append, with other
    /// events, is decided on what is there. What fails otherwise is written down.
    pub(crate) async fn append(
        &mut self,
        object: &ObjectId,
        edition: Edition,
        count: u32,
        anywhere: bool,
    ) -> Result<()> {
        if !anywhere && !self.known.contains_key(object) {
            self.load(object).await?;
        }
        let expected = self.known.get(object).filter(|_| !anywhere).cloned();
        if expected.is_none() && !anywhere {
            return Ok(());
        }
        match self.attempt(object, expected, edition, count).await? {
            Answer::Acknowledged(_) => self.acknowledged += 1,
            Answer::Conflict => self.reload(object).await?,
            Answer::Ambiguous | Answer::Failed(_) => {
                self.known.remove(object);
            }
        }
        Ok(())
    }

    async fn attempt(
        &mut self,
        object: &ObjectId,
        expected: Option<Position>,
        edition: Edition,
        count: u32,
    ) -> Result<Answer> {
        let batch = Batch {
            writer: self.writer,
            number: self.number,
            count,
            edition,
        };
        self.number += 1;
        let events = batch.events()?;
        self.history.write(&Entry::Invoked {
            at: nanoseconds(),
            object: object.clone(),
            batch,
            expected: expected.clone(),
        })?;
        let expected = expected.map_or(ExpectedRevision::Any, ExpectedRevision::At);
        self.counts.take();
        let begun = Instant::now();
        let mut appended = self.client.append(object, expected, events).await;
        for _ in 0..SETTLINGS {
            let token = appended
                .as_ref()
                .err()
                .and_then(AppendError::token)
                .cloned();
            let Some(token) = token else { break };
            appended = self.client.settle(token).await;
        }
        let nanoseconds_taken = begun.elapsed().as_nanos() as u64;
        let answer = self.answer(object, appended);
        self.history.write(&Entry::Answered {
            at: nanoseconds(),
            number: batch.number,
            nanoseconds: nanoseconds_taken,
            requests: self.requests(),
            answer: answer.clone(),
        })?;
        Ok(answer)
    }

    /// What the append sent to the storage; not what is polled beside it, of migrations that are on.
    fn requests(&self) -> u64 {
        let polled = |folder: &str| matches!(folder, "index" | "routing");
        let counts = self.counts.take();
        let of_append = counts.iter().filter(|count| !polled(&count.folder));
        of_append.map(|count| count.number).sum()
    }

    fn answer(&mut self, object: &ObjectId, appended: Result<Appended, AppendError>) -> Answer {
        match appended {
            Ok(appended) => {
                self.known.insert(object.clone(), appended.next);
                Answer::Acknowledged(appended.first)
            }
            Err(error) => match error.kind() {
                ErrorKind::Conflict { .. } => Answer::Conflict,
                ErrorKind::Ambiguous => Answer::Ambiguous,
                _ => Answer::Failed(format!("{:?}", error.error())),
            },
        }
    }

    /// Forgets what it knows of an object, as one does that was started again.
    pub(crate) fn forget(&mut self, object: &ObjectId) {
        self.known.remove(object);
    }

    /// Makes a state of all events: while streams move, perhaps of those of the new one (R15).
    async fn load(&mut self, object: &ObjectId) -> Result<()> {
        let add = |(events, hash): &mut (u64, RollingHash), event: Event| {
            *events += 1;
            hash.add(&event);
        };
        match self.client.fold(object, Default::default, add).await {
            Ok(folded) => {
                let (events, hash) = folded.state;
                let position = folded.position;
                self.known.insert(object.clone(), position.clone());
                self.history.write(&Entry::Loaded {
                    object: object.clone(),
                    loaded: Loaded {
                        position,
                        events,
                        hash,
                    },
                })
            }
            Err(error) => self.failed(format!("load {object}: {error:?}")),
        }
    }

    /// Reads what came since, as an application does that keeps a state of its own.
    async fn reload(&mut self, object: &ObjectId) -> Result<()> {
        let Some(known) = self.known.get(object).cloned() else {
            return Ok(());
        };
        let from = ReadPosition::At(known);
        let read: Result<Vec<_>, _> = self.client.read(object, from).try_collect().await;
        let read = match read {
            Ok(read) => read,
            Err(error) => return self.failed(format!("read {object}: {error:?}")),
        };
        if let Some(last) = read.last() {
            self.known.insert(object.clone(), last.next());
        }
        let seen = read.into_iter().map(|recorded| Seen {
            position: recorded.position,
            id: recorded.event.id,
        });
        self.history.write(&Entry::Read {
            object: object.clone(),
            seen: seen.collect(),
        })
    }

    fn failed(&mut self, what: String) -> Result<()> {
        self.history.write(&Entry::Failed { what })
    }

    /// Creates an object with a history of its own.
    pub(crate) async fn seed(&mut self, object: &ObjectId, events: u32) -> Result<()> {
        /// As many events at a time as a store's cells hold comfortably.
        const AT_ONCE: u32 = 500;
        self.client.create(object).await?;
        for begun in (0..events).step_by(AT_ONCE as usize) {
            let count = AT_ONCE.min(events - begun);
            self.append(object, Edition::Old, count, false).await?;
        }
        Ok(())
    }
}
