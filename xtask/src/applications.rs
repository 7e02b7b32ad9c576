//! `cargo xtask applications`: programs of other libraries, which know nothing of esm, while the real
//! `esm` migrates their events in place.

use anyhow::Result;

use crate::{command, project};

/// The processes of a run that are of the workspace.
const PROGRAMS: [&str; 2] = ["--bin=esm", "--bin=esm-live"];

/// Those that need Node.js.
const OF_NODE: [&str; 2] = ["emmett", "message-db"];

/// Options of `cargo xtask applications`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Arguments for the program; `--help` lists them. Which applications are run is no argument
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<String>,
}

/// Builds the applications and runs each, with a migration and without one.
pub(crate) fn run(options: &Options) -> Result<()> {
    command::build(&PROGRAMS)?;
    bank_on_postgres_es()?;
    let mut kinds = vec!["postgres-es"];
    match bank_on_node() {
        Ok(()) => kinds.extend(OF_NODE),
        Err(why) => println!("not run: {}: {why:#}", OF_NODE.join(", ")),
    }
    live(&kinds, &options.arguments)
}

fn live(kinds: &[&str], arguments: &[String]) -> Result<()> {
    let program = project::target().join("debug/esm-live");
    let mut live = command::new(program);
    live.arg("applications").args(kinds);
    command::run(live.args(arguments))
}

/// A short run, for every build. A disturbed round takes about a minute, so one of them has one.
pub(crate) fn in_short() -> Result<()> {
    let mut arguments = ["--commands=30", "--phase=100"].map(str::to_owned).to_vec();
    run(&Options {
        arguments: arguments.clone(),
    })?;
    arguments.push("--disturbed=1".to_owned());
    live(&["postgres-es"], &arguments)
}

/// Builds the one with a lock file of Cargo's, without debug information: it is not looked into.
fn bank_on_postgres_es() -> Result<()> {
    let manifest = project::root().join("live/applications/postgres-es/Cargo.toml");
    let mut cargo = command::cargo();
    cargo
        .args(["build", "--locked", "--quiet", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(project::target())
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    command::run(&mut cargo)
}

/// Installs what the one with a lock file of npm's needs.
///
/// # Errors
/// Where there is no Node.js, or the registry does not answer.
fn bank_on_node() -> Result<()> {
    let folder = project::root().join("live/applications/node");
    let mut npm = command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--prefix"])
        .arg(folder);
    command::run(&mut npm)
}
