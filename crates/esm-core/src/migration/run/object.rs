//! Drives one object from its present state to the end of its migration.

mod after_close;
mod copying;
mod others;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{FutureExt as _, future};
use tracing::{Instrument as _, debug, info_span};

use crate::backoff::BackOff;
use crate::cutover::attempt::{Attempt, Comparison, Sight};
use crate::cutover::close::Charge;
use crate::cutover::meter::{Phase, Totals, UnderWay, is_large};
use crate::cutover::verify::compare;
use crate::cutover::{Cutover, close, copy, undo};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Revision, Schema};
use crate::id::ObjectId;
use crate::migration::context::Context;
use crate::migration::report::progress::Progress;
use crate::migration::run::triage::Triage;
use crate::migration::step::phases::PublishedPhase;
use crate::migration::step::pin as reverse;
use crate::migration::step::readiness::Readiness;
use crate::object::ObjectDocument;
use crate::protocol::decisions::{self, Action, Observed, TargetState};
use crate::protocol::statistics::ObjectReport;
use crate::protocol::status::Step;
use crate::store::Tail;

use others::{Decided, decided_by_another, may_follow_from_a_fence, must_observe_again};

/// Consecutive steps without progress before giving up: 12 after the first.
const IDLE: BackOff = BackOff::new(13, Duration::from_millis(10), Duration::from_millis(1280));
/// Between Close attempts lost to concurrent appends, which the options of the cutover limit.
const LOST_CLOSE: BackOff =
    BackOff::unlimited(Duration::from_millis(10), Duration::from_millis(320));

/// The migration of one object.
#[derive(Debug)]
pub(crate) struct ObjectRun<'a> {
    context: &'a Context,
    object: &'a ObjectId,
    /// The current step, for the report of a failure.
    pub(crate) step: Step,
    /// The current attempt, which an undo must undo.
    pub(crate) attempt: Option<Attempt>,
    cells: u64,
    lost_closes: u64,
    lost_close: BackOff,
    first_lost: Option<Duration>,
    /// The state of both streams as the last action left it, if it is known.
    seen: Option<Sight>,
    /// Most events that the source was seen to have.
    source_events: Revision,
    /// When this run wrote the Close.
    closed_at: Option<Duration>,
    /// The time from the Close to the update of the document.
    redirected: Duration,
    /// Whether the last comparison was accompanied by a look at the journal.
    charge: Charge,
    readiness: Readiness,
    published: PublishedPhase,
    /// Whether each phase of it is measured by events.
    large: bool,
    /// Whether the events that an earlier holder copied are counted.
    credited: bool,
}

/// How an attempt ended.
enum AttemptEnd {
    Migrated(Box<compare::Progressed>),
    Fenced,
}

/// The outcome of one step.
enum StepOutcome {
    /// The step did something.
    Progressed,
    /// There was nothing to do.
    Idle,
    /// The attempt has ended.
    Ended(AttemptEnd),
}

impl<'a> ObjectRun<'a> {
    pub(crate) fn new(context: &'a Context, object: &'a ObjectId) -> Self {
        let step = Step::Copy;
        Self {
            context,
            object,
            step,
            attempt: None,
            cells: 0,
            lost_closes: 0,
            lost_close: LOST_CLOSE,
            first_lost: None,
            seen: None,
            source_events: Revision::START,
            closed_at: None,
            redirected: Duration::ZERO,
            charge: Charge::Unknown,
            readiness: Readiness::default(),
            published: PublishedPhase::default(),
            large: false,
            credited: false,
        }
    }

