//! `esm upcasters graph`

use std::path::PathBuf;

use esm_core::Result;
use serde::Serialize;

use super::directory::checked;
use crate::args::Global;
use crate::exit::Exit;
use crate::output::{Output, Text};

/// Draw the versions of each type, and the steps between them.
///
/// Checks them first, as `esm upcasters check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm upcasters graph steps/
  esm upcasters graph steps/ --format mermaid
  esm upcasters graph steps/ --format dot | dot -Tsvg > steps.svg")]
pub(crate) struct Graph {
    /// Directory with a jq program for each step.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Language of the drawing.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Language::Text)]
    format: Language,
}

/// The language of a drawing.
#[derive(Debug, Clone, Copy, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Language {
    /// A line for each type.
    Text,
    /// Mermaid, for Markdown.
    Mermaid,
    /// Graphviz.
    Dot,
}

#[derive(Debug, Serialize)]
struct Drawn {
    format: Language,
    graph: String,
}

impl Graph {
    pub(super) async fn run(&self, global: &Global, output: &Output) -> Result<Exit> {
        let upcasters = checked(&self.directory, global).await?;
        let graph = upcasters.graph();
        let drawn = Drawn {
            format: self.format,
            graph: match self.format {
                Language::Text => graph.to_string(),
                Language::Mermaid => graph.to_mermaid(),
                Language::Dot => graph.to_dot(),
            },
        };
        output.result(&drawn, |drawn, _| Text::lines(&drawn.graph))?;
        Ok(Exit::Success)
    }
}
