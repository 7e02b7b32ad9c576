//! Describing a migration, fluently.

use std::sync::Arc;
use std::time::Duration;

use crate::backup::BackupOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{StreamId, StreamName, StreamRef};
use crate::migration::describe::options::{BookClosingOptions, RunOptions};
use crate::migration::describe::run_methods::run_methods;
use crate::migration::plan::plan::{MigrationPlan, PlanDepth};
use crate::migration::plan::planner::Planner;
use crate::migration::report::result::MigrationResult;
use crate::migration::service::MigrationService;
use crate::protocol::control::SettingsChange;
use crate::protocol::gate::CutoverOptions;
use crate::protocol::planned::{
    BookClosing, MigrationStrategy, OnFailure, PlannedMigration, Scope,
};
use crate::protocol::routing::PublishPhases;
use crate::store::{BackupSettings, EventStore, OnRetired};
use crate::transform::EventTransformer;

/// Describes a migration; [`execute`](Self::execute) or [`dry_run`](Self::dry_run) ends it.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is executed"]
pub struct MigrationBuilder {
    pub(super) service: MigrationService,
    /// The plan so far. [`build`](Self::build) gives it its id, its time, and what depends on them.
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

    /// The description that a plan was made of, except for what a plan cannot hold.
    pub(crate) fn of_plan(service: MigrationService, plan: &PlannedMigration) -> Self {
        Self {
            source: plan.source.as_ref().map(|source| source.stream.clone()),
            backup: plan.backup.as_ref().map(BackupOptions::of_settings),
            books: plan.close_books.as_ref().map(BookClosingOptions::of_plan),
            draft: PlannedMigration {
                // both are given again, with the store itself and with the transformer
                target_store: None,
                reverses: None,
                ..plan.clone()
            },
            ..Self::new(service, plan.scope.clone())
        }
    }

    /// The stream that must be the active one; for a single object.
    pub fn from_stream(mut self, stream: StreamId) -> Self {
        self.source = Some(stream);
        self
    }

    /// The target's logical name, for a single object; `{name}-{key}-v{generation}` unless told.
    /// The stored stream id adds a suffix, so that no id is ever used twice.
    pub fn to_stream(mut self, name: impl AsRef<str>) -> Self {
        match StreamName::new(name) {
            Ok(name) => (self.draft.target, self.invalid_target) = (Some(name), None),
            Err(invalid) => self.invalid_target = Some(invalid.to_string()),
        }
        self
    }

    /// The store that the events go to; unless told, they stay in the store where they are. Locks,
    /// journal and documents stay in the home store.
    ///
    /// The home store remembers the target store, by its random id, before the first event is
    /// copied. Applications must know it too, or they get `UnknownStore` after the cutover (R13).
    pub fn to_store(mut self, store: Arc<dyn EventStore>) -> Self {
        self.service.stores = self.service.stores.with(Arc::clone(&store));
        self.target_store = Some(store);
        self
    }

    /// How every event is transformed. Defaults to leaving events as they are. A shared
    /// `Arc<dyn EventTransformer>` is a transformer too.
    pub fn transform(mut self, transformer: impl EventTransformer) -> Self {
        self.run.transformer = Some(Arc::new(transformer));
        self
    }

    /// Declares how events that are appended after the cutover are transformed to what old code
    /// knows, if the migration is rolled back then. The plan says up to which event that works; a
    /// rollback may be given this `down` or another.
    pub fn reversible_with(mut self, down: impl EventTransformer) -> Self {
        self.run.down = Some(Arc::new(down));
        self
    }

    /// How long after its end it can be rolled back; for ever unless told. Then it is final. No
    /// matter of safety, and nothing is deleted.
    pub fn reversible_for(mut self, window: Duration) -> Self {
        self.draft.way_back.window = Some(window);
        self
    }

    /// How the stream is moved.
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

    /// The limits that it begins with; [`MigrationControl::set`](crate::migration::MigrationControl::set)
    /// changes them while it runs.
    pub fn limits(mut self, limits: SettingsChange) -> Self {
        self.draft.throttle = limits;
        self
    }

    /// When a source that is ready may be closed; at once unless told.
    pub fn cutover(mut self, options: CutoverOptions) -> Self {
        self.draft.cutover = options;
        self
    }

    /// Whether phases are published to applications; for large streams unless told.
    pub fn phases(mut self, phases: PublishPhases) -> Self {
        self.draft.phases = phases;
        self
    }

    /// Most source events that are left to copy and compare when a source is to be closed; 1,024
    /// unless told. More are caught up with before, while writers go on.
    pub fn final_round(mut self, events: u64) -> Self {
        self.draft.copy.final_round = events;
        self
    }

    /// Closes the books of the closed stream.
    pub fn close_books(mut self, options: BookClosingOptions) -> Self {
        self.books = Some(options);
        self
    }

