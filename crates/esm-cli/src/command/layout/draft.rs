//! `esm layout new`

use std::io::Write as _;
use std::path::PathBuf;

use esm_core::Result;
use esm_layout::draft;
use esm_postgres::describe_table;
use serde::Serialize;

use super::database::connect;
use crate::args::Global;
use crate::exit::{self, Exit};
use crate::output::{Form, Output, Text};

/// Write the first version of a layout for a table, with comments.
///
/// Recognises columns by their names, types and indexes, and leaves empty what it does not
/// recognise. Check the result with `esm layout check FILE`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm layout new --table events > mine.toml
  esm layout new --table shop.events --to mine.toml
  esm layout check mine.toml")]
pub(crate) struct New {
    /// Table of events, as TABLE or SCHEMA.TABLE.
    #[arg(long, value_name = "TABLE")]
    table: String,
    /// File to write, which must not exist; defaults to standard output.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Drafted {
    table: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<String>,
}

impl New {
    pub(super) async fn run(&self, global: &Global, output: &Output) -> Result<Exit> {
        let database = connect(global).await?;
        let table = describe_table(&database, &self.table).await?;
        let text = draft(&table);
        if let Some(path) = &self.to {
            let failed = |e| exit::io(format_args!("writing {}", path.display()), e);
            let mut file = std::fs::File::create_new(path).map_err(failed)?;
            file.write_all(text.as_bytes()).map_err(failed)?;
        }
        let drafted = Drafted {
            table: table.full_name(),
            file: self.to.clone(),
            layout: self.to.is_none().then_some(text),
        };
        output.result(&drafted, Drafted::text)?;
        Ok(Exit::Success)
    }
}

impl Drafted {
    fn text(&self, _form: Form) -> Text {
        match (&self.layout, &self.file) {
            (Some(layout), _) => Text::lines(layout),
            (None, Some(file)) => {
                let (table, file) = (&self.table, file.display());
                Text::line(format_args!("wrote a layout of {table} to {file}"))
            }
            (None, None) => Text::default(),
        }
    }
}
