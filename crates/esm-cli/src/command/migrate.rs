//! `esm migrate`

use std::path::{Path, PathBuf};

use esm_core::migration::{MigrationBuilder, MigrationPlan};
use esm_core::{Error, Result};

use super::lock_args::LockArgs;
use super::migration_args::MigrationArgs;
use super::plan::SampleArgs;
use crate::exit::{self, Exit};
use crate::migration::{self, Expected, as_planned, plan_exit, plan_text, service};
use crate::session::{Access, Session};

/// Migrate objects: back up, copy, transform, verify, cut over.
///
/// Until the cutover of a stream, its migration can be undone without a trace; afterwards it can
/// only be completed. A migration that was stopped or killed is continued with `esm resume`. Objects
/// that already have the transformation applied are skipped, so the command can be repeated.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm migrate order/123 --transform v2.jq
  esm migrate --all --transform v2.jq --backup file:///backups --close-books
  esm migrate --name order --transform v2.jq --keep-going --concurrency 32
  esm migrate --all --transform v2.jq --dry-run     # the same as: esm plan
  esm migrate --plan plan.json                      # from: esm plan --save

A jq program:
  if .type == \"NoteTaken\" then empty                # dropped
  elif .type == \"OrderPlaced\" then                  # changed
    .schemaversion = 2 | .data.customer_name = .data.customer
  else . end                                        # unchanged")]
pub(crate) struct Migrate {
    /// Execute this saved plan; refused if sources, options or store have changed since.
    #[arg(long, value_name = "FILE", group = "selection")]
    #[arg(conflicts_with_all = [
        "transform", "from_stream", "to_stream", "again", "on_retired", "no_backup", "backup_keep", "tags",
        "close_books", "with_rollback", "reversible_with", "reversible_for", "keep_going", "collect_failures", "to", "cutover",
    ])]
    plan: Option<PathBuf>,
    /// Only show the plan; write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    samples: SampleArgs,
    #[command(flatten)]
    migration: MigrationArgs,
    #[command(flatten)]
    lock: LockArgs,
}

impl Migrate {
    /// Access to the store.
    pub(crate) fn access(&self) -> Access {
        if self.dry_run {
            Access::Read
        } else {
            Access::Write
        }
    }

    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let service = service(session)?;
        let plan = match &self.plan {
            Some(path) => Some(read_plan(path).await?),
            None => None,
        };
        let access = if self.dry_run {
            Access::Read
        } else {
            Access::Create
        };
        let builder = match &plan {
            Some(plan) => as_planned(session, &service, &plan.planned, access).await?,
            None => self.migration.builder(session, &service, access).await?,
        };
        let builder = builder
            .lock(|options| self.lock.apply(options))
            .cancel_on(session.interrupt().token().clone());
        if self.dry_run {
            show(session, builder, &self.samples).await
        } else {
            execute(session, builder, plan.as_ref()).await
        }
    }
}

async fn show(session: &Session, builder: MigrationBuilder, samples: &SampleArgs) -> Result<Exit> {
    let plan = builder.dry_run().await?;
    session.output().result(&plan, |plan, terminal| {
        plan_text(plan, samples.show, terminal)
    })?;
    Ok(plan_exit(&plan))
}

async fn execute(
    session: &Session,
    builder: MigrationBuilder,
    plan: Option<&MigrationPlan>,
) -> Result<Exit> {
    let (watch, options) = migration::watched(session, "migrate");
    let builder = builder.progress(options);
    let ended = match plan {
        Some(plan) => builder.execute_plan(plan).await,
        None => builder.execute().await,
    };
    watch.end();
    migration::finish(session, &ended?, Expected::Migrated)
}

async fn read_plan(path: &Path) -> Result<MigrationPlan> {
    let shown = path.display();
    let bytes = tokio::fs::read(path).await;
    let bytes = bytes.map_err(|e| exit::io(format_args!("reading the plan {shown}"), e))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Error::invalid(format!("not a plan: {shown}: {e}"))
            .with_hint("create a plan with `esm plan … --save FILE`")
    })
}
