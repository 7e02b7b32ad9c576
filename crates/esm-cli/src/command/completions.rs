//! `esm completions`

use clap_complete::Shell;
use esm_core::Result;

use crate::exit::Exit;
use crate::output::{Output, Text};

/// Print a shell completion script.
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
    pub(crate) fn run(&self, esm: &mut clap::Command, output: &Output) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, esm, "esm", &mut script);
        output.text(Text::lines(&String::from_utf8_lossy(&script)))?;
        Ok(Exit::Success)
    }
}
