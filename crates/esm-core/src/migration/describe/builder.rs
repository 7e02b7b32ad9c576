//! Describing a migration, fluently.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::backup::BackupOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{StreamId, StreamName, StreamRef};
use crate::migration::describe::options::{BookClosingOptions, RunOptions};
use crate::migration::describe::run_methods::run_methods;
use crate::migration::lock::options::LockOptions;
use crate::migration::plan::plan::{MigrationPlan, PlanDepth};
use crate::migration::plan::planner::Planner;
use crate::migration::report::result::MigrationResult;
use crate::migration::service::MigrationService;
use crate::protocol::control::SettingsChange;
use crate::protocol::gate::CutoverOptions;
use crate::protocol::planned::{
    BookClosing, BulkOptions, CopyOptions, MigrationStrategy, OnFailure, PlannedMigration, Scope,
};
use crate::protocol::reversal::WayBack;
use crate::protocol::routing::PublishPhases;
use crate::store::{BackupSettings, EventStore, OnRetired};
use crate::transform::EventTransformer;

/// Describes a migration; [`execute`](Self::execute) or [`dry_run`](Self::dry_run) ends it.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is executed"]
pub struct MigrationBuilder {
    pub(super) service: MigrationService,
    pub(super) scope: Scope,
    pub(super) source: Option<StreamId>,
    pub(super) target: Option<std::result::Result<StreamName, String>>,
    pub(super) target_store: Option<Arc<dyn EventStore>>,
    pub(super) strategy: MigrationStrategy,
    pub(super) cutover: CutoverOptions,
    pub(super) phases: PublishPhases,
    pub(super) limits: SettingsChange,
    pub(super) copy: CopyOptions,
    pub(super) bulk: BulkOptions,
    pub(super) backup: Option<BackupOptions>,
    pub(super) books: Option<BookClosingOptions>,
    pub(super) rollback: bool,
    pub(super) again: bool,
    pub(super) on_retired: Option<OnRetired>,
    pub(super) window: Option<Duration>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) depth: PlanDepth,
    pub(super) run: RunOptions,
}

impl MigrationBuilder {
    pub(crate) fn new(service: MigrationService, scope: Scope) -> Self {
        Self {
            service,
            scope,
            source: None,
            target: None,
            target_store: None,
            strategy: MigrationStrategy::default(),
            cutover: CutoverOptions::default(),
            phases: PublishPhases::default(),
            limits: SettingsChange::default(),
            copy: CopyOptions::default(),
            bulk: BulkOptions::default(),
            backup: None,
            books: None,
            rollback: false,
            again: false,
            on_retired: None,
            window: None,
            annotations: BTreeMap::new(),
            depth: PlanDepth::All,
            run: RunOptions::default(),
        }
    }

