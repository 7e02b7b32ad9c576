//! The migrator's side of its control log: hears commands, answers them, and lets the work know.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::clock::Environment;
use crate::id::CommandId;
use crate::migration::control::log::ControlLog;
use crate::migration::control::progress_record::ProgressRecord;
use crate::protocol::control::{
    Answer, ControlAction, ControlEntry, Desired, Settings, Situation, Undo, judge,
};
use crate::protocol::gate::CutoverMode;
use crate::protocol::planned::PlannedMigration;

/// What the work is told from outside, and what it says of itself.
#[derive(Debug)]
pub(crate) struct Steering {
    desired: watch::Receiver<Desired>,
    work: Arc<Work>,
    planned: Settings,
    steward: Arc<tokio::sync::Mutex<Steward>>,
    _watching: AbortOnDropHandle<()>,
}

/// What the work says of itself.
#[derive(Debug, Default)]
struct Work {
    past_the_pivot: AtomicBool,
    undoing: AtomicBool,
    /// What was to be undone and was refused, and why, where the log does not say so yet.
    refused: Mutex<Option<(Undo, String)>>,
    /// Objects that are driven, and of them those that rest because they are paused.
    driven: AtomicU64,
    resting: AtomicU64,
}

impl Work {
    fn refused(&self) -> MutexGuard<'_, Option<(Undo, String)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why this was refused, if it was.
    fn refusal(&self, told: &Undo) -> Option<String> {
        let refused = self.refused().clone();
        refused.and_then(|(undo, why)| (undo == *told).then_some(why))
    }
}

/// Counts something while it is there.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Reads and answers the log.
#[derive(Debug)]
pub(crate) struct Steward {
    log: ControlLog,
    environment: Environment,
    work: Arc<Work>,
    waits_for_cutover: bool,
    desired: watch::Sender<Desired>,
    progress: ProgressRecord,
}

/// How a run is steered and watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlOptions {
    pub(crate) poll: Duration,
    pub(crate) publish: Duration,
}

impl Default for ControlOptions {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            publish: Duration::from_secs(2),
        }
    }
}

impl ControlOptions {
    /// How often commands are looked for; every second unless told. A look is one read.
    #[must_use]
    pub fn poll(mut self, every: Duration) -> Self {
        self.poll = every;
        self
    }

    /// How often the progress is written down for who watches from outside; every two seconds
    /// unless told. A run that is over sooner writes none.
    #[must_use]
    pub fn publish(mut self, every: Duration) -> Self {
        self.publish = every;
        self
    }
}

impl Steering {
    /// Hears commands until it is dropped. What earlier holders were told is known from the start,
    /// where there were any.
    /// A log that cannot be read is tried again later.
    pub(crate) async fn begin(
        plan: &PlannedMigration,
        environment: &Environment,
        log: ControlLog,
        (options, resumed): (ControlOptions, bool),
        progress: ProgressRecord,
    ) -> Self {
        let work = Arc::new(Work::default());
        let (sender, desired) = watch::channel(Desired::default());
        let mut steward = Steward {
            log,
            environment: environment.clone(),
            work: Arc::clone(&work),
            waits_for_cutover: plan.cutover.mode != CutoverMode::Automatic,
            desired: sender,
            progress,
        };
        if resumed {
            steward.look().await;
        }
        let steward = Arc::new(tokio::sync::Mutex::new(steward));
        let watching = watch_over(Arc::clone(&steward), environment.clone(), options);
        Self {
            desired,
            work,
            planned: Settings::of(plan),
            steward,
            _watching: AbortOnDropHandle::new(tokio::spawn(watching)),
        }
    }

    /// It is being undone: from here on it hears nothing that concerns going forward, but that it
    /// need not rest.
    pub(crate) fn begin_undo(&self) {
        self.work.undoing.store(true, Ordering::Release);
    }

    /// Answers those who wanted it undone. Where the log cannot be told so, the command stands there
    /// still: it must not undo it again and again, and is answered later.
    pub(crate) async fn refuse_undo(&self, reason: String) {
        self.conclude(&RunEnd::UndoRefused(reason.clone())).await;
        let standing = self.desired.borrow().undo.clone();
        *self.work.refused() = standing.map(|undo| (undo, reason));
    }

    /// It goes forward after all.
    pub(crate) fn end_undo(&self) {
        self.work.undoing.store(false, Ordering::Release);
    }

    /// Every source is closed: there is only forward.
    pub(crate) fn past_the_pivot(&self) {
        self.work.past_the_pivot.store(true, Ordering::Release);
    }

    pub(crate) fn settings(&self) -> Settings {
        self.desired.borrow().settings(self.planned)
    }

    pub(crate) fn told_to_cut_over(&self) -> bool {
        self.desired.borrow().cutover_by.is_some()
    }

    /// That it is to be undone, unless it is being undone.
    pub(crate) fn undo(&self) -> Option<Undo> {
        if self.work.undoing.load(Ordering::Acquire) {
            return None;
        }
        let told = self.desired.borrow().undo.clone()?;
        self.work.refusal(&told).is_none().then_some(told)
    }

    pub(crate) fn paused_by(&self) -> Option<String> {
        match self.work.undoing.load(Ordering::Acquire) {
            true => None,
            false => self.desired.borrow().paused_by.clone(),
        }
    }

