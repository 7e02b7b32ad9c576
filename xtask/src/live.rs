//! `cargo xtask live` and `cargo xtask chaos`: applications that write while their streams move, as
//! real processes, with the real `esm`.

use std::path::Path;

use anyhow::Result;

use crate::{command, project};

/// Options of both.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Arguments for the program; `--help` lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<String>,
}

/// Measures what a migration costs those who write meanwhile, with builds as users' are.
pub(crate) fn live(options: &Options) -> Result<()> {
    command::run(build().arg("--release"))?;
    run("release", "live", &options.arguments)
}

/// Kills, freezes and doubles migrators at random. What is found does not depend on how it was
/// built, so that is what the tests have built already.
pub(crate) fn chaos(options: &Options) -> Result<()> {
    command::run(&mut build())?;
    run("debug", "chaos", &options.arguments)
}

/// A few seconds of the former: shows that nobody who writes notices, and measures nothing.
pub(crate) fn in_short(directory: &Path) -> Result<()> {
    command::run(&mut build())?;
    let directory = directory.to_string_lossy();
    let short = [
        "--runs=1",
        "--writers=3",
        "--objects=8",
        "--events=400",
        "--appends=100",
        "--directory",
        &directory,
    ];
    run("debug", "live", &short.map(str::to_owned))
}

fn build() -> std::process::Command {
    let mut cargo = command::cargo();
    cargo.args(["build", "--package=esm-cli", "--package=esm-live"]);
    cargo
}

fn run(profile: &str, task: &str, arguments: &[String]) -> Result<()> {
    let program = project::target().join(profile).join("esm-live");
    command::run(command::new(program).arg(task).args(arguments))
}
