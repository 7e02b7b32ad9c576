//! `cargo xtask live` and `cargo xtask chaos`: applications that write while their streams move, as
//! real processes, with the real `esm`.

use std::path::Path;

use anyhow::Result;

use crate::{command, project};

/// The processes of a round.
const PROGRAMS: [&str; 2] = ["--bin=esm", "--bin=esm-live"];

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
    let packages = ["--package=esm-cli", "--package=esm-live"];
    command::run(command::cargo().args(["build", "--release"]).args(packages))?;
    run("release", "live", &options.arguments)
}

/// Kills, freezes and doubles migrators at random. What is found does not depend on how it was
/// built, so that is what the tests have built already.
pub(crate) fn chaos(options: &Options) -> Result<()> {
    command::build(&PROGRAMS)?;
    run("debug", "chaos", &options.arguments)
}

/// A few seconds of the former: shows that nobody who writes notices, and measures nothing.
pub(crate) fn in_short(directory: &Path) -> Result<()> {
    command::build(&PROGRAMS)?;
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

fn run(profile: &str, task: &str, arguments: &[String]) -> Result<()> {
    let program = project::target().join(profile).join("esm-live");
    command::run(command::new(program).arg(task).args(arguments))
}
