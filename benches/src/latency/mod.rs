//! Dependent requests, in virtual time: what a migration and an application wait for on a storage
//! whose every request takes a given time, and where nothing else takes any.
//!
//! Every actor has a [`Store`](esm_objectstore::Store) of its own, as processes have.

mod budget;
mod lab;
mod scenario;
mod table;

use anyhow::Result;
use clap::Args;

use budget::Budget;
use lab::{Lab, Measured};
use scenario::{SCENARIOS, Scenario};

/// Counts the dependent requests of migrations and appends, in virtual time
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only the rows whose names contain this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Also print each request, and when it was sent
    #[arg(long, requires = "only")]
    trace: bool,
    /// Write the table to docs/performance.md, and the budget
    #[arg(long, conflicts_with = "only")]
    write: bool,
}

/// A row of the table.
struct Row {
    scenario: Scenario,
    measured: Measured,
}

/// Measures all rows and prints them.
pub(crate) fn run(options: &Options) -> Result<()> {
    let only = options.only.as_deref().unwrap_or_default();
    let mut rows = Vec::new();
    println!("{}", table::head());
    for scenario in SCENARIOS {
        if !scenario.to_string().contains(only) {
            continue;
        }
        let row = Row {
            scenario: *scenario,
            measured: measure(*scenario, options.trace)?,
        };
        println!("{}", table::line(&row));
        rows.push(row);
    }
    if options.write {
        table::write(&rows)?;
        Budget::of(&rows).write()?;
    }
    Ok(())
}

/// Runs a scenario on a paused clock: computing takes no time there.
fn measure(scenario: Scenario, traced: bool) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?;
    runtime.block_on(scenario.measure(Lab::new(traced)))
}
