//! What a migration does now, by its journal, its lock, its commands and its published progress.

use esm_core::id::MigrationId;
use esm_core::migration::{
    CutoverMode, MigrationState, MigrationStatus, Progress, WatchedMigration,
};
use esm_core::store::HolderState;
use jiff::Timestamp;
use serde::Serialize;

/// The condition of a migration. More than its status says: whether a process works on it, and which
/// command it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Its journal cannot be read.
    Damaged,
    /// A process works on it.
    Running,
    /// A process waits for the command to cut over.
    Ready,
    /// A process waits, for example for its window.
    Waiting,
    /// Paused by a command; its process waits.
    Paused,
    /// Stopped on request; no process works on it.
    Stopped,
    /// Stopped by an error; no process works on it.
    Failed,
    /// Its process has not renewed the lock for a whole lease.
    ProbablyDead,
    /// Its process has ended before the migration.
    Dead,
    /// It has ended.
    Ended,
}

/// The condition of a migration, and what it needs.
#[derive(Debug, Clone, Serialize)]
pub struct Condition {
    /// What it does.
    pub condition: Kind,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The command that continues it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continued_by: Option<&'static str>,
    /// The migration that reverses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reversed_by: Option<MigrationId>,
}

const RESUME: &str = "esm resume";
const AMEND: &str = "esm migrate --amend";
const ROLLBACK: &str = "esm rollback";
const CUTOVER: &str = "esm cutover";

impl Condition {
    /// The condition of a migration by its journal and its lock alone: one that has ended, or that is
    /// damaged.
    pub fn of_state(state: &MigrationState) -> Self {
        let kind = if state.damage.is_some() {
            Kind::Damaged
        } else if state.status.is_terminal() {
            Kind::Ended
        } else {
            return Self::at_rest(state);
        };
        Self::new(kind, None)
    }

    /// The condition of a migration that no process works on.
    fn at_rest(state: &MigrationState) -> Self {
        match state.status {
            MigrationStatus::Paused => Self::new(Kind::Stopped, None),
            MigrationStatus::Failed if transformation_fails(state) => Self::of_failing(state),
            MigrationStatus::Failed => Self::new(Kind::Failed, None),
            // its process died, and the lock has expired or was released
            _ => Self::new(Kind::Dead, None),
        }
    }

    /// Resumed, it would fail on the same event again.
    fn of_failing(state: &MigrationState) -> Self {
        let waits_for = "a transformation that handles the event".to_owned();
        let reverses = (state.plan.as_ref()).is_some_and(|plan| plan.reverses.is_some());
        let migrated = state.statistics.as_ref().map_or(0, |s| s.migrated);
        let continued_by = if reverses || migrated > 0 {
            ROLLBACK
        } else {
            AMEND
        };
        Self {
            continued_by: Some(continued_by),
            ..Self::new(Kind::Failed, Some(waits_for))
        }
    }

    /// The condition of a migration.
    pub fn of(watched: &WatchedMigration, now: Timestamp) -> Self {
        let state = &watched.state;
        if state.status.is_terminal() || state.damage.is_some() {
            return Self::of_state(state);
        }
        let held = state.lock.as_ref().filter(|lock| lock.held);
        // a pause outlives the process that obeyed it
        let paused = watched.desired.paused_by.as_ref();
        let cutover = watched.desired.cutover_by.as_ref();
        let then = cutover.map_or(String::new(), |by| format!("; then cuts over, by {by}"));
        let paused = paused.map(|by| format!("being resumed; paused by {by}{then}"));
        match state.lock.as_ref().map(|lock| lock.holder_state(now)) {
            Some(HolderState::Dead) => return Self::new(Kind::Dead, paused),
            Some(HolderState::ProbablyDead) if held.is_some() => {
                return Self::new(Kind::ProbablyDead, paused);
            }
            _ => {}
        }
        if held.is_none() {
            return Self::commanded(watched, paused);
        }
        if paused.is_some() {
            return Self::new(Kind::Paused, paused);
        }
        Self::of_running(watched)
    }

    /// The condition of a migration that no process works on, but for which commands are stored.
    fn commanded(watched: &WatchedMigration, paused: Option<String>) -> Self {
        let at_rest = Self::at_rest(&watched.state);
        if let Some(undo) = &watched.desired.undo {
            // a process that resumes it would undo it too
            return Self {
                waits_for: Some(format!("being undone: {}", undo.reason)),
                continued_by: Some(ROLLBACK),
                ..at_rest
            };
        }
        Self {
            waits_for: at_rest.waits_for.clone().or(paused),
            ..at_rest
        }
    }

    fn of_running(watched: &WatchedMigration) -> Self {
        let waits = waits_for(watched.progress.as_ref());
        let plan = watched.state.plan.as_ref();
        let is_manual =
            plan.is_some_and(|plan| matches!(plan.cutover.mode, CutoverMode::Manual { .. }));
        let kind = match &waits {
            None => Kind::Running,
            Some(_) if is_manual && watched.desired.cutover_by.is_none() => Kind::Ready,
            Some(_) => Kind::Waiting,
        };
        Self::new(kind, waits)
    }

    fn new(condition: Kind, waits_for: Option<String>) -> Self {
        let continued_by = match condition {
            Kind::Ready => Some(CUTOVER),
            Kind::Paused | Kind::Stopped | Kind::Failed | Kind::ProbablyDead | Kind::Dead => {
                Some(RESUME)
            }
            Kind::Damaged | Kind::Running | Kind::Waiting | Kind::Ended => None,
        };
        Self {
            condition,
            waits_for,
            continued_by,
            reversed_by: None,
        }
    }

    /// Whether a process works on it, or waits, so that what it published is what is.
    pub fn is_current(&self) -> bool {
        matches!(
            self.condition,
            Kind::Running | Kind::Ready | Kind::Waiting | Kind::Paused
        )
    }

    /// In a word or two; of a migration that has ended, how.
    pub fn name(&self, status: MigrationStatus) -> String {
        match self.condition {
            Kind::Damaged => "damaged".to_owned(),
            Kind::Running => status.to_string(),
            Kind::Ready => "ready".to_owned(),
            Kind::Waiting => "waiting".to_owned(),
            Kind::Paused => "paused".to_owned(),
            Kind::Stopped => "stopped".to_owned(),
            Kind::Failed => "failed".to_owned(),
            Kind::ProbablyDead => "probably dead".to_owned(),
            Kind::Dead => "process ended".to_owned(),
            Kind::Ended if self.reversed_by.is_some() => "reversed".to_owned(),
            Kind::Ended => status.to_string(),
        }
    }

    /// What it waits for and which command continues it.
    pub fn needs(&self) -> Option<String> {
        match (&self.waits_for, self.continued_by) {
            (Some(what), Some(command)) => Some(format!("{what} (`{command}`)")),
            (Some(what), None) => Some(what.clone()),
            (None, Some(command)) => Some(format!("`{command}`")),
            (None, None) => None,
        }
    }
}

/// Whether an object failed because the transformation fails on one of its events.
pub fn transformation_fails(state: &MigrationState) -> bool {
    let statistics = state.statistics.as_ref();
    statistics.is_some_and(|s| s.failures.iter().any(|object| object.failure.is_some()))
}

fn waits_for(progress: Option<&Progress>) -> Option<String> {
    progress.and_then(|progress| progress.waiting_for.clone())
}
