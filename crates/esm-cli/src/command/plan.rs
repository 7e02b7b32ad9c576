//! `esm plan`

use std::path::{Path, PathBuf};

use esm_core::migration::{MigrationPlan, PlanDepth};
use esm_core::{Error, Result};

use super::migration_args::MigrationArgs;
use crate::exit::{self, Exit};
use crate::in_place;
use crate::migration::{plan_text, service};
use crate::output::Text;
use crate::session::{Access, Session};

/// Show what a migration would do, without writing.
///
/// Transforms every event twice, and refuses a transformation with different results. Exits with 7
/// if the transformation fails on an event, and with the code of `esm migrate` if that would refuse
/// now, for example beside an unfinished migration of the same objects.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm plan order/123 --transform v2.jq
  esm plan --all --transform v2.jq --show 5         # events before and after
  esm plan --all --transform v2.jq --backup file:///backups --close-books
  esm plan --all --transform v2.jq --sample 100     # 100 events per stream
  esm plan --all --transform v2.jq --save plan.json
  esm migrate --plan plan.json")]
pub(crate) struct Plan {
    /// Transform only this many events at the start of each stream.
    #[arg(long, value_name = "EVENTS")]
    sample: Option<u64>,
    #[command(flatten)]
    samples: SampleArgs,
    /// Save the plan for `esm migrate --plan`. The file must not exist.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    migration: MigrationArgs,
}

/// The samples of a plan.
#[derive(Debug, clap::Args)]
pub(crate) struct SampleArgs {
    /// Show this many samples of events before and after, those that fail first. The plan has the
    /// first changed, split, dropped and failing event of each schema; JSON output contains them all.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(super) show: usize,
}

impl Plan {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let service = service(session)?;
        let arguments = &self.migration;
        let builder = arguments.builder(session, &service, Access::Read).await?;
        let depth = match self.sample {
            Some(events_per_stream) => PlanDepth::Sample { events_per_stream },
            None => PlanDepth::All,
        };
        let first = builder.ensure_first().await;
        let planning = builder
            .depth(depth)
            .cancel_on(session.interrupt().token().clone())
            .dry_run();
        let mut plan = tokio::select! {
            plan = planning => plan?,
            () = session.interrupt().token().cancelled() => {
                session.interrupt().check()?;
                return Ok(Exit::Interrupted);
            }
        };
        let exit = in_place::plan_risks(session, arguments.given(), first, &mut plan).await?;
        if let Some(path) = &self.save {
            save(&plan, path)?;
        }
        session
            .output()
            .result(&plan, |plan, form| plan_text(plan, self.samples.show, form))?;
        if let Some(path) = &self.save {
            let file = path.display();
            let mut note = Text::line(format_args!("the plan was saved to {file}"));
            if exit == Exit::Success {
                let store = session.store_argument();
                let run = format_args!("run it:  esm migrate --plan {file}{store}");
                note = note.and(Text::whole(run));
            }
            session.output().note(note);
        }
        Ok(exit)
    }
}

fn save(plan: &MigrationPlan, path: &Path) -> Result<()> {
    let json = serde_json::to_vec_pretty(plan)
        .map_err(|e| Error::invalid("cannot write the plan as JSON").with_source(e))?;
    let failed = |e| exit::io(format_args!("saving the plan to {}", path.display()), e);
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    std::io::Write::write_all(&mut file, &json).map_err(failed)
}
