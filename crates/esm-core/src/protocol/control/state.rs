//! What the records of a control log come to, and what a command is answered: pure.

use serde::{Deserialize, Serialize};

use crate::id::CommandId;
use crate::protocol::control::{
    Answer, Command, ControlAction, ControlEntry, Settings, SettingsChange,
};

/// Commands that are remembered one by one; of older ones that are settled only what they came to.
const REMEMBERED: usize = 256;

/// What a migration is to do, by all commands that it accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Desired {
    /// Who paused it, and is not taken back.
    pub paused_by: Option<String>,
    /// Who asked for the cutover.
    pub cutover_by: Option<String>,
    /// That it is to be undone.
    pub undo: Option<Undo>,
    /// What was changed of the settings of its plan.
    pub settings: SettingsChange,
}

/// That a migration is to be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Whether it then counts as cancelled.
    pub cancels: bool,
    /// Why, and by whom.
    pub reason: String,
}

impl Desired {
    /// The settings to work with.
    #[must_use]
    pub fn settings(&self, planned: Settings) -> Settings {
        self.settings.applied_to(planned)
    }

    fn accept(&mut self, command: &Command) {
        let author = &command.author;
        match &command.action {
            ControlAction::Pause => self.paused_by = Some(author.clone()),
            ControlAction::Resume => self.paused_by = None,
            ControlAction::CutOver => self.cutover_by = Some(author.clone()),
            ControlAction::WithdrawCutOver => self.cutover_by = None,
            ControlAction::Cancel { reason } => self.undo(true, reason, author),
            ControlAction::RollBack { reason } => self.undo(false, reason, author),
            ControlAction::Set(change) => self.settings = merged(self.settings, *change),
        }
    }

    /// What was accepted turned out to be impossible.
    fn take_back(&mut self, command: &Command) {
        match &command.action {
            ControlAction::Cancel { .. } | ControlAction::RollBack { .. } => self.undo = None,
            ControlAction::Pause => self.paused_by = None,
            ControlAction::CutOver => self.cutover_by = None,
            _ => {}
        }
    }

    fn undo(&mut self, cancels: bool, reason: &str, author: &str) {
        let reason = if reason.is_empty() {
            format!("asked for by {author}")
        } else {
            // the author comes first: what follows is the author's text, whatever it says
            format!("asked for by {author}: {reason}")
        };
        self.undo = Some(Undo { cancels, reason });
    }
}

fn merged(before: SettingsChange, change: SettingsChange) -> SettingsChange {
    SettingsChange {
        events_per_second: change.events_per_second.or(before.events_per_second),
        bytes_per_second: change.bytes_per_second.or(before.bytes_per_second),
        requests_in_flight: change.requests_in_flight.or(before.requests_in_flight),
        target_latency_ms: change.target_latency_ms.or(before.target_latency_ms),
        observed_latency_ms: change.observed_latency_ms.or(before.observed_latency_ms),
        replication_lag_bytes: (change.replication_lag_bytes).or(before.replication_lag_bytes),
        cell_events: change.cell_events.or(before.cell_events),
        cell_bytes: change.cell_bytes.or(before.cell_bytes),
        concurrency: change.concurrency.or(before.concurrency),
    }
}

/// A command and what was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackedCommand {
    /// The command.
    #[serde(flatten)]
    pub command: Command,
    /// The newest answer.
    pub answer: Option<Answer>,
}

impl TrackedCommand {
    /// Whether its answer is the last.
    fn is_settled(&self) -> bool {
        matches!(self.answer, Some(Answer::Refused { .. } | Answer::Done))
    }
}

/// What the records of a control log come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ControlState {
    /// The number that the next record gets.
    pub next_number: u64,
    /// The newest commands, and older ones that are not settled; oldest first.
    pub commands: Vec<TrackedCommand>,
    /// What the accepted ones come to.
    pub desired: Desired,
}

impl ControlState {
    /// The state after one more record. A record that says nothing new changes nothing: a command
    /// sent twice, an answer to one that is unknown, one after a refusal.
    pub fn apply(&mut self, entry: &ControlEntry) {
        self.next_number += 1;
        match entry {
            ControlEntry::Command(command) => {
                if self.find(command.id).is_none() {
                    self.remember(command.clone());
                }
            }
            ControlEntry::Answer {
                command, answer, ..
            } => self.answer(*command, answer),
        }
    }

