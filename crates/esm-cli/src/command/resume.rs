//! `esm resume`

use esm_core::id::MigrationId;
use esm_core::migration::{ControlAction, MigrationService, MigrationStatus};
use esm_core::{Error, ErrorKind, Result};
use futures::TryStreamExt as _;
use serde::Serialize;

use super::migration_args::LockArgs;
use super::steer;
use crate::exit::{Exit, is_broken_pipe};
use crate::migration::{self, Description, Wanted, service};
use crate::session::Session;

/// Go on with a migration that was paused, stopped, killed, or failed.
///
/// One that is paused, and that a process works on, is told to go on.
///
/// Its plan is in its journal, the jq program included: nothing has to be given again. One whose
/// process died is taken over when its lock has run out. Of several, one that cannot be resumed
/// keeps none of the others waiting.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm resume                       # the only one that is not finished
  esm resume 0192d3a0-7c1e-7aaa-8bbb-0123456789ab
  esm resume --all")]
pub(crate) struct Resume {
    /// The migration; may be left out when only one is not finished.
    #[arg(conflicts_with = "all")]
    migration: Option<MigrationId>,
    /// All that are not finished, one after another.
    #[arg(long)]
    all: bool,
    /// Leave a migration paused that was paused with `esm pause`: take it over, and wait.
    #[arg(long)]
    stay_paused: bool,
    #[command(flatten)]
    patience: steer::Patience,
    #[command(flatten)]
    lock: LockArgs,
}

#[derive(Debug, Serialize)]
struct Nothing {
    resumed: [MigrationId; 0],
}

impl Resume {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let service = service(session)?;
        let migrations = match self.migration {
            Some(migration) => vec![migration],
            None => unfinished(&service).await?,
        };
        if migrations.len() > 1 && !self.all {
            let names: Vec<_> = migrations.iter().map(ToString::to_string).collect();
            return Err(Error::invalid(format!(
                "several migrations are not finished: {}",
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
                    if is_broken_pipe(&error) {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if exits.is_empty() {
            let nothing = Nothing { resumed: [] };
            session
                .output()
                .result(&nothing, |_, _| "nothing to resume".to_owned())?;
        }
        let failed = exits.into_iter().find(|exit| *exit != Exit::Success);
        Ok(failed.unwrap_or(Exit::Success))
    }

    /// Whether another process has ended a migration since it was found unfinished: then there is
    /// nothing to do. One that was named is to be there.
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
        if seen.desired.paused_by.is_some() && !self.stay_paused {
            let told = (ControlAction::Resume, None);
            let receipt = steer::send(service, migration, told).await?;
            if seen.is_at_work() {
                return steer::report(session, migration, &receipt, &self.patience).await;
            }
        }
        let wanted = match seen.state.status {
            MigrationStatus::RollingBack => Wanted::Undone,
            _ => Wanted::Migrated,
        };
        let state = seen.state;
        let mut builder = service
            .resume(migration)
            .lock(|options| self.lock.over(options))
            .cancel_on(session.interrupt().token().clone());
        if let Some(plan) = &state.plan {
            builder = Description::of_plan(plan).resume(session, builder).await?;
        }
        let (watch, options) = migration::watched(session, "resume");
        let ended = builder.progress(|_| options).execute().await;
        watch.end();
        migration::finish(session, &ended?, wanted)
    }
}

/// The migrations that have not ended, oldest first.
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
