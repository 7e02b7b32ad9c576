//! The builder of a migration.

use std::sync::Arc;
use std::time::Duration;

use futures::future;

use crate::backup::BackupOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{StreamId, StreamName, StreamRef};
use crate::migration::describe::options::{BookClosingOptions, RunOptions};
use crate::migration::describe::run_methods::run_methods;
use crate::migration::plan::migration_plan::{MigrationPlan, PlanDepth};
use crate::migration::plan::planner::Planner;
use crate::migration::report::result::MigrationResult;
use crate::migration::service::MigrationService;
use crate::protocol::control::SettingsChange;
use crate::protocol::gate::CutoverOptions;
use crate::protocol::plan::{BookClosing, MigrationStrategy, OnFailure, PlannedMigration, Scope};
use crate::protocol::routing::PublishPhases;
use crate::store::{BackupSettings, EventStore, OnRetired};
use crate::transform::EventTransformer;

/// Describes a migration; [`execute`](Self::execute) or [`dry_run`](Self::dry_run) starts it.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is executed"]
pub struct MigrationBuilder {
    pub(super) service: MigrationService,
    /// The plan so far. [`build`](Self::build) sets its id, its time, and what depends on them.
    pub(super) draft: PlannedMigration,
    /// Why the target's name is invalid, if it is.
    pub(super) invalid_target: Option<String>,
    pub(super) source: Option<StreamId>,
    pub(super) target_store: Option<Arc<dyn EventStore>>,
    pub(super) backup: Option<BackupOptions>,
    pub(super) books: Option<BookClosingOptions>,
    pub(super) depth: PlanDepth,
    pub(super) run: RunOptions,
}

impl MigrationBuilder {
    pub(crate) fn new(service: MigrationService, scope: Scope) -> Self {
        Self {
            draft: PlannedMigration::draft(service.stores.home().id(), scope),
            service,
            invalid_target: None,
            source: None,
            target_store: None,
            backup: None,
            books: None,
            depth: PlanDepth::All,
            run: RunOptions::default(),
        }
    }

    /// Returns the builder that a plan was made from, without the code and connections.
    pub(crate) fn of_plan(service: MigrationService, plan: &PlannedMigration) -> Self {
        Self {
            source: plan.source.as_ref().map(|source| source.stream.clone()),
            backup: plan.backup.as_ref().map(BackupOptions::of_settings),
            books: plan.close_books.as_ref().map(BookClosingOptions::of_plan),
            draft: PlannedMigration {
                // both are set again, with the store itself and with the transformer
                target_store: None,
                reverses: None,
                ..plan.clone()
            },
            ..Self::new(service, plan.scope.clone())
        }
    }

    /// Requires this stream to be the active one. For a single object only.
    pub fn from_stream(mut self, stream: StreamId) -> Self {
        self.source = Some(stream);
        self
    }

    /// Sets the target's logical name, for a single object. Defaults to
    /// `{name}-{key}-v{generation}`.
    ///
    /// The stored stream id adds a suffix, so that no id is used twice.
    pub fn to_stream(mut self, name: impl AsRef<str>) -> Self {
        match StreamName::new(name) {
            Ok(name) => (self.draft.target, self.invalid_target) = (Some(name), None),
            Err(invalid) => self.invalid_target = Some(invalid.to_string()),
        }
        self
    }

    /// Sets the target store. Defaults to the store of the source. Locks, journal and documents
    /// stay in the home store.
    ///
    /// The home store records the random id of the target store before the first event is copied.
    /// Applications must be configured with the target store too; otherwise they get `UnknownStore`
    /// after the cutover ([R13](crate::protocol#r13)).
    pub fn to_store(mut self, store: Arc<dyn EventStore>) -> Self {
        self.service.stores = self.service.stores.with(Arc::clone(&store));
        self.target_store = Some(store);
        self
    }

    /// Sets the transformation of every event. Defaults to the identity. A shared
    /// `Arc<dyn EventTransformer>` is a transformer too.
    pub fn transform(mut self, transformer: impl EventTransformer) -> Self {
        self.run.transformer = Some(Arc::new(transformer));
        self
    }

    /// Declares the `down` of a later rollback: it transforms events that are appended after the
    /// cutover to the schemas of old code.
    ///
    /// The plan reports up to which event the `down` works. A rollback may use this `down` or
    /// another.
    pub fn reversible_with(mut self, down: impl EventTransformer) -> Self {
        self.run.down = Some(Arc::new(down));
        self
    }

    /// Sets how long after its end the migration can be rolled back. Defaults to unlimited.
    ///
    /// After that time the migration is final. This is a policy, not a safety limit: nothing is
    /// deleted.
    pub fn reversible_for(mut self, window: Duration) -> Self {
        self.draft.way_back.window = Some(window);
        self
    }

