//! The subcommands of `esm upcasters`.

use clap::Subcommand;
use esm_core::Result;

use super::check::Check;
use super::graph::Graph;
use crate::args::Global;
use crate::exit::Exit;
use crate::output::Output;

/// Check and draw upcasters: jq programs from version to version.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  esm upcasters check steps/
  esm upcasters graph steps/
  esm plan --all --upcasters steps/")]
pub(crate) enum UpcastersCommand {
    Check(Check),
    Graph(Graph),
}

impl UpcastersCommand {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit> {
        match self {
            Self::Check(command) => command.run(global, output).await,
            Self::Graph(command) => command.run(global, output).await,
        }
    }
}
