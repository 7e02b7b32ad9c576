//! An Azure Blob server: Azurite, in memory.

use std::path::Path;

use anyhow::{Result, bail};

use super::{CONTAINER, Server, install};
use crate::command;

const PACKAGE: &str = "azurite-3.35.0";
const REQUIREMENT: &str = "azurite@3.35.0";
const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/servers/azurite.cjs");

/// See [`super::Start`].
pub(super) fn start() -> Result<Server> {
    for program in ["node", NPM] {
        if !command::answers(program, &["--version"]) {
            bail!("{program} is not installed");
        }
    }
    let directory = install::once(PACKAGE, install)?;
    Server::start(
        "ESM_TEST_AZURITE",
        command::new("node")
            .arg(LAUNCHER)
            .arg(&directory)
            .arg(CONTAINER),
    )
}

const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

fn install(directory: &Path) -> Result<()> {
    command::run_quietly(
        command::new(NPM)
            .args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"])
            .arg(directory)
            .arg(REQUIREMENT),
    )
}
