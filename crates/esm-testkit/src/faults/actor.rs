//! A simulated process.

use std::sync::Arc;

use esm_core::backup::BackupService;
use esm_core::migration::MigrationService;
use esm_core::router::ObjectClient;
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};
use esm_core::{Error, ErrorKind, Result};
use esm_foreign::NativeStore;
use futures::future::pending;
use tokio_util::sync::CancellationToken;

use super::{
    Fault, FaultPlan, FaultyBackups, FaultyEventStore, FaultyLocks, FaultyNativeStore,
    FaultyRecords,
};
use crate::memory::MemoryWorld;
use crate::tap::{Call, Effect, Operation, Outcome, Tap};

/// A simulated process: gives out decorated stores, and crashes where the plan requires it. A
/// handle: clones are the same process.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records};
/// use esm_testkit::faults::{Crashed, FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
///
/// let process = FaultPlan::new().actor("migrator");
/// let records = process.records(Arc::new(MemoryRecords::new()));
/// process.crash();
/// let ended = process.run(records.latest(&RecordKey::Index)).await;
/// assert!(matches!(ended, Err(Crashed)) && process.has_crashed());
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Actor {
    name: String,
    plan: FaultPlan,
    crashed: CancellationToken,
}

/// The process crashed before its work was done.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records};
/// use esm_testkit::faults::{At, Crashed, Fault, FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
///
/// let plan = FaultPlan::new().with(At::Operation(0), Fault::CrashBefore);
/// let process = plan.actor("migrator");
/// let records = process.records(Arc::new(MemoryRecords::new()));
/// let ended = process.run(async { records.latest(&RecordKey::Index).await.is_ok() }).await;
/// assert_eq!(ended, Err(Crashed));
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crashed;

/// A call that has begun.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use esm_testkit::faults::{At, Fault, FaultPlan, Started};
/// use esm_testkit::tap::{Call, Effect, Tap as _};
///
/// // a call on your own trait, counted and disturbed as those on the traits of esm
/// let plan = FaultPlan::new().with(At::Named("mails.send", 0), Fault::FailAfter);
/// let process = plan.actor("app");
/// let (name, key, effect) = ("mails.send", "eve".into(), Effect::Write);
/// let call = Call { name, key, effect, once: true };
/// let started: Started = process.begin(call).await?;
/// assert!(process.end(started, Ok(())).await.is_err());
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Started {
    operation: Operation,
    fault: Option<Fault>,
}

impl FaultPlan {
    /// Returns a simulated process of this name, whose calls this plan counts. An actor that has
    /// crashed stays crashed: the process that starts next is another actor.
    pub fn actor(&self, name: impl Into<String>) -> Actor {
        Actor::new(name.into(), self.clone())
    }
}

