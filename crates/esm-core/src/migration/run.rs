//! A run: all objects of a scope, batch by batch.

use std::collections::HashSet;

use futures::StreamExt as _;
use tracing::{info, warn};

use super::batch::for_each_concurrent;
use super::context::Context;
use super::hooks::{HookEvent, HookPoint};
use super::journal::{Batch, JournalEntry};
use super::object::{ObjectRun, Triage, triage};
use super::options::{OnFailure, Scope};
use super::report::{ObjectReport, Statistics};
use super::status::Step;
use super::step::back_up::{Subject, back_up};
use super::step::close_books::{OpenBooks, close_books};
use super::step::roll_back::{Undone, undo};
use crate::document::TerminatedStream;
use crate::error::{Error, Result};
use crate::id::ObjectId;
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

/// What became of one object of a batch.
struct Done {
    report: ObjectReport,
    books: Option<OpenBooks>,
}

/// Why an object failed.
struct Failed {
    object: ObjectId,
    step: Step,
    error: Error,
    undone: Option<Undone>,
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
        let documents = self.context.documents.clone();
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
        let documents = self.context.documents.clone();
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
            .take_if(|(_, error)| self.context.ends_the_run(error))
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
                    self.context.reporter.update(|p| p.objects_done += 1);
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
                Err(error) if context.ends_the_run(&error) => return Err(error),
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
        let mut journal = self.context.journal.lock().await;
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
            || context.steering.settings().concurrency,
            &work,
            |(object, found)| async move {
                let outcome = migrate_one(context, object, found.clone()).await;
                let stops =
                    matches!(&outcome, Err(f) if stop_at_first || context.ends_the_run(&f.error));
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
        if !self.context.ends_the_run(&error) {
            self.statistics.name_failure(&object, step, &error);
            if let Some(undone) = undone {
                self.statistics.add_undone(undone);
            }
            self.failed.insert(object);
            self.context.reporter.update(|p| {
                p.objects_done += 1;
                p.objects_failed += 1;
            });
        }
        let replaces = match &self.failure {
            None => true,
            // what ends the run as a whole counts more than an object's own failure
            Some((_, first)) => {
                self.context.ends_the_run(&error) && !self.context.ends_the_run(first)
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

/// Triage; in a bulk run an object that somebody migrates alone is left to them.
async fn look_up(context: &Context, object: &ObjectId) -> Result<Triage> {
    context.safe_point().await?;
    let triage = triage(context, object).await?;
    if context.plan.scope.single().is_none() && !matches!(triage, Triage::UpToDate(_)) {
        let name = super::lock_scope::lock_name(&Scope::Objects(vec![object.clone()]))?;
        if let Some(info) = context.locks.inspect(&name).await?.filter(|info| info.held)
            && context.is_at_work(&info).await?
        {
            return Err(super::held_lock::held(info));
        }
    }
    Ok(triage)
}

async fn migrate_one(
    context: &Context,
    object: &ObjectId,
    triage: Triage,
) -> std::result::Result<Done, Failed> {
    let mut run = ObjectRun::new(context, object);
    match run.run(triage).await {
        Ok(report) => {
            context.reporter.update(|p| {
                p.objects_done += 1;
                p.object = Some(object.clone());
            });
            let books = open_books(context, object, &report).await;
            let books = books.map_err(|error| failed(object, Step::CloseBooks, error))?;
            Ok(Done { report, books })
        }
        Err(error) => {
            let mut failure = failed(object, run.step, error);
            if !context.ends_the_run(&failure.error) {
                tell_of_failure(context, object, &failure.error).await;
            }
            failure.undone = undo_failed(context, &run, &failure.error).await;
            Err(failure)
        }
    }
}

async fn tell_of_failure(context: &Context, object: &ObjectId, error: &Error) {
    let failed = HookEvent::of(context.migration(), HookPoint::Failed);
    let event = failed.with_object(object).with_error(error);
    // a hook cannot veto what has happened
    let _ = context.call_hooks_with(event).await;
}

fn failed(object: &ObjectId, step: Step, error: Error) -> Failed {
    Failed {
        object: object.clone(),
        step,
        error,
        undone: None,
    }
}

/// What is left to archive of a migrated object.
async fn open_books(
    context: &Context,
    object: &ObjectId,
    report: &ObjectReport,
) -> Result<Option<OpenBooks>> {
    let wanted = context
        .plan
        .close_books
        .as_ref()
        .is_some_and(|b| b.archive.is_some());
    let Some(source) = report.source.as_ref().filter(|_| wanted) else {
        return Ok(None);
    };
    let document = context.documents.load(object).await?.document;
    let open = document
        .terminated(source)
        .is_some_and(|t| t.books_closed_at.is_none());
    Ok(open.then(|| OpenBooks {
        object: object.clone(),
        stream: source.clone(),
    }))
}

/// With `with_rollback`, undoes a failed attempt at once; tells how that ended if it was done.
async fn undo_failed(context: &Context, run: &ObjectRun<'_>, error: &Error) -> Option<Undone> {
    if !context.plan.rollback_on_failure || context.ends_the_run(error) {
        return None;
    }
    let attempt = run.attempt.as_ref()?;
    // the intent comes first; of several objects each is simply tried again by whoever resumes
    let single = context.plan.scope.single().is_some();
    let reason = error.to_string();
    if single && !recorded(context, rolling_back(reason)).await {
        return None;
    }
    match undo(context, attempt).await {
        Ok(Undone::TooLate) => {
            let reason = "the source was closed already".to_owned();
            if single {
                recorded(context, JournalEntry::RollBackRefused { reason }).await;
            }
            None
        }
        // R5: nothing of its own was undone, the other's target is the object's stream now
        Ok(Undone::Superseded) => None,
        Ok(undone) => Some(undone),
        Err(stuck) => {
            warn!(object = %attempt.object, error = %stuck, "the undo failed");
            None
        }
    }
}

fn rolling_back(reason: String) -> JournalEntry {
    let cancels = false;
    JournalEntry::RollingBack { reason, cancels }
}

async fn recorded(context: &Context, entry: JournalEntry) -> bool {
    let appended = context.journal.lock().await.append(entry).await;
    if let Err(error) = &appended {
        warn!(%error, "not recorded");
    }
    appended.is_ok()
}
