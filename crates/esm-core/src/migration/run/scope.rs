//! A run: all objects of a scope, batch by batch.

use std::collections::HashSet;

use futures::StreamExt as _;
use tracing::{info, warn};

use super::each::{Done, Failed, look_up, migrate_one};
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::migration::context::Context;
use crate::migration::limits::concurrent::for_each_concurrent;
use crate::migration::run::triage::{Triage, triage};
use crate::migration::step::back_up::{Subject, back_up};
use crate::migration::step::close_books::close_books;
use crate::object::TerminatedStream;
use crate::protocol::journal::{Batch, JournalEntry};
use crate::protocol::planned::{OnFailure, Scope};
use crate::protocol::statistics::{ObjectReport, Statistics};
use crate::protocol::status::Step;
use crate::store::{BackupHandle, BackupKind};

/// How often a scope without a list of its objects is listed again, for what was created meanwhile.
const PASSES: usize = 3;

/// Failed objects that a run remembers; with more it stops.
const MAX_FAILED: usize = 10_000;

/// Objects in the new schema that a run remembers, so as not to look them up in its later passes.
const MAX_SETTLED: usize = 32_768;

/// A run and what it has come to so far.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    context: &'a Context,
    pub(crate) statistics: Statistics,
    /// The report of a single object.
    pub(crate) single: Option<ObjectReport>,
    /// The first failure and where it happened.
    pub(crate) failure: Option<(Step, Error)>,
    failed: HashSet<ObjectId>,
    /// Objects found or brought into the new schema, up to a number.
    settled: HashSet<ObjectId>,
    next_batch: u64,
    /// Whether objects that this migration has closed already are still to be counted: not those
    /// of batches that an earlier holder finished, nor this run's own in later passes.
    counts_finished: bool,
    /// Whether objects that need nothing are still to be counted.
    counts_up_to_date: bool,
}

