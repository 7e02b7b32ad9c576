//! `cargo xtask test`: all tests, and by name what could not be tested.

mod not_tested;
mod slowest;

use anyhow::Result;

use crate::{command, project};
pub(crate) use not_tested::NotTested;
pub(crate) use slowest::Report;

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Arguments for the test runner, e.g. `-p esm-core rolling_hash`; without any, everything runs
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<String>,
}

/// Runs the tests. They start the servers that they need, by `esm_testkit::containers`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let not_tested = NotTested::fresh()?;
    let tested = tests(options, &not_tested);
    not_tested.print()?;
    tested
}

/// The profile of nextest that the tests run with.
pub(crate) fn profile() -> &'static str {
    if project::in_ci() { "ci" } else { "default" }
}

/// How many tests run at a time: four times as many as there are processors, because many wait for a
/// server, a disk or the end of a lease.
fn threads() -> usize {
    4 * std::thread::available_parallelism().map_or(1, usize::from)
}

fn tests(options: &Options, not_tested: &NotTested) -> Result<()> {
    let runner = |arguments: &[&str]| {
        let mut cargo = command::cargo();
        cargo.args(arguments);
        cargo.env(NotTested::VARIABLE, not_tested.directory());
        cargo
    };
    let nextest = command::answers("cargo-nextest", &["nextest", "--version"]);
    let mut tests = if nextest {
        runner(&["nextest", "run"])
    } else {
        runner(&["test"])
    };
    if nextest && project::in_ci() {
        tests.args(["--profile", profile()]);
    }
    if !options.arguments.is_empty() {
        return command::run(tests.args(&options.arguments));
    }
    tests.args(["--workspace", "--all-features"]);
    if nextest {
        tests.args(["--test-threads", &threads().to_string()]);
    } else {
        // its configuration leaves these out: they are for the night
        tests.args(["--", "--skip=pairs::"]);
    }
    command::run(&mut tests)?;
    if nextest {
        // nextest does not run the examples in the documentation.
        command::run(&mut runner(&[
            "test",
            "--doc",
            "--workspace",
            "--all-features",
        ]))?;
    }
    Ok(())
}
