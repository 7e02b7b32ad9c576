//! A world with processes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{HolderId, MigrationId, ObjectId, StreamId};
use esm_core::migration::{
    MigrationResult, MigrationService, MigrationState, ResumeBuilder, RollBackBuilder,
};
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::store::LockProvider;
use esm_core::{Error, Result};
use futures::TryStreamExt as _;

use super::writer::Writer;
use super::{Place, Scenario};
use crate::faults::{Actor, At, Crashed, Fault, FaultPlan, Interjection};
use crate::memory::{MemoryLocks, MemoryWorld};
use crate::observe::{History, Observer};
use crate::tap::Operation;
use crate::{SeededRandomness, environment};

/// More than two leases: every lock of a dead process has expired by then.
const TWO_LEASES: Duration = Duration::from_secs(150);

/// A world with the objects of a scenario, and the processes that migrate them.
#[derive(Debug)]
pub(super) struct Simulation<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) place: Place,
    pub(super) locks: MemoryLocks,
    pub(super) plan: FaultPlan,
    /// The events that applications appended: the objects' first ones, and those of writers.
    pub(super) histories: BTreeMap<ObjectId, History>,
    environment: Environment,
    writers: Arc<Vec<Writer>>,
}

/// A process: its service, and the actor whose crash ends it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) actor: Actor,
    pub(super) service: MigrationService,
}

impl<'a> Simulation<'a> {
    /// # Errors
    /// Those of the scenario: an object named twice, a cell without events.
    pub(super) async fn new(scenario: &'a Scenario, plan: FaultPlan) -> Result<Self> {
        let environment = environment(0);
        let place = match &scenario.place {
            Some(place) => place().await?,
            None => MemoryWorld::new(environment.clone()).into(),
        };
        let (event_store, records) = (&place.event_store, &place.records);
        let client = ObjectClient::new(
            Arc::clone(records),
            Arc::clone(event_store),
            environment.clone(),
        );
        let mut observer = Observer::new(Arc::clone(event_store), Arc::clone(records))
            .transformation(Arc::clone(&scenario.transformer))
            .transformation(scenario.applied());
        let mut histories = BTreeMap::new();
        let mut writers = Vec::new();
        for (object, cells) in &scenario.objects {
            let history = History::new();
            client.create(object).await?;
            for events in cells {
                let any = ExpectedRevision::Any;
                client.append(object, any, events.clone()).await?;
                history.begin(events.clone()).acknowledged();
            }
            let process = Environment {
                clock: Arc::clone(&environment.clock),
                randomness: Arc::new(SeededRandomness::new(77 + writers.len() as u64)),
            };
            let given = scenario.appends.as_ref();
            let given = given.map(|appends| appends.get(object).cloned().unwrap_or_default());
            let writer = Writer::new(&place, object, &history, process, given);
            writers.push(if scenario.registered {
                writer.registering(Arc::clone(&scenario.transformer))
            } else {
                writer
            });
            histories.insert(object.clone(), history);
            observer = observer.object(object.clone());
        }
        let plan = plan.watched_by(Arc::new(observer));
        Ok(Self {
            scenario,
            locks: MemoryLocks::new(Arc::clone(&environment.clock)),
            place,
            plan,
            histories,
            environment,
            writers: Arc::new(writers),
        })
    }

    /// Returns a process that has just started. Processes of one holder have different seeds too:
    /// the machine is the same, its randomness is not.
    ///
    /// # Errors
    /// `Invalid` for an invalid holder name.
    pub(super) async fn process(&self, holder: &str, seed: u64) -> Result<Process> {
        let locks = Arc::new(self.locks.clone());
        self.process_with(holder, seed, locks).await
    }

    /// Returns a process that no lock stops: every such process has its own locks.
    ///
    /// # Errors
    /// `Invalid` for an invalid holder name.
    pub(super) async fn process_without_lock(&self, holder: &str, seed: u64) -> Result<Process> {
        let locks = MemoryLocks::new(Arc::clone(&self.environment.clock));
        self.process_with(holder, seed, Arc::new(locks)).await
    }

