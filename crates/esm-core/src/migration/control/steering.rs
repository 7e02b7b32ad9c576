//! The migrator's side of the control log: polls commands, answers them and notifies the run.

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
use crate::protocol::plan::PlannedMigration;

/// State shared between operator commands and the running migration.
#[derive(Debug)]
pub(crate) struct Steering {
    desired: watch::Receiver<Desired>,
    work: Arc<WorkState>,
    planned: Settings,
    control: Arc<tokio::sync::Mutex<ControlLoop>>,
    _watching: AbortOnDropHandle<()>,
}

/// The state of the running migration, as input for the answers.
#[derive(Debug, Default)]
struct WorkState {
    past_the_pivot: AtomicBool,
    undoing: AtomicBool,
    /// A refused undo and its reason, until the log contains the answer.
    refused: Mutex<Option<(Undo, String)>>,
    /// Objects under way, and those of them that are paused.
    driven: AtomicU64,
    resting: AtomicU64,
}

impl WorkState {
    fn refused(&self) -> MutexGuard<'_, Option<(Undo, String)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the reason why this undo was refused, if it was.
    fn refusal(&self, requested: &Undo) -> Option<String> {
        let refused = self.refused().clone();
        refused.and_then(|(undo, reason)| (undo == *requested).then_some(reason))
    }
}

/// Increments a counter until it is dropped.
#[derive(Debug)]
pub(crate) struct CountGuard<'a>(&'a AtomicU64);

impl<'a> CountGuard<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for CountGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Polls the control log and appends an answer to each command.
#[derive(Debug)]
pub(crate) struct ControlLoop {
    log: ControlLog,
    environment: Environment,
    work: Arc<WorkState>,
    waits_for_cutover: bool,
    planned: Settings,
    desired: watch::Sender<Desired>,
    progress: ProgressRecord,
}

/// Intervals of the control loop of a run.
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
    /// Sets the interval between polls for commands; defaults to one second. A poll is one read.
    #[must_use]
    pub fn poll(mut self, every: Duration) -> Self {
        self.poll = every;
        self
    }

    /// Sets the interval between publications of the progress; defaults to two seconds. A run that
    /// ends sooner publishes none.
    #[must_use]
    pub fn publish(mut self, every: Duration) -> Self {
        self.publish = every;
        self
    }
}

/// How the control loop of a run starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ControlStart {
    pub(crate) options: ControlOptions,
    /// Whether an earlier holder may have received commands.
    pub(crate) resumed: bool,
}

impl Steering {
    /// Starts to poll commands, until the value is dropped. A resumed run reads the commands to
    /// earlier holders first. A log that cannot be read is retried at the next poll.
    pub(crate) async fn begin(
        plan: &PlannedMigration,
        environment: &Environment,
        log: ControlLog,
        start: ControlStart,
        progress: ProgressRecord,
    ) -> Self {
        let work = Arc::new(WorkState::default());
        let (sender, desired) = watch::channel(Desired::default());
        let mut control = ControlLoop {
            log,
            environment: environment.clone(),
            work: Arc::clone(&work),
            waits_for_cutover: plan.cutover.mode != CutoverMode::Automatic,
            planned: plan.settings(),
            desired: sender,
            progress,
        };
        if start.resumed {
            control.poll().await;
        }
        let control = Arc::new(tokio::sync::Mutex::new(control));
        let watching = run_control_loop(Arc::clone(&control), environment.clone(), start.options);
        Self {
            desired,
            work,
            planned: plan.settings(),
            control,
            _watching: AbortOnDropHandle::new(tokio::spawn(watching)),
        }
    }

    /// Marks the migration as being undone: from now on pauses and further undo commands are
    /// ignored.
    pub(crate) fn begin_undo(&self) {
        self.work.undoing.store(true, Ordering::Release);
    }

    /// Refuses the undo commands. If the answer cannot be appended, the refusal is
    /// kept in memory, so that the open command does not start another undo, and is appended later.
    pub(crate) async fn refuse_undo(&self, reason: String) {
        self.conclude(&RunEnd::UndoRefused(reason.clone())).await;
        let open = self.desired.borrow().undo.clone();
        *self.work.refused() = open.map(|undo| (undo, reason));
    }

    /// Continues forward after a refused undo.
    pub(crate) fn end_undo(&self) {
        self.work.undoing.store(false, Ordering::Release);
    }

