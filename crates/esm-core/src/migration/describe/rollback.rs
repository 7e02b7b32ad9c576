//! Describing how a migration is rolled back, wherever it stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::id::MigrationId;
use crate::migration::describe::options::RunOptions;
use crate::migration::describe::run_methods::run_methods;
use crate::migration::plan::plan::{MigrationPlan, PlanDepth};
use crate::migration::plan::planner::Planner;
use crate::migration::report::result::MigrationResult;
use crate::migration::service::{MigrationService, unknown};
use crate::protocol::control::SettingsChange;
use crate::protocol::gate::CutoverOptions;
use crate::protocol::journal::{JournalState, Outcome};
use crate::protocol::planned::{OnFailure, PlannedMigration};
use crate::protocol::reversal::{Reverses, WayBack};
use crate::protocol::routing::PublishPhases;
use crate::transform::{EventTransformer, Identity};

/// Describes how a migration is rolled back; [`execute`](Self::execute) or
/// [`dry_run`](Self::dry_run) ends it.
///
/// What is done depends on where the migration stands. One that has not ended is undone as far as it
/// has not passed its pivots: sources are fenced, targets discarded (R17). One that has ended is
/// reversed (R18): a migration of its own moves every object, that it has moved and nothing else has
/// since, to a fresh stream, which holds the originals as they were and then what has been appended
/// since. That one is resumed, watched and rolled back like every other.
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

/// What rolling back would do.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum RollBackPlan {
    /// The migration has not ended: what has not passed its pivot is undone.
    Undo {
        /// What it was to do.
        planned: Box<PlannedMigration>,
    },
    /// It has ended: it is reversed by this migration.
    Reverse {
        /// The plan.
        plan: Box<MigrationPlan>,
    },
}

/// Where a migration stands that is to be rolled back.
enum Way {
    Undo(Box<PlannedMigration>),
    Reverse(Box<PlannedMigration>),
}

impl RollBackBuilder {
    pub(crate) fn new(service: MigrationService, migration: MigrationId) -> Self {
        let mut run = RunOptions::default();
        // a holder that died is waited for: its lock expires
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

    /// Why, for the journal.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// How events that were appended after the migration become what old code knows. An event of a
    /// schema that it does not handle goes back as it is where the originals have such events; else
    /// it stops the rollback, before anything is touched. An undo before the pivot needs none.
    pub fn down(mut self, down: impl EventTransformer) -> Self {
        self.run.transformer = Some(Arc::new(down));
        self
    }

    run_methods!();

    /// How many of several objects are reversed at the same time; as many as the migration unless
    /// told.
    pub fn concurrency(mut self, objects: usize) -> Self {
        self.concurrency = Some(objects);
        self
    }

    /// What to do when one of several objects cannot be reversed, such as one that another migration
    /// has moved on. Unless told, nothing is touched then.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Refuses a migration that has ended, instead of beginning one back: for who means to undo what
    /// has not been cut over, and may come too late.
    pub fn undo_only(mut self) -> Self {
        self.undo_only = true;
        self
    }

    /// The limits that a reverse migration begins with;
    /// [`MigrationControl::set`](crate::migration::MigrationControl::set) changes them while it
    /// runs.
    pub fn limits(mut self, limits: SettingsChange) -> Self {
        self.limits = limits;
        self
    }

    /// When a reverse migration may close a stream that is ready; at once unless told.
    pub fn cutover(mut self, options: CutoverOptions) -> Self {
        self.cutover = options;
        self
    }

    /// Puts the user's own words into the plan of a reverse migration.
    pub fn annotate(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Finds out what would be done; writes nothing. Of a reverse migration all events are
    /// transformed that were appended since; those that fail are in the plan.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn dry_run(self) -> Result<RollBackPlan> {
        Ok(match self.way().await? {
            Way::Undo(planned) => RollBackPlan::Undo { planned },
            Way::Reverse(planned) => {
                let (plan, _) = self.planner(&planned).survey().await?;
                let plan = Box::new(plan);
                RollBackPlan::Reverse { plan }
            }
        })
    }

    /// Rolls back.
    ///
    /// # Errors
    /// What was refused before anything was touched; what happens later is in the result.
    /// - `Invalid` for hooks, limits or a cutover that nothing can begin with, saying which.
    /// - `NotFound` for an unknown migration, or one that never planned anything.
    /// - `TransformFailed`, naming the first event that needs a `down` and has none, or on which it
    ///   fails.
    /// - `Conflict`, naming the object and the migration, where another has moved it on since.
    /// - `Stuck` when the time is over in which it could be rolled back.
    /// - `LockHeld` when somebody works on it; `AlreadyExists` for an unfinished migration of the same
    ///   objects, such as an earlier reverse migration: resume that one; and for one that has ended,
    ///   with [`undo_only`](Self::undo_only).
    ///
    /// # Idempotence
    /// May be repeated: what is reversed already needs nothing.
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
                let (_, problem) = self.planner(&planned).survey().await?;
                if let Some(problem) = problem.filter(|_| self.on_failure == OnFailure::Stop) {
                    return Err(problem);
                }
                self.service.execute(*planned, self.run).await
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
            let message = format!("it never planned anything: migration {}", self.migration);
            return Err(Error::not_found(message).with_hint("there is nothing to roll back"));
        };
        match state.outcome {
            None => Ok(Way::Undo(plan.clone())),
            Some(_) if self.undo_only => {
                let status = state.status();
                let message = format!("the migration has ended, {status}: {}", self.migration);
                Err(Error::new(ErrorKind::AlreadyExists, message)
                    .with_hint("there is nothing to undo; without undo_only it is migrated back"))
            }
            Some(_) => Ok(Way::Reverse(Box::new(self.reverse(plan, state)?))),
        }
    }

    /// The reverse migration of one that has ended.
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
            source: None,
            target: None,
            // each goes to where its originals are
            target_store: None,
            fingerprint: reverses.fingerprint(),
            bulk,
            // applications hear of it from the streams: see the decision on rollbacks
            phases: PublishPhases::Never,
            cutover: self.cutover,
            throttle: self.limits,
            backup: None,
            close_books: None,
            rollback_on_failure: false,
            again: false,
            // said, so that a `down` that keeps a schema is no reason to refuse
            on_retired: Some(plan.on_retired.unwrap_or_default()),
            reverses: Some(reverses),
            way_back: WayBack::default(),
            annotations,
            ..plan.clone()
        })
    }
}

/// Where a reverse migration's plan keeps why it was asked for.
const REASON: &str = "esm.reason";

/// A matter of what was promised, not of safety: nothing is deleted when the time is over.
fn refuse_final(plan: &PlannedMigration, state: &JournalState, now: jiff::Timestamp) -> Result<()> {
    let (Some(window), Some(ended)) = (plan.way_back.window, state.updated_at) else {
        return Ok(());
    };
    let until = ended.checked_add(window).unwrap_or(jiff::Timestamp::MAX);
    if now <= until {
        return Ok(());
    }
    let message = format!(
        "the time is over in which migration {} could be rolled back: it was final from {until} on",
        plan.migration
    );
    Err(Error::new(ErrorKind::Stuck, message).with_hint(
        "to go back all the same, begin a new migration with a transformation to the old schemas",
    ))
}
