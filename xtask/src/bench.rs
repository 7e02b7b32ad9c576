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

/// Builds the benchmark program as users' builds are and runs it.
pub(crate) fn run(options: &Options) -> Result<()> {
    command::run(
        command::cargo()
            .args(["run", "--release", "--quiet", "--package=esm-bench", "--"])
            .args(&options.arguments),
    )
}
