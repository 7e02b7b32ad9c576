//! The state of one run, and its safe points.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cutover::Cutover;
use crate::cutover::attempt::{Attempt, Route};
use crate::cutover::close::ClosedStream;
use crate::cutover::meter::Resting;
use crate::cutover::meter::Stage;
use crate::cutover::source::originals::Originals;
use crate::cutover::supervisor::Amount;
use crate::cutover::verify::checks::VerificationCheck;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{MigrationId, ObjectId, StreamRef};
use crate::migration::context::{Guard, Live, Services};
use crate::migration::limits::hooks::{HookEvent, HookPoint};
use crate::migration::limits::throttle::LOOK;
use crate::migration::step::standing;
use crate::object::{ChainEnd, ObjectDocument, TerminatedStream};
use crate::protocol::plan::PlannedMigration;
use crate::protocol::status::MigrationStatus;
use crate::store::{EventStore, Tail};
use crate::transform::Mapper;

/// An object's document and the end of its chain, or why they could not be read.
type Found = Result<(ObjectDocument, ChainEnd)>;

/// The state of one run.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) services: Services,
    pub(crate) plan: PlannedMigration,
    pub(crate) mapper: Mapper,
    pub(crate) checks: Vec<Arc<dyn VerificationCheck>>,
    pub(crate) live: Live,
    pub(crate) guard: Guard,
    /// The single object as it was found while the run began, until that is used.
    pub(crate) found: Mutex<Option<Found>>,
}

