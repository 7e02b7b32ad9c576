//! The builder that rolls back a migration.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::id::MigrationId;
use crate::migration::describe::options::RunOptions;
use crate::migration::describe::run_methods::run_methods;
use crate::migration::plan::migration_plan::{MigrationPlan, PlanDepth};
use crate::migration::plan::planner::Planner;
use crate::migration::report::result::MigrationResult;
use crate::migration::service::{MigrationService, unknown};
use crate::protocol::control::SettingsChange;
use crate::protocol::gate::CutoverOptions;
use crate::protocol::journal::{JournalState, Outcome};
use crate::protocol::plan::{OnFailure, PlannedMigration, Reverses, WayBack};
use crate::protocol::routing::PublishPhases;
use crate::transform::{EventTransformer, Identity};

/// Rolls back a migration; [`execute`](Self::execute) or [`dry_run`](Self::dry_run) starts it.
///
/// - A migration that has not ended is undone as far as it has not passed its pivots: sources are
///   fenced, targets discarded ([R17](crate::protocol#r17)).
/// - A migration that has ended is reversed ([R18](crate::protocol#r18)): a new migration moves
///   every object to a fresh stream that holds the originals unchanged, followed by the events
///   appended since. Only objects that the first migration moved, and no other has moved since,
///   take part. The new migration is resumed, watched and rolled back like any other.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is executed"]
pub struct RollBackBuilder {
    service: MigrationService,
    migration: MigrationId,
    reason: String,
    run: RunOptions,
    concurrency: Option<usize>,
    on_failure: OnFailure,
    limits: SettingsChange,
    cutover: CutoverOptions,
    undo_only: bool,
    annotations: BTreeMap<String, String>,
}

/// The effect of a rollback.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum RollBackPlan {
    /// The migration has not ended: objects that have not passed their pivot are undone.
    Undo {
        /// The plan of the migration that is undone.
        planned: Box<PlannedMigration>,
    },
    /// The migration has ended: a new migration reverses it.
    Reverse {
        /// The plan of the new migration.
        plan: Box<MigrationPlan>,
    },
}

/// How a migration is rolled back, depending on whether it has ended.
enum Way {
    Undo(Box<PlannedMigration>),
    Reverse(Box<PlannedMigration>),
}

impl RollBackBuilder {
    pub(crate) fn new(service: MigrationService, migration: MigrationId) -> Self {
        let mut run = RunOptions::default();
        // waits until the lock of a dead holder has expired
        run.lock.timeout = run.lock.lease + run.lock.heartbeat;
        Self {
            service,
            migration,
            reason: "asked for".to_owned(),
            run,
            concurrency: None,
            on_failure: OnFailure::default(),
            limits: SettingsChange::default(),
            cutover: CutoverOptions::default(),
            undo_only: false,
            annotations: BTreeMap::new(),
        }
    }

    /// Sets the reason that the journal records.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Sets the transformation of events that were appended after the migration to the schemas of
    /// old code.
    ///
    /// An event of a schema that it does not handle is copied unchanged if the originals have
    /// events of that schema; otherwise it stops the rollback before the first write. An undo
    /// before the pivot needs no `down`.
    pub fn down(mut self, down: impl EventTransformer) -> Self {
        self.run.transformer = Some(Arc::new(down));
        self
    }

    run_methods!();

    /// Sets how many objects are reversed concurrently. Defaults to the migration's concurrency.
    pub fn concurrency(mut self, objects: usize) -> Self {
        self.concurrency = Some(objects);
        self
    }

    /// Sets what happens if one of several objects cannot be reversed, for example because another
    /// migration has moved it on. Defaults to stopping before the first write.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Refuses a migration that has ended instead of reversing it: for a caller that means to undo
    /// objects before their cutover, and may be too late.
    pub fn undo_only(mut self) -> Self {
        self.undo_only = true;
        self
    }

    /// Sets the initial limits of a reverse migration.
    /// [`MigrationControl::set`](crate::migration::MigrationControl::set) changes them while it
    /// runs.
    pub fn limits(mut self, limits: SettingsChange) -> Self {
        self.limits = limits;
        self
    }

    /// Sets when a reverse migration may close a stream that is ready. Defaults to immediately.
    pub fn cutover(mut self, options: CutoverOptions) -> Self {
        self.cutover = options;
        self
    }

    /// Adds user metadata to the plan of a reverse migration.
    pub fn annotate(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Returns the effect of the rollback. Writes nothing.
    ///
    /// For a reverse migration, all events that were appended since are transformed; the plan lists
    /// those that fail.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn dry_run(self) -> Result<RollBackPlan> {
        Ok(match self.way().await? {
            Way::Undo(planned) => RollBackPlan::Undo { planned },
            Way::Reverse(planned) => {
                let plan = Box::new(self.planner(&planned).plan().await?);
                RollBackPlan::Reverse { plan }
            }
        })
    }

