//! `esm man`

use std::path::PathBuf;

use esm_core::Result;

use crate::exit::{self, Exit};
use crate::output::Output;

/// Write the manual pages into a directory.
///
/// Writes esm.1, and a page for each command, such as esm-migrate.1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm man ~/.local/share/man/man1
  man esm-migrate")]
pub(crate) struct Man {
    /// Directory that exists; pages in it are replaced.
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run(&self, esm: clap::Command, output: &Output) -> Result<Exit> {
        let directory = self.directory.display();
        clap_mangen::generate_to(esm, &self.directory).map_err(|error| {
            exit::io(format_args!("writing manual pages to {directory}"), error)
        })?;
        output.note(format!("manual pages written to {directory}"));
        Ok(Exit::Success)
    }
}