impl<'a> Run<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self {
            context,
            statistics: Statistics::default(),
            single: None,
            failure: None,
            failed: HashSet::new(),
            settled: HashSet::new(),
            next_batch: 0,
            counts_finished: true,
            counts_up_to_date: true,
        }
    }

    /// Works through the scope; first through the batch that an earlier holder had begun.
    ///
    /// # Errors
    /// What stops the run as a whole. Failures of objects are in [`failure`](Self::failure) and
    /// the statistics.
    pub(crate) async fn run(&mut self, begun: Option<Batch>) -> Result<()> {
        if let Some(batch) = begun {
            self.statistics = *batch.so_far;
            // these are met again
            self.statistics.failed = 0;
            self.statistics.failures.clear();
            self.statistics.up_to_date = 0;
            self.next_batch = batch.number;
            self.batch(&batch.objects, batch.backup).await?;
            self.counts_finished = false;
        }
        match &self.context.plan.scope {
            Scope::Objects(objects) => {
                for chunk in objects.chunks(self.batch_size()) {
                    if self.stops() {
                        break;
                    }
                    self.batch(chunk, None).await?;
                }
                Ok(())
            }
            Scope::Name(_) | Scope::All => self.passes().await,
        }
    }

    fn batch_size(&self) -> usize {
        self.context.plan.bulk.batch_objects.max(1)
    }

    fn stops(&self) -> bool {
        self.failure.is_some() && self.context.plan.bulk.on_failure == OnFailure::Stop
            || self.failed.len() > MAX_FAILED
    }

    /// R23: lists again, a few times, until nothing more is found in the old schema.
    async fn passes(&mut self) -> Result<()> {
        for _ in 0..PASSES {
            let before = self.statistics.migrated;
            self.list_and_migrate().await?;
            if self.stops() || self.statistics.migrated == before {
                return Ok(());
            }
            (self.counts_finished, self.counts_up_to_date) = (false, false);
        }
        self.count_created_meanwhile().await
    }

    async fn list_and_migrate(&mut self) -> Result<()> {
        let documents = self.context.services.documents.clone();
        let mut chunks = documents.objects(self.name()).chunks(self.batch_size());
        while let Some(chunk) = chunks.next().await {
            let chunk: Vec<ObjectId> = chunk.into_iter().collect::<Result<_>>()?;
            let chunk: Vec<_> = chunk
                .into_iter()
                .filter(|o| !self.failed.contains(o) && !self.settled.contains(o))
                .collect();
            self.batch(&chunk, None).await?;
            if self.stops() {
                break;
            }
        }
        Ok(())
    }

    fn name(&self) -> Option<crate::id::ObjectName> {
        match &self.context.plan.scope {
            Scope::Name(name) => Some(name.clone()),
            _ => None,
        }
    }

    async fn count_created_meanwhile(&mut self) -> Result<()> {
        let documents = self.context.services.documents.clone();
        let mut objects = documents.objects(self.name());
        while let Some(object) = objects.next().await {
            let object = object?;
            if self.failed.contains(&object) || self.settled.contains(&object) {
                continue;
            }
            if let Triage::Migrate(..) = triage(self.context, &object).await? {
                self.statistics.created_meanwhile += 1;
            }
        }
        Ok(())
    }

    /// One batch: triage, backup, the objects side by side, archive.
    async fn batch(&mut self, objects: &[ObjectId], backup: Option<BackupHandle>) -> Result<()> {
        let triaged = self.triage(objects).await?;
        let work: Vec<_> = triaged
            .into_iter()
            .filter(|(object, triage)| self.keep(object, triage))
            .collect();
        if work.is_empty() {
            return Ok(());
        }
        let backup = match backup {
            Some(backup) => Some(backup),
            None => self.back_up(&work).await?,
        };
        self.begin(&work, backup).await?;
        let done = self.migrate(work).await;
        // what was migrated before something failed gets its books closed all the same
        let closed = self.close_books(&done).await;
        for one in done {
            self.statistics.add(&one.report);
            self.settle(&one.report.object);
            if self.context.plan.scope.single().is_some() {
                self.single = Some(one.report);
            }
        }
        closed?;
        match self
            .failure
            .take_if(|(_, error)| self.context.guard.ends_the_run(error))
        {
            Some((step, error)) => {
                self.failure = None;
                Err(error.context(format!("step {step}")))
            }
            None => Ok(()),
        }
    }

    /// Counts what is up to date; answers whether there is anything to do.
    fn keep(&mut self, object: &ObjectId, triage: &Triage) -> bool {
        match triage {
            Triage::Migrate(..) => true,
            // also one of an earlier batch that failed after its pivot
            Triage::Finish(entry, _) => self.counts_finished || self.is_unfinished(entry),
            Triage::UpToDate(stream) => {
                self.settle(object);
                if self.counts_up_to_date {
                    let report = ObjectReport::up_to_date(object.clone(), stream.clone());
                    self.statistics.add(&report);
                    self.single = self.context.plan.scope.single().map(|_| report);
                    self.context.live.reporter.update(|p| p.objects_done += 1);
                }
                false
            }
        }
    }

    fn settle(&mut self, object: &ObjectId) {
        if self.settled.len() < MAX_SETTLED {
            self.settled.insert(object.clone());
        }
    }

    /// Whether something is left to do of an object that this migration has closed.
    fn is_unfinished(&self, entry: &TerminatedStream) -> bool {
        let books_wanted = self.context.plan.close_books.is_some();
        entry.fingerprint.is_none() || books_wanted && entry.books_closed_at.is_none()
    }

    async fn triage(&mut self, objects: &[ObjectId]) -> Result<Vec<(ObjectId, Triage)>> {
        let concurrency = self.context.plan.bulk.concurrency.max(1);
        let context = self.context;
        // closures that stay in the future would keep it from being Send
        let looks: Vec<_> = objects.iter().map(|o| look_up(context, o)).collect();
        let found: Vec<_> = futures::stream::iter(looks)
            .buffered(concurrency)
            .collect()
            .await;
        let mut triaged = Vec::with_capacity(found.len());
        for (object, result) in objects.iter().zip(found) {
            match result {
                Ok(triage) => triaged.push((object.clone(), triage)),
                Err(error) if context.guard.ends_the_run(&error) => return Err(error),
                Err(error) => self.note_failure(Failed {
                    object: object.clone(),
                    step: Step::Analyse,
                    error,
                    undone: None,
                }),
            }
        }
        if self.stops() {
            return Ok(Vec::new());
        }
        Ok(triaged)
    }

    async fn back_up(&mut self, work: &[(ObjectId, Triage)]) -> Result<Option<BackupHandle>> {
        let Some(settings) = &self.context.plan.backup else {
            return Ok(None);
        };
        let provider = self
            .context
            .services
            .backups
            .as_ref()
            .ok_or_else(|| Error::invalid("no provider for the backup"))?;
        let subjects: Vec<_> = work
            .iter()
            .filter_map(|(object, triage)| match triage {
                Triage::Migrate(document, _) => Some(Subject {
                    object: object.clone(),
                    stream: document.active.clone(),
                    document: Some((**document).clone()),
                }),
                _ => None,
            })
            .collect();
        if subjects.is_empty() {
            return Ok(None);
        }
        let kind = BackupKind::Backup;
        let handle = back_up(self.context, provider, kind, settings, &subjects).await?;
        self.statistics.name_backup(&handle);
        Ok(Some(handle))
    }

    /// Says in the journal which objects are worked on. A single object without a backup needs no
    /// such record: the plan names it.
    async fn begin(
        &mut self,
        work: &[(ObjectId, Triage)],
        backup: Option<BackupHandle>,
    ) -> Result<()> {
        if self.context.plan.scope.single().is_some() && backup.is_none() {
            return Ok(());
        }
        let mut journal = self.context.guard.journal.lock().await;
        let recorded = journal
            .state()
            .batch
            .as_ref()
            .is_some_and(|b| b.backup == backup);
        if self.context.plan.scope.single().is_some() && recorded {
            return Ok(());
        }
        let number = self.next_batch;
        self.next_batch += 1;
        let objects = work.iter().map(|(object, _)| object.clone()).collect();
        let so_far = Box::new(self.statistics.clone());
        info!(batch = number, objects = work.len(), "batch begins");
        journal
            .append(JournalEntry::Batch {
                number,
                objects,
                backup,
                so_far,
            })
            .await
    }

    async fn migrate(&mut self, work: Vec<(ObjectId, Triage)>) -> Vec<Done> {
        let context = self.context;
        let stop_at_first = context.plan.bulk.on_failure == OnFailure::Stop;
        let (sender, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
        let sender = &sender;
        // the error only stops what has not begun; the failures themselves come by the channel
        let stopped = for_each_concurrent(
            || context.live.steering.settings().concurrency,
            &work,
            |(object, found)| async move {
                let outcome = migrate_one(context, object, found.clone()).await;
                let stops =
                    matches!(&outcome, Err(f) if stop_at_first || context.guard.ends_the_run(&f.error));
                let _ = sender.send(outcome);
                match stops {
                    true => Err(Error::invalid("an object failed")),
                    false => Ok(()),
                }
            },
        )
        .await;
        drop(stopped);
        let mut done = Vec::new();
        while let Ok(outcome) = outcomes.try_recv() {
            match outcome {
                Ok(one) => done.push(one),
                Err(failed) => self.note_failure(failed),
            }
        }
        done
    }

    fn note_failure(&mut self, failed: Failed) {
        let Failed {
            object,
            step,
            error,
            undone,
        } = failed;
        warn!(%object, %step, %error, "object failed");
        if !self.context.guard.ends_the_run(&error) {
            self.statistics.name_failure(&object, step, &error);
            if let Some(undone) = undone {
                self.statistics.add_undone(undone);
            }
            self.failed.insert(object);
            self.context.live.reporter.update(|p| {
                p.objects_done += 1;
                p.objects_failed += 1;
            });
        }
        let replaces = match &self.failure {
            None => true,
            // what ends the run as a whole counts more than an object's own failure
            Some((_, first)) => {
                self.context.guard.ends_the_run(&error) && !self.context.guard.ends_the_run(first)
            }
        };
        if replaces {
            self.failure = Some((step, error));
        }
    }

    async fn close_books(&mut self, done: &[Done]) -> Result<()> {
        let open: Vec<_> = done.iter().filter_map(|one| one.books.clone()).collect();
        if let Some(archive) = close_books(self.context, &open).await? {
            self.statistics.name_archive(&archive);
        }
        Ok(())
    }
}
