//! A world with processes in it.

use std::sync::Arc;
use std::time::Duration;

use esm_core::Result;
use esm_core::clock::Environment;
use esm_core::id::{HolderId, MigrationId};
use esm_core::migration::{MigrationResult, MigrationService, MigrationState, ResumeBuilder};
use esm_core::store::LockProvider;
use futures::TryStreamExt as _;

use super::Scenario;
use crate::faults::{Actor, FaultPlan};
use crate::memory::{MemoryLocks, MemoryWorld};
use crate::observe::Observer;
use crate::{SeededRandomness, environment};

/// More than two leases: every lock of a dead process has expired by then.
const TWO_LEASES: Duration = Duration::from_secs(150);

/// A world with the objects of a scenario, and the processes that migrate them.
#[derive(Debug)]
pub(super) struct Simulation<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) world: MemoryWorld,
    pub(super) plan: FaultPlan,
    environment: Environment,
}

/// A process: its service, and the actor whose crash ends it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) actor: Actor,
    pub(super) service: MigrationService,
}

impl<'a> Simulation<'a> {
    /// # Errors
    /// Those of the scenario: an object twice, a cell without events.
    pub(super) async fn new(scenario: &'a Scenario, plan: FaultPlan) -> Result<Self> {
        let environment = environment(0);
        let world = MemoryWorld::new(&environment);
        let mut observer = Observer::new(world.event_store(), world.records())
            .transformation(Arc::clone(&scenario.transformer));
        for (object, cells) in &scenario.objects {
            let cells = cells.iter().cloned();
            world.create_object(&environment, object, cells).await?;
            observer = observer.object(object.clone());
        }
        let plan = plan.watched_by(Arc::new(observer));
        Ok(Self {
            scenario,
            world,
            plan,
            environment,
        })
    }

    /// A process that has just started. Processes of one holder have different seeds too: the
    /// machine is the same, its randomness is not.
    ///
    /// # Errors
    /// `Invalid` for a holder that is no name.
    pub(super) fn process(&self, holder: &str, seed: u64) -> Result<Process> {
        self.process_with(holder, seed, self.world.locks())
    }

    /// A process that no lock keeps from anything: every process has its own locks.
    ///
    /// # Errors
    /// `Invalid` for a holder that is no name.
    pub(super) fn process_without_lock(&self, holder: &str, seed: u64) -> Result<Process> {
        let locks = MemoryLocks::new(Arc::clone(&self.environment.clock));
        self.process_with(holder, seed, Arc::new(locks))
    }

    fn process_with(
        &self,
        holder: &str,
        seed: u64,
        locks: Arc<dyn LockProvider>,
    ) -> Result<Process> {
        let actor = self.plan.actor(format!("{holder}-{seed}"));
        let environment = Environment {
            clock: Arc::clone(&self.environment.clock),
            randomness: Arc::new(SeededRandomness::new(seed)),
        };
        let service = MigrationService::new(
            actor.event_store(self.world.event_store()),
            actor.records(self.world.records()),
            actor.locks(locks),
        )?
        .with_backups(actor.backups(self.world.backups()))
        .with_environment(environment)
        .with_holder(HolderId::new(holder)?);
        Ok(Process { actor, service })
    }

    /// Lets every lock of a dead process expire.
    pub(super) async fn let_leases_pass(&self) {
        self.environment.clock.sleep(TWO_LEASES).await;
    }
}

impl Process {
    /// Begins the scenario's migration.
    ///
    /// # Errors
    /// Those of the saga.
    pub(super) async fn begin(&self, scenario: &Scenario) -> Result<MigrationResult> {
        let objects: Vec<_> = scenario.objects.iter().map(|(o, _)| o.clone()).collect();
        let builder = match objects.as_slice() {
            [only] => self.service.migrate(only.clone()),
            _ => self.service.migrate_many(objects),
        };
        let builder = builder.transform_with(Arc::clone(&scenario.transformer));
        (scenario.describe)(builder).execute().await
    }

    /// Describes how this migration of the scenario is gone on with.
    pub(super) fn resume(&self, scenario: &Scenario, migration: MigrationId) -> ResumeBuilder {
        let builder = self.service.resume(migration);
        builder.transform_with(Arc::clone(&scenario.transformer))
    }

    /// The migrations that were planned and have not ended.
    ///
    /// # Errors
    /// Those of the records.
    pub(super) async fn unfinished(&self) -> Result<Vec<MigrationState>> {
        let active: Vec<_> = self.service.active().try_collect().await?;
        Ok(active
            .into_iter()
            .filter(|state| state.plan.is_some())
            .collect())
    }
}
