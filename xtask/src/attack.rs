//! `cargo xtask attack`: the outside attack, on `esm` as users' builds are.

use std::path::PathBuf;

use anyhow::Result;

use crate::{command, project};

/// Options of `cargo xtask attack`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Attack this binary instead of building `esm`
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Arguments for the program; `--help` lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<String>,
}

/// Builds what is needed and attacks.
pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => released()?,
    };
    attack(binary, &options.arguments)
}

/// A minute of it, for every build. What is found does not depend on how `esm` was built, so it is
/// what the tests have built already.
pub(crate) fn in_short() -> Result<()> {
    let short = [
        "kills",
        "freezes",
        "walks",
        "scenes",
        "hostile",
        "resources",
        "damage",
        "--stride=2000",
        "--files-stride=25",
        // the same attack on every commit; a nightly one draws another each time
        "--seed=10827",
        "--rounds=6",
        "--minutes=1.5",
        "--jobs=3",
    ];
    command::build(&["--bin=esm"])?;
    let binary = project::target().join("debug/esm");
    attack(binary, &short.map(str::to_owned))
}

/// An hour of it: every byte of every file, and a thousand rounds of kills and freezes.
pub(crate) fn at_length() -> Result<()> {
    let whole = ["--stride=1", "--rounds=500", "--jobs=4"];
    attack(released()?, &whole.map(str::to_owned))
}

fn attack(binary: PathBuf, arguments: &[String]) -> Result<()> {
    command::build(&["--bin=esm-attack"])?;
    let mut command = command::new(project::target().join("debug/esm-attack"));
    command.arg("--binary").arg(binary).args(arguments);
    command::run(&mut command)
}

/// Builds `esm` as users' builds are, and returns its path.
fn released() -> Result<PathBuf> {
    command::run(command::cargo().args(["build", "--release", "--package=esm-cli"]))?;
    Ok(project::target().join("release/esm"))
}
