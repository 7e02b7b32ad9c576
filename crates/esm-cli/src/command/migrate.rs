//! `esm migrate`

use std::path::{Path, PathBuf};

use esm_core::migration::{
    MigrationBuilder, MigrationPlan, MigrationService, OnFailure, PlanDepth,
};
use esm_core::transform::{EventTransformer as _, Identity};
use esm_core::{Error, ErrorKind, Result};

use super::amend::{Amend, Amended};
use super::lock_args::LockArgs;
use super::migration_args::MigrationArgs;
use super::plan::SampleArgs;
use crate::confirm::{can_ask, confirmed};
use crate::exit::{self, Exit};
use crate::in_place;
use crate::migration::{self, Expected, as_planned, plan_exit, plan_text, service};
use crate::output::counted;
use crate::session::{Access, Session};

/// Migrate objects: back up, copy, transform, verify, cut over.
///
/// Until the cutover of a stream, its migration can be undone without a trace; afterwards it can
/// only be completed. A migration that was stopped or killed is continued with `esm resume`. Objects
/// that already have the transformation applied are skipped, so the command can be repeated.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "esm migrate [OPTIONS] <OBJECT…|--name NAME|--all|--plan FILE|--amend FILE>"
)]
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
        "transform", "upcasters", "from_stream", "to_stream", "again", "on_retired", "no_backup", "backup_keep", "tags",
        "close_books", "with_rollback", "reversible_with", "reversible_for", "keep_going", "collect_failures", "to", "cutover",
    ])]
    plan: Option<PathBuf>,
    /// Only show the plan; write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    samples: SampleArgs,
    /// Do not ask. A terminal is asked before a migration without a transformation, without a backup
    /// or of more than one object.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    migration: MigrationArgs,
    #[command(flatten)]
    amend: Amend,
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
        if session.layout().is_some() && !self.dry_run {
            return self.in_place(session, &service).await;
        }
        if self.amend.is_wanted() {
            return self.amended(session, &service).await;
        }
        let plan = match &self.plan {
            Some(path) => Some(read_plan(path).await?),
            None => None,
        };
        if !self.dry_run && !self.yes && can_ask(session.output()) {
            let plan = match &plan {
                Some(plan) => plan.clone(),
                None => self.outlook(session, &service).await?,
            };
            if let Some(exit) = self.refused(session, &plan).await? {
                return Ok(exit);
            }
        }
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
            show(session, builder, self).await
        } else {
            execute(session, builder, plan.as_ref()).await
        }
    }
}

impl Migrate {
    /// Rewrites the tables of another library.
    async fn in_place(&self, session: &Session, service: &MigrationService) -> Result<Exit> {
        if self.amend.is_wanted() {
            let message = "--amend does not work on the tables of another library";
            return Err(Error::unsupported(message)
                .with_hint("esm rollback, then migrate with the other program"));
        }
        let arguments = &self.migration;
        let plan = match &self.plan {
            Some(path) => Some(read_plan(path).await?),
            None => None,
        };
        let builder = match &plan {
            Some(plan) => {
                let builder = as_planned(session, service, &plan.planned, Access::Read).await?;
                let transformer =
                    migration::transformation(&plan.planned.annotations, session.masking_key())?;
                builder.transform(in_place::fitted(session, transformer))
            }
            None => arguments.builder(session, service, Access::Read).await?,
        };
        let given = arguments.given();
        let plan = plan.as_ref();
        let is_planned = plan.is_some_and(|plan| plan.planned.on_retired.is_some());
        let given = in_place::Given {
            says_on_retired: given.says_on_retired || is_planned,
            plan,
            is_confirmed: self.yes,
            ..given
        };
        in_place::migrate(session, builder, given).await
    }

    /// Undoes an unfinished migration, and begins another with a mended program.
    async fn amended(&self, session: &Session, service: &MigrationService) -> Result<Exit> {
        let output = session.output();
        let question = "undo the migration, and begin another with this program?";
        if !self.yes && can_ask(output) && !confirmed(output, session.interrupt(), question).await?
        {
            output.note("nothing was changed");
            return Ok(Exit::Success);
        }
        match self.amend.undo(session, service, &self.lock).await? {
            Amended::Begin(builder) => {
                let builder = builder
                    .lock(|options| self.lock.apply(options))
                    .cancel_on(session.interrupt().token().clone());
                execute(session, builder, None).await
            }
            Amended::Ended(exit) => Ok(exit),
        }
    }

