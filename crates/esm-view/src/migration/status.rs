//! The documents of `esm status`.

use std::collections::BTreeMap;
use std::time::Duration;

use esm_core::clock::Clock;
use esm_core::id::MigrationId;
use esm_core::migration::{
    MigrationService, MigrationState, MigrationStatus, Progress, WatchedMigration,
};
use esm_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::condition::{Condition, Kind};
use super::failures::object_failures;

/// Several migrations.
#[derive(Debug, Clone, Serialize)]
pub struct Migrations {
    /// The migrations, by id, which is in the order of planning.
    pub migrations: Vec<Shown>,
    /// Migrations that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
    /// Number of older migrations that were not read.
    #[serde(skip_serializing_if = "is_none")]
    pub not_read: u64,
}

/// A migration that cannot be read, and why: its records are damaged, or of a newer version.
#[derive(Debug, Clone, Serialize)]
pub struct Unreadable {
    /// The migration.
    pub migration: MigrationId,
    /// Why.
    pub reason: String,
    /// What helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Unreadable {
    /// A migration that could not be read for this reason.
    ///
    /// # Errors
    /// The error itself, unless it is about the records of this migration alone.
    pub fn of(migration: MigrationId, error: Error) -> Result<Self> {
        use ErrorKind::{Corrupt, Gone, Invalid, Unsupported};
        match error.kind() {
            Corrupt | Gone | Invalid | Unsupported => Ok(Self {
                migration,
                reason: error.to_string(),
                hint: error.hint().map(str::to_owned),
            }),
            _ => Err(error),
        }
    }
}

/// A migration, and what it does now.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Its state by its journal and its lock.
    #[serde(flatten)]
    pub state: MigrationState,
    /// What it does, and what it waits for.
    #[serde(flatten)]
    pub condition: Condition,
    /// What its process last published, if the journal does not know more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// How long ago it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_age: Option<Duration>,
    /// Why its commands cannot be read to their end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands_damage: Option<String>,
    /// When this was so, by the clock of the reader.
    pub observed_at: Timestamp,
}

/// A migration in detail.
#[derive(Debug, Clone, Serialize)]
pub struct OneMigration {
    /// The migration.
    #[serde(flatten)]
    pub shown: Shown,
    /// Events of retired schemas that the targets stored unchanged, by schema.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accepted_unchanged: BTreeMap<String, u64>,
    /// The damage that keeps these events from being counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_unchanged_damage: Option<String>,
}

/// A migration as it is observed now, with its commands: a line of `esm watch`.
#[derive(Debug, Clone, Serialize)]
pub struct Watched {
    /// What was observed.
    #[serde(flatten)]
    pub watched: WatchedMigration,
    /// What it does, and what it waits for.
    #[serde(flatten)]
    pub condition: Condition,
}

impl Watched {
    /// A migration as it was observed.
    pub fn of(watched: WatchedMigration, now: Timestamp) -> Self {
        Self {
            condition: Condition::of(&watched, now),
            watched,
        }
    }
}

fn is_none(number: &u64) -> bool {
    *number == 0
}

/// Whether a migration needs attention still: it has a plan and has not ended, or is damaged.
pub fn is_unfinished(state: &MigrationState) -> bool {
    state.damage.is_some() || state.plan.is_some() && !state.status.is_terminal()
}

/// The migrations that reverse others, by the reversed one. One that was undone reverses nothing.
pub fn reversed_by(states: &[MigrationState]) -> BTreeMap<MigrationId, MigrationId> {
    let reverses = |state: &MigrationState| {
        let undone = state.status.is_terminal() && state.status != MigrationStatus::Completed;
        let plan = state.plan.as_ref().filter(|_| !undone)?;
        Some((plan.reverses.as_ref()?.migration, state.migration))
    };
    states.iter().filter_map(reverses).collect()
}

impl Migrations {
    /// Loads the newest migrations, at most this many, and those that are at work; with `all` also
    /// those that have ended.
    ///
    /// # Errors
    /// Those of the records and the locks.
    pub async fn load(
        service: &MigrationService,
        clock: &dyn Clock,
        most: usize,
        all: bool,
    ) -> Result<Self> {
        let found = service.newest(most).await?;
        let reversed = reversed_by(&found.migrations);
        let (mut migrations, mut unreadable) = (Vec::new(), Vec::new());
        for state in found.migrations {
            if all || is_unfinished(&state) {
                let migration = state.migration;
                let by = reversed.get(&migration).copied();
                match Shown::load(service, clock, state, by).await {
                    Ok(shown) => migrations.push(shown),
                    Err(error) => unreadable.push(Unreadable::of(migration, error)?),
                }
            }
        }
        Ok(Self {
            migrations,
            unreadable,
            not_read: found.not_read,
        })
    }
}

