//! Which command runs against what.

use esm_core::Result;

use super::Command;
use crate::args::Arguments;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::session::{Access, Session};

/// Runs a command.
///
/// # Errors
/// Whatever stopped it; the caller reports it.
pub(crate) async fn run(
    arguments: Arguments,
    output: Output,
    interrupt: Interrupt,
) -> Result<Exit> {
    let Arguments { global, command } = arguments;
    let open = |access| Session::open(global.clone(), output.clone(), interrupt.clone(), access);
    match command {
        Command::Completions(command) => command.run(&output),
        Command::Import(command) => command.run(global, output, interrupt).await,
        Command::Export(command) => command.run(&open(Access::Read).await?).await,
        Command::Plan(command) => command.run(&open(Access::Read).await?).await,
        Command::Migrate(command) => command.run(&open(command.access()).await?).await,
        Command::Watch(command) => command.run(&open(Access::Read).await?).await,
        Command::Pause(command) => command.run(&open(Access::Write).await?).await,
        Command::Cutover(command) => command.run(&open(Access::Write).await?).await,
        Command::Set(command) => command.run(&open(Access::Write).await?).await,
        Command::Cancel(command) => command.run(&open(Access::Write).await?).await,
        Command::Resume(command) => command.run(&open(Access::Write).await?).await,
        Command::Rollback(command) => command.run(&open(command.access()).await?).await,
        Command::Status(command) => command.run(&open(Access::Read).await?).await,
        Command::Verify(command) => command.run(&open(Access::Read).await?).await,
        Command::List(command) => command.run(&open(Access::Read).await?).await,
        Command::Show(command) => command.run(&open(Access::Read).await?).await,
        Command::Read(command) => command.run(&open(Access::Read).await?).await,
        Command::Backup(command) => command.run(&open(command.access()).await?).await,
        Command::Lock(command) => command.run(&open(command.access()).await?).await,
        Command::Store(command) => command.run(global, output, interrupt).await,
    }
}
