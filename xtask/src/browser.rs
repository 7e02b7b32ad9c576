//! `cargo xtask browser`: the console in a real browser, and the pictures of its documentation.

use std::path::PathBuf;

use anyhow::Result;

use crate::{command, project};

/// Options of `cargo xtask browser`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Where the pictures of the documentation go: `docs/console` to renew them
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = "target/browser/pictures"
    )]
    pictures: PathBuf,
    /// Also take pictures of every page, in both colours and widths
    #[arg(long)]
    album: bool,
}

/// Builds `esm` and the tests, and runs them. Where there is no browser, they say so.
pub(crate) fn run(options: &Options) -> Result<()> {
    command::build(&["--bin=esm"])?;
    build()?;
    let target = project::target();
    let mut tests = command::new(target.join("debug/esm-browser"));
    tests
        .arg("--binary")
        .arg(target.join("debug/esm"))
        .arg("--examples")
        .arg(project::root().join("examples"))
        .arg("--packages")
        .arg(target.join("esm-servers"))
        .arg("--pictures")
        .arg(project::root().join(&options.pictures));
    if options.album {
        tests.arg("--album").arg(target.join("browser/album"));
    }
    command::run(&mut tests)
}

/// Builds the tests, which are no member of the workspace; see its manifest.
fn build() -> Result<()> {
    let manifest = project::root().join("browser/Cargo.toml");
    command::run(
        command::cargo()
            .args(["build", "--locked", "--quiet", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(project::target()),
    )
}