impl Actor {
    fn new(name: String, plan: FaultPlan) -> Self {
        Self {
            name,
            plan,
            crashed: CancellationToken::new(),
        }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns this store as the process sees it.
    pub fn event_store(&self, inner: Arc<dyn EventStore>) -> Arc<dyn EventStore> {
        Arc::new(FaultyEventStore::new(inner, self.clone()))
    }

    /// Returns these records as the process sees them.
    pub fn records(&self, inner: Arc<dyn Records>) -> Arc<dyn Records> {
        Arc::new(FaultyRecords::new(inner, self.clone()))
    }

    /// Returns this lock provider as the process sees it.
    pub fn locks(&self, inner: Arc<dyn LockProvider>) -> Arc<dyn LockProvider> {
        Arc::new(FaultyLocks::new(inner, self.clone()))
    }

    /// Returns this backup provider as the process sees it.
    pub fn backups(&self, inner: Arc<dyn BackupProvider>) -> Arc<dyn BackupProvider> {
        Arc::new(FaultyBackups::new(inner, self.clone()))
    }

    /// Returns this native store as the process sees it: the faults hit below the event store built
    /// on it.
    pub fn native_store(&self, inner: Arc<dyn NativeStore>) -> Arc<dyn NativeStore> {
        Arc::new(FaultyNativeStore::new(inner, self.clone()))
    }

    /// Returns the migration service of the process, over the stores and the time of this world.
    pub fn migration_service(&self, world: &MemoryWorld) -> MigrationService {
        let (store, records) = (world.event_store(), world.records());
        let service = MigrationService::new(
            self.event_store(store),
            self.records(records),
            self.locks(world.locks()),
        );
        let service = service.with_backups(self.backups(world.backups()));
        service.with_environment(world.environment.clone())
    }

    /// Returns the backup service of the process, over the stores and the time of this world.
    pub fn backup_service(&self, world: &MemoryWorld) -> BackupService {
        let (store, records) = (world.event_store(), world.records());
        let (store, records) = (self.event_store(store), self.records(records));
        BackupService::new(store, records, self.backups(world.backups()))
            .with_environment(world.environment.clone())
    }

    /// Returns the client of an application in this process, over the stores and the time of this
    /// world.
    pub fn client(&self, world: &MemoryWorld) -> ObjectClient {
        let (store, records) = (world.event_store(), world.records());
        let (store, records) = (self.event_store(store), self.records(records));
        ObjectClient::new(records, store, world.environment.clone())
    }

    /// Waits until it has crashed.
    pub async fn crashed(&self) {
        self.crashed.cancelled().await;
    }

    /// Returns whether it has crashed.
    pub fn has_crashed(&self) -> bool {
        self.crashed.is_cancelled()
    }

    /// Crashes it now, wherever it is.
    pub fn crash(&self) {
        self.crashed.cancel();
    }

    /// Runs the process until its work is done, or until it crashes and its future is dropped.
    ///
    /// # Errors
    /// When it crashed.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Crashed> {
        tokio::select! {
            biased;
            () = self.crashed() => Err(Crashed),
            done = work => Ok(done),
        }
    }

    async fn die<T>(&self, mut operation: Operation) -> T {
        self.plan.log().end(&mut operation, Outcome::Crashed);
        self.crash();
        pending().await
    }

    fn answer<T>(&self, mut operation: Operation, answer: Result<T>) -> Result<T> {
        self.plan.log().end(&mut operation, Outcome::of(&answer));
        answer
    }
}

impl Tap for Actor {
    type Started = Started;

    async fn begin(&self, call: Call) -> Result<Started> {
        if self.crashed.is_cancelled() {
            return pending().await;
        }
        let operation = self.plan.log().begin(&self.name, call);
        if self.plan.is_over_limit(&operation) {
            return self.die(operation).await;
        }
        let fault = self.plan.fault(&operation);
        match &fault {
            Some(Fault::FailBefore) => {
                let message = format!("injected before {}", operation.call.name);
                return self.answer(operation, Err(Error::new(ErrorKind::Unavailable, message)));
            }
            Some(Fault::CrashBefore) => return self.die(operation).await,
            Some(Fault::Stall(gate)) => gate.pass().await,
            Some(Fault::Delay(duration)) => delay(*duration).await,
            Some(Fault::Interject(step)) => step.happen().await,
            Some(Fault::FailAfter | Fault::Duplicate | Fault::CrashAfter) | None => {}
        }
        if self.crashed.is_cancelled() {
            return self.die(operation).await;
        }
        Ok(Started { operation, fault })
    }

    fn twice(&self, started: &Started) -> bool {
        matches!(started.fault, Some(Fault::Duplicate))
    }

    async fn end<T: Send>(&self, started: Started, result: Result<T>) -> Result<T> {
        let Started { operation, fault } = started;
        self.plan.watch(&operation).await;
        match fault {
            Some(Fault::CrashAfter) => self.die(operation).await,
            Some(Fault::FailAfter) => {
                let kind = match operation.call.effect {
                    Effect::Write => ErrorKind::Ambiguous,
                    Effect::Read => ErrorKind::Unavailable,
                };
                let message = format!("injected after {}", operation.call.name);
                self.answer(operation, Err(Error::new(kind, message)))
            }
            _ => self.answer(operation, result),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a fault of the world, not of the code under test"
)]
async fn delay(duration: std::time::Duration) {
    tokio::time::sleep(duration).await;
}
