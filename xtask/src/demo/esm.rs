//! The `esm` that was just built, on the demo's store.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::directory::Directory;
use crate::command;

/// Runs `esm`.
#[derive(Debug)]
pub(super) struct Esm {
    program: PathBuf,
    store: String,
}

impl Esm {
    pub(super) fn new(program: PathBuf, directory: &Directory) -> Self {
        Self {
            program,
            store: directory.url("store"),
        }
    }

    /// Shows a command and runs it.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(arguments);
        let mut shown = Command::new("esm");
        shown.args(arguments);
        println!("\n$ {}", command::shown(&shown));
        command::run_quietly(&mut command)
    }

    /// Runs a command and returns what it printed.
    pub(super) fn output(&self, arguments: &[&str]) -> Result<String> {
        command::output(&mut self.command(arguments))
    }

    /// What to type first, so that the commands shown work as they stand.
    pub(super) fn setup(&self) -> [String; 2] {
        let directory = self.program.parent().unwrap_or(&self.program);
        [
            format!("export PATH=\"{}:$PATH\"", directory.display()),
            format!("export ESM_STORE=\"{}\"", self.store),
        ]
    }

    /// A command, not run yet.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command::new(&self.program);
        // options that the user has set for a store of their own are not meant for this one
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ESM_") {
                command.env_remove(name);
            }
        }
        command.env("ESM_STORE", &self.store).args(arguments);
        command
    }
}
