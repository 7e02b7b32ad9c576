//! The subcommands of `esm layout`.

use clap::Subcommand;
use esm_core::Result;
use esm_layout::BuiltIn;
use esm_postgres::layout_named;
use serde::Serialize;

use super::check::Check;
use super::draft::New;
use crate::args::Global;
use crate::exit::Exit;
use crate::output::{Output, Table, Text};

/// Describe the tables in which another library keeps events.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  esm layout list
  esm layout check --store postgres://eva@localhost/shop
  esm layout new --table events > mine.toml")]
pub(crate) enum LayoutCommand {
    /// List the layouts that are built in.
    #[command(after_help = "\
Examples:
  esm layout list")]
    List,
    /// Show a layout as TOML, as a start of one of your own.
    #[command(after_help = "\
Examples:
  esm layout show marten
  esm layout show cqrs-es > mine.toml")]
    Show {
        /// Name of a layout, or a file.
        #[arg(value_name = "LAYOUT")]
        layout: String,
    },
    Check(Check),
    New(New),
}

#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    library: &'static str,
    tables: Vec<String>,
}

impl LayoutCommand {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit> {
        match self {
            Self::List => list(output),
            Self::Show { layout } => show(layout, output),
            Self::Check(command) => command.run(global, output).await,
            Self::New(command) => command.run(global, output).await,
        }
    }
}

fn list(output: &Output) -> Result<Exit> {
    let listed = BuiltIn::ALL.map(|known| {
        let layout = known.layout();
        let streams = layout.streams.map(|streams| streams.table);
        Listed {
            name: known.name(),
            library: known.about(),
            tables: streams.into_iter().chain([layout.events.table]).collect(),
        }
    });
    output.result(&listed, |listed, form| {
        let mut table = Table::new(["layout", "library", "tables"]);
        for layout in listed {
            let tables = layout.tables.join(", ");
            table.row([layout.name.to_owned(), layout.library.to_owned(), tables]);
        }
        table.to_text(form)
    })?;
    Ok(Exit::Success)
}

fn show(named: &str, output: &Output) -> Result<Exit> {
    let layout = layout_named(named)?;
    let text = match BuiltIn::find(named) {
        Some(known) => known.text().to_owned(),
        None => std::fs::read_to_string(named)
            .map_err(|e| crate::exit::io(format_args!("reading {named}"), e))?,
    };
    output.result(&layout, |_, _| Text::lines(&text))?;
    Ok(Exit::Success)
}
