//! `esm layout check`

use esm_core::Result;
use esm_layout::{Finding, Verdict};
use esm_postgres::{LayoutTables, layout_named};
use serde::Serialize;

use super::database::connect;
use crate::args::Global;
use crate::exit::Exit;
use crate::output::{Form, Output, Table, Text, counted};

/// Check what of a layout fits the database, column by column, and what to change.
///
/// Reads the catalogue of the database alone. Exits with 2 if something does not fit.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm layout check                                      # recognised
  esm layout check --store postgres://eva@localhost/shop?layout=marten
  esm layout check mine.toml")]
pub(crate) struct Check {
    /// Layout file; defaults to the layout in the address, or the one that is recognised.
    #[arg(value_name = "FILE")]
    file: Option<String>,
}

#[derive(Debug, Serialize)]
struct Checked {
    layout: String,
    fits: bool,
    findings: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    role: &'static str,
    name: String,
    found: String,
    fits: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<String>,
}

impl Check {
    pub(super) async fn run(&self, global: &Global, output: &Output) -> Result<Exit> {
        // before the database: the file alone may be wrong
        let layout = self.file.as_deref().map(layout_named).transpose()?;
        let database = connect(global).await?;
        let tables = match layout {
            Some(layout) => LayoutTables::find(&database, layout).await?,
            None => LayoutTables::of_address(&database).await?,
        };
        let fit = tables.fit();
        let checked = Checked {
            fits: fit.fits(),
            layout: tables.layout.name,
            findings: fit.findings.into_iter().map(Row::from).collect(),
        };
        output.result(&checked, text)?;
        Ok(if checked.fits {
            Exit::Success
        } else {
            Exit::Usage
        })
    }
}

impl From<Finding> for Row {
    fn from(finding: Finding) -> Self {
        let (fits, note, change) = match finding.verdict {
            Verdict::Fits => (true, None, None),
            Verdict::Note(note) => (true, Some(note), None),
            Verdict::Misfit(change) => (false, None, Some(change)),
        };
        Self {
            role: finding.role,
            name: finding.what,
            found: finding.found,
            fits,
            note,
            change,
        }
    }
}

fn text(checked: &Checked, form: Form) -> Text {
    let mut table = Table::new(["part", "column", "found", "fits"]);
    for row in &checked.findings {
        let fits = if row.fits { "yes" } else { "no" };
        let cells = [row.role, &row.name, &row.found, fits];
        table.row(cells.map(str::to_owned));
    }
    let mut text = table.to_text(form);
    let layout = &checked.layout;
    let misfits = checked.findings.iter().filter(|row| !row.fits).count() as u64;
    text = text.and_section(if checked.fits {
        format!("the database has the layout {layout}")
    } else {
        format!(
            "the database does not have the layout {layout}: {} to change",
            counted(misfits, "thing")
        )
    });
    for row in &checked.findings {
        if let Some(what) = row.change.as_ref().or(row.note.as_ref()) {
            text.push(format!("- {} {}: {what}", row.role, row.name));
        }
    }
    text
}
