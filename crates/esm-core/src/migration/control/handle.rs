//! The operator's side of the control log.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{CommandId, MigrationId};
use crate::migration::control::log::ControlLog;
use crate::migration::lock::scope::lock_name;
use crate::migration::service::{MigrationService, unknown};
use crate::protocol::control::{
    Answer, Command, ControlAction, ControlEntry, ControlState, SettingsChange,
};
use crate::store::LockInfo;

/// Sends commands to a migration that runs in this or any other process.
///
/// A command is durable once it is sent: a migrator that is stopped or crashes reads it after the
/// resume. A running migrator answers within about a second; see [`CommandReceipt::answer`].
#[derive(Debug, Clone)]
pub struct MigrationControl {
    service: MigrationService,
    migration: MigrationId,
    author: String,
    reason: String,
}

/// A command that was sent.
#[derive(Debug, Clone)]
pub struct CommandReceipt {
    control: MigrationControl,
    /// The command.
    pub command: Command,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// The process that runs the migration answered.
    Answer(Answer),
    /// No process holds the migration's lock, so none will answer. The command remains valid.
    NoProcess,
    /// A process holds the lock but has not answered in time. The command remains valid.
    NoAnswer,
}

/// Interval between polls for an answer.
const POLL: Duration = Duration::from_millis(250);

impl MigrationControl {
    pub(crate) fn new(service: MigrationService, migration: MigrationId) -> Self {
        let author = service.holder.to_string();
        Self {
            service,
            migration,
            author,
            reason: String::new(),
        }
    }

    /// Sets the author of the commands; defaults to the name of this process.
    #[must_use]
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = author.into();
        self
    }

    /// Sets the reason of the commands, in the author's words; defaults to none. An undo is given its
    /// own.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Pauses the migration at its next safe point, until it is [resumed](Self::resume).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn pause(&self) -> Result<CommandReceipt> {
        self.send(ControlAction::Pause).await
    }

    /// Resumes a paused migration.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn resume(&self) -> Result<CommandReceipt> {
        self.send(ControlAction::Resume).await
    }

    /// Undoes the migration before its pivot; it ends as cancelled.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn cancel(&self, reason: impl Into<String> + Send) -> Result<CommandReceipt> {
        let reason = reason.into();
        self.send(ControlAction::Cancel { reason }).await
    }

    /// Undoes the migration before its pivot; it ends as rolled back.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn roll_back(&self, reason: impl Into<String> + Send) -> Result<CommandReceipt> {
        let reason = reason.into();
        self.send(ControlAction::RollBack { reason }).await
    }

    /// Permits the cutover as soon as the migration is ready.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn cut_over(&self) -> Result<CommandReceipt> {
        self.send(ControlAction::CutOver).await
    }

    /// Withdraws [`cut_over`](Self::cut_over).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn withdraw_cut_over(&self) -> Result<CommandReceipt> {
        self.send(ControlAction::WithdrawCutOver).await
    }

    /// Changes the limits and batch sizes of the running migration.
    ///
    /// # Errors
    /// As [`send`](Self::send); `Invalid` for invalid settings.
    pub async fn set(&self, change: SettingsChange) -> Result<CommandReceipt> {
        change.check()?;
        self.send(ControlAction::Set(change)).await
    }

    /// Sends a command.
    ///
    /// # Errors
    /// `NotFound` for an unknown migration; `AlreadyExists` for one that has ended, with a hint how to
    /// reverse it; those of the records.
    pub async fn send(&self, action: ControlAction) -> Result<CommandReceipt> {
        self.refuse_ended(&action).await?;
        let environment = &self.service.environment;
        let command = Command {
            id: CommandId::from_uuid(environment.uuid_v4()),
            author: self.author.clone(),
            at: environment.clock.now(),
            reason: self.reason.clone(),
            action,
        };
        let mut log = self.log();
        log.catch_up().await?;
        let id = command.id;
        let entry = ControlEntry::Command(command.clone());
        log.append(&entry, |state| state.find(id).is_none()).await?;
        Ok(CommandReceipt {
            control: self.clone(),
            command,
        })
    }

    /// Returns the commands and answers so far.
    ///
    /// # Errors
    /// `Corrupt`; those of the records.
    pub async fn state(&self) -> Result<ControlState> {
        let mut log = self.log();
        log.catch_up().await?;
        Ok(log.state().clone())
    }

    pub(super) fn log(&self) -> ControlLog {
        ControlLog::new(Arc::clone(&self.service.records), self.migration)
    }

    async fn refuse_ended(&self, action: &ControlAction) -> Result<()> {
        let journal = self.service.journal(self.migration).await?;
        let state = journal.state();
        if state.next_number == 0 {
            return Err(unknown(self.migration));
        }
        if state.outcome.is_none() {
            return Ok(());
        }
        let message = format!(
            "the migration has ended, {}: {}",
            state.status(),
            self.migration
        );
        Err(
            Error::new(ErrorKind::AlreadyExists, message).with_hint(match action {
                ControlAction::Cancel { .. }
                | ControlAction::RollBack { .. }
                | ControlAction::WithdrawCutOver => {
                    "roll the migration back, which migrates the events back"
                }
                _ => "commands apply only to unfinished migrations",
            }),
        )
    }
}

