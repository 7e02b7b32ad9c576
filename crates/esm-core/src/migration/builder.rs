//! Describing a migration, fluently.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::control::SettingsChange;
use super::cutover::CutoverOptions;
use super::describe::{BookClosingOptions, RunOptions};
use super::options::{
    BookClosing, BulkOptions, CopyOptions, LockOptions, MigrationStrategy, OnFailure,
    PlannedMigration, Scope,
};
use super::phases::PublishPhases;
use super::plan::{MigrationPlan, PlanDepth};
use super::planner::Planner;
use super::report::MigrationResult;
use super::reverse::WayBack;
use super::run_methods::run_methods;
use super::service::MigrationService;
use super::step::analyse::unsaid;
use crate::backup::BackupOptions;
use crate::chain::ChainEnd;
use crate::document::{Documents, ObjectDocument};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{StreamId, StreamName, StreamRef};
use crate::store::{BackupSettings, EventStore, OnRetired};
use crate::transform::EventTransformer;

/// What is looked at of a migration before it begins: events of a stream, and objects of several.
const FORESEEN_EVENTS: u64 = 256;
const FORESEEN_OBJECTS: usize = 32;

/// Describes a migration; [`execute`](Self::execute) or [`dry_run`](Self::dry_run) ends it.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is executed"]
pub struct MigrationBuilder {
    service: MigrationService,
    scope: Scope,
    source: Option<StreamId>,
    target: Option<std::result::Result<StreamName, String>>,
    target_store: Option<Arc<dyn EventStore>>,
    strategy: MigrationStrategy,
    cutover: CutoverOptions,
    phases: PublishPhases,
    limits: SettingsChange,
    copy: CopyOptions,
    bulk: BulkOptions,
    backup: Option<BackupOptions>,
    books: Option<BookClosingOptions>,
    rollback: bool,
    again: bool,
    on_retired: Option<OnRetired>,
    window: Option<Duration>,
    annotations: BTreeMap<String, String>,
    depth: PlanDepth,
    run: RunOptions,
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

    /// The limits that it begins with; [`MigrationControl::set`](super::MigrationControl::set)
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

    fn check_strategy(&self) -> Result<()> {
        match self.strategy {
            MigrationStrategy::CopyAndTransform => Ok(()),
            other => Err(
                Error::unsupported(format!("strategy is not built yet: {other:?}"))
                    .with_hint("use CopyAndTransform"),
            ),
        }
    }

    /// Objects that are in another store than the home store are asked about when they are met.
    fn check_stores(&self) -> Result<()> {
        let home = self.service.stores.home();
        home.capabilities().ensure_source()?;
        let target = self.target_store.as_ref().unwrap_or(home);
        target.capabilities().ensure_target()
    }

    fn check_scope(&self) -> Result<()> {
        if let Scope::Objects(objects) = &self.scope {
            if objects.is_empty() {
                return Err(Error::invalid("no object to migrate"));
            }
            let mut seen = std::collections::HashSet::new();
            if let Some(twice) = objects.iter().find(|o| !seen.insert(*o)) {
                return Err(Error::invalid(format!("object is named twice: {twice}")));
            }
        }
        if self.scope.single().is_none() && (self.source.is_some() || self.target.is_some()) {
            return Err(Error::invalid(
                "from_stream and to_stream are for a single object",
            ));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<()> {
        let positive = [
            ("cell events", self.copy.cell_events as u64),
            ("cell bytes", self.copy.cell_bytes),
            ("concurrency", self.bulk.concurrency as u64),
            ("batch", self.bulk.batch_objects as u64),
        ];
        if let Some((what, _)) = positive.iter().find(|(_, n)| *n == 0) {
            return Err(Error::invalid(format!("{what} must not be 0")));
        }
        self.run.check(&self.limits, &self.cutover)?;
        let limits = self.service.stores.limits();
        if self.copy.cell_events as u64 > limits.max_cell_events
            || self.copy.cell_bytes > limits.max_cell_bytes
        {
            let message = format!(
                "cells are larger than the store accepts: {} events and {} bytes of at most {} \
                 and {}",
                self.copy.cell_events,
                self.copy.cell_bytes,
                limits.max_cell_events,
                limits.max_cell_bytes
            );
            return Err(Error::invalid(message));
        }
        let lock = &self.run.lock;
        match lock.heartbeat.is_zero() || lock.heartbeat * 2 > lock.lease {
            true => Err(Error::invalid(format!(
                "the lock's heartbeat must be more than 0 and at most half of its lease: {:?} of \
                 {:?}",
                lock.heartbeat, lock.lease
            ))),
            false => Ok(()),
        }
    }

    /// Checks what can be checked of a single object before anything is touched; answers what it
    /// looked at.
    async fn check_object(
        &self,
        plan: &PlannedMigration,
    ) -> Result<Option<(ObjectDocument, ChainEnd)>> {
        let Some(object) = plan.scope.single() else {
            return Ok(None);
        };
        let documents = Documents::new(Arc::clone(&self.service.records));
        let document = documents.load(object).await?.document;
        let end = crate::chain::follow_in(&self.service.stores, document.active.clone()).await?;
        if let Some(source) = plan.source.as_ref().filter(|s| **s != end.stream) {
            let message = format!("not the active stream of {object}: {source}");
            return Err(Error::invalid(message)
                .with_hint(format!("the active stream is {}", end.stream.stream)));
        }
        let source_store = self.service.stores.of(&end.stream)?;
        source_store.capabilities().ensure_source()?;
        let same = plan
            .target
            .as_ref()
            .is_some_and(|target| is_same(target, &end.stream.stream));
        match same {
            true => Err(
                Error::invalid(format!("the target is the source: {}", end.stream.stream))
                    .with_hint("give the target another name"),
            ),
            false => Ok(Some((document, end))),
        }
    }

    /// R11: where changed events keep their schema, `on_retired` must be chosen. Most
    /// transformations show it by the first events that they are given, so it is known before
    /// anything is touched; an event that shows it only later stops its object before the first
    /// cell of the target is written.
    async fn check_choice(
        &self,
        plan: &PlannedMigration,
        single: Option<(ObjectDocument, ChainEnd)>,
    ) -> Result<()> {
        if plan.on_retired.is_some() || self.run.transformer.is_none() {
            return Ok(());
        }
        let events_per_stream = FORESEEN_EVENTS;
        let depth = PlanDepth::Sample { events_per_stream };
        let planner = Planner::new(&self.service, plan.clone(), &self.run, depth);
        let reused = match single {
            Some((document, end)) => planner.reused(document, &end).await,
            None => planner.reused_by_the_first(FORESEEN_OBJECTS).await,
        };
        match reused {
            Some(schema) => Err(unsaid(&schema)),
            None => Ok(()),
        }
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

/// Whether a logical name names this stream: its id, or its id without the suffix.
fn is_same(name: &StreamName, stream: &StreamId) -> bool {
    let id = stream.as_str();
    let logical = id.rsplit_once('.').map_or(id, |(logical, _)| logical);
    name.as_str() == id || name.as_str() == logical
}

fn no_provider(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("no provider for the {what}"))
        .with_hint("give one, or give the service one with with_backups")
}
