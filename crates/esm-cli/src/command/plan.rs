//! `esm plan`

use std::path::PathBuf;

use esm_core::migration::PlanDepth;
use esm_core::{Error, Result};

use super::migration_args::MigrationArgs;
use crate::exit::{self, Exit};
use crate::migration::{plan_exit, plan_text, service};
use crate::session::{Access, Session};

/// Show what a migration would do: everything but writing.
///
/// All events are transformed, twice each: one that comes out differently the second time is
/// refused. Ends with 7 when there are events that fail.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm plan order/123 --transform v2.jq
  esm plan --all --transform v2.jq --backup file:///var/backups/esm --close-books
  esm plan --all --transform v2.jq --sample 100         # the first 100 events of each stream
  esm plan --all --transform v2.jq --save plan.json     # then: esm migrate --plan plan.json")]
pub(crate) struct Plan {
    #[command(flatten)]
    migration: MigrationArgs,
    /// Look only at the first events of each stream, this many.
    #[arg(long, value_name = "EVENTS")]
    sample: Option<u64>,
    /// Save the plan, for `esm migrate --plan`; the file must not exist.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

impl Plan {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let description = self.migration.description().await?;
        let service = service(session)?;
        let builder = description.builder(session, &service, Access::Read).await?;
        let depth = match self.sample {
            Some(events_per_stream) => PlanDepth::Sample { events_per_stream },
            None => PlanDepth::All,
        };
        let planning = builder
            .depth(depth)
            .cancel_on(session.interrupt().token().clone())
            .dry_run();
        let plan = tokio::select! {
            plan = planning => plan?,
            () = session.interrupt().token().cancelled() => {
                session.interrupt().check()?;
                return Ok(Exit::Interrupted);
            }
        };
        if let Some(path) = &self.save {
            let json = serde_json::to_vec_pretty(&plan)
                .map_err(|e| Error::invalid("plan cannot be written as JSON").with_source(e))?;
            let what = format!("saving the plan to {}", path.display());
            let mut file = std::fs::File::create_new(path).map_err(|e| exit::io(&what, e))?;
            std::io::Write::write_all(&mut file, &json).map_err(|e| exit::io(&what, e))?;
        }
        session.output().result(&plan, plan_text)?;
        Ok(plan_exit(&plan))
    }
}
