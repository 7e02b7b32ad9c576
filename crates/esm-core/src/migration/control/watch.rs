//! Observes a migration from any process.

use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use tracing::warn;

use crate::error::{Error, ErrorKind, Result};
use crate::id::MigrationId;
use crate::migration::control::handle::MigrationControl;
use crate::migration::control::log::ControlLog;
use crate::migration::control::progress_record;
use crate::migration::journal::Journal;
use crate::migration::report::progress::Progress;
use crate::migration::service::{MigrationService, MigrationState, unknown};
use crate::protocol::control::{Desired, TrackedCommand};

/// The time between two publications by default, twice: an estimate is not older while a process is
/// at work.
const LONGEST_AGE: Duration = Duration::from_secs(4);

/// The observable state of a migration.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct WatchedMigration {
    /// Its state by the journal and the lock.
    #[serde(flatten)]
    pub state: MigrationState,
    /// Its last published progress, with the time left as of now. Absent in the first few seconds of a
    /// run.
    pub progress: Option<Progress>,
    /// The state that the commands request.
    pub desired: Desired,
    /// The newest commands and older open ones; oldest first.
    pub commands: Vec<TrackedCommand>,
    /// Whether a pause is in force or not answered yet; see [`ControlState::pauses`].
    ///
    /// [`ControlState::pauses`]: crate::protocol::control::ControlState::pauses
    #[serde(skip)]
    pub pauses: bool,
    /// Why the commands cannot be read to their end, for example because a newer version gave one.
    /// What they come to is then unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands_damage: Option<String>,
}

impl WatchedMigration {
    /// Whether a process works on it now: its lock is held.
    pub fn is_at_work(&self) -> bool {
        self.state.lock.as_ref().is_some_and(|lock| lock.held)
    }
}

/// Observes a migration again and again. Each observation reads only what was recorded since the one
/// before: its cost does not grow with the length of the migration.
#[derive(Debug)]
pub struct MigrationObserver {
    service: MigrationService,
    migration: MigrationId,
    journal: Option<Journal>,
    control: ControlLog,
}

impl MigrationObserver {
    /// Observes the migration as it is now. Writes nothing.
    ///
    /// # Errors
    /// `NotFound`; those of the records. The observer remains usable.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn observe(&mut self) -> Result<WatchedMigration> {
        let damage = self.read_journal().await?;
        let Some(journal) = &self.journal else {
            return Err(unknown(self.migration));
        };
        let state = (self.service)
            .state_by(self.migration, journal, damage)
            .await?;
        let records = &self.service.records;
        let progress = match progress_record::published(records, self.migration, None).await {
            Err(damage) if *damage.kind() == ErrorKind::Corrupt => {
                warn!(%damage, "the published progress cannot be read");
                None
            }
            published => published?.map(|(_, progress)| progress),
        };
        let now = self.service.environment.clock.now();
        let progress = progress.map(|progress| Progress {
            eta: progress.eta.map(|left| left_at(now, progress.at, left)),
            ..progress
        });
        let commands_damage = match self.control.catch_up().await {
            Err(damage) if *damage.kind() == ErrorKind::Corrupt => Some(with_hint(&damage)),
            read => read.map(|()| None)?,
        };
        let control = self.control.state();
        Ok(WatchedMigration {
            pauses: control.pauses(),
            state,
            progress,
            desired: control.desired.clone(),
            commands: control.commands.clone(),
            commands_damage,
        })
    }

    /// Reads what is new in the journal; returns its damage.
    async fn read_journal(&mut self) -> Result<Option<Error>> {
        if let Some(journal) = &mut self.journal {
            return journal.read_on().await;
        }
        let (journal, damage) = self.service.journal_damaged(self.migration).await?;
        self.journal = Some(journal);
        Ok(damage)
    }
}

/// What is left at a time of an estimate that was published earlier. A clock that runs ahead of that
/// of the publisher takes no more off than [`LONGEST_AGE`].
fn left_at(now: Timestamp, published: Timestamp, left: Duration) -> Duration {
    let age = Duration::try_from(now.duration_since(published)).unwrap_or_default();
    left.saturating_sub(age.min(LONGEST_AGE))
}

/// An error with its hint, in words.
fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

impl MigrationService {
    /// Returns a handle that sends commands to a migration in any process.
    pub fn control(&self, migration: MigrationId) -> MigrationControl {
        MigrationControl::new(self.clone(), migration)
    }

    /// Observes a migration. Writes nothing.
    ///
    /// # Errors
    /// `NotFound`; those of the records.
    pub async fn observe(&self, migration: MigrationId) -> Result<WatchedMigration> {
        self.observer(migration).observe().await
    }

    /// Returns an observer of a migration, which reads only what is new.
    pub fn observer(&self, migration: MigrationId) -> MigrationObserver {
        MigrationObserver {
            control: self.control(migration).log(),
            service: self.clone(),
            migration,
            journal: None,
        }
    }

    /// Returns a version of the published progress of a migration with its number: this one, or the
    /// newest. The versions, from 0 without gaps, are the history of all its runs.
    ///
    /// # Errors
    /// `Corrupt`, also for a newer format; those of the records.
    pub async fn published_progress(
        &self,
        migration: MigrationId,
        number: Option<u64>,
    ) -> Result<Option<(u64, Progress)>> {
        progress_record::published(&self.records, migration, number).await
    }

    /// [Observes](Self::observe) a migration at this interval until it has ended, or its journal is
    /// damaged.
    pub fn watch(
        &self,
        migration: MigrationId,
        every: Duration,
    ) -> BoxStream<'static, Result<WatchedMigration>> {
        let service = self.clone();
        let first = (service.observer(migration), true, false);
        stream::unfold(first, move |(mut observer, first, over)| async move {
            if over {
                return None;
            }
            if !first {
                observer.service.environment.clock.sleep(every).await;
            }
            let seen = observer.observe().await;
            let over = seen.as_ref().map_or(true, |watched| {
                watched.state.status.is_terminal() || watched.state.damage.is_some()
            });
            Some((seen, (observer, false, over)))
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_after(elapsed: &str, left: u64) -> u64 {
        let published: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let now = published + elapsed.parse::<jiff::Span>().unwrap();
        left_at(now, published, Duration::from_secs(left)).as_secs()
    }

    #[test]
    fn time_since_the_publication_is_no_longer_left() {
        assert_eq!(left_after("PT0S", 9), 9);
        assert_eq!(left_after("PT2S", 9), 7);
        assert_eq!(left_after("PT2S", 1), 0);
    }

    #[test]
    fn a_clock_that_differs_takes_little_off() {
        assert_eq!(left_after("PT1H", 9), 5);
        assert_eq!(left_after("-PT1H", 9), 9);
    }
}
