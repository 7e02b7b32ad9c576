//! Commands to a migration in place that another process runs.

use std::time::Duration;

use esm_core::id::{CommandId, MigrationId};
use esm_core::migration::{ControlLog, Reply};
use esm_core::protocol::control::{Answer, Command, ControlAction, ControlEntry, ControlState};
use esm_core::{Error, ErrorKind, Result};

use super::control::{ControlRecords, without_meaning};
use super::migration::Rewrite;
use super::place::InPlace;

/// Interval between polls for an answer.
const POLL: Duration = Duration::from_millis(250);

impl InPlace {
    fn control_log(&self, migration: MigrationId) -> ControlLog {
        ControlRecords::log(self.0.wire.clone(), None, migration)
    }

    /// Sends a command to a migration. It stays valid until a process runs or resumes the migration.
    ///
    /// # Errors
    /// `AlreadyExists` for a migration that has ended; `Unsupported` for settings without a meaning in
    /// place; those of the server.
    pub async fn send(
        &self,
        known: &Rewrite,
        action: ControlAction,
        author: impl Into<String>,
    ) -> Result<Command> {
        let migration = known.migration;
        if known.status.is_terminal() {
            let message = format!(
                "migration has ended, it is {}: {migration}",
                known.status.name()
            );
            return Err(Error::new(ErrorKind::AlreadyExists, message)
                .with_hint(format!("esm rollback {migration} undoes a finished one")));
        }
        if let ControlAction::Set(change) = &action
            && let Some(name) = without_meaning(change)
        {
            let message = format!("setting has no meaning for events in place: {name}");
            return Err(Error::unsupported(message).with_hint("leave it out"));
        }
        let environment = &self.0.options.environment;
        let command = Command {
            id: CommandId::from_uuid(environment.uuid_v4()),
            author: author.into(),
            at: environment.clock.now(),
            reason: String::new(),
            action,
        };
        let mut log = self.control_log(migration);
        log.catch_up().await?;
        let (id, entry) = (command.id, ControlEntry::Command(command.clone()));
        log.append(&entry, |state| state.find(id).is_none()).await?;
        Ok(command)
    }

    /// Waits for the answer to a command, at most this long. Where no process runs the migration, it
    /// waits only if one `may_begin`.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn reply(
        &self,
        migration: MigrationId,
        command: &Command,
        patience: Duration,
        may_begin: bool,
    ) -> Result<Reply> {
        let clock = &self.0.options.environment.clock;
        let deadline = clock.monotonic() + patience;
        let mut log = self.control_log(migration);
        loop {
            let known = self.migration(migration).await?;
            log.catch_up().await?;
            let found = log.state().find(command.id);
            if let Some(answer) = found.and_then(|tracked| tracked.answer.clone()) {
                return Ok(Reply::Answer(answer));
            }
            let is_late = clock.monotonic() >= deadline;
            if !known.is_at_work && (is_late || !may_begin) {
                return Ok(Reply::NoProcess);
            }
            if is_late {
                return Ok(Reply::NoAnswer);
            }
            clock.sleep(POLL).await;
        }
    }

    /// Returns the commands to a migration, and what they come to.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn commands(&self, migration: MigrationId) -> Result<ControlState> {
        let mut log = self.control_log(migration);
        log.catch_up().await?;
        Ok(log.state().clone())
    }

    /// Settles the open commands when a migration has ended or its undo was refused: those that cancel
    /// it with `undo`, the others with `others`.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn conclude(
        &self,
        migration: MigrationId,
        undo: &Answer,
        others: Option<&Answer>,
    ) -> Result<()> {
        let mut log = self.control_log(migration);
        log.catch_up().await?;
        let state = log.state();
        let unsettled: Vec<_> = state.open().chain(state.accepted()).cloned().collect();
        for command in unsettled {
            let undoes = matches!(
                command.action,
                ControlAction::Cancel { .. } | ControlAction::RollBack { .. }
            );
            let answer = if undoes { Some(undo) } else { others };
            let Some(answer) = answer else {
                continue;
            };
            let entry = ControlEntry::Answer {
                command: command.id,
                answer: answer.clone(),
                at: self.0.options.environment.clock.now(),
            };
            log.append(&entry, |_| true).await?;
        }
        Ok(())
    }
}
