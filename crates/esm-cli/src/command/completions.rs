//! `esm completions`

use clap::CommandFactory as _;
use clap_complete::Shell;
use esm_core::Result;

use crate::args::Arguments;
use crate::exit::Exit;
use crate::output::Output;

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm completions bash > ~/.local/share/bash-completion/completions/esm
  esm completions zsh  > ~/.zfunc/_esm
  esm completions fish > ~/.config/fish/completions/esm.fish")]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, output: &Output) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "esm", &mut script);
        output.lines(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Success)
    }
}