    /// What is desired, to wait for a change of it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Desired> {
        self.desired.clone()
    }

    /// An object is driven while this is there.
    pub(crate) fn driven(&self) -> Counted<'_> {
        Counted::new(&self.work.driven)
    }

    /// A driven object rests while this is there.
    pub(crate) fn resting(&self) -> Counted<'_> {
        Counted::new(&self.work.resting)
    }

    /// Answers the commands that the end of the run has settled.
    pub(crate) async fn conclude(&self, end: &RunEnd) {
        self.steward.lock().await.conclude(end).await;
    }

    /// Writes down the last progress, where some was before.
    pub(crate) async fn publish_last(&self) {
        self.steward.lock().await.progress.publish_last().await;
    }
}

/// How a run, or the undo of one, ended, as far as commands are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunEnd {
    /// Everything is done; what was to be undone is not.
    Completed,
    /// Everything that could be undone is.
    Undone,
    /// The undo was refused: the pivot is behind.
    UndoRefused(String),
}

async fn watch_over(
    steward: Arc<tokio::sync::Mutex<Steward>>,
    environment: Environment,
    options: ControlOptions,
) {
    let clock = &environment.clock;
    let mut published = clock.monotonic();
    loop {
        clock.sleep(options.poll.min(options.publish)).await;
        let mut steward = steward.lock().await;
        steward.look().await;
        let now = clock.monotonic();
        steward.progress.measure(now);
        if now.saturating_sub(published) >= options.publish {
            steward.progress.publish().await;
            published = now;
        }
    }
}

impl Steward {
    /// Reads what is new, answers it, and tells the work.
    async fn look(&mut self) {
        if let Err(error) = self.log.catch_up().await {
            warn!(%error, "commands could not be read");
            return;
        }
        let open: Vec<_> = self.log.state().open().cloned().collect();
        for command in open {
            let answer = judge(&self.log.state().desired, self.situation(), &command.action);
            info!(author = command.author, action = %command.action, %answer, "command");
            self.answer(command.id, answer).await;
        }
        self.settle_pauses().await;
        self.settle_refusal().await;
        let desired = &self.log.state().desired;
        self.desired.send_if_modified(|told| {
            let differs = told != desired;
            told.clone_from(desired);
            differs
        });
    }

    fn situation(&self) -> Situation {
        Situation {
            past_the_pivot: self.work.past_the_pivot.load(Ordering::Acquire),
            undoing: self.work.undoing.load(Ordering::Acquire),
            waits_for_cutover: self.waits_for_cutover,
        }
    }

    async fn answer(&mut self, command: CommandId, answer: Answer) {
        let at = self.environment.clock.now();
        let entry = ControlEntry::Answer {
            command,
            answer: answer.clone(),
            at,
        };
        let unanswered = |state: &crate::protocol::control::ControlState| {
            let found = state.find(command).and_then(|c| c.answer.as_ref());
            match found {
                None => true,
                Some(Answer::Accepted) => answer != Answer::Accepted,
                Some(_) => false,
            }
        };
        if let Err(error) = self.log.append(&entry, unanswered).await {
            // it is open still, and answered at the next look
            warn!(%error, "a command could not be answered");
        }
    }

    /// A pause is done when all that is driven rests.
    async fn settle_pauses(&mut self) {
        let driven = self.work.driven.load(Ordering::Acquire);
        let resting = self.work.resting.load(Ordering::Acquire);
        if driven == 0 || resting < driven {
            return;
        }
        let paused: Vec<_> = (self.log.state().accepted())
            .filter(|command| command.action == ControlAction::Pause)
            .map(|command| command.id)
            .collect();
        for command in paused {
            self.answer(command, Answer::Done).await;
        }
    }

    /// What was refused, and could not be answered then.
    async fn settle_refusal(&mut self) {
        let state = self.log.state();
        let standing = state.desired.undo.as_ref();
        let Some(reason) = standing.and_then(|undo| self.work.refusal(undo)) else {
            return;
        };
        let undoing = state.accepted().filter(|command| undoes(&command.action));
        let undoing: Vec<_> = undoing.map(|command| command.id).collect();
        for command in undoing {
            self.answer(command, refused(&reason)).await;
        }
    }

    async fn conclude(&mut self, end: &RunEnd) {
        if self.log.catch_up().await.is_err() {
            return;
        }
        let state = self.log.state();
        let accepted: Vec<_> = state.accepted().cloned().collect();
        let open: Vec<_> = state.open().cloned().collect();
        for command in accepted {
            let answer = match (end, undoes(&command.action)) {
                (RunEnd::UndoRefused(reason), true) => refused(reason),
                (RunEnd::UndoRefused(_), false) => continue,
                (RunEnd::Completed, true) => {
                    refused("it was completed first; roll it back, which migrates the events back")
                }
                (RunEnd::Completed, false) | (RunEnd::Undone, true) => Answer::Done,
                (RunEnd::Undone, false) => refused("the migration was undone"),
            };
            self.answer(command.id, answer).await;
        }
        if !matches!(end, RunEnd::UndoRefused(_)) {
            for command in open {
                self.answer(command.id, refused("the migration has ended"))
                    .await;
            }
        }
        let desired = self.log.state().desired.clone();
        self.desired.send_replace(desired);
    }
}

fn refused(reason: &str) -> Answer {
    let reason = reason.to_owned();
    Answer::Refused { reason }
}

fn undoes(action: &ControlAction) -> bool {
    matches!(
        action,
        ControlAction::Cancel { .. } | ControlAction::RollBack { .. }
    )
}