    /// Every source is closed: the migration can only be completed.
    pub(crate) fn past_the_pivot(&self) {
        self.work.past_the_pivot.store(true, Ordering::Release);
    }

    pub(crate) fn settings(&self) -> Settings {
        self.desired.borrow().settings(self.planned)
    }

    pub(crate) fn cutover_requested(&self) -> bool {
        self.desired.borrow().cutover_by.is_some()
    }

    /// Returns the requested undo, unless it is under way or was refused.
    pub(crate) fn undo(&self) -> Option<Undo> {
        if self.work.undoing.load(Ordering::Acquire) {
            return None;
        }
        let undo = self.desired.borrow().undo.clone()?;
        self.work.refusal(&undo).is_none().then_some(undo)
    }

    pub(crate) fn paused_by(&self) -> Option<String> {
        if self.work.undoing.load(Ordering::Acquire) {
            return None;
        }
        self.desired.borrow().paused_by.clone()
    }

    /// Returns a receiver that notifies of changes to the desired state.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Desired> {
        self.desired.clone()
    }

    /// Counts an object as under way until the guard is dropped.
    pub(crate) fn driven(&self) -> CountGuard<'_> {
        CountGuard::new(&self.work.driven)
    }

    /// Counts an object as paused until the guard is dropped.
    pub(crate) fn resting(&self) -> CountGuard<'_> {
        CountGuard::new(&self.work.resting)
    }

    /// Appends the answers to the commands that the end of the run settles.
    pub(crate) async fn conclude(&self, end: &RunEnd) {
        self.control.lock().await.conclude(end).await;
    }

    /// Publishes the last progress, if one was published before.
    pub(crate) async fn publish_last(&self) {
        self.control.lock().await.progress.publish_last().await;
    }
}

/// The end of a run or of an undo, as it concerns commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunEnd {
    /// The migration is completed; undo commands are refused.
    Completed,
    /// The migration is undone.
    Undone,
    /// The undo was refused: the pivot has passed.
    UndoRefused(String),
}

async fn run_control_loop(
    control: Arc<tokio::sync::Mutex<ControlLoop>>,
    environment: Environment,
    options: ControlOptions,
) {
    let clock = &environment.clock;
    let mut published = clock.monotonic();
    loop {
        clock.sleep(options.poll.min(options.publish)).await;
        let mut control = control.lock().await;
        control.poll().await;
        let now = clock.monotonic();
        let limit = control.settings().events_per_second.get();
        control.progress.measure(now, limit);
        if now.saturating_sub(published) >= options.publish {
            control.progress.publish().await;
            published = now;
        }
    }
}

impl ControlLoop {
    fn settings(&self) -> Settings {
        self.log.state().desired.settings(self.planned)
    }

    /// Reads new commands, answers them and notifies the run.
    async fn poll(&mut self) {
        if let Err(error) = self.log.catch_up().await {
            warn!(%error, "commands could not be read");
            return;
        }
        let open: Vec<_> = self.log.state().open().cloned().collect();
        for command in open {
            let answer = judge(&self.log.state().desired, self.situation(), &command.action);
            info!(author = command.author, action = %command.action, %answer, "command");
            if !self.answer(command.id, answer).await {
                // a later one may supersede it, so the order is kept
                break;
            }
        }
        self.settle_pauses().await;
        self.settle_refusal().await;
        let desired = &self.log.state().desired;
        self.desired.send_if_modified(|known| {
            let differs = known != desired;
            known.clone_from(desired);
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

    /// Appends an answer. Returns whether the log contains one: if not, the command stays open until
    /// the next poll.
    async fn answer(&mut self, command: CommandId, answer: Answer) -> bool {
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
        let appended = self.log.append(&entry, unanswered).await;
        if let Err(error) = &appended {
            warn!(%error, "a command could not be answered");
        }
        appended.is_ok()
    }

    /// Records pauses as done when every object under way is paused.
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

    /// Appends the answer of a refused undo that could not be appended before.
    async fn settle_refusal(&mut self) {
        let state = self.log.state();
        let open = state.desired.undo.as_ref();
        let Some(reason) = open.and_then(|undo| self.work.refusal(undo)) else {
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
                (RunEnd::Completed, true) => refused(
                    "the migration was completed first; roll it back, which migrates the events back",
                ),
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
