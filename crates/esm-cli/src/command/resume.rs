//! `esm resume`

use esm_core::id::MigrationId;
use esm_core::migration::{MigrationService, MigrationStatus, Reply};
use esm_core::protocol::control::ControlAction;
use esm_core::{Error, ErrorKind, Result};
use futures::TryStreamExt as _;
use serde::Serialize;

use super::lock_args::LockArgs;
use super::steer::Patience;
use crate::exit::Exit;
use crate::in_place;
use crate::migration::{
    self, Expected, IdPart, refuse_damaged, report_answer, resumed, send, service, until_answered,
    waits_for,
};
use crate::session::Session;

/// Resume a paused, stopped, failed or killed migration.
///
/// The journal holds the plan with its jq program, so no option has to be repeated. If a process
/// runs the paused migration, that process continues it. If the process died, this one takes over:
/// at once if it ran on this machine (Linux), otherwise after the lease of the lock has expired. With
/// --all, a migration that cannot be resumed does not prevent the others.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm resume                       # the only unfinished migration
  esm resume 0192d3a0-7c1e-7aaa-8bbb-0123456789ab
  esm resume --all")]
pub(crate) struct Resume {
    /// Migration id, or at least 4 characters of its beginning or end; defaults to the only unfinished
    /// migration.
    #[arg(conflicts_with = "all")]
    migration: Option<IdPart>,
    /// Resume all unfinished migrations, one after another.
    #[arg(long)]
    all: bool,
    /// Take over a paused migration without resuming it: it waits for the next command.
    #[arg(long)]
    stay_paused: bool,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    lock: LockArgs,
}

#[derive(Debug, Serialize)]
struct Nothing {
    resumed: [MigrationId; 0],
}

impl Resume {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        if session.layout().is_some() {
            let (named, wait) = (self.migration.as_ref(), self.patience.wait());
            return in_place::resume(session, named, self.stay_paused, wait).await;
        }
        let service = service(session)?;
        let migrations = match &self.migration {
            Some(migration) => vec![migration.migration(session).await?],
            None => unfinished(&service).await?,
        };
        if migrations.len() > 1 && !self.all {
            let names: Vec<_> = migrations.iter().map(ToString::to_string).collect();
            return Err(Error::invalid(format!(
                "several unfinished migrations: {}",
                names.join(", ")
            ))
            .with_hint("name one of them, or add --all"));
        }
        let mut exits = Vec::new();
        for migration in migrations {
            session.interrupt().check()?;
            match self.resume(session, &service, migration).await {
                Ok(exit) => exits.push(exit),
                Err(error) if self.was_ended_by_another(&service, migration, &error).await => {}
                Err(error) if self.all && *error.kind() != ErrorKind::Cancelled => {
                    exits.push(session.output().fail(&error));
                }
                Err(error) => return Err(error),
            }
        }
        if exits.is_empty() {
            refuse_damaged(&service).await?;
            let nothing = Nothing { resumed: [] };
            session
                .output()
                .result(&nothing, |_, _| "nothing to resume".to_owned())?;
        }
        let failed = exits.into_iter().find(|exit| *exit != Exit::Success);
        Ok(failed.unwrap_or(Exit::Success))
    }

    /// Whether another process has ended a migration since it was listed as unfinished, so that there
    /// is nothing to do. Always `false` for a migration named by the user.
    async fn was_ended_by_another(
        &self,
        service: &MigrationService,
        migration: MigrationId,
        error: &Error,
    ) -> bool {
        use ErrorKind::{AlreadyExists, Fenced, LockHeld};
        if self.migration.is_some() || !matches!(error.kind(), AlreadyExists | Fenced | LockHeld(_))
        {
            return false;
        }
        let status = service.status(migration).await;
        status.is_ok_and(|state| state.status.is_terminal())
    }

    async fn resume(
        &self,
        session: &Session,
        service: &MigrationService,
        migration: MigrationId,
    ) -> Result<Exit> {
        let seen = service.observe(migration).await?;
        if let Some(damage) = seen.commands_damage {
            // it may be paused, or to be undone
            return Err(Error::corrupt(damage));
        }
        let held = seen.state.lock.as_ref().filter(|lock| lock.held);
        if let Some(lock) = held {
            let at_most = self.patience.wait().max(lock.lease);
            let now = session.environment().clock.now();
            session.output().note(waits_for(lock, now, at_most));
        }
        // also supersedes a pause that no process has answered: whoever takes over reads both in order
        if seen.pauses && !self.stay_paused {
            let receipt = send(service, migration, ControlAction::Resume, None).await?;
            if held.is_some() {
                let reply = until_answered(session, &receipt, self.patience.wait()).await?;
                if reply != Reply::NoProcess {
                    return report_answer(session, migration, &receipt.command, &reply);
                }
            }
        }
        let expected = match seen.state.status {
            MigrationStatus::RollingBack => Expected::Undone,
            _ => Expected::Migrated,
        };
        let mut builder = service
            .resume(migration)
            .lock(|options| self.lock.outlasting(held, options))
            .cancel_on(session.interrupt().token().clone());
        if let Some(plan) = &seen.state.plan {
            builder = resumed(session, plan, builder).await?;
        }
        let (watch, options) = migration::watched(session, "resume");
        let ended = builder.progress(options).count_first().execute().await;
        watch.end();
        migration::finish(session, &ended?, expected).await
    }
}

/// Unfinished migrations, oldest first.
async fn unfinished(service: &MigrationService) -> Result<Vec<MigrationId>> {
    let mut found: Vec<_> = service
        .active()
        .try_filter(|state| std::future::ready(state.plan.is_some()))
        .map_ok(|state| state.migration)
        .try_collect()
        .await?;
    found.sort();
    Ok(found)
}
