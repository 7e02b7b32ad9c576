//! Applications that continue to write while their streams move, as real processes on a local
//! directory or an Azurite, with the real `esm` as the migrator; and a check of every response that
//! they received.
//!
//! Needs a Unix: migrators are frozen and woken by signals.

mod applications;
mod chaos;
mod check;
mod console;
mod copier;
mod dice;
mod history;
mod live;
mod migrator;
mod process;
mod transformation;
mod workload;
mod world;
mod writer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "esm-live", about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What a process of this program is.
#[derive(Debug, Subcommand)]
enum Command {
    /// Measures what a migration costs concurrent writers, and checks every response they received
    Live(live::Options),
    /// Kills, freezes and doubles the migrator at random while applications write, round by round
    Chaos(chaos::Options),
    /// Runs programs of other libraries while `esm` migrates their events in place, and without it
    Applications(applications::Options),
    /// An application: appends until its standard input ends
    #[command(hide = true)]
    Writer(writer::Options),
    /// A migrator whose lock is always granted
    #[command(hide = true)]
    Migrator(migrator::Options),
    /// Copies files again and again until its standard input ends
    #[command(hide = true)]
    Copier(copier::Options),
    /// Kills the processes that its standard input names, when that ends
    #[command(hide = true)]
    Warden,
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        Command::Live(options) => live::run(&options).await,
        Command::Chaos(options) => chaos::run(&options).await,
        Command::Applications(options) => applications::run(&options).await,
        Command::Writer(options) => writer::run(options).await,
        Command::Migrator(options) => migrator::run(options).await,
        Command::Copier(options) => copier::run(options).await,
        Command::Warden => process::guard().await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