    /// Returns a plan from the first events of each stream.
    async fn outlook(
        &self,
        session: &Session,
        service: &MigrationService,
    ) -> Result<MigrationPlan> {
        let arguments = &self.migration;
        let builder = arguments.builder(session, service, Access::Read).await?;
        let depth = PlanDepth::Sample {
            events_per_stream: OUTLOOK,
        };
        let planning = builder.depth(depth).dry_run();
        tokio::select! {
            plan = planning => plan,
            () = session.interrupt().token().cancelled() => {
                Err(Error::new(ErrorKind::Cancelled, "stopped on request"))
            }
        }
    }

    /// Asks whether to migrate where there is a reason to; returns the exit code if the answer is no.
    async fn refused(&self, session: &Session, plan: &MigrationPlan) -> Result<Option<Exit>> {
        let reasons = reasons(plan);
        if plan.is_empty() || reasons.is_empty() {
            return Ok(None);
        }
        let output = session.output();
        output.text(plan_text(plan, self.samples.show, output.note_form()))?;
        if !plan.is_executable() && plan.planned.bulk.on_failure == OnFailure::Stop {
            return Ok(Some(plan_exit(plan)));
        }
        let question = format!("migrate {}?", reasons.join(", "));
        if confirmed(output, session.interrupt(), &question).await? {
            return Ok(None);
        }
        output.note("nothing was changed");
        Ok(Some(Exit::Success))
    }
}

/// Events of each stream that are read before a question.
const OUTLOOK: u64 = 100;

/// Returns the reasons to ask before a migration.
fn reasons(plan: &MigrationPlan) -> Vec<String> {
    let mut reasons = Vec::new();
    if plan.objects > 1 {
        reasons.push(counted(plan.objects, "object"));
    }
    if plan.planned.fingerprint == Identity.fingerprint() {
        reasons.push("without a transformation".to_owned());
    }
    if plan.planned.backup.is_none() {
        reasons.push("without a backup".to_owned());
    }
    reasons
}

async fn show(session: &Session, builder: MigrationBuilder, given: &Migrate) -> Result<Exit> {
    let first = builder.ensure_first().await;
    let mut plan = builder.dry_run().await?;
    let exit = in_place::plan_risks(session, given.migration.given(), first, &mut plan).await?;
    let samples = given.samples.show;
    session
        .output()
        .result(&plan, |plan, form| plan_text(plan, samples, form))?;
    Ok(exit)
}

async fn execute(
    session: &Session,
    builder: MigrationBuilder,
    plan: Option<&MigrationPlan>,
) -> Result<Exit> {
    let (watch, options) = migration::watched(session, "migrate");
    let builder = builder.progress(options).count_first();
    let ended = match plan {
        Some(plan) => builder.execute_plan(plan).await,
        None => builder.execute().await,
    };
    watch.end();
    migration::finish(session, &ended?, Expected::Migrated).await
}

async fn read_plan(path: &Path) -> Result<MigrationPlan> {
    let shown = path.display();
    let bytes = tokio::fs::read(path).await;
    let bytes = bytes.map_err(|e| exit::io(format_args!("reading the plan {shown}"), e))?;
    refuse_newer(&bytes)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Error::invalid(format!("not a plan: {shown}: {e}"))
            .with_hint("create a plan with `esm plan … --save FILE`")
    })
}

/// A plan of a newer version may lack the fields of this one: the format is read first.
fn refuse_newer(bytes: &[u8]) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let known = MigrationPlan::FORMAT;
    match serde_json::from_slice::<Format>(bytes) {
        Ok(Format { format }) if format > known => Err(Error::invalid(format!(
            "the plan has format {format}, known is {known}"
        ))
        .with_hint("use a newer version of esm")),
        _ => Ok(()),
    }
}
