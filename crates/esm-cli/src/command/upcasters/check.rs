//! `esm upcasters check`

use std::path::PathBuf;

use esm_core::Result;
use esm_core::event::SchemaVersion;
use esm_core::id::{EventType, Fingerprint};
use esm_core::transform::{EventTransformer as _, UpcasterGraph, Upcasters};
use serde::Serialize;

use super::directory::checked;
use crate::args::Global;
use crate::exit::Exit;
use crate::output::{Form, Output, Table, Text, counted};

/// Check that each version of each type has exactly one way to the newest one.
///
/// Compiles all programs and reads no store. Exits with 2 for a program that cannot be compiled, for
/// two steps from one version, for steps in a circle, and for a version that does not reach the newest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm upcasters check steps/
  esm upcasters check steps/ -o json")]
pub(crate) struct Check {
    /// Directory with a jq program for each step, named by type and versions, as Placed.v1-v2.jq.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Debug, Serialize)]
struct Checked {
    fingerprint: Fingerprint,
    types: Vec<Type>,
}

#[derive(Debug, Serialize)]
struct Type {
    #[serde(rename = "type")]
    event_type: EventType,
    newest: SchemaVersion,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    from: SchemaVersion,
    to: SchemaVersion,
    file: Option<String>,
}

impl Check {
    pub(super) async fn run(&self, global: &Global, output: &Output) -> Result<Exit> {
        let checked = Checked::of(&checked(&self.directory, global).await?);
        output.result(&checked, text)?;
        Ok(Exit::Success)
    }
}

impl Checked {
    fn of(upcasters: &Upcasters) -> Self {
        let graph = upcasters.graph();
        Self {
            fingerprint: upcasters.fingerprint(),
            types: graph
                .types()
                .filter_map(|event_type| Type::of(graph, event_type))
                .collect(),
        }
    }
}

impl Type {
    fn of(graph: &UpcasterGraph, event_type: &EventType) -> Option<Self> {
        let steps = graph.steps(event_type).map(|step| Step {
            from: step.from,
            to: step.to,
            file: step.file.clone(),
        });
        Some(Self {
            event_type: event_type.clone(),
            newest: graph.newest(event_type)?,
            steps: steps.collect(),
        })
    }
}

fn text(checked: &Checked, form: Form) -> Text {
    let mut table = Table::new(["type", "step", "newest", "file"]);
    let mut steps = 0;
    for Type {
        event_type,
        newest,
        steps: of_type,
    } in &checked.types
    {
        for step in of_type {
            let Step { from, to, file } = step;
            table.row([
                event_type.to_string(),
                format!("v{from} → v{to}"),
                format!("v{newest}"),
                file.clone().unwrap_or_default(),
            ]);
            steps += 1;
        }
    }
    let sound = format!(
        "{} of {}: each old version has one way to the newest",
        counted(steps, "step"),
        counted(checked.types.len() as u64, "type")
    );
    table.to_text(form).and_section(sound)
}