impl CommandReceipt {
    /// Waits at most this long until the command is accepted, refused or done, and returns the
    /// answer. Returns `None` after that time: the command remains valid, and a resumed migration
    /// reads it.
    ///
    /// # Errors
    /// Those of the records.
    pub async fn answer(&self, patience: Duration) -> Result<Option<Answer>> {
        self.wait(patience, |_| true).await
    }

    /// As [`answer`](Self::answer), until the command is refused or done, not only accepted.
    ///
    /// # Errors
    /// Those of the records.
    pub async fn done(&self, patience: Duration) -> Result<Option<Answer>> {
        self.wait(patience, |answer| *answer != Answer::Accepted)
            .await
    }

    /// Waits until the command is answered, or until no process holds the migration's lock.
    ///
    /// Waits at most this long for a holder that renews the lock. A holder that gives no sign of life
    /// is observed for the lease of its lock, if that is longer: then it has expired.
    ///
    /// # Errors
    /// Those of the records and of the locks.
    pub async fn reply(&self, patience: Duration) -> Result<Reply> {
        let service = &self.control.service;
        let clock = &service.environment.clock;
        let journal = service.journal(self.control.migration).await?;
        let Some(plan) = &journal.state().plan else {
            return Ok(Reply::NoProcess);
        };
        let name = lock_name(&plan.scope)?;
        let started = clock.monotonic();
        let mut first_renewal = None;
        let mut log = self.control.log();
        loop {
            log.catch_up().await?;
            let found = log.state().find(self.command.id);
            if let Some(answer) = found.and_then(|tracked| tracked.answer.clone()) {
                return Ok(Reply::Answer(answer));
            }
            let lock = service.locks.inspect(&name).await?;
            let ours = |info: &LockInfo| info.held && info.migration == Some(plan.migration);
            let Some(info) = lock.filter(ours) else {
                return Ok(Reply::NoProcess);
            };
            let first = *first_renewal.get_or_insert(info.renewed_at);
            let patience = if first == info.renewed_at {
                patience.max(info.lease)
            } else {
                patience
            };
            if clock.monotonic().saturating_sub(started) > patience {
                return Ok(Reply::NoAnswer);
            }
            clock.sleep(POLL).await;
        }
    }

    async fn wait(
        &self,
        patience: Duration,
        enough: impl Fn(&Answer) -> bool + Send,
    ) -> Result<Option<Answer>> {
        let clock = &self.control.service.environment.clock;
        let deadline = clock.monotonic() + patience;
        let mut log = self.control.log();
        loop {
            log.catch_up().await?;
            let found = log.state().find(self.command.id);
            let answer = found.and_then(|tracked| tracked.answer.clone());
            if answer.as_ref().is_some_and(&enough) {
                return Ok(answer);
            }
            if clock.monotonic() >= deadline {
                return Ok(None);
            }
            clock.sleep(POLL).await;
        }
    }
}
