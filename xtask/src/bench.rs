//! `cargo xtask bench`: what esm costs, as ratios to what the storage itself takes.

use anyhow::Result;

use crate::command;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Arguments for the benchmark program; `--help` lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<String>,
}

/// Builds the benchmark program as users' builds are and runs it. In virtual time nothing takes
/// longer in a debug build, which other tasks have built.
pub(crate) fn run(options: &Options) -> Result<()> {
    let is_latency = options
        .arguments
        .first()
        .is_some_and(|first| first == "latency");
    if !is_latency {
        // which is run as a process
        let packages = ["--package=esm-cli", "--package=esm-bench"];
        command::run(command::cargo().args(["build", "--release"]).args(packages))?;
    }
    let mut cargo = command::cargo();
    cargo.args(["run", "--quiet", "--package=esm-bench"]);
    if !is_latency {
        cargo.arg("--release");
    }
    command::run(cargo.arg("--").args(&options.arguments))
}
