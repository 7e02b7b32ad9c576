//! The commands to a running migration, and where it waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use esm_core::migration::{Amount, ControlLog, Throttle, ThrottleOptions, Wait};
use esm_core::protocol::control::{
    Answer, ControlAction, ControlEntry, Desired, Limit, Settings, Situation, Undo, judge,
};
use esm_core::{Error, ErrorKind, Result};
use futures::lock::Mutex as AsyncMutex;

use super::claim::Claim;
use super::control::{ControlRecords, without_meaning};
use super::lag::{self, Lag};
use super::shared::Shared;

/// How often a migration that waits looks whether it may continue.
const LOOK: Duration = Duration::from_millis(200);

/// The commands to a migration that this process runs, and what it waits for.
pub(super) struct Steering {
    log: AsyncMutex<ControlLog>,
    desired: Mutex<Desired>,
    planned: Settings,
    throttle: Throttle,
    lag: Lag,
    /// Whether it is undone: nothing pauses or cancels it.
    is_undo: bool,
    /// What is under way, the run itself and its streams, and how much of it rests.
    driven: AtomicUsize,
    resting: AtomicUsize,
    /// Why it waits, for people.
    waits_for: Mutex<Option<String>>,
}

/// Counts up until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Steering {
    pub(super) fn new(shared: &Shared, claim: &Claim, planned: Settings) -> Self {
        let wire = shared.wire.clone();
        let log = ControlRecords::log(wire, Some(claim.clone()), claim.migration);
        Self {
            log: AsyncMutex::new(log),
            desired: Mutex::default(),
            planned,
            throttle: Throttle::new(ThrottleOptions::default()),
            lag: Lag::default(),
            is_undo: false,
            driven: AtomicUsize::new(0),
            resting: AtomicUsize::new(0),
            waits_for: Mutex::default(),
        }
    }

    /// The same for an undo.
    pub(super) fn of_undo(self) -> Self {
        Self {
            is_undo: true,
            ..self
        }
    }

    /// The settings in force.
    pub(super) fn settings(&self) -> Settings {
        locked(&self.desired).settings(self.planned)
    }

    /// The undo that was asked for.
    pub(super) fn undo(&self) -> Option<Undo> {
        locked(&self.desired).undo.clone()
    }

    /// What the migration waits for, for people.
    pub(super) fn waits_for(&self) -> Option<String> {
        locked(&self.waits_for).clone()
    }

    pub(super) fn say(&self, waits_for: Option<String>) {
        *locked(&self.waits_for) = waits_for;
    }

    /// Reads new commands and answers them.
    ///
    /// # Errors
    /// `LockLost` if another process continues the migration; those of the server.
    pub(super) async fn poll(&self, shared: &Shared) -> Result<()> {
        let mut log = self.log.lock().await;
        log.catch_up().await?;
        let open: Vec<_> = log.state().open().cloned().collect();
        for command in open {
            let answer = self.answer(shared, &log.state().desired, &command.action);
            let answer = answer.await?;
            answer_to(&mut log, shared, command.id, answer).await?;
        }
        self.settle_pauses(&mut log, shared).await?;
        let desired = log.state().desired.clone();
        let mut known = locked(&self.desired);
        if known.settings != desired.settings {
            self.throttle.reset();
        }
        *known = desired;
        Ok(())
    }

    async fn answer(
        &self,
        shared: &Shared,
        desired: &Desired,
        action: &ControlAction,
    ) -> Result<Answer> {
        let refused = |reason: String| Ok(Answer::Refused { reason });
        match action {
            ControlAction::CutOver | ControlAction::WithdrawCutOver => {
                refused("there is no cutover in place".to_owned())
            }
            ControlAction::Set(change) if without_meaning(change).is_some() => {
                refused("a setting has no meaning for events in place".to_owned())
            }
            ControlAction::Set(change)
                if matches!(change.replication_lag_bytes, Some(Limit::At(_))) =>
            {
                match lag::check(shared).await {
                    Err(error) if *error.kind() == ErrorKind::PermissionDenied => {
                        let grant = error.hint().unwrap_or_default();
                        refused(format!("{error}: {grant}"))
                    }
                    seen => seen.map(|()| judge(desired, Situation::default(), action)),
                }
            }
            // what is asked for is being done
            ControlAction::Cancel { .. } | ControlAction::RollBack { .. } if self.is_undo => {
                Ok(Answer::Accepted)
            }
            action => {
                let mut situation = Situation::default();
                situation.undoing = self.is_undo;
                Ok(judge(desired, situation, action))
            }
        }
    }

    /// A pause is done when all that is under way rests.
    async fn settle_pauses(&self, log: &mut ControlLog, shared: &Shared) -> Result<()> {
        let driven = self.driven.load(Ordering::Acquire);
        if self.paused_by().is_none() || self.resting.load(Ordering::Acquire) < driven {
            return Ok(());
        }
        let accepted = log.state().accepted();
        let pauses: Vec<_> = accepted
            .filter(|command| command.action == ControlAction::Pause)
            .map(|command| command.id)
            .collect();
        for command in pauses {
            answer_to(log, shared, command, Answer::Done).await?;
        }
        Ok(())
    }

    /// Who paused it.
    pub(super) fn paused_by(&self) -> Option<String> {
        let paused_by = locked(&self.desired).paused_by.clone();
        paused_by.filter(|_| !self.is_undo)
    }

    /// Counts something as under way until the result is dropped.
    pub(super) fn driven(&self) -> impl Drop + '_ {
        Counted::new(&self.driven)
    }

    /// Counts something that is under way as resting until the result is dropped.
    pub(super) fn resting(&self) -> impl Drop + '_ {
        Counted::new(&self.resting)
    }

    /// A point where the run can stop: rests while it is paused, and returns whether it did.
    ///
    /// # Errors
    /// `Cancelled` if a stop or an undo was asked for.
    pub(super) async fn safe_point(&self, shared: &Shared) -> Result<bool> {
        let mut resting = None;
        loop {
            shared.check_stop()?;
            self.check_undo()?;
            let Some(by) = self.paused_by() else {
                if resting.is_some() {
                    self.say(None);
                }
                return Ok(resting.is_some());
            };
            self.say(Some(format!("paused by {by}")));
            resting.get_or_insert_with(|| self.resting());
            shared.options.environment.clock.sleep(LOOK).await;
        }
    }

    /// Waits before this much is read or written: while it is paused, while replication lags, and for
    /// the rate limits.
    ///
    /// # Errors
    /// `Cancelled` if a stop or an undo was asked for; `Unavailable` where replication does not catch
    /// up; those of the server.
    pub(super) async fn wait(&self, shared: &Shared, amount: Amount) -> Result<()> {
        let clock = &shared.options.environment.clock;
        let settings = self.settings();
        let rates = self.throttle.reserve(clock.monotonic(), &settings, amount);
        loop {
            self.safe_point(shared).await?;
            let reason = self.reason(shared, rates.as_ref()).await?;
            let waits = reason.is_some();
            self.say(reason);
            if !waits {
                return Ok(());
            }
            clock.sleep(LOOK).await;
        }
    }

    async fn reason(&self, shared: &Shared, rates: Option<&Wait>) -> Result<Option<String>> {
        let now = shared.options.environment.clock.monotonic();
        if let Some(wait) = rates.filter(|wait| wait.until > now) {
            return Ok(Some(wait.reason.to_string()));
        }
        match self.settings().replication_lag_bytes.get() {
            Some(most) => self.lag.exceeds(shared, most).await,
            None => Ok(None),
        }
    }

    fn check_undo(&self) -> Result<()> {
        match self.undo().filter(|_| !self.is_undo) {
            Some(undo) => Err(Error::new(ErrorKind::Cancelled, undo.reason)),
            None => Ok(()),
        }
    }
}

async fn answer_to(
    log: &mut ControlLog,
    shared: &Shared,
    command: esm_core::id::CommandId,
    answer: Answer,
) -> Result<()> {
    let entry = ControlEntry::Answer {
        command,
        answer: answer.clone(),
        at: shared.options.environment.clock.now(),
    };
    let unanswered = |state: &esm_core::protocol::control::ControlState| {
        let found = state
            .find(command)
            .and_then(|tracked| tracked.answer.as_ref());
        match found {
            None => true,
            Some(Answer::Accepted) => answer != Answer::Accepted,
            Some(_) => false,
        }
    };
    log.append(&entry, unanswered).await
}
