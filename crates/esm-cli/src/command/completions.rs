//! `esm completions`

use clap_complete::Shell;
use esm_core::Result;

use crate::complete;
use crate::exit::Exit;
use crate::output::{Output, Text};

/// Print a shell completion script.
///
/// The script requests completions from this program: commands, options and files, and the objects
/// and migrations of the store that the command line or ESM_STORE names.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm completions bash > ~/.local/share/bash-completion/completions/esm
  esm completions zsh  > ~/.zfunc/_esm
  esm completions fish > ~/.config/fish/completions/esm.fish")]
pub(crate) struct Completions {
    /// Shell to generate the script for.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, output: &Output) -> Result<Exit> {
        let script = complete::script(&self.shell.to_string())?;
        output.text(Text::lines(&String::from_utf8_lossy(&script)))?;
        Ok(Exit::Success)
    }
}
