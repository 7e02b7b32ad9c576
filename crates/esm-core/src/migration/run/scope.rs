//! The objects of a scope, migrated in batches.

use std::collections::HashSet;

use futures::{StreamExt as _, TryStreamExt as _};
use tracing::{info, warn};

use super::each::{FailedObject, MigratedObject, migrate_one, triage_unless_locked};
use crate::cutover::meter::Totals;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ObjectId;
use crate::migration::context::Context;
use crate::migration::limits::concurrent::for_each_concurrent;
use crate::migration::plan::planner::Planner;
use crate::migration::run::triage::{Triage, triage};
use crate::migration::step::back_up::{Subject, back_up};
use crate::migration::step::close_books::close_books;
use crate::object::{KnownStream, TerminatedStream};
use crate::protocol::journal::{Batch, JournalEntry};
use crate::protocol::plan::{OnFailure, Scope};
use crate::protocol::statistics::{ObjectReport, Statistics};
use crate::protocol::status::Step;
use crate::store::{BackupHandle, BackupKind, Lane};

/// Passes over a scope without an object list; later passes find objects created meanwhile.
const PASSES: usize = 3;

/// Maximum number of failed objects; with more the run stops.
const MAX_FAILED: usize = 10_000;

/// Maximum number of objects whose events are counted before the first batch.
const MAX_COUNTED: usize = 10_000;

/// Maximum number of settled objects kept in memory, which later passes skip.
const MAX_SETTLED: usize = 32_768;

/// The migration of a scope, and its results so far.
#[derive(Debug)]
pub(crate) struct ScopeRun<'a> {
    context: &'a Context,
    pub(crate) statistics: Statistics,
    /// The report of a single object.
    pub(crate) single: Option<ObjectReport>,
    /// The first failure and its step.
    pub(crate) failure: Option<(Step, Error)>,
    failed: HashSet<ObjectId>,
    /// Objects that are up to date or migrated; at most [`MAX_SETTLED`].
    settled: HashSet<ObjectId>,
    next_batch: u64,
    /// Whether to count objects that this migration has already closed: neither those of batches
    /// that an earlier holder finished, nor those of this run in later passes.
    counts_finished: bool,
    /// Whether this run has listed the scope before, so that it may have migrated any object. Those
    /// that are up to date were counted then.
    is_later_pass: bool,
    /// Whether the events are counted batch by batch.
    counts_batches: bool,
}