    /// The description that a plan was made of, but for what a plan cannot hold.
    pub(crate) fn of_plan(service: MigrationService, plan: &PlannedMigration) -> Self {
        Self {
            source: plan.source.as_ref().map(|source| source.stream.clone()),
            target: plan.target.clone().map(Ok),
            strategy: plan.strategy,
            cutover: plan.cutover,
            phases: plan.phases,
            limits: plan.throttle,
            copy: plan.copy,
            bulk: plan.bulk,
            backup: plan.backup.as_ref().map(BackupOptions::of_settings),
            books: plan.close_books.as_ref().map(BookClosingOptions::of_plan),
            rollback: plan.rollback_on_failure,
            again: plan.again,
            on_retired: plan.on_retired,
            window: plan.way_back.window,
            annotations: plan.annotations.clone(),
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
        self.target = Some(StreamName::new(name).map_err(|e| e.to_string()));
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

    /// How every event is transformed; unless told, events stay as they are.
    pub fn transform(mut self, transformer: impl EventTransformer) -> Self {
        self.run.transformer = Some(Arc::new(transformer));
        self
    }

    /// As [`transform`](Self::transform), for a transformer that is shared.
    pub fn transform_with(mut self, transformer: Arc<dyn EventTransformer>) -> Self {
        self.run.transformer = Some(transformer);
        self
    }

    /// Declares how events that are appended after the cutover would become what old code knows, if
    /// it is rolled back then. The plan says until which event that works; a rollback may be given
    /// this `down` or another.
    pub fn reversible_with(mut self, down: impl EventTransformer) -> Self {
        self.run.down = Some(Arc::new(down));
        self
    }

    /// As [`reversible_with`](Self::reversible_with), for a transformer that is shared.
    pub fn reversible_with_shared(mut self, down: Arc<dyn EventTransformer>) -> Self {
        self.run.down = Some(down);
        self
    }

    /// How long after its end it can be rolled back; for ever unless told. Then it is final. No
    /// matter of safety, and nothing is deleted.
    pub fn reversible_for(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// How the stream is moved.
    pub fn strategy(mut self, strategy: MigrationStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Backs up before anything is copied.
    pub fn backup(mut self, options: impl FnOnce(BackupOptions) -> BackupOptions) -> Self {
        self.backup = Some(options(self.backup.take().unwrap_or_default()));
        self
    }

    /// How the lock is taken and held.
    pub fn lock(mut self, options: impl FnOnce(LockOptions) -> LockOptions) -> Self {
        self.run.lock = options(self.run.lock);
        self
    }

    run_methods!();

    /// The limits that it begins with; [`MigrationControl::set`](crate::migration::MigrationControl::set)
    /// changes them while it runs.
    pub fn limits(mut self, limits: SettingsChange) -> Self {
        self.limits = limits;
        self
    }

    /// When a source that is ready may be closed; at once unless told.
    pub fn cutover(mut self, options: impl FnOnce(CutoverOptions) -> CutoverOptions) -> Self {
        self.cutover = options(self.cutover);
        self
    }

    /// Whether phases are published to applications; for large streams unless told.
    pub fn phases(mut self, phases: PublishPhases) -> Self {
        self.phases = phases;
        self
    }

    /// Most source events that are left to copy and compare when a source is to be closed; 1,024
    /// unless told. More are caught up with before, while writers go on.
    pub fn final_round(mut self, events: u64) -> Self {
        self.copy.final_round = events;
        self
    }

    /// Closes the books of the closed stream.
    pub fn close_books(
        mut self,
        options: impl FnOnce(BookClosingOptions) -> BookClosingOptions,
    ) -> Self {
        self.books = Some(options(self.books.take().unwrap_or_default()));
        self
    }

    /// Undoes a failure before the pivot at once; unless told, it can be resumed.
    pub fn with_rollback(mut self) -> Self {
        self.rollback = true;
        self
    }

    /// Whether to stop at the first event that fails, which is the default. If not, failures are
    /// collected to the end of the stream, and then it stops all the same.
    pub fn fail_fast(mut self, fail_fast: bool) -> Self {
        self.copy.fail_fast = fail_fast;
        self
    }

    /// Most events and bytes in a target cell; 512 and 1 MiB unless told.
    pub fn cells(mut self, events: usize, bytes: u64) -> Self {
        (self.copy.cell_events, self.copy.cell_bytes) = (events, bytes);
        self
    }

    /// How many of several objects are worked on at the same time; 16 unless told.
    pub fn concurrency(mut self, objects: usize) -> Self {
        self.bulk.concurrency = objects;
        self
    }

    /// How many of several objects share a journal record, a backup and an archive; 256 unless
    /// told.
    pub fn batch(mut self, objects: usize) -> Self {
        self.bulk.batch_objects = objects;
        self
    }

    /// What to do when one of several objects fails.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.bulk.on_failure = on_failure;
        self
    }

    /// Migrates also objects whose active stream went through this transformation already.
    pub fn again(mut self) -> Self {
        self.again = true;
        self
    }

    /// What becomes of appends of code that knows only the old schemas, once the cutover is done:
    /// of the schemas that this migration changes or drops. An application that has registered the
    /// same transformation has them transformed; elsewhere they are refused unless told (R11).
    ///
    /// Must be said where changed events keep their type and schema version: nobody can then tell
    /// an append of old code from one of new code, and no registered transformation is applied.
    pub fn on_retired(mut self, policy: OnRetired) -> Self {
        self.on_retired = Some(policy);
        self
    }

    /// Puts the user's own words into the plan.
    pub fn annotate(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
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
        let now = self.service.environment.clock.now();
        let store = self.service.stores.home().id();
        let backup = self.backup.as_ref();
        let backup = backup.map(|options| self.settle(options, "backup", now));
        Ok(PlannedMigration {
            migration: self.service.environment.migration_id(),
            created_at: now,
            store,
            scope: self.scope.clone(),
            source: self
                .source
                .clone()
                .map(|stream| StreamRef::new(store, stream)),
            target_store: self.target_store.as_ref().map(|store| store.id()),
            target: match &self.target {
                Some(Err(message)) => return Err(Error::invalid(message.clone())),
                Some(Ok(name)) => Some(name.clone()),
                None => None,
            },
            strategy: self.strategy,
            fingerprint: self.run.fingerprint(),
            copy: self.copy,
            bulk: self.bulk,
            cutover: self.cutover,
            phases: self.phases,
            throttle: self.limits,
            backup: backup.transpose()?,
            close_books: self.books(now)?,
            rollback_on_failure: self.rollback,
            again: self.again,
            on_retired: self.on_retired,
            reverses: None,
            way_back: WayBack {
                down: self.run.down.as_ref().map(|down| down.fingerprint()),
                window: self.window,
            },
            annotations: self.annotations.clone(),
        })
    }

    fn settle(
        &self,
        options: &BackupOptions,
        what: &str,
        now: jiff::Timestamp,
    ) -> Result<BackupSettings> {
        if options.provider.is_none() && self.service.backups.is_none() {
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
        let archive = archive.map(|options| self.settle(options, "archive", now));
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
        &self.scope
    }

    fn run_options(mut self) -> RunOptions {
        self.run.backups = self.backup.and_then(|b| b.provider);
        self.run.archives = self.books.and_then(|b| b.archive).and_then(|a| a.provider);
        self.run
    }
}

fn no_provider(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("no provider for the {what}"))
        .with_hint("give one, or give the service one with with_backups")
}
