//! The command line as a whole: its commands, and what each is run against.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use esm_core::{Error, Result};

use crate::args::Global;
#[cfg(feature = "console")]
use crate::command::Console;
use crate::command::{
    Archive, Backup, Cancel, Completions, ConfigCommand, Cutover, Doctor, Export, Finish, Import,
    LayoutCommand, List, Lock, Man, Migrate, Pause, Plan, Read, Repair, Resume, Rollback, Set,
    Show, Status, StoreCommand, Transform, UpcastersCommand, Verify, Watch,
};
use crate::config::Config;
use crate::exit::Exit;
use crate::help;
use crate::in_place::is_layout;
use crate::interrupt::Interrupt;
use crate::output::{Output, OutputFormat};
use crate::session::{Access, Session};

const AFTER_HELP: &str = "\
Getting started:
  export ESM_STORE=file:///tmp/esm-demo
  esm import orders.ndjson            # creates the store and its objects
  esm list                            # lists the objects
  esm plan --all --transform v2.jq    # shows what would happen; writes nothing
  esm migrate --all --transform v2.jq # copies, transforms, verifies, cuts over
  esm export --all > migrated.ndjson

Exit codes:
  0    success, or nothing to do
  1    any other failure
  2    invalid arguments or invalid input
  3    not found
  4    already exists, or changed concurrently (also: an outdated plan)
  5    locked: another process holds the lock, or took over
  6    verification found a difference; that object was not cut over
  7    the transformation failed on an event; its object was not cut over
  8    storage is unavailable, full, or denies access
  9    stored data is corrupt, or missing although it must be there
  130  stopped on request (Ctrl-C, SIGTERM); completed work is kept,
       `esm resume` continues

If several objects fail, the first failure determines the exit code.";

/// Event stream management: move and transform event streams with zero downtime.
///
/// Event streams live in a store: a local directory, a SQLite file, a PostgreSQL schema or a bucket.
/// Select it with --store or ESM_STORE.
#[derive(Debug, Parser)]
#[command(name = "esm", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(propagate_version = true)]
pub(crate) struct Arguments {
    /// With --version: show the commit, the stores and the formats too.
    #[arg(long, requires = "version")]
    verbose: bool,
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(Import),
    Export(Export),
    Plan(Box<Plan>),
    Transform(Transform),
    #[command(subcommand)]
    Upcasters(UpcastersCommand),
    Migrate(Box<Migrate>),
    Watch(Watch),
    #[cfg(feature = "console")]
    Console(Console),
    Pause(Pause),
    Resume(Resume),
    Cutover(Cutover),
    Set(Set),
    Cancel(Cancel),
    Finish(Finish),
    Rollback(Rollback),
    Status(Status),
    Verify(Verify),
    List(List),
    Show(Show),
    Read(Read),
    #[command(subcommand)]
    Archive(Archive),
    #[command(subcommand)]
    Backup(Backup),
    Doctor(Doctor),
    Repair(Repair),
    #[command(subcommand)]
    Lock(Lock),
    #[command(subcommand)]
    Store(StoreCommand),
    #[command(subcommand)]
    Layout(LayoutCommand),
    #[command(subcommand)]
    Config(ConfigCommand),
    Completions(Completions),
    Man(Man),
}

/// Why the arguments of a command are not known.
#[derive(Debug)]
pub(crate) enum Unread {
    CommandLine(clap::Error),
    /// An error of a configuration file, and the format that the command line chooses.
    Config(Error, OutputFormat),
}

impl From<clap::Error> for Unread {
    fn from(error: clap::Error) -> Self {
        Self::CommandLine(error)
    }
}

impl Arguments {
    /// Reads the command line, and the configuration files for what it does not give.
    ///
    /// # Errors
    /// What is wrong with the command line, or with a configuration file; help and version are
    /// errors of the command line, as clap has them.
    pub(crate) fn read() -> Result<Self, Unread> {
        let command = help::with_pages(Self::command());
        Self::of_line(command, std::env::args_os(), Config::load)
    }

    /// Reads a command line, whose first argument is the program's name, and a configuration.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn of_line(
        command: clap::Command,
        line: impl IntoIterator<Item = OsString>,
        config: impl FnOnce() -> Result<Config>,
    ) -> Result<Self, Unread> {
        let matches = command.try_get_matches_from(line)?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        if matches!(arguments.command, Command::Completions(_) | Command::Man(_)) {
            return Ok(arguments);
        }
        let configured = config().and_then(|config| arguments.global.configure(&config, &matches));
        match configured {
            Ok(()) => Ok(arguments),
            Err(error) => Err(Unread::Config(error, arguments.global.output)),
        }
    }

    /// Runs the command, with the store opened as the command needs it.
    ///
    /// # Errors
    /// Any error of the command; the caller reports it.
    pub(crate) async fn dispatch(self, output: Output, interrupt: Interrupt) -> Result<Exit> {
        let Self {
            global, command, ..
        } = self;
        let open =
            |access| Session::open(global.clone(), output.clone(), interrupt.clone(), access);
        // the tables of another library are opened as for reading, and rewritten in place
        let of_streams = |access| {
            if is_layout(&global) {
                Access::Read
            } else {
                access
            }
        };
        match command {
            Command::Completions(command) => command.run(&output),
            Command::Man(command) => command.run(Self::command(), &output),
            Command::Import(command) => command.run(global, output, interrupt).await,
            Command::Export(command) => command.run(&open(Access::Read).await?).await,
            Command::Plan(command) => command.run(&open(Access::Read).await?).await,
            Command::Transform(command) => command.run(global, output, interrupt).await,
            Command::Upcasters(command) => command.run(&global, &output).await,
            Command::Migrate(command) => {
                command
                    .run(&open(of_streams(command.access())).await?)
                    .await
            }
            Command::Watch(command) => command.run(&open(Access::Read).await?).await,
            #[cfg(feature = "console")]
            Command::Console(command) => command.run(global, output, interrupt).await,
            Command::Pause(command) => command.run(&open(of_streams(Access::Write)).await?).await,
            Command::Cutover(command) => command.run(&open(Access::Write).await?).await,
            Command::Set(command) => command.run(&open(of_streams(Access::Write)).await?).await,
            Command::Cancel(command) => command.run(&open(of_streams(Access::Write)).await?).await,
            Command::Resume(command) => command.run(&open(of_streams(Access::Write)).await?).await,
            Command::Finish(command) => command.run(&open(Access::Read).await?).await,
            Command::Archive(command) => command.run(&open(Access::Read).await?).await,
            Command::Rollback(command) => {
                command
                    .run(&open(of_streams(command.access())).await?)
                    .await
            }
            Command::Status(command) => command.run(&open(Access::Read).await?).await,
            Command::Verify(command) => command.run(&open(Access::Read).await?).await,
            Command::Doctor(command) => command.run(&open(Access::Read).await?).await,
            Command::List(command) => command.run(&open(Access::Read).await?).await,
            Command::Show(command) => command.run(&open(Access::Read).await?).await,
            Command::Read(command) => command.run(&open(Access::Read).await?).await,
            Command::Backup(command) => command.run(&open(command.access()).await?).await,
            Command::Repair(command) => command.run(&open(command.access()).await?).await,
            Command::Lock(command) => command.run(&open(command.access()).await?).await,
            Command::Store(command) => command.run(global, output, interrupt).await,
            Command::Layout(command) => command.run(&global, &output).await,
            Command::Config(command) => command.run(&global, &output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        help::with_pages(Arguments::command()).debug_assert();
    }
}