impl Shown {
    /// Adds the condition of a migration; of an unfinished one also its progress.
    ///
    /// # Errors
    /// Those of the records and the locks.
    pub async fn load(
        service: &MigrationService,
        clock: &dyn Clock,
        state: MigrationState,
        reversed_by: Option<MigrationId>,
    ) -> Result<Self> {
        let mut shown = if is_unfinished(&state) && state.damage.is_none() {
            let watched = service.observe(state.migration).await?;
            Self::of(watched, clock.now())
        } else {
            Self {
                condition: Condition::of_state(&state),
                state,
                progress: None,
                progress_age: None,
                commands_damage: None,
                observed_at: clock.now(),
            }
        };
        shown.condition.reversed_by = reversed_by;
        Ok(shown)
    }

    /// A migration as it was observed.
    pub fn of(watched: WatchedMigration, now: Timestamp) -> Self {
        let condition = Condition::of(&watched, now);
        let progress = published(&watched, &condition);
        let age = |progress: &Progress| now.duration_since(progress.at).unsigned_abs();
        Self {
            condition,
            progress_age: progress.as_ref().map(age),
            progress,
            commands_damage: watched.commands_damage,
            observed_at: now,
            state: watched.state,
        }
    }

    /// Without what was published by a process that works on it no more.
    #[must_use]
    pub fn only_current(mut self) -> Self {
        if !self.condition.is_current() {
            self.progress = None;
            self.progress_age = None;
        }
        self
    }

    /// The status by the running process, which knows more than the journal.
    pub fn status(&self) -> MigrationStatus {
        match &self.progress {
            Some(progress) if progress.status != MigrationStatus::Pending => progress.status,
            _ => self.state.status,
        }
    }

    /// When it was last seen to change: by its journal or by its published progress.
    pub fn last_change(&self) -> Option<Timestamp> {
        let published = self.progress.as_ref().map(|progress| progress.at);
        self.state.updated_at.max(published)
    }

    /// The failures of objects; none while a process works on the migration and tries them again.
    pub fn failures(&self) -> Vec<String> {
        let recorded = (self.state.statistics.as_ref()).filter(|_| self.progress.is_none());
        let failures = recorded.map(object_failures).unwrap_or_default();
        failures.iter().map(ToString::to_string).collect()
    }
}

/// What the process of a migration published. Of one that has ended without recording its end in the
/// journal it is the last that is known, without an estimate.
fn published(watched: &WatchedMigration, condition: &Condition) -> Option<Progress> {
    let mut progress = watched.progress.clone()?;
    if condition.is_current() && watched.is_at_work() {
        return Some(progress);
    }
    let recorded = matches!(
        condition.condition,
        Kind::Failed | Kind::Stopped | Kind::Ended
    );
    progress.eta = None;
    (!recorded && watched.state.updated_at < Some(progress.at)).then_some(progress)
}

impl OneMigration {
    /// Loads a migration in detail. The second part is the damage of another journal that keeps it
    /// unknown whether the migration was rolled back.
    ///
    /// # Errors
    /// `NotFound`; those of the records and the locks.
    pub async fn load(
        service: &MigrationService,
        clock: &dyn Clock,
        migration: MigrationId,
        newest: usize,
    ) -> Result<(Self, Option<String>)> {
        let state = service.status(migration).await?;
        let mut damage = None;
        let accepted = if state.damage.is_none() {
            match service.accepted_unchanged(migration).await {
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Gone) => {
                    damage = Some(error.to_string());
                    BTreeMap::new()
                }
                counted => counted?,
            }
        } else {
            BTreeMap::new()
        };
        let (reversed, unknown) = if state.status == MigrationStatus::Completed {
            let newest = service.newest(newest).await?.migrations;
            let reversed = reversed_by(&newest).get(&migration).copied();
            // a damaged journal may be that of its rollback
            let damaged = newest.into_iter().find_map(|state| state.damage);
            (reversed, damaged.filter(|_| reversed.is_none()))
        } else {
            (None, None)
        };
        let accepted = accepted.into_iter();
        let one = Self {
            shown: Shown::load(service, clock, state, reversed).await?,
            accepted_unchanged: accepted.map(|(s, n)| (s.to_string(), n)).collect(),
            accepted_unchanged_damage: damage,
        };
        Ok((one, unknown))
    }
}
