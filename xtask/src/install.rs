//! Installs `esm` from its packaged crates, as `cargo install esm-cli` does from a registry.
//!
//! Cargo can take unpacked packages in the place of a registry's. They are unpacked outside the
//! workspace, so that nothing of it but the packages is used.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{ci, command, project};

#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Builds without optimizations, which takes minutes less
    #[arg(long)]
    debug: bool,
}

/// The package that is installed.
const INSTALLED: &str = "esm-cli";
/// A package that the installed one is only tested with.
const NOT_LINKED: &str = "esm-testkit";
/// Ending of the files that `cargo package` writes.
const PACKED: &str = concat!("-", env!("CARGO_PKG_VERSION"), ".crate");

/// Packages the workspace, installs the program from the packages alone, and imports a sample with it.
pub(crate) fn run(options: &Options) -> Result<()> {
    ci::package()?;
    let folder = std::env::temp_dir().join(format!("esm-packaged-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = install(options, &folder);
    std::fs::remove_dir_all(&folder).context("cannot remove what was installed")?;
    done
}

fn install(options: &Options, folder: &Path) -> Result<()> {
    let patches = unpack(folder)?;
    let unpacked = folder.join(format!("{INSTALLED}-{}", env!("CARGO_PKG_VERSION")));
    let cargo = |arguments: &[&str]| {
        let mut cargo = command::cargo();
        cargo.args(arguments).args(&patches).current_dir(&unpacked);
        cargo
    };
    // the packaged lock file names a registry for these crates; everything else in it stays
    command::output(&mut cargo(&["metadata", "--quiet", "--format-version=1"]))?;
    let mut install = cargo(&["install", "--locked", "--path=."]);
    install
        .arg("--root")
        .arg(folder)
        .env("CARGO_TARGET_DIR", project::target());
    if options.debug {
        install.arg("--debug");
    }
    command::run(&mut install)?;
    try_out(folder)
}

/// Unpacks the packages; returns the options with which cargo uses them.
fn unpack(folder: &Path) -> Result<Vec<String>> {
    let packages = project::target().join("package");
    let mut patches = Vec::new();
    for entry in std::fs::read_dir(&packages)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(package) = name.and_then(|name| name.strip_suffix(PACKED)) else {
            continue;
        };
        let mut tar = command::new("tar");
        command::run_quietly(tar.arg("-xzf").arg(&path).arg("-C").arg(folder))?;
        if ![INSTALLED, NOT_LINKED].contains(&package) {
            let unpacked = folder.join(format!("{package}-{}", env!("CARGO_PKG_VERSION")));
            patches.push(format!(
                "--config=patch.crates-io.{package}.path='{}'",
                unpacked.display()
            ));
        }
    }
    Ok(patches)
}

/// Runs the installed program.
fn try_out(folder: &Path) -> Result<()> {
    let program: PathBuf = folder.join("bin").join("esm");
    let esm = |arguments: &[&str]| -> Command {
        let mut esm = command::new(&program);
        esm.args(arguments).env("ESM_STORE", folder.join("store"));
        esm
    };
    let version = command::output(&mut esm(&["--version", "--verbose"]))?;
    print!("{version}");
    if !version.contains(env!("CARGO_PKG_VERSION")) {
        bail!("the installed program has another version");
    }
    command::run(&mut esm(&["import", "examples/orders.ndjson"]))?;
    command::run(&mut esm(&["list", "--limit=1"]))
}
