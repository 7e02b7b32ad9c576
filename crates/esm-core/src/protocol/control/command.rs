//! What is said to a migration, and what it answers.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::CommandId;
use crate::protocol::control::SettingsChange;

/// One record of a migration's control log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRecord {
    /// Version of the format, [`ControlRecord::FORMAT`]. A reader refuses a newer one.
    pub format: u32,
    /// What is recorded.
    #[serde(flatten)]
    pub entry: ControlEntry,
}

impl ControlRecord {
    /// The format that this version writes.
    pub const FORMAT: u32 = 1;
}

/// What a control log records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum ControlEntry {
    /// Somebody wants something.
    Command(Command),
    /// The migrator answers.
    Answer {
        /// Which command.
        command: CommandId,
        /// What it says.
        #[serde(flatten)]
        answer: Answer,
        /// When, by the migrator's clock.
        at: Timestamp,
    },
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its identity: sent twice it is one command.
    pub id: CommandId,
    /// Who gives it, for people.
    pub author: String,
    /// When, by the author's clock.
    pub at: Timestamp,
    /// Why, in the author's words; may be empty. An undo has its reason in the action.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What is to be done.
    pub action: ControlAction,
}

impl Command {
    /// Why, in the author's words; may be empty.
    pub fn reason(&self) -> &str {
        match &self.action {
            ControlAction::Cancel { reason } | ControlAction::RollBack { reason } => reason,
            _ => &self.reason,
        }
    }
}

/// The commands to a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlAction {
    /// Stop at the next safe point and stay there; locks and progress are kept.
    Pause,
    /// Continue.
    Resume,
    /// Stop and undo; it ends as cancelled. Refused after the pivot.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Stop and undo; it ends as rolled back. Refused after the pivot.
    RollBack {
        /// Why.
        reason: String,
    },
    /// Cut over as soon as it is ready, where it waits for this command.
    CutOver,
    /// Do not cut over yet after all.
    WithdrawCutOver,
    /// Work with other settings from now on.
    Set(SettingsChange),
}

impl fmt::Display for ControlAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel { .. } => "cancel",
            Self::RollBack { .. } => "roll back",
            Self::CutOver => "cut over",
            Self::WithdrawCutOver => "withdraw the cutover",
            Self::Set(_) => "set",
        })
    }
}

/// What a migrator says to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It will be done.
    Accepted,
    /// It will not be done.
    Refused {
        /// Why, and what to do instead.
        reason: String,
    },
    /// It is done.
    Done,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Refused { reason } => write!(f, "refused: {reason}"),
            Self::Done => f.write_str("done"),
        }
    }
}