impl<'a> ScopeRun<'a> {
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
            is_later_pass: false,
            counts_batches: true,
        }
    }

    /// Migrates the scope, beginning with the batch that an earlier holder began.
    ///
    /// # Errors
    /// Errors that stop the whole run. Failures of single objects are in [`failure`](Self::failure)
    /// and the statistics.
    pub(crate) async fn complete(&mut self, begun: Option<Batch>) -> Result<()> {
        self.count().await?;
        if let Some(batch) = begun {
            self.statistics = *batch.so_far;
            // these objects are counted again
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
                    // those of the batch that an earlier holder began are counted already
                    let open = chunk.iter().filter(|object| !self.is_counted(object));
                    let open: Vec<_> = open.cloned().collect();
                    self.batch(&open, None).await?;
                }
                Ok(())
            }
            Scope::Name(_) | Scope::All => self.passes().await,
        }
    }

    /// Counts the scope, unless that is to be done batch by batch.
    async fn count(&mut self) -> Result<()> {
        let context = self.context;
        let known = context.live.meter.work().totals();
        let single = context.plan.scope.single().is_some();
        let totals = match known {
            Some(known) => known,
            None if !context.live.count_first || single => return Ok(()),
            None => {
                context.live.reporter.update(|p| p.step = Step::Analyse);
                Planner::of_run(context).count(MAX_COUNTED).await?
            }
        };
        self.counts_batches = false;
        self.report_totals(totals);
        Ok(())
    }

    /// Counts the objects of a batch, where the scope was not counted first. Reversed objects are
    /// not counted: the tail does not tell how many events are copied.
    fn count_batch(&self, triaged: &[(ObjectId, Triage)]) {
        let plan = &self.context.plan;
        let in_first_pass = !self.is_later_pass;
        if !self.counts_batches || !in_first_pass || plan.scope.single().is_some() {
            return;
        }
        let mut totals = self.context.live.meter.work().totals().unwrap_or_default();
        if let Scope::Objects(objects) = &plan.scope {
            totals.objects = Some(objects.len() as u64);
        }
        for (_, triage) in triaged {
            match triage {
                Triage::Migrate(..) if plan.reverses.is_some() => return,
                Triage::Migrate(_, tail) => totals.add(tail.next_revision().0),
                Triage::UpToDate(_) => totals.add_up_to_date(),
                // counted by the holder that closed it
                Triage::Finish(_) => {}
            }
        }
        self.report_totals(totals);
    }

    fn report_totals(&self, totals: Totals) {
        let meter = &self.context.live.meter;
        meter.work().set_totals(totals, meter.now());
        self.context.live.reporter.update(|p| {
            p.objects_total = totals.objects;
            p.events_total = Some(totals.events);
            p.events_total_at_least = !totals.is_exact();
        });
    }

    fn batch_size(&self) -> usize {
        self.context.plan.bulk.batch_objects.max(1)
    }

    fn stops(&self) -> bool {
        self.failure.is_some() && self.context.plan.bulk.on_failure == OnFailure::Stop
            || self.failed.len() > MAX_FAILED
    }

    /// R23: repeats the listing until no object in the old schema is found, at most [`PASSES`]
    /// times.
    async fn passes(&mut self) -> Result<()> {
        for _ in 0..PASSES {
            let before = self.statistics.migrated;
            self.list_and_migrate().await?;
            if self.stops() || self.statistics.migrated == before {
                return Ok(());
            }
            (self.counts_finished, self.is_later_pass) = (false, true);
        }
        self.count_created_meanwhile().await
    }

    async fn list_and_migrate(&mut self) -> Result<()> {
        let documents = self.context.services.documents.clone();
        let mut objects = documents.objects(self.name()).fuse();
        loop {
            // not `chunks`: it reserves memory for a whole batch, whose size an operator chooses
            let next = objects.by_ref().take(self.batch_size());
            let mut batch: Vec<ObjectId> = next.try_collect().await?;
            if batch.is_empty() {
                return Ok(());
            }
            batch.retain(|object| !self.is_counted(object));
            self.batch(&batch, None).await?;
            if self.stops() {
                return Ok(());
            }
        }
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
            if self.is_counted(&object) {
                continue;
            }
            if let Triage::Migrate(..) = triage(self.context, &object, true).await? {
                self.statistics.created_meanwhile += 1;
            }
        }
        Ok(())
    }

    /// Processes one batch: triage, backup, the objects concurrently, archive.
    async fn batch(&mut self, objects: &[ObjectId], backup: Option<BackupHandle>) -> Result<()> {
        let triaged = self.triage(objects).await?;
        self.count_batch(&triaged);
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
        // migrated objects get their books closed even if others failed
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

    /// Counts an object that is up to date; returns whether the object needs work.
    fn keep(&mut self, object: &ObjectId, triage: &Triage) -> bool {
        match triage {
            Triage::Migrate(..) => true,
            // including an object of an earlier batch that failed after its pivot
            Triage::Finish(entry) => self.counts_finished || self.is_unfinished(entry),
            Triage::UpToDate(stream) => {
                self.settle(object);
                if !self.is_later_pass {
                    let report = ObjectReport::up_to_date(object.clone(), stream.clone());
                    self.statistics.add(&report);
                    self.single = self.context.plan.scope.single().map(|_| report);
                    self.context.live.reporter.update(|p| p.objects_done += 1);
                }
                false
            }
        }
    }

    /// Whether an object has failed or is done, as far as that is remembered.
    fn is_counted(&self, object: &ObjectId) -> bool {
        self.failed.contains(object) || self.settled.contains(object)
    }

    fn settle(&mut self, object: &ObjectId) {
        if self.settled.len() < MAX_SETTLED {
            self.settled.insert(object.clone());
        }
    }

    /// Whether an object that this migration has closed still needs work.
    fn is_unfinished(&self, entry: &TerminatedStream) -> bool {
        let books_wanted = self.context.plan.close_books.is_some();
        entry.fingerprint.is_none() || books_wanted && entry.books_closed_at.is_none()
    }

    async fn triage(&mut self, objects: &[ObjectId]) -> Result<Vec<(ObjectId, Triage)>> {
        let concurrency = self.context.plan.bulk.concurrency.max(1);
        let context = self.context;
        // closures that stay in the future would keep it from being Send
        let triages: Vec<_> = objects
            .iter()
            .map(|o| {
                let triage = triage_unless_locked(context, o, self.is_later_pass);
                async move { Lane::default().run(triage).await }
            })
            .collect();
        let found: Vec<_> = futures::stream::iter(triages)
            .buffered(concurrency)
            .collect()
            .await;
        let mut triaged = Vec::with_capacity(found.len());
        for (object, result) in objects.iter().zip(found) {
            match result {
                Ok(triage) => triaged.push((object.clone(), triage)),
                Err(error) if context.guard.ends_the_run(&error) => return Err(error),
                Err(error) => self.note_failure(FailedObject {
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
            .filter_map(|(_, triage)| match triage {
                Triage::Migrate(document, tail) => Some(Subject {
                    stream: KnownStream::of(document, &document.active)
                        .with_events(tail.next_revision()),
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

    /// Records the batch's objects in the journal. A single object without a backup needs no
    /// record: the plan names it.
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

    async fn migrate(&mut self, work: Vec<(ObjectId, Triage)>) -> Vec<MigratedObject> {
        let context = self.context;
        let stop_at_first = context.plan.bulk.on_failure == OnFailure::Stop;
        let (sender, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
        let sender = &sender;
        // the error only keeps further objects from starting; failures arrive through the channel
        let stopped = for_each_concurrent(
            || context.live.steering.settings().concurrency,
            &work,
            |(object, found)| {
                // taken when the object starts, and not when it is polled for the first time
                let taken = context.live.lanes.take();
                async move {
                    let _taken = taken;
                    let migrating = migrate_one(context, object, found.clone());
                    let outcome = Lane::default().run(migrating).await;
                    let stops = matches!(&outcome, Err(f) if stop_at_first || context.guard.ends_the_run(&f.error));
                    let _ = sender.send(outcome);
                    if stops {
                        return Err(Error::invalid("an object failed"));
                    }
                    Ok(())
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

    fn note_failure(&mut self, failed: FailedObject) {
        let FailedObject {
            object,
            step,
            error,
            undone,
        } = failed;
        if *error.kind() == ErrorKind::Cancelled {
            info!(%object, %step, "stopped on request");
        } else {
            info!(%object, %step, %error, "object failed");
        }
        if !self.context.guard.ends_the_run(&error) {
            if !self.statistics.name_failure(&object, step, &error) {
                warn!(%object, %step, %error, "object failed, which the report only counts");
            }
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
            // an error that ends the run takes precedence over the failure of an object
            Some((_, first)) => {
                self.context.guard.ends_the_run(&error) && !self.context.guard.ends_the_run(first)
            }
        };
        if replaces {
            self.failure = Some((step, error));
        }
    }

    async fn close_books(&mut self, done: &[MigratedObject]) -> Result<()> {
        let open: Vec<_> = done.iter().filter_map(|one| one.books.clone()).collect();
        if let Some(archive) = close_books(self.context, &open).await? {
            self.statistics.name_archive(&archive);
        }
        Ok(())
    }
}
