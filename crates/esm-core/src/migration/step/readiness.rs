//! Between a verified target and the Close: hooks, phases, and waiting for the command or the
//! window.

use std::time::Duration;

use crate::cutover::Urgency;
use crate::cutover::attempt::Attempt;
use crate::cutover::meter::Resting;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Revision;
use crate::migration::context::{Context, Waiting};
use crate::migration::limits::hooks::HookPoint;
use crate::migration::step::phases::PublishedPhase;
use crate::protocol::gate::{Gate, gate};
use crate::protocol::phase::MigrationPhase;

/// Interval between two copies of new events while the source waits to be closed.
const ROUND: Duration = Duration::from_secs(1);

/// The stages between a verified target and the Close. A run enters each stage once.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// When the copy and comparison were complete for the first time.
    ready_since: Option<Duration>,
    announced: bool,
    /// Whether hooks were called or something was waited for since the last comparison.
    waited: bool,
    /// While it waits for the command or the window.
    waiting: Option<Waiting>,
    /// Hook points already called: once for each object and run, regardless of the number of
    /// attempts.
    called: [bool; 3],
}

impl Readiness {
    /// Returns the urgency: limits no longer apply after the first complete comparison.
    pub(crate) fn urgency(&self) -> Urgency {
        match self.ready_since {
            Some(_) => Urgency::Immediate,
            None => Urgency::Paced,
        }
    }

    /// Whether hooks were called or something was waited for since this was last asked.
    pub(crate) fn has_waited(&mut self) -> bool {
        std::mem::take(&mut self.waited)
    }

    /// Returns the state for the next attempt at the object.
    pub(crate) fn next_attempt(self) -> Self {
        Self {
            called: self.called,
            ..Self::default()
        }
    }

    /// Calls the hooks of a point unless they were called before; returns whether there were any.
    async fn call(
        &mut self,
        context: &Context,
        attempt: &Attempt,
        point: HookPoint,
    ) -> Result<bool> {
        let index = match point {
            HookPoint::Verified => 0,
            HookPoint::Ready => 1,
            _ => 2,
        };
        if self.called[index] {
            return Ok(false);
        }
        let called = context.call_hooks(point, &attempt.object).await?;
        self.called[index] = true;
        self.waited |= called;
        Ok(called)
    }

    /// Whether the source may be closed at the tail just observed. `false`: time has passed, so the
    /// source must be observed again.
    ///
    /// # Errors
    /// `Cancelled` for a veto, `Stuck` when the deadline of the cutover has passed; those of a safe point.
    pub(crate) async fn permit(
        &mut self,
        context: &Context,
        attempt: &Attempt,
        published: &mut PublishedPhase,
        source_events: Revision,
    ) -> Result<bool> {
        let clock = &context.services.environment.clock;
        let ready_since = match self.ready_since {
            Some(since) => since,
            None => {
                let now = clock.monotonic();
                self.ready_since = Some(now);
                let phase = MigrationPhase::DualRead;
                published
                    .reach(context, attempt, source_events, phase)
                    .await;
                let verified = self.call(context, attempt, HookPoint::Verified).await?;
                let ready = self.call(context, attempt, HookPoint::Ready).await?;
                if verified || ready {
                    return Ok(false);
                }
                now
            }
        };
        let mode = context.plan.cutover.mode;
        let requested = context.live.steering.cutover_requested();
        let ready_for = clock.monotonic().saturating_sub(ready_since);
        match gate(mode, requested, clock.now(), ready_for) {
            Gate::Open => {}
            Gate::Wait(what) => {
                let _resting = Resting::begin(&context.live.meter);
                self.waited = true;
                (self.waiting).get_or_insert_with(|| context.live.begin_waiting());
                let waited = context.wait_for(what, ROUND).await;
                waited.inspect_err(|_| self.waiting = None)?;
                return Ok(false);
            }
            Gate::TooLate(why) => return Err(too_late(attempt, &why)),
        }
        self.waiting = None;
        if !self.announced {
            self.announced = true;
            let phase = MigrationPhase::Cutover;
            published
                .reach(context, attempt, source_events, phase)
                .await;
            let called = self
                .call(context, attempt, HookPoint::BeforeCutover)
                .await?;
            return Ok(!called && !published.is_begun());
        }
        Ok(true)
    }
}

fn too_late(attempt: &Attempt, why: &str) -> Error {
    let message = format!("{why}: {}", attempt.object);
    Error::new(ErrorKind::Stuck, message)
        .with_hint("the source is untouched; resume to try again, or roll back")
}