    fn remember(&mut self, command: Command) {
        let answer = None;
        self.commands.push(TrackedCommand { command, answer });
        while self.commands.len() > REMEMBERED {
            // one that is open, or that may be taken back, is never forgotten
            let Some(settled) = self.commands.iter().position(TrackedCommand::is_settled) else {
                return;
            };
            self.commands.remove(settled);
        }
    }

    fn answer(&mut self, id: CommandId, answer: &Answer) {
        let Some(tracked) = self.commands.iter_mut().find(|c| c.command.id == id) else {
            return;
        };
        let first = tracked.answer.is_none();
        if tracked.is_settled() || (!first && *answer == Answer::Accepted) {
            return;
        }
        tracked.answer = Some(answer.clone());
        let command = tracked.command.clone();
        match (first, answer) {
            (true, Answer::Accepted | Answer::Done) => self.desired.accept(&command),
            (false, Answer::Refused { .. }) => self.desired.take_back(&command),
            _ => {}
        }
    }

    /// A command and its newest answer.
    pub fn find(&self, id: CommandId) -> Option<&TrackedCommand> {
        self.commands.iter().find(|c| c.command.id == id)
    }

    /// The commands that nobody has answered yet, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Command> {
        let open = self.commands.iter().filter(|c| c.answer.is_none());
        open.map(|c| &c.command)
    }

    /// Whether a pause is in force, or is open and not superseded by a later resume.
    pub fn pauses(&self) -> bool {
        let in_force = self.desired.paused_by.is_some();
        self.open()
            .fold(in_force, |pauses, command| match command.action {
                ControlAction::Pause => true,
                ControlAction::Resume => false,
                _ => pauses,
            })
    }

    /// The commands that were accepted and are not done, oldest first.
    pub fn accepted(&self) -> impl Iterator<Item = &Command> {
        let accepted = (self.commands.iter()).filter(|c| c.answer == Some(Answer::Accepted));
        accepted.map(|c| &c.command)
    }
}

/// What a migrator knows of itself when it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Situation {
    /// Whether every source has been closed, as far as this run knows: then it can only
    /// be completed.
    pub past_the_pivot: bool,
    /// Whether it is being undone.
    pub undoing: bool,
    /// Whether it waits for a command before it cuts over.
    pub waits_for_cutover: bool,
}

/// The answer of a migrator to a command, given the commands in force and its situation.
pub fn judge(desired: &Desired, situation: Situation, action: &ControlAction) -> Answer {
    let refused = |reason: String| Answer::Refused { reason };
    let undoing = situation.undoing || desired.undo.is_some();
    match action {
        ControlAction::Set(change) => match change.check() {
            Ok(()) => Answer::Done,
            Err(error) => refused(error.to_string()),
        },
        // accepted during an undo too: an undo that is refused completes the migration without a pause
        ControlAction::Resume if desired.paused_by.is_some() => Answer::Done,
        _ if undoing => refused("the migration is being undone".to_owned()),
        ControlAction::Pause => match &desired.paused_by {
            Some(by) => refused(format!("it is paused already, by {by}")),
            None => Answer::Accepted,
        },
        ControlAction::Resume => refused("it is not paused".to_owned()),
        ControlAction::Cancel { .. } | ControlAction::RollBack { .. } => {
            if situation.past_the_pivot {
                refused(
                    "the sources are closed, so it can only be completed: let it finish, then roll \
                     it back, which migrates the events back"
                        .to_owned(),
                )
            } else {
                Answer::Accepted
            }
        }
        ControlAction::CutOver => match (&desired.cutover_by, situation) {
            (_, s) if s.past_the_pivot => refused("it has cut over".to_owned()),
            (_, s) if !s.waits_for_cutover => {
                refused("it cuts over by itself when it is ready".to_owned())
            }
            (Some(by), _) => refused(format!("the cutover was asked for already, by {by}")),
            (None, _) => Answer::Accepted,
        },
        ControlAction::WithdrawCutOver => match (&desired.cutover_by, situation) {
            (_, s) if s.past_the_pivot => refused(
                "it has cut over: let it finish, then roll it back, which migrates the events back"
                    .to_owned(),
            ),
            (None, _) => refused("no cutover was asked for".to_owned()),
            (Some(_), _) => Answer::Done,
        },
    }
}
