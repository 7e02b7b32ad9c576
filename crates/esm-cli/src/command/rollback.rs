//! `esm rollback`

use std::path::PathBuf;

use esm_core::Result;
use esm_core::id::MigrationId;
use esm_core::migration::{MigrationService, OnFailure, RollBackBuilder, RollBackPlan};

use super::limit_args::LimitArgs;
use super::live_args::CutoverArgs;
use super::lock_args::LockArgs;
use super::plan::SampleArgs;
use crate::confirm::{can_ask, confirmed};
use crate::exit::Exit;
use crate::in_place::{self, RollBack};
use crate::migration::{
    self, Expected, IdPart, Program, Role, plan_exit, plan_text, read_program, service, service_of,
    the_only_reversible, waits_for,
};
use crate::output::Text;
use crate::session::{Access, Session};

/// Roll back a migration, finished or not.
///
/// An unfinished migration is undone without a trace; objects that already cut over remain migrated.
///
/// A finished migration is reversed by another migration: each object that it moved, and that no
/// other migration has moved since, gets a new stream with its unchanged original events, followed by
/// all events appended since. Appended events of new schemas are transformed with --down; if one of
/// them needs it and --down is missing, the command fails before it writes. The options for cutover
/// and limits apply to this case only.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm rollback                     # the only candidate
  esm rollback 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --reason 'wrong program'
  esm rollback 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --down v1.jq --dry-run
  esm rollback 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --down v1.jq

A jq program for --down:
  if .type == \"OrderPlaced\" and .schemaversion == 2
  then .schemaversion = 1 | .data.customer = .data.customer_name
    | del(.data.customer_name)
  else . end                                        # unchanged")]
pub(crate) struct Rollback {
    /// Migration id, or at least 4 characters of its beginning or end; defaults to the only unfinished
    /// migration, or, if there is none, to the only one that can be reversed.
    migration: Option<IdPart>,
    /// jq program that turns events appended after the migration back into the old schemas; defaults
    /// to the program given to `migrate --reversible-with`.
    #[arg(long, value_name = "FILE.jq")]
    down: Option<PathBuf>,
    /// Do not ask. A terminal is asked before anything is undone.
    #[arg(long, short)]
    yes: bool,
    /// Only show the plan; write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    samples: SampleArgs,
    /// Continue with the other objects if one cannot be reversed. Without it, the command fails before
    /// it writes.
    #[arg(long)]
    keep_going: bool,
    /// Reason, recorded in the journal.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "requested on the command line"
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
    /// Access to the store.
    pub(crate) fn access(&self) -> Access {
        if self.dry_run {
            Access::Read
        } else {
            Access::Write
        }
    }

    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        if session.layout().is_some() {
            let wanted = RollBack {
                migration: self.migration.as_ref(),
                down: self.down.as_deref(),
                reason: &self.reason,
                yes: self.yes,
                dry_run: self.dry_run,
            };
            return in_place::roll_back(session, wanted).await;
        }
        let builder = self.describe(session).await?;
        if self.dry_run {
            return show(session, &builder.dry_run().await?, &self.samples);
        }
        if !self.yes && can_ask(session.output()) {
            let plan = builder.clone().dry_run().await?;
            let exit = show(session, &plan, &self.samples)?;
            if exit != Exit::Success && !self.keep_going {
                return Ok(exit);
            }
            if changes_nothing(&plan) {
                return Ok(Exit::Success);
            }
            if !confirmed(session.output(), session.interrupt(), "roll back?").await? {
                session.output().note("nothing was changed");
                return Ok(Exit::Success);
            }
        }
        let (watch, options) = migration::watched(session, "roll back");
        let ended = builder.progress(options).count_first().execute().await;
        watch.end();
        migration::finish(session, &ended?, Expected::Undone).await
    }

    async fn describe(&self, session: &Session) -> Result<RollBackBuilder> {
        let service = service(session)?;
        let migration = match &self.migration {
            Some(given) => given.migration(session).await?,
            None => the_only_reversible(&service).await?,
        };
        let program = self.down(&service, migration).await?;
        let cutover = self.cutover.options()?;
        let state = service.status(migration).await?;
        let service = service_of(session, state.plan.as_ref()).await?;
        let held = state.lock.as_ref().filter(|lock| lock.held);
        if let Some(lock) = held.filter(|_| !self.dry_run && !state.status.is_terminal()) {
            let now = session.environment().clock.now();
            session.output().note(waits_for(lock, now, lock.lease));
        }
        let mut builder = service
            .roll_back(migration)
            .limits(self.limits.change())
            .cutover(cutover)
            .reason(&self.reason)
            .lock(|options| self.lock.outlasting(held, options))
            .cancel_on(session.interrupt().token().clone());
        if self.keep_going {
            builder = builder.on_failure(OnFailure::Continue);
        }
        if let Some(program) = program {
            builder = builder.down(program.compile(session.masking_key())?);
            // it is the transformation of the migration that reverses
            for (key, value) in program.annotations(Role::Transform) {
                builder = builder.annotate(key, value);
            }
        }
        Ok(builder)
    }

    async fn down(
        &self,
        service: &MigrationService,
        migration: MigrationId,
    ) -> Result<Option<Program>> {
        if let Some(path) = &self.down {
            return Ok(Some(read_program(path).await?));
        }
        let plan = service.status(migration).await?.plan;
        match plan {
            Some(plan) => Program::of_plan(&plan.annotations, Role::Down),
            None => Ok(None),
        }
    }
}

fn changes_nothing(plan: &RollBackPlan) -> bool {
    matches!(plan, RollBackPlan::Reverse { plan } if plan.is_empty())
}

fn show(session: &Session, plan: &RollBackPlan, samples: &SampleArgs) -> Result<Exit> {
    session.output().result(plan, |plan, form| match plan {
        RollBackPlan::Undo { planned } => Text::line(format_args!(
            "the migration is unfinished: objects of {} that did not cut over would be undone \
             without a trace",
            planned.scope
        ))
        .and("nothing was written"),
        RollBackPlan::Reverse { plan } => plan_text(plan, samples.show, form),
    })?;
    Ok(match plan {
        RollBackPlan::Undo { .. } => Exit::Success,
        RollBackPlan::Reverse { plan } => plan_exit(plan),
    })
}
