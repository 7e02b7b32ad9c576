//! `esm migrate`

use std::path::{Path, PathBuf};

use esm_core::migration::{MigrationBuilder, MigrationPlan};
use esm_core::{Error, Result};

use super::migration_args::{LockArgs, MigrationArgs};
use crate::exit::{self, Exit};
use crate::migration::{self, Description, Wanted, plan_exit, plan_text, service};
use crate::session::{Access, Session};

/// Migrate objects: back up, copy and transform, verify, cut over, close the books.
///
/// Until its cutover a stream's migration can be undone without a trace; from then on it can only
/// be finished. Stopped or killed at any point, `esm resume` goes on. Objects that went through the
/// same transformation already need nothing, so that the command can be run again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm migrate order/123 --transform v2.jq
  esm migrate --all --transform v2.jq --backup file:///var/backups/esm --close-books
  esm migrate --name order --transform v2.jq --keep-going --concurrency 32
  esm migrate --all --transform v2.jq --dry-run          # the same as: esm plan
  esm migrate --plan plan.json                           # as `esm plan --save plan.json` said

A program:
  if .type == \"NoteTaken\" then empty                      # dropped
  elif .type == \"OrderPlaced\" then .schemaversion = 2 | .data.customer_name = .data.customer
  else . end                                              # as it is")]
pub(crate) struct Migrate {
    #[command(flatten)]
    migration: MigrationArgs,
    /// Do what this plan says, and only if nothing has changed since.
    #[arg(long, value_name = "FILE", group = "selection")]
    #[arg(conflicts_with_all = [
        "transform", "from_stream", "to_stream", "again", "on_retired", "no_backup", "backup_keep", "tags",
        "close_books", "with_rollback", "reversible_with", "reversible_for", "keep_going", "collect_failures", "to", "cutover",
    ])]
    plan: Option<PathBuf>,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    lock: LockArgs,
}

impl Migrate {
    /// What it may do to the store.
    pub(crate) fn access(&self) -> Access {
        match self.dry_run {
            true => Access::Read,
            false => Access::Write,
        }
    }

    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let service = service(session)?;
        let plan = match &self.plan {
            Some(path) => Some(read_plan(path).await?),
            None => None,
        };
        let description = match &plan {
            Some(plan) => Description::of_plan(&plan.planned),
            None => self.migration.description().await?,
        };
        let places = match self.dry_run {
            true => Access::Read,
            false => Access::Create,
        };
        let builder = description.builder(session, &service, places).await?;
        let builder = builder
            .lock(|options| self.lock.over(options))
            .cancel_on(session.interrupt().token().clone());
        match self.dry_run {
            true => show(session, builder).await,
            false => execute(session, builder, plan.as_ref()).await,
        }
    }
}

async fn show(session: &Session, builder: MigrationBuilder) -> Result<Exit> {
    let plan = builder.dry_run().await?;
    session.output().result(&plan, plan_text)?;
    Ok(plan_exit(&plan))
}

async fn execute(
    session: &Session,
    builder: MigrationBuilder,
    plan: Option<&MigrationPlan>,
) -> Result<Exit> {
    let (watch, options) = migration::watched(session, "migrate");
    let builder = builder.progress(|_| options);
    let ended = match plan {
        Some(plan) => builder.execute_plan(plan).await,
        None => builder.execute().await,
    };
    watch.end();
    migration::finish(session, &ended?, Wanted::Migrated)
}

async fn read_plan(path: &Path) -> Result<MigrationPlan> {
    let shown = path.display();
    let bytes = tokio::fs::read(path).await;
    let bytes = bytes.map_err(|e| exit::io(format_args!("reading the plan {shown}"), e))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Error::invalid(format!("not a plan: {shown}: {e}"))
            .with_hint("make one with `esm plan … --save FILE`")
    })
}
