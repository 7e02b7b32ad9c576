//! The project's own tasks: `cargo xtask --help` lists them.
//!
//! Plain programs run by `cargo`, so that a new machine needs nothing else to build, test and try
//! the project, and continuous integration runs what everybody runs.

mod applications;
mod attack;
mod bench;
mod browser;
mod ci;
mod command;
mod demo;
mod dist;
mod git;
mod install;
mod layering;
mod live;
mod mutants;
mod nightly;
mod pictures;
mod project;
mod sample;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// The project's own tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Builds `esm` and migrates a sample of orders on a local directory, step by step
    Demo(demo::Options),
    /// Starts a console on a store in which a slow migration runs while orders come in
    Console(demo::ConsoleOptions),
    /// Runs all tests, and names what could not be tested
    Test(test::Options),
    /// Runs the tests that take a night: whole sweeps, pairs of crashes, many random cases
    Nightly(nightly::Options),
    /// Changes the code in small ways and lists the changes that no test notices
    Mutants(mutants::Options),
    /// Runs every check, as continuous integration does, and prints the time of each stage
    Ci(ci::Options),
    /// Measures esm against what the storage itself takes, and prints the ratios
    Bench(bench::Options),
    /// Measures what a migration costs applications that write meanwhile, and checks every acknowledged write
    Live(live::Options),
    /// Kills, freezes and doubles migrators at random while applications write, and checks the same
    Chaos(live::Options),
    /// Runs programs of other libraries while `esm` migrates their events in place, and checks the same
    Applications(applications::Options),
    /// Tests the console in a real browser, and takes the pictures of its documentation
    Browser(browser::Options),
    /// Attacks esm from the outside: kills, freezes, damage, random walks, hostile content
    Attack(attack::Options),
    /// Packs the program: a static binary, licences, manual pages, completions, checksums, a bill of materials
    Dist(dist::Options),
    /// Installs `esm` from the packaged crates alone, as `cargo install esm-cli` does, and tries it out
    Install(install::Options),
    /// Checks what neither the compiler nor clippy does: file sizes, names, links, lints, numbering, words
    Tidy(tidy::Options),
    /// Checks which crate and module depends on which, and that esm-core knows no network
    Layering(layering::Options),
    /// Writes the demo's sample, `examples/orders.ndjson`, anew
    Sample,
    /// Draws `docs/terminal/`, what a terminal shows, from the tests' snapshots
    Pictures,
}

/// Returns the names of all tasks.
fn names() -> Vec<String> {
    let tasks = Arguments::command();
    tasks
        .get_subcommands()
        .map(|task| task.get_name().to_owned())
        .collect()
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Console(options) => demo::run_console(&options),
        Task::Test(options) => test::run(&options),
        Task::Nightly(options) => nightly::run(&options),
        Task::Mutants(options) => mutants::run(&options),
        Task::Ci(options) => ci::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Live(options) => live::live(&options),
        Task::Chaos(options) => live::chaos(&options),
        Task::Applications(options) => applications::run(&options),
        Task::Browser(options) => browser::run(&options),
        Task::Attack(options) => attack::run(&options),
        Task::Dist(options) => dist::run(&options),
        Task::Install(options) => install::run(&options),
        Task::Tidy(options) => tidy::run(&options, &names()),
        Task::Layering(options) => layering::run(&options),
        Task::Sample => sample::run(),
        Task::Pictures => pictures::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