    /// Sets how the stream is moved.
    pub fn strategy(mut self, strategy: MigrationStrategy) -> Self {
        self.draft.strategy = strategy;
        self
    }

    /// Backs up before anything is copied.
    pub fn backup(mut self, options: BackupOptions) -> Self {
        self.backup = Some(options);
        self
    }

    run_methods!();

    /// Sets the initial limits. [`MigrationControl::set`](crate::migration::MigrationControl::set)
    /// changes them while the migration runs.
    pub fn limits(mut self, limits: SettingsChange) -> Self {
        self.draft.throttle = limits;
        self
    }

    /// Sets when a source that is ready may be closed. Defaults to immediately.
    pub fn cutover(mut self, options: CutoverOptions) -> Self {
        self.draft.cutover = options;
        self
    }

    /// Sets whether phases are published to applications. Defaults to large streams only.
    pub fn phases(mut self, phases: PublishPhases) -> Self {
        self.draft.phases = phases;
        self
    }

    /// Sets the maximum number of source events left to copy and compare before the Close. Defaults
    /// to 1,024. A larger backlog is copied first, while applications continue to append.
    pub fn final_round(mut self, events: u64) -> Self {
        self.draft.copy.final_round = events;
        self
    }

    /// Closes the books of the closed stream.
    pub fn close_books(mut self, options: BookClosingOptions) -> Self {
        self.books = Some(options);
        self
    }

    /// Rolls back immediately after a failure before the pivot. By default a failed migration stays
    /// resumable.
    pub fn with_rollback(mut self) -> Self {
        self.draft.rollback_on_failure = true;
        self
    }

    /// Sets whether to stop at the first event that fails. Defaults to `true`. With `false`,
    /// failures are collected to the end of the stream, and the migration stops there.
    pub fn fail_fast(mut self, fail_fast: bool) -> Self {
        self.draft.copy.fail_fast = fail_fast;
        self
    }

    /// Sets the maximum number of events and bytes in a target cell. Defaults to 512 and 1 MiB.
    pub fn cells(mut self, events: usize, bytes: u64) -> Self {
        (self.draft.copy.cell_events, self.draft.copy.cell_bytes) = (events, bytes);
        self
    }

    /// Sets how many objects are migrated concurrently. Defaults to 16.
    pub fn concurrency(mut self, objects: usize) -> Self {
        self.draft.bulk.concurrency = objects;
        self
    }

    /// Sets how many objects share a journal record, a backup and an archive. Defaults to 256.
    pub fn batch(mut self, objects: usize) -> Self {
        self.draft.bulk.batch_objects = objects;
        self
    }

