//! What every step of a run shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::clock::Environment;
use crate::cutover::attempt::Attempt;
use crate::cutover::checks::VerificationCheck;
use crate::cutover::meter::{Meter, Stage};
use crate::cutover::source::originals::Originals;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Epoch, MigrationId, StreamRef};
use crate::migration::control::steering::Steering;
use crate::migration::journal::Journal;
use crate::migration::limits::hooks::{HookEvent, HookPoint, Hooks};
use crate::migration::limits::in_flight::Requests;
use crate::migration::limits::throttle::{LOOK, Throttle};
use crate::migration::lock::held_lock::HeldLock;
use crate::migration::report::progress::Reporter;
use crate::migration::step::standing as reverse;
use crate::object::{Documents, ObjectDocument};
use crate::protocol::planned::PlannedMigration;
use crate::protocol::status::MigrationStatus;
use crate::store::{BackupProvider, EventStore, LockInfo, LockProvider, Records, Stores};
use crate::transform::Mapper;

/// What every step of a run shares.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) stores: Stores,
    pub(crate) documents: Documents,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) locks: Arc<dyn LockProvider>,
    pub(crate) backups: Option<Arc<dyn BackupProvider>>,
    pub(crate) archives: Option<Arc<dyn BackupProvider>>,
    pub(crate) environment: Environment,
    pub(crate) mapper: Mapper,
    pub(crate) plan: PlannedMigration,
    pub(crate) checks: Vec<Arc<dyn VerificationCheck>>,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) steering: Steering,
    pub(crate) throttle: Throttle,
    pub(crate) requests: Arc<Requests>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) hooks: Hooks,
    /// Hooks that went wrong and have no veto.
    pub(crate) hook_faults: AtomicU64,
    /// Whether this run has looked for phases that earlier migrations left behind.
    pub(crate) phases_swept: AtomicBool,
    pub(crate) stop: Stop,
    pub(crate) journal: Mutex<Journal>,
}

impl Context {
    pub(crate) fn migration(&self) -> MigrationId {
        self.plan.migration
    }

    /// Goes on, or says why not: where work may stop at any time.
    ///
    /// # Errors
    /// Those of [`Stop::check`]; `Cancelled` when the migration is to be undone.
    pub(crate) fn check(&self) -> Result<()> {
        self.stop.check()?;
        match self.steering.undo() {
            Some(undo) => Err(Error::new(ErrorKind::Cancelled, undo.reason)),
            None => Ok(()),
        }
    }

