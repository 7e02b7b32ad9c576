//! An S3 server: moto, behind a launcher that makes its conditional writes atomic.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{CONTAINER, Server, install};
use crate::command;

const PACKAGE: &str = "moto-5.2.5";
const REQUIREMENT: &str = "moto[server]==5.2.5";
const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/servers/s3.py");

/// See [`super::Start`].
pub(super) fn start() -> Result<Server> {
    if !command::answers("python3", &["-m", "venv", "--help"]) {
        bail!("python3 with its module venv is not installed");
    }
    let directory = install::once(PACKAGE, install)?;
    Server::start(
        "ESM_TEST_S3",
        command::new(python(&directory)).args([LAUNCHER, CONTAINER]),
    )
}

fn install(directory: &Path) -> Result<()> {
    command::run_quietly(command::new("python3").args(["-m", "venv"]).arg(directory))?;
    command::run_quietly(command::new(python(directory)).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        REQUIREMENT,
    ]))
}

fn python(directory: &Path) -> PathBuf {
    match cfg!(windows) {
        true => directory.join("Scripts").join("python.exe"),
        false => directory.join("bin").join("python"),
    }
}