    /// Sets what happens when one of several objects fails.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.draft.bulk.on_failure = on_failure;
        self
    }

    /// Also migrates objects whose active stream already is the output of this transformation.
    pub fn again(mut self) -> Self {
        self.draft.again = true;
        self
    }

    /// Sets how appends of retired schemas are handled after the cutover: appends of old code, in
    /// schemas that this migration changes or drops. Defaults to refuse
    /// ([R11](crate::protocol#r11)). An application that registered the same transformation
    /// transforms them instead.
    ///
    /// Required if changed events keep their type and schema version: appends of old code and of
    /// new code are then indistinguishable, and no registered transformation is applied.
    pub fn on_retired(mut self, policy: OnRetired) -> Self {
        self.draft.on_retired = Some(policy);
        self
    }

    /// Adds user metadata to the plan.
    pub fn annotate(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.draft.annotations.insert(key.into(), value.into());
        self
    }

    /// Sets how many events a dry run reads. Defaults to all.
    pub fn depth(mut self, depth: PlanDepth) -> Self {
        self.depth = depth;
        self
    }

    /// Validates the description and returns the planned migration. Reads no stream.
    ///
    /// # Errors
    /// - `Unsupported` for an option that is not implemented, and for a store whose streams cannot
    ///   be moved while they are written to.
    /// - `Invalid` for options that cannot work; the message gives the reason.
    pub fn build(&self) -> Result<PlannedMigration> {
        self.check_strategy()?;
        self.planned()
    }

    /// The plan of the description, also of a strategy that only a dry run knows.
    fn planned(&self) -> Result<PlannedMigration> {
        self.check_stores()?;
        self.check_scope()?;
        self.check_numbers()?;
        if let Some(invalid) = &self.invalid_target {
            return Err(Error::invalid(invalid.clone()));
        }
        let environment = &self.service.environment;
        let now = environment.clock.now();
        let mut plan = self.draft.clone();
        plan.migration = environment.migration_id();
        plan.created_at = now;
        plan.store = self.service.stores.home().id();
        plan.source = (self.source.clone()).map(|stream| StreamRef::new(plan.store, stream));
        plan.target_store = self.target_store.as_ref().map(|store| store.id());
        plan.fingerprint = self.run.fingerprint();
        let backup = self.backup.as_ref();
        let backup =
            backup.map(|options| self.settle(options, self.run.backups.is_some(), "backup", now));
        plan.backup = backup.transpose()?;
        plan.close_books = self.books(now)?;
        plan.way_back.down = self.run.down.as_ref().map(|down| down.fingerprint());
        Ok(plan)
    }

    fn settle(
        &self,
        options: &BackupOptions,
        has_provider: bool,
        what: &str,
        now: jiff::Timestamp,
    ) -> Result<BackupSettings> {
        if !has_provider && options.provider.is_none() && self.service.backups.is_none() {
            return Err(no_provider(what));
        }
        if options.id.is_some() {
            let message = format!("cannot set the id of a migration's {what}");
            return Err(Error::invalid(message).with_hint(
                "leave out `id`: a migration generates the ids, and may write several",
            ));
        }
        options.clone().settle(now)
    }

    fn books(&self, now: jiff::Timestamp) -> Result<Option<BookClosing>> {
        let Some(books) = &self.books else {
            return Ok(None);
        };
        if let Some(what) = books.unsupported {
            return Err(Error::unsupported(format!("not implemented: {what}")));
        }
        let archive = books.archive.as_ref();
        let archive = archive
            .map(|options| self.settle(options, self.run.archives.is_some(), "archive", now));
        Ok(Some(BookClosing {
            archive: archive.transpose()?,
            metadata: books.metadata.clone(),
        }))
    }

    /// Refuses what [`execute`](Self::execute) would refuse now because another migration of the same
    /// scope is unfinished. Writes nothing. In place, the database knows: this refuses nothing.
    ///
    /// # Errors
    /// `LockHeld` or `AlreadyExists`, naming that migration; those of the store.
    pub async fn ensure_first(&self) -> Result<()> {
        if self.is_in_place() {
            return Ok(());
        }
        self.service.ensure_first(&self.draft.scope).await
    }

    /// Returns the plan of the migration. Reads and transforms as the migration would, and writes
    /// nothing.
    ///
    /// # Errors
    /// Those of [`build`](Self::build); `NotFound` for an unknown object; those of the store.
    /// Events that fail are not an error: the plan lists them.
    pub async fn dry_run(self) -> Result<MigrationPlan> {
        let planned = if self.is_in_place() {
            self.planned()?
        } else {
            self.build()?
        };
        self.check_object(&planned).await?;
        Planner::new(&self.service, planned, &self.run, self.depth)
            .plan()
            .await
    }

    /// Executes the migration.
    ///
    /// # Errors
    /// Only refusals before the first write, including a missing [`on_retired`](Self::on_retired)
    /// if the first events show that it is required. Later failures are in the result: see
    /// [`MigrationResult::is_success`].
    ///
    /// # Cancel safety
    /// Dropping the future equals a crash; the migration stays resumable.
    pub async fn execute(self) -> Result<MigrationResult> {
        let planned = self.build()?;
        let single = self.check_object(&planned).await?;
        let service = self.service.clone();
        let choice = self.check_choice(&planned, single);
        let (choice, locks) = future::join(choice, service.inspect_locks(&planned.scope)).await;
        choice?;
        let options = self.run_options();
        service.run_after(locks?, planned, options).await
    }

    /// Executes a plan that was made earlier with the same description.
    ///
    /// # Errors
    /// `PlanOutdated` if source, transformation, options or store differ from the plan's; those of
    /// [`execute`](Self::execute).
    pub async fn execute_plan(self, plan: &MigrationPlan) -> Result<MigrationResult> {
        let planned = self.build()?;
        self.check_object(&planned).await?;
        plan.ensure_fits(&planned)?;
        let now = Planner::new(
            &self.service,
            planned.clone(),
            &self.run,
            PlanDepth::Nothing,
        );
        let survey = now.survey().await?;
        plan.ensure_current(&survey.plan)?;
        let service = self.service.clone();
        let mut options = self.run_options();
        options.totals = Some(survey.totals);
        service.run(plan.planned.clone(), options).await
    }

    /// Returns the scope of the migration, for messages.
    pub fn scope(&self) -> &Scope {
        &self.draft.scope
    }

    fn run_options(mut self) -> RunOptions {
        let backups = self.backup.and_then(|backup| backup.provider);
        let archive = self.books.and_then(|books| books.archive);
        let archives = archive.and_then(|archive| archive.provider);
        self.run.backups = backups.or(self.run.backups);
        self.run.archives = archives.or(self.run.archives);
        self.run
    }
}

fn no_provider(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("no provider for the {what}"))
        .with_hint("set one here, or for the whole service with `with_backups`")
}