    /// Undoes a failure before the pivot at once; unless told, it can be resumed.
    pub fn with_rollback(mut self) -> Self {
        self.draft.rollback_on_failure = true;
        self
    }

    /// Whether to stop at the first event that fails, which is the default. If not, failures are
    /// collected to the end of the stream, and then it stops all the same.
    pub fn fail_fast(mut self, fail_fast: bool) -> Self {
        self.draft.copy.fail_fast = fail_fast;
        self
    }

    /// Most events and bytes in a target cell; 512 and 1 MiB unless told.
    pub fn cells(mut self, events: usize, bytes: u64) -> Self {
        (self.draft.copy.cell_events, self.draft.copy.cell_bytes) = (events, bytes);
        self
    }

    /// How many of several objects are worked on at the same time; 16 unless told.
    pub fn concurrency(mut self, objects: usize) -> Self {
        self.draft.bulk.concurrency = objects;
        self
    }

    /// How many of several objects share a journal record, a backup and an archive; 256 unless
    /// told.
    pub fn batch(mut self, objects: usize) -> Self {
        self.draft.bulk.batch_objects = objects;
        self
    }

    /// What to do when one of several objects fails.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.draft.bulk.on_failure = on_failure;
        self
    }

    /// Migrates also objects whose active stream went through this transformation already.
    pub fn again(mut self) -> Self {
        self.draft.again = true;
        self
    }

    /// What becomes of appends of code that knows only the old schemas, once the cutover is done:
    /// of the schemas that this migration changes or drops. An application that has registered the
    /// same transformation has them transformed; elsewhere they are refused unless told (R11).
    ///
    /// Must be said where changed events keep their type and schema version: nobody can then tell
    /// an append of old code from one of new code, and no registered transformation is applied.
    pub fn on_retired(mut self, policy: OnRetired) -> Self {
        self.draft.on_retired = Some(policy);
        self
    }

    /// Puts the user's own words into the plan.
    pub fn annotate(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.draft.annotations.insert(key.into(), value.into());
        self
    }

    /// How deep a dry run looks; at all events unless told.
    pub fn depth(mut self, depth: PlanDepth) -> Self {
        self.depth = depth;
        self
    }

    /// Checks everything that can be checked without reading a stream.
    ///
    /// # Errors
    /// `Unsupported` for what is not built yet, and for a store whose streams cannot be moved while
    /// they are written to; `Invalid` for what cannot work, saying why.
    pub fn build(&self) -> Result<PlannedMigration> {
        self.check_strategy()?;
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
            let message = format!("the {what} of a migration cannot be given a name");
            return Err(Error::invalid(message).with_hint(
                "a migration names them itself, and may write several; leave out `id`",
            ));
        }
        options.clone().settle(now)
    }

    fn books(&self, now: jiff::Timestamp) -> Result<Option<BookClosing>> {
        let Some(books) = &self.books else {
            return Ok(None);
        };
        if let Some(what) = books.unsupported {
            return Err(Error::unsupported(format!("not built yet: {what}")));
        }
        let archive = books.archive.as_ref();
        let archive = archive
            .map(|options| self.settle(options, self.run.archives.is_some(), "archive", now));
        Ok(Some(BookClosing {
            archive: archive.transpose()?,
            metadata: books.metadata.clone(),
        }))
    }

    /// Does everything that a migration does but writing, and answers the plan.
    ///
    /// # Errors
    /// Those of [`build`](Self::build); `NotFound` for an unknown object; those of the store.
    /// Events that fail are no error here: they are in the plan.
    pub async fn dry_run(self) -> Result<MigrationPlan> {
        let planned = self.build()?;
        self.check_object(&planned).await?;
        Planner::new(&self.service, planned, &self.run, self.depth)
            .plan()
            .await
    }

    /// Migrates.
    ///
    /// # Errors
    /// What was refused before anything was touched, also where [`on_retired`](Self::on_retired) must
    /// be chosen and the first events show it. What happens later is in the result: ask
    /// [`MigrationResult::is_success`].
    ///
    /// # Cancel safety
    /// A dropped future is a crash, and a crash is resumable.
    pub async fn execute(self) -> Result<MigrationResult> {
        let planned = self.build()?;
        let single = self.check_object(&planned).await?;
        self.check_choice(&planned, single).await?;
        let service = self.service.clone();
        service.execute(planned, self.run_options()).await
    }

    /// Migrates as a plan says that was made before with the same description.
    ///
    /// # Errors
    /// `PlanOutdated` when source, transformation, options or store differ from the plan's; those
    /// of [`execute`](Self::execute).
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
        plan.ensure_current(&now.plan().await?)?;
        let service = self.service.clone();
        service
            .execute(plan.planned.clone(), self.run_options())
            .await
    }

    /// The objects' scope, for messages.
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
        .with_hint("give one, or give the service one with with_backups")
}
