//! `esm rollback`

use std::path::PathBuf;

use esm_core::Result;
use esm_core::id::MigrationId;
use esm_core::migration::{OnFailure, RollBackBuilder, RollBackPlan};

use super::live_args::{CutoverArgs, LimitArgs};
use super::migration_args::LockArgs;
use crate::exit::Exit;
use crate::migration::{self, Program, Wanted, plan_exit, plan_text, service};
use crate::session::{Access, Session};

/// Undo a migration, wherever it stands.
///
/// One that is not finished is undone as far as it has not cut over: without a trace. One that is
/// finished is reversed: every object that it moved, and nothing else has moved since, gets a new
/// stream with its original events, as they were, and then everything that was appended since. What
/// old code does not know of that goes through --down; an event that needs it and has none is named
/// before anything is touched. When it cuts over and how fast it goes is for that migration; an undo
/// needs neither.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm rollback 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --reason 'wrong program'
  esm rollback 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --down v1.jq --dry-run
  esm rollback 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --down v1.jq

A program for the way back:
  if .type == \"OrderPlaced\" and .schemaversion == 2
  then .schemaversion = 1 | .data.customer = .data.customer_name | del(.data.customer_name)
  else . end                                              # as it is")]
pub(crate) struct Rollback {
    /// The migration.
    migration: MigrationId,
    /// A jq program that turns events which were appended after the migration into what old code
    /// knows; the one of `migrate --reversible-with` if it is left out.
    #[arg(long, value_name = "FILE.jq")]
    down: Option<PathBuf>,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Go on with the other objects when one cannot be reversed; without it nothing is touched then.
    #[arg(long)]
    keep_going: bool,
    /// Why, for its journal.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "asked for at the command line"
    )]
    reason: String,
    #[command(flatten)]
    cutover: CutoverArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    lock: LockArgs,
}

impl Rollback {
    /// What it may do to the store.
    pub(crate) fn access(&self) -> Access {
        match self.dry_run {
            true => Access::Read,
            false => Access::Write,
        }
    }

    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let builder = self.describe(session).await?;
        if self.dry_run {
            return show(session, &builder.dry_run().await?);
        }
        let (watch, options) = migration::watched(session, "roll back");
        let ended = builder.progress(|_| options).execute().await;
        watch.end();
        migration::finish(session, &ended?, Wanted::Undone)
    }

    async fn describe(&self, session: &Session) -> Result<RollBackBuilder> {
        let service = service(session)?;
        let program = match &self.down {
            Some(path) => Some(Program::read(path).await?),
            None => {
                let plan = service.status(self.migration).await?.plan;
                plan.and_then(|plan| Program::down_of_annotations(&plan.annotations))
            }
        };
        let cutover = self.cutover.options()?;
        let mut builder = service
            .roll_back(self.migration)
            .limits(self.limits.change())
            .cutover(|_| cutover)
            .reason(&self.reason)
            .lock(|options| self.lock.over(options))
            .cancel_on(session.interrupt().token().clone());
        if self.keep_going {
            builder = builder.on_failure(OnFailure::Continue);
        }
        if let Some(program) = program {
            builder = builder.down_with(program.compile()?);
            for (key, value) in program.annotations() {
                builder = builder.annotate(key, value);
            }
        }
        Ok(builder)
    }
}

fn show(session: &Session, plan: &RollBackPlan) -> Result<Exit> {
    session.output().result(plan, |plan, terminal| match plan {
        RollBackPlan::Undo { planned } => format!(
            "it is not finished: what it has not cut over of {} would be undone without a trace\n\
             nothing was written",
            planned.scope
        ),
        RollBackPlan::Reverse { plan } => plan_text(plan, terminal),
    })?;
    Ok(match plan {
        RollBackPlan::Undo { .. } => Exit::Success,
        RollBackPlan::Reverse { plan } => plan_exit(plan),
    })
}