    /// Executes the rollback.
    ///
    /// # Errors
    /// Only refusals before the first write; later failures are in the result.
    /// - `Invalid` for invalid hooks, limits or cutover options, naming the fault.
    /// - `NotFound` for an unknown migration, or one that never recorded a plan.
    /// - `TransformFailed`, naming the first event that needs a `down` and has none, or on which
    ///   the `down` fails.
    /// - `Conflict`, naming the object and the migration, if another migration has moved it on
    ///   since.
    /// - `Stuck` if the window in which the migration could be rolled back is over.
    /// - `LockHeld` while another process holds the lock.
    /// - `AlreadyExists` for an unfinished migration of the same objects, such as an earlier
    ///   reverse migration: resume that one. With [`undo_only`](Self::undo_only), also for a
    ///   migration that has ended.
    ///
    /// # Idempotence
    /// May be repeated: objects that are already reversed stay as they are.
    pub async fn execute(mut self) -> Result<MigrationResult> {
        match self.way().await? {
            Way::Undo(_) => {
                self.run.transformer = None;
                self.run.undo = true;
                let (service, reason) = (self.service, self.reason);
                service
                    .roll_back_run(self.migration, &reason, self.run)
                    .await
            }
            Way::Reverse(planned) => {
                let survey = self.planner(&planned).survey().await?;
                self.run.totals = Some(survey.totals);
                if let Some(problem) = survey
                    .problem
                    .filter(|_| self.on_failure == OnFailure::Stop)
                {
                    return Err(problem);
                }
                self.service.run(*planned, self.run).await
            }
        }
    }

    fn planner(&self, planned: &PlannedMigration) -> Planner {
        Planner::new(&self.service, planned.clone(), &self.run, PlanDepth::All)
    }

    async fn way(&self) -> Result<Way> {
        self.run.check(&self.limits, &self.cutover)?;
        let journal = self.service.journal(self.migration).await?;
        let state = journal.state();
        if state.next_number == 0 {
            return Err(unknown(self.migration));
        }
        let Some(plan) = &state.plan else {
            let message = format!("the migration never recorded a plan: {}", self.migration);
            return Err(Error::not_found(message).with_hint("there is nothing to roll back"));
        };
        match state.outcome {
            None => Ok(Way::Undo(plan.clone())),
            Some(_) if self.undo_only => {
                let status = state.status();
                let message = format!("the migration has ended, {status}: {}", self.migration);
                Err(Error::new(ErrorKind::AlreadyExists, message)
                    .with_hint("nothing is left to undo; to migrate back, leave out `undo_only`"))
            }
            Some(_) => Ok(Way::Reverse(Box::new(self.reverse(plan, state)?))),
        }
    }

    /// Returns the plan of the reverse migration of one that has ended.
    fn reverse(&self, plan: &PlannedMigration, state: &JournalState) -> Result<PlannedMigration> {
        let now = self.service.environment.clock.now();
        if state.outcome == Some(Outcome::Completed) {
            refuse_final(plan, state, now)?;
        }
        let down = self.run.transformer.as_ref();
        let reverses = Reverses {
            migration: self.migration,
            fingerprint: plan.fingerprint.clone(),
            down: down.map_or_else(|| Identity.fingerprint(), |down| down.fingerprint()),
        };
        let mut annotations = self.annotations.clone();
        annotations.insert(REASON.to_owned(), self.reason.clone());
        let mut bulk = plan.bulk;
        bulk.on_failure = self.on_failure;
        bulk.concurrency = self.concurrency.unwrap_or(bulk.concurrency).max(1);
        Ok(PlannedMigration {
            migration: self.service.environment.migration_id(),
            created_at: now,
            store: self.service.stores.home().id(),
            source: None,
            target: None,
            // each object returns to the store of its originals
            target_store: None,
            fingerprint: reverses.fingerprint(),
            bulk,
            // applications learn of it from the streams: see the decision on rollbacks
            phases: PublishPhases::Never,
            cutover: self.cutover,
            throttle: self.limits,
            backup: None,
            close_books: None,
            rollback_on_failure: false,
            again: false,
            // set, so that a `down` that keeps a schema is not refused
            on_retired: Some(plan.on_retired.unwrap_or_default()),
            reverses: Some(reverses),
            way_back: WayBack::default(),
            annotations,
            ..plan.clone()
        })
    }
}

/// The annotation that holds the reason of a reverse migration.
const REASON: &str = "esm.reason";

/// Refuses a migration whose rollback window is over. A policy, not a safety limit: nothing is
/// deleted when the window ends.
fn refuse_final(plan: &PlannedMigration, state: &JournalState, now: jiff::Timestamp) -> Result<()> {
    let (Some(window), Some(ended)) = (plan.way_back.window, state.updated_at) else {
        return Ok(());
    };
    let until = ended.checked_add(window).unwrap_or(jiff::Timestamp::MAX);
    if now <= until {
        return Ok(());
    }
    let message = format!(
        "the window to roll back migration {} is over: final since {until:.0}",
        plan.migration
    );
    Err(Error::new(ErrorKind::Stuck, message).with_hint(
        "to migrate back anyway, begin a new migration with a transformation to the old schemas",
    ))
}