    async fn process_with(
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
            self.place.opened_by(&actor, &environment).await,
            actor.records(Arc::clone(&self.place.records)),
            actor.locks(locks),
        )
        .with_backups(actor.backups(Arc::clone(&self.place.backups)))
        .with_environment(environment)
        .with_holder(HolderId::new(holder)?);
        Ok(Process { actor, service })
    }

    /// Lets writers append an event to the active stream of each object.
    pub(super) fn writer(&self) -> Interjection {
        let writers = Arc::clone(&self.writers);
        Interjection::new(move || {
            let writers = Arc::clone(&writers);
            async move {
                for writer in writers.iter() {
                    writer.append().await;
                }
            }
        })
    }

    /// Lets writers append all events that they were given.
    pub(super) async fn append_the_rest(&self) {
        for writer in self.writers.iter() {
            while writer.append().await {}
        }
    }

    /// Where an undo is swept, runs a process that migrates. It crashes, where the undo of an
    /// unfinished migration is swept.
    ///
    /// # Errors
    /// When the process does not end in this way.
    pub(super) async fn interrupt(&self) -> Result<(), String> {
        if let Some(reversal) = &self.scenario.reversal {
            self.migrate_and_append(&reversal.since).await?;
        }
        let Some(operation) = self.scenario.undone_after else {
            return Ok(());
        };
        let earlier = self.process("earlier", 5).await;
        let earlier = earlier.map_err(|e| e.to_string())?;
        let before = self.plan.log().names().get(operation).copied();
        let next = At::Named(operation, before.unwrap_or_default());
        self.plan.inject(next, Fault::CrashAfter);
        let ended = earlier.actor.run(earlier.begin(self.scenario)).await;
        self.let_leases_pass().await;
        match ended {
            Err(Crashed) => Ok(()),
            Ok(_) => Err(format!("there is no {operation} to interrupt it after")),
        }
    }

    async fn migrate_and_append(&self, since: &[Event]) -> Result<(), String> {
        let migrator = self.process("migrator", 6).await;
        let migrator = migrator.map_err(|e| e.to_string())?;
        let ended = migrator.actor.run(migrator.migrate(self.scenario)).await;
        let ended = ended.map_err(|Crashed| "the migrator crashed")?;
        let ended = ended.map_err(|e| e.to_string())?;
        if !ended.is_success() {
            return Err(format!("what is to be undone fails: {:?}", ended.error));
        }
        for writer in self.writers.iter() {
            for event in since {
                let id = format!("{}-{}", writer.object, event.id);
                let id = id.try_into().map_err(|e: Error| e.to_string())?;
                let event = Event {
                    id,
                    ..event.clone()
                };
                writer.append_this(event).await;
            }
        }
        Ok(())
    }

    /// Returns the streams that have a cell, of all that any operation named.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) async fn streams(&self) -> Result<BTreeSet<StreamId>, String> {
        let operations = self.plan.log().operations();
        let named = operations.iter().filter_map(Operation::stream);
        let first = self.scenario.objects.iter();
        let first = first.map(|(object, _)| StreamId::first(object));
        self.place.present(named.chain(first).collect()).await
    }

    /// Lets every lock of a dead process expire.
    pub(super) async fn let_leases_pass(&self) {
        self.environment.clock.sleep(TWO_LEASES).await;
    }
}

impl Process {
    /// Does what is swept: begins the scenario's migration, or undoes the one that was interrupted.
    ///
    /// # Errors
    /// Those of the saga.
    pub(super) async fn work(&self, scenario: &Scenario) -> Result<MigrationResult> {
        if scenario.undone_after.is_none() {
            return self.begin(scenario).await;
        }
        let unfinished = self.unfinished().await?;
        let interrupted = unfinished.first().map(|state| state.migration);
        let interrupted = interrupted.ok_or_else(|| Error::not_found("nothing to undo"))?;
        self.undo(interrupted).execute().await
    }

    /// Begins what is swept: the scenario's migration, or its undo after the pivot.
    ///
    /// # Errors
    /// Those of the saga.
    pub(super) async fn begin(&self, scenario: &Scenario) -> Result<MigrationResult> {
        let Some(reversal) = &scenario.reversal else {
            return self.migrate(scenario).await;
        };
        let all: Vec<_> = self.service.migrations().try_collect().await?;
        let forward = all.iter().find(|state| {
            let plan = state.plan.as_ref();
            plan.is_some_and(|plan| plan.reverses.is_none())
        });
        let forward = forward.ok_or_else(|| Error::not_found("nothing to undo"))?;
        let builder = self.service.roll_back(forward.migration);
        builder.down(Arc::clone(&reversal.down)).execute().await
    }

    /// Begins the scenario's migration.
    ///
    /// # Errors
    /// Those of the saga.
    pub(super) async fn migrate(&self, scenario: &Scenario) -> Result<MigrationResult> {
        let objects: Vec<_> = scenario.objects.iter().map(|(o, _)| o.clone()).collect();
        let builder = match objects.as_slice() {
            [only] => self.service.migrate(only.clone()),
            _ => self.service.migrate_many(objects),
        };
        let builder = builder.transform(Arc::clone(&scenario.transformer));
        (scenario.describe)(builder).execute().await
    }

    /// Describes how to resume this migration of the scenario.
    pub(super) fn resume(&self, scenario: &Scenario, migration: MigrationId) -> ResumeBuilder {
        let builder = self.service.resume(migration);
        builder.transform(scenario.applied())
    }

    /// Describes how to undo an unfinished migration.
    pub(super) fn undo(&self, migration: MigrationId) -> RollBackBuilder {
        self.service.roll_back(migration).undo_only()
    }

    /// Returns the migrations that were planned and have not ended.
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