    /// Goes on, rests while it is paused, or says why it must stop.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub(crate) async fn safe_point(&self) -> Result<()> {
        self.check()?;
        match self.steering.paused_by() {
            Some(_) => self.rest().await,
            None => Ok(()),
        }
    }

    async fn rest(&self) -> Result<()> {
        let mut desired = self.steering.subscribe();
        let _resting = self.steering.resting();
        let status = self.reporter.current().status;
        loop {
            let paused = desired.borrow_and_update().paused_by.clone();
            let Some(by) = paused else { break };
            self.reporter.update(|p| {
                p.status = MigrationStatus::Paused;
                p.waiting_for = Some(format!("being resumed; paused by {by}"));
            });
            self.stop.or(desired.changed()).await;
            if self.check().is_err() {
                break;
            }
        }
        self.reporter
            .update(|p| (p.status, p.waiting_for) = (status, None));
        self.check()
    }

    /// An undo was refused: it hears again what concerns going forward, and says that it does.
    pub(crate) fn go_forward(&self) {
        self.steering.end_undo();
        self.reporter
            .update(|p| p.status = MigrationStatus::InProgress);
    }

    /// Waits this long, or until something else is desired; it is said what for.
    ///
    /// # Errors
    /// Those of a safe point.
    pub(crate) async fn wait_for(&self, what: String, time: Duration) -> Result<()> {
        let mut desired = self.steering.subscribe();
        desired.mark_unchanged();
        self.safe_point().await?;
        self.reporter.update(|p| p.waiting_for = Some(what));
        tokio::select! {
            () = self.stop.or(desired.changed()) => {}
            () = self.environment.clock.sleep(time) => {}
        }
        self.reporter.update(|p| p.waiting_for = None);
        self.safe_point().await
    }

    /// A safe point before so many source events, and their bytes, are worked on: waits as long as
    /// the limits want.
    ///
    /// # Errors
    /// Those of a safe point.
    pub(crate) async fn pace(&self, amount: (u64, u64)) -> Result<()> {
        self.safe_point().await?;
        let settings = self.steering.settings();
        self.requests.limit(settings.requests_in_flight);
        let (clock, started) = (&self.environment.clock, self.meter.now());
        let mut wait = self.throttle.reserve(started, &settings, amount);
        let mut waited = false;
        loop {
            let now = self.meter.now();
            let due = wait.as_ref().filter(|wait| wait.until > now);
            let (reason, pause) = match (self.throttle.told(), due) {
                (Some(reason), _) => (reason, LOOK),
                (None, Some(wait)) => (wait.reason.clone(), (wait.until - now).min(LOOK)),
                (None, None) => break,
            };
            waited = true;
            self.reporter.update(|p| p.throttled_by = Some(reason));
            clock.sleep(pause).await;
            self.safe_point().await?;
            if self.steering.settings() != settings {
                // what was reserved at another rate does not hold any more
                self.throttle.reset();
                wait = None;
            }
        }
        if waited {
            self.meter.count(Stage::Throttled, started);
            self.reporter.update(|p| p.throttled_by = None);
        }
        Ok(())
    }

    /// Calls the hooks of a point that an object has come to; tells whether there were any.
    ///
    /// # Errors
    /// `Cancelled` for a veto.
    pub(crate) async fn call_hooks(&self, point: HookPoint, attempt: &Attempt) -> Result<bool> {
        let event = HookEvent::of(self.migration(), point).with_object(&attempt.object);
        self.call_hooks_with(event).await
    }

    /// As [`call_hooks`](Self::call_hooks), of any event.
    ///
    /// # Errors
    /// `Cancelled` for a veto.
    pub(crate) async fn call_hooks_with(&self, event: HookEvent) -> Result<bool> {
        if !self.hooks.any(event.point) {
            return Ok(false);
        }
        let faults = self.hooks.call(&self.environment, event).await?;
        self.hook_faults.fetch_add(faults, Ordering::Relaxed);
        Ok(true)
    }

    /// Where the target of this source goes: where the plan says, or where the source is.
    ///
    /// # Errors
    /// `UnknownStore`.
    pub(crate) fn target_store_of(&self, source: &StreamRef) -> Result<&Arc<dyn EventStore>> {
        match self.plan.target_store {
            Some(store) => self.stores.get(store),
            None => self.stores.of(source),
        }
    }

    /// What this migration restores of an object, if it reverses another that moved it.
    ///
    /// # Errors
    /// `UnknownStore`.
    pub(crate) fn originals(&self, document: &ObjectDocument) -> Result<Option<Arc<Originals>>> {
        match &self.plan.reverses {
            Some(reverses) => reverse::originals(&self.stores, reverses, document),
            None => Ok(None),
        }
    }

    /// Whether an earlier holder may have begun something.
    pub(crate) async fn is_resumed(&self) -> bool {
        self.journal.lock().await.state().epoch > Epoch(1)
    }

    /// Makes sure that no other holder has taken this migration over, by reading its journal.
    ///
    /// Together with the order of an undo (it claims the journal, and then looks for targets that
    /// were begun) this keeps a holder that was paused from closing a source that was rolled back:
    /// a target is begun before this is asked, so either the claim is seen here, or the undo sees
    /// the target and fences it (R17). To be asked right before a Close or a Fence.
    ///
    /// # Errors
    /// `Fenced`, and from then on at every safe point; those of the records.
    pub(crate) async fn ensure_in_charge(&self) -> Result<()> {
        let watch = self.journal.lock().await.watch();
        let ours = watch.ensure_ours().await;
        if ours.as_ref().is_err_and(|e| *e.kind() == ErrorKind::Fenced) {
            self.stop.taken_over.cancel();
        }
        ours
    }

    /// Whether the migration that holds a lock may be at work. One that has ended is not, also where
    /// its lock was never released.
    pub(crate) async fn is_at_work(&self, lock: &LockInfo) -> Result<bool> {
        let Some(migration) = lock.migration else {
            return Ok(true);
        };
        Ok(!self.has_ended(migration).await?)
    }

    /// Whether a migration has ended, by its journal.
    pub(crate) async fn has_ended(&self, migration: MigrationId) -> Result<bool> {
        let (records, environment) = (Arc::clone(&self.records), self.environment.clone());
        let reader = self.journal.lock().await.holder().clone();
        let journal = Journal::open(records, environment, migration, reader).await?;
        Ok(journal.state().outcome.is_some())
    }

    /// Whether an error concerns the run and not only the object at which it showed.
    pub(crate) fn ends_the_run(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Cancelled | ErrorKind::LockLost => true,
            ErrorKind::Fenced => self.stop.taken_over.is_cancelled(),
            _ => false,
        }
    }

    /// Whether the plan has this migration's transformer leave every event as it is.
    pub(crate) fn is_identity(&self) -> bool {
        self.plan.fingerprint
            == crate::transform::EventTransformer::fingerprint(&crate::transform::Identity)
    }
}

/// What makes a run stop at its next safe point.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) requested: CancellationToken,
    pub(crate) lock: Option<HeldLock>,
    /// Whether another holder was seen in the journal.
    pub(crate) taken_over: CancellationToken,
}

impl Stop {
    /// Waits until the lock is lost, and answers the error that says so; for ever without a lock.
    pub(crate) async fn lost(&self) -> Error {
        let Some(lock) = &self.lock else {
            return std::future::pending().await;
        };
        lock.lost().cancelled().await;
        lock.lost_error()
    }

    /// Waits for something, or until the run must stop; [`check`](Self::check) then tells.
    pub(crate) async fn or(&self, something: impl Future) {
        tokio::select! {
            _ = something => {}
            () = self.requested.cancelled() => {}
            () = self.taken_over.cancelled() => {}
            _ = self.lost() => {}
        }
    }

    /// Goes on, or says why not.
    ///
    /// # Errors
    /// `Cancelled`, `Fenced` or `LockLost`.
    pub(crate) fn check(&self) -> Result<()> {
        if self.taken_over.is_cancelled() {
            let message = "another has taken over this migration";
            return Err(Error::new(ErrorKind::Fenced, message));
        }
        if self.requested.is_cancelled() {
            return Err(
                Error::new(ErrorKind::Cancelled, "stopped at a safe point on request")
                    .with_hint("resume the migration to go on"),
            );
        }
        self.lock.as_ref().map_or(Ok(()), HeldLock::ensure_held)
    }
}