impl Context {
    /// Takes what was found of the single object while the run began.
    pub(crate) fn take_found(&self) -> Option<Found> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.take()
    }

    pub(crate) fn migration(&self) -> MigrationId {
        self.plan.migration
    }

    /// Returns the services and options that the attempts of this run share.
    pub(crate) fn cutover(&self) -> Cutover<'_> {
        Cutover {
            stores: &self.services.stores,
            documents: &self.services.documents,
            environment: &self.services.environment,
            mapper: &self.mapper,
            meter: &self.live.meter,
            checks: &self.checks,
            copy: self.plan.copy,
            on_retired: self.plan.on_retired,
            supervisor: self,
            large: false,
        }
    }

    /// Returns the current attempt at an object for this tail of its source.
    ///
    /// # Errors
    /// `UnknownStore`; `NotFound` when the document does not name the source; those of the store.
    pub(crate) async fn attempt(
        &self,
        document: &ObjectDocument,
        source: StreamRef,
        source_tail: &Tail,
    ) -> Result<Attempt> {
        let originals = self.originals(document).await?;
        let generation = generation_of(document, &source)?;
        let target_store = match &originals {
            // restored events go to the store of the originals
            Some(originals) => &originals.store,
            None => self.target_store_of(&source)?,
        };
        let route = Route {
            object: document.object.clone(),
            migration: self.migration(),
            fingerprint: self.plan.fingerprint.clone(),
            source_store: Arc::clone(self.services.stores.of(&source)?),
            target_store: Arc::clone(target_store),
            target_name: self.plan.target_name(&document.object, generation)?,
            source,
            generation,
            originals,
            continues: true,
        };
        Attempt::current(route, source_tail).await
    }

    /// As [`attempt`](Self::attempt), for the present tail of the source.
    ///
    /// # Errors
    /// As [`attempt`](Self::attempt).
    pub(crate) async fn attempt_now(
        &self,
        document: &ObjectDocument,
        source: StreamRef,
    ) -> Result<Attempt> {
        let store = self.services.stores.of(&source)?;
        let tail = store.tail(&source.stream).await?;
        self.attempt(document, source, &tail).await
    }

    /// Returns the attempt whose source this migration closed in an earlier run. The document must
    /// list the source.
    ///
    /// # Errors
    /// `UnknownStore`; `NotFound` when the document does not list the source; those of the records.
    pub(crate) async fn won(
        &self,
        document: &ObjectDocument,
        entry: &TerminatedStream,
    ) -> Result<Attempt> {
        let stores = &self.services.stores;
        Ok(Attempt {
            object: document.object.clone(),
            migration: self.migration(),
            fingerprint: self.plan.fingerprint.clone(),
            source: entry.stream.clone(),
            target: entry.continuation.clone(),
            source_store: Arc::clone(stores.of(&entry.stream)?),
            target_store: Arc::clone(stores.of(&entry.continuation)?),
            generation: generation_of(document, &entry.stream)? as u64,
            number: 0,
            has_fences: false,
            retired: BTreeSet::new(),
            accepted: BTreeSet::new(),
            originals: self.originals(document).await?,
            continues: true,
        })
    }

    /// Returns the originals to restore, if this migration reverses one that moved the object.
    ///
    /// # Errors
    /// As [`standing::originals`].
    async fn originals(&self, document: &ObjectDocument) -> Result<Option<Arc<Originals>>> {
        let Some(reverses) = &self.plan.reverses else {
            return Ok(None);
        };
        let Services {
            stores, documents, ..
        } = &self.services;
        standing::originals(stores, documents, reverses, document).await
    }

    /// Returns the store of the target: the planned one, which defaults to the store of the source.
    ///
    /// # Errors
    /// `UnknownStore`.
    fn target_store_of(&self, source: &StreamRef) -> Result<&Arc<dyn EventStore>> {
        match self.plan.target_store {
            Some(store) => self.services.stores.get(store),
            None => self.services.stores.of(source),
        }
    }

    /// A stream that this migration has closed.
    pub(crate) fn closed<'a>(
        &'a self,
        object: &'a ObjectId,
        stream: &'a StreamRef,
    ) -> ClosedStream<'a> {
        ClosedStream {
            object,
            stream,
            migration: self.migration(),
            fingerprint: &self.plan.fingerprint,
            close_books: self.plan.close_books.as_ref(),
        }
    }

    /// Returns an error when the run must stop.
    ///
    /// # Errors
    /// Those of [`Stop::check`](super::Stop::check); `Cancelled` when the migration is to be
    /// undone.
    pub(crate) fn check(&self) -> Result<()> {
        self.guard.stop.check()?;
        match self.live.steering.undo() {
            Some(undo) => Err(Error::new(ErrorKind::Cancelled, undo.reason)),
            None => Ok(()),
        }
    }

    /// As [`check`](Self::check), and waits while the migration is paused.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub(crate) async fn safe_point(&self) -> Result<()> {
        self.check()?;
        if self.live.steering.paused_by().is_some() {
            return self.wait_while_paused().await;
        }
        Ok(())
    }

    async fn wait_while_paused(&self) -> Result<()> {
        let Live {
            steering,
            reporter,
            meter,
            ..
        } = &self.live;
        let mut desired = steering.subscribe();
        let _resting = (steering.resting(), Resting::begin(meter));
        let status = reporter.current().status;
        loop {
            let paused = desired.borrow_and_update().paused_by.clone();
            let Some(by) = paused else { break };
            reporter.update(|p| {
                p.status = MigrationStatus::Paused;
                p.waiting_for = Some(format!("being resumed; paused by {by}"));
            });
            self.guard.stop.or(desired.changed()).await;
            if self.check().is_err() {
                break;
            }
        }
        reporter.update(|p| (p.status, p.waiting_for) = (status, None));
        self.check()
    }

    /// Waits this long or until another command arrives. Reports `what` as the reason where all
    /// objects under way wait: a run that also copies is no run that waits.
    ///
    /// # Errors
    /// Those of a safe point.
    pub(crate) async fn wait_for(&self, what: String, time: Duration) -> Result<()> {
        let Live {
            steering,
            reporter,
            lanes,
            ..
        } = &self.live;
        let mut desired = steering.subscribe();
        desired.mark_unchanged();
        self.safe_point().await?;
        let what = lanes.all_wait().then_some(what);
        reporter.update(|p| p.waiting_for = what);
        tokio::select! {
            () = self.guard.stop.or(desired.changed()) => {}
            () = self.services.environment.clock.sleep(time) => {}
        }
        self.safe_point().await
    }

    /// A safe point before this amount is processed; also waits as long as the limits require.
    ///
    /// # Errors
    /// Those of a safe point.
    pub(crate) async fn pace(&self, amount: Amount) -> Result<()> {
        self.safe_point().await?;
        let Live {
            steering,
            throttle,
            requests,
            meter,
            reporter,
            ..
        } = &self.live;
        let settings = steering.settings();
        requests.limit(settings.requests_in_flight);
        let started = meter.now();
        let mut wait = throttle.reserve(started, &settings, amount);
        let mut waited = false;
        loop {
            let now = meter.now();
            let due = wait.as_ref().filter(|wait| wait.until > now);
            let (reason, pause) = match (throttle.told(), due) {
                (Some(reason), _) => (reason, LOOK),
                (None, Some(wait)) => (wait.reason.clone(), (wait.until - now).min(LOOK)),
                (None, None) => break,
            };
            waited = true;
            reporter.update(|p| p.throttled_by = Some(reason));
            self.services.environment.clock.sleep(pause).await;
            self.safe_point().await?;
            if steering.settings() != settings {
                // a reservation at the previous rate no longer applies
                throttle.reset();
                wait = None;
            }
        }
        if waited {
            meter.count(Stage::Throttled, started);
            reporter.update(|p| p.throttled_by = None);
        }
        Ok(())
    }

    /// Calls the hooks of a point that an object has reached; returns whether there were any.
    ///
    /// # Errors
    /// `Cancelled` for a veto.
    pub(crate) async fn call_hooks(&self, point: HookPoint, object: &ObjectId) -> Result<bool> {
        let event = HookEvent::of(self.migration(), point).with_object(object);
        self.live
            .call_hooks(&self.services.environment, event)
            .await
    }

    /// As [`call_hooks`](Self::call_hooks), for any event.
    ///
    /// # Errors
    /// `Cancelled` for a veto.
    pub(crate) async fn call_hooks_with(&self, event: HookEvent) -> Result<bool> {
        self.live
            .call_hooks(&self.services.environment, event)
            .await
    }
}

fn generation_of(document: &ObjectDocument, stream: &StreamRef) -> Result<usize> {
    let generation = document.generation_of(stream);
    generation.ok_or_else(|| {
        let object = &document.object;
        Error::not_found(format!("the document of {object} does not name {stream}"))
    })
}