    fn cutover(&self) -> Cutover<'a> {
        Cutover {
            large: self.large,
            ..self.context.cutover()
        }
    }

    /// Migrates the object to the end, except for the archive.
    ///
    /// # Errors
    /// The error that stopped it; the field `step` names the step.
    pub(crate) async fn complete(&mut self, triage: Triage) -> Result<ObjectReport> {
        let span = info_span!("object", object = %self.object);
        async {
            match triage {
                Triage::UpToDate(stream) => {
                    Ok(ObjectReport::up_to_date(self.object.clone(), stream))
                }
                Triage::Finish(entry) => self.finish(&entry).await,
                Triage::Migrate(document, tail) => self.measured(&document, *tail).await,
            }
        }
        .instrument(span)
        .await
    }

    /// Migrates the object, and measures how long a small one took.
    async fn measured(&mut self, document: &ObjectDocument, tail: Tail) -> Result<ObjectReport> {
        let meter = &self.context.live.meter;
        let _under_way = UnderWay::begin(meter);
        let began = meter.shared_time();
        let ended = self.migrate(document, tail).await;
        if !self.large {
            let took = meter.shared_time().saturating_sub(began);
            meter.work().add_small(self.source_events.0, took);
        }
        ended
    }

    async fn migrate(&mut self, document: &ObjectDocument, tail: Tail) -> Result<ObjectReport> {
        let source = document.active.clone();
        let mut retired = BTreeSet::new();
        self.source_events = tail.next_revision();
        let mut tail = Some(tail);
        loop {
            let seen = tail.take();
            let context = self.context;
            let mut attempt = match &seen {
                Some(tail) => {
                    let source = source.clone();
                    context.attempt(document, source, tail).await?
                }
                None => {
                    let source = source.clone();
                    context.attempt_now(document, source).await?
                }
            };
            attempt.retired = std::mem::take(&mut retired);
            if let Some(tail) = &seen {
                self.begin_work(attempt.to_copy(tail.next_revision()).0);
            }
            if attempt.has_fences {
                undo::discard_fenced(&attempt).await?;
            }
            if attempt.number > 0 {
                // another holder's undo may have fenced it: then this run must not begin another
                // attempt
                self.context.guard.ensure_in_charge().await?;
            }
            if let Some(originals) = &attempt.originals {
                reverse::pin(self.context, self.object, originals).await?;
            }
            self.seen = initial_sight(self.context, &attempt, seen).await;
            self.attempt = Some(attempt.clone());
            self.readiness = std::mem::take(&mut self.readiness).next_attempt();
            self.published = PublishedPhase::default();
            self.charge = Charge::Unknown;
            match self.drive_attempt(&mut attempt).await? {
                AttemptEnd::Migrated(progressed) => {
                    return Ok(self.report(&attempt, &progressed));
                }
                AttemptEnd::Fenced => retired = attempt.retired,
            }
        }
    }

    /// Adds the object's events to the work that is begun.
    fn begin_work(&mut self, events: u64) {
        let work = self.context.live.meter.work();
        self.large = is_large(events);
        self.cutover().begin(Phase::Copy, events);
        self.cutover().begin(Phase::Verify, events);
        if self.context.plan.scope.single().is_some() {
            work.set_totals(Totals::of_one(events), self.context.live.meter.now());
            let update = |p: &mut Progress| p.events_total = Some(events);
            self.context.live.reporter.update(update);
        }
    }

    /// Counts the events that an earlier holder copied, once.
    fn credit(&mut self, observed: &Observed) {
        if std::mem::replace(&mut self.credited, true) || !self.large {
            return;
        }
        if let TargetState::Copied { cursor, .. } = observed.target_state {
            self.context.live.meter.work().skip(Phase::Copy, cursor.0);
        }
    }

    /// Observes, decides and acts, until the attempt has ended.
    async fn drive_attempt(&mut self, attempt: &mut Attempt) -> Result<AttemptEnd> {
        let _driven = self.context.live.steering.driven();
        let checkpoint = self
            .context
            .guard
            .journal
            .lock()
            .await
            .state()
            .checkpoint
            .clone();
        let mut progressed = compare::Progressed::resume(attempt, checkpoint.as_deref());
        if self.large {
            let compared = progressed.verified().source_events.0;
            self.context.live.meter.work().skip(Phase::Verify, compared);
        }
        let environment = &self.context.services.environment;
        let mut idle = IDLE;
        loop {
            // boxed to keep the futures of many objects small
            let outcome = self.advance(attempt, &mut progressed).boxed().await;
            let trouble = match outcome {
                Ok(StepOutcome::Ended(end)) => return Ok(end),
                Ok(StepOutcome::Progressed) => {
                    idle = IDLE;
                    continue;
                }
                Ok(StepOutcome::Idle) => Error::new(
                    ErrorKind::Unavailable,
                    "the target stayed ahead of the source",
                ),
                Err(e) if must_observe_again(&e) => e,
                Err(e) if may_follow_from_a_fence(&e) => match decided_by_another(attempt).await {
                    Some(Decided::Fenced) => return Ok(AttemptEnd::Fenced),
                    // R5: the next look decides what follows from it
                    Some(Decided::Closed) if *e.kind() != ErrorKind::Fenced => e,
                    _ => return Err(e),
                },
                Err(e) => return Err(e),
            };
            debug!(error = %trouble, "observing again");
            if !idle.pause(environment).await {
                return Err(trouble);
            }
        }
    }

    async fn advance(
        &mut self,
        attempt: &mut Attempt,
        progressed: &mut compare::Progressed,
    ) -> Result<StepOutcome> {
        let context = self.context;
        context.safe_point().await?;
        let sight = match self.seen.take() {
            Some(seen) => seen,
            None => {
                let sight = attempt.look().await?;
                attempt.refuse_lost_events(&sight)?;
                sight
            }
        };
        let events = sight.source_tail.next_revision();
        copy::refuse_shorter(&attempt.source, self.source_events, events)?;
        self.source_events = events;
        adopt_retired(attempt, &sight);
        let names_source = self.document_names_source(attempt, &sight).await?;
        let compared = progressed.verified();
        let verified = Some(compared).filter(|_| progressed.is_complete());
        let comparison = Comparison {
            compared: compared.source_events,
            verified,
        };
        let final_round = context.plan.copy.final_round;
        let observed = attempt.observed(&sight, comparison, names_source, final_round)?;
        self.report_lag(&observed);
        self.credit(&observed);
        match decisions::next(&observed) {
            Action::Copy { from } => {
                self.step = Step::Copy;
                let known = attempt.retired.len();
                let copied = self.publish_and_copy(attempt, sight, from, progressed);
                let copied = copied.await?;
                if copied.cells == 0 && attempt.retired.len() == known {
                    return Ok(StepOutcome::Idle);
                }
                self.cells += copied.cells;
                self.seen = copied.seen;
                Ok(StepOutcome::Progressed)
            }
            Action::Verify { to } => self.verify(attempt, sight, progressed, to).await,
            Action::Close { target_events, .. } => {
                self.step = Step::CutOver;
                let (readiness, published) = (&mut self.readiness, &mut self.published);
                let events = observed.source_events;
                let permitted = readiness
                    .permit(context, attempt, published, events)
                    .await?;
                if permitted {
                    self.close(attempt, sight, target_events).await
                } else {
                    if self.readiness.has_waited() {
                        self.charge = Charge::Unknown;
                    }
                    Ok(StepOutcome::Progressed)
                }
            }
            Action::FollowClose | Action::CloseBooks => {
                self.past_the_pivot(attempt, &sight, progressed).await
            }
            Action::Superseded => self.superseded(attempt, &sight).await,
            Action::NextAttempt => Ok(StepOutcome::Ended(AttemptEnd::Fenced)),
            Action::FenceAttempt => {
                undo::fence(&context.cutover(), attempt, &sight).await?;
                Ok(StepOutcome::Progressed)
            }
            Action::LookAgain => Ok(StepOutcome::Idle),
        }
    }

    async fn verify(
        &mut self,
        attempt: &Attempt,
        sight: Sight,
        progressed: &mut compare::Progressed,
        to: Revision,
    ) -> Result<StepOutcome> {
        self.step = Step::Verify;
        self.charge = Charge::Unknown;
        let (before, was_complete) = (progressed.verified(), progressed.is_complete());
        let urgency = self.readiness.urgency();
        let cutover = self.cutover();
        let tail = &sight.source_tail;
        let verifying = compare::verify(&cutover, attempt, progressed, tail, to, urgency);
        // R24: the target has a cell, which is what is compared
        let looking = self.context.guard.ensure_in_charge();
        let (verified, in_charge) = future::join(verifying, looking).await;
        compare::difference_first(verified, in_charge)?;
        self.charge = Charge::Ensured;
        let moved = progressed.verified() != before || !was_complete;
        // after a short comparison the streams are most likely unchanged; the Close checks that
        let events = to.0.saturating_sub(before.source_events.0);
        if moved && events <= self.context.plan.copy.final_round {
            self.seen = Some(sight);
        }
        Ok(if moved {
            StepOutcome::Progressed
        } else {
            // a repeated comparison that still does not permit the Close
            StepOutcome::Idle
        })
    }

    /// Whether the document still names the source. Read only for a source that is closed, but not
    /// by this run; otherwise irrelevant.
    async fn document_names_source(&self, attempt: &Attempt, sight: &Sight) -> Result<bool> {
        if sight.source_tail.close().is_none() || self.closed_at.is_some() {
            return Ok(true);
        }
        let document = self
            .context
            .services
            .documents
            .load(self.object)
            .await?
            .document;
        Ok(document.active == attempt.source)
    }

    async fn close(
        &mut self,
        attempt: &Attempt,
        sight: Sight,
        target_events: Revision,
    ) -> Result<StepOutcome> {
        let charge = std::mem::take(&mut self.charge);
        let cutover = self.context.cutover();
        match close::close(&cutover, attempt, &sight, target_events, charge).await {
            Ok(source_tail) => {
                self.closed_at = Some(self.context.live.meter.now());
                self.seen = Some(Sight {
                    source_tail,
                    ..sight
                });
                Ok(StepOutcome::Progressed)
            }
            Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. }) => {
                self.lost_closes += 1;
                self.context
                    .live
                    .reporter
                    .update(|p| p.lost_close_attempts += 1);
                self.give_up_in_time(attempt)?;
                let environment = &self.context.services.environment;
                self.lost_close.pause(environment).await;
                Ok(StepOutcome::Progressed)
            }
            Err(e) => Err(e),
        }
    }

    /// R6: bounds the Close attempts lost to concurrent appends, in number and in time.
    fn give_up_in_time(&mut self, attempt: &Attempt) -> Result<()> {
        let options = &self.context.plan.cutover;
        let now = self.context.live.meter.now();
        let first = *self.first_lost.get_or_insert(now);
        let late = options
            .give_up_after
            .is_some_and(|most| now.saturating_sub(first) >= most);
        if self.lost_closes < options.attempts && !late {
            return Ok(());
        }
        let message = format!(
            "concurrent appends won against {} attempts to close {}",
            self.lost_closes, attempt.source
        );
        Err(Error::new(ErrorKind::Stuck, message)
            .with_hint("the source is untouched; resume when there is less traffic"))
    }

    fn report_lag(&self, observed: &Observed) {
        let TargetState::Copied { cursor, .. } = observed.target_state else {
            return;
        };
        let lag = observed.source_events.0.saturating_sub(cursor.0);
        self.context.live.reporter.update(|p| p.lag = Some(lag));
    }
}

/// Returns the initial state of a migration that has just begun: no target, and the source as
/// triage observed it. If a target exists all the same, the first append to it conflicts.
async fn initial_sight(
    context: &Context,
    attempt: &Attempt,
    source: Option<Tail>,
) -> Option<Sight> {
    if attempt.number > 0 || context.guard.is_resumed().await {
        return None;
    }
    Some(Sight {
        target_tail: Tail::default(),
        origin: None,
        source_tail: source?,
        fenced: false,
    })
}

/// Adopts the retired schemas that the target's first cell names, unless this attempt knows more.
fn adopt_retired(attempt: &mut Attempt, sight: &Sight) {
    let Some(origin) = &sight.origin else { return };
    let known: &BTreeSet<Schema> = &attempt.retired;
    if known.is_subset(&origin.retired) {
        attempt.retired.clone_from(&origin.retired);
    }
}
