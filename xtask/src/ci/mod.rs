//! `cargo xtask ci`: every check, one after the other, and the time of each.

mod stage;

use std::process::Command;

use anyhow::Result;

use crate::{applications, attack, command, layering, project, test};
use stage::Stage;

/// Options of `cargo xtask ci`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Begin at this stage
    #[arg(long, value_name = "STAGE")]
    from: Option<String>,
    /// Run this stage alone
    #[arg(long, value_name = "STAGE", conflicts_with = "from")]
    only: Option<String>,
}

/// Quick ones first; the slow ones share what the ones before them have built.
const STAGES: &[Stage] = &[
    Stage::new("fmt", || {
        command::run(command::cargo().args(["fmt", "--all", "--check"]))
    }),
    Stage::new("tidy", || command::run(&mut xtask("tidy"))),
    Stage::new("layering", || layering::run(&layering::Options::default())),
    Stage::new("clippy", clippy),
    Stage::new("test", || command::run(&mut xtask("test"))),
    Stage::new("demo", || command::run(&mut xtask("demo"))),
    Stage::new("chaos", chaos),
    Stage::new("applications", applications::in_short),
    Stage::new("attack", attack::in_short),
    Stage::new("browser", || command::run(&mut xtask("browser"))),
    Stage::new("examples", examples),
    Stage::new("doc", doc),
    Stage::new("package", package),
    Stage::new("deny", deny),
];

/// How many of the slowest tests are printed.
const SLOWEST: usize = 10;

/// Runs the stages, up to the first that fails, and prints the times and the slowest tests.
pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = stage::choose(STAGES, options.from.as_deref(), options.only.as_deref())?;
    let report = test::Report::fresh(test::profile())?;
    let outcome = stage::run(chosen);
    report.print_slowest(SLOWEST)?;
    outcome
}

/// Runs a task as the README does: through cargo's alias.
fn xtask(task: &str) -> Command {
    let mut cargo = command::cargo();
    cargo.args(["xtask", task]);
    cargo
}

fn clippy() -> Result<()> {
    command::run(command::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny=warnings",
    ]))
}

/// Rounds in a directory, and one of each kind on Azure's blob storage; there no more at once than
/// the emulator, which has one thread, answers in time.
fn chaos() -> Result<()> {
    command::run(xtask("chaos").args(["--", "--rounds=8", "--jobs=3"]))?;
    command::run(xtask("chaos").args(["--", "--azurite", "--rounds=6", "--jobs=3"]))
}

fn doc() -> Result<()> {
    command::run(
        command::cargo()
            .args(["doc", "--workspace", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "--deny=warnings"),
    )
}

/// Runs every example, each of which checks its own outcome, and the tests of the crate that is no
/// member of the workspace.
fn examples() -> Result<()> {
    downstream()?;
    command::build(&["--examples", "--bin=esm-azure-example"])?;
    let directory = project::root().join("examples/library/examples");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(std::ffi::OsStr::to_owned));
        }
    }
    names.sort();
    let built = project::target().join("debug");
    for name in names {
        command::run(&mut command::new(built.join("examples").join(name)))?;
    }
    command::run(&mut command::new(built.join("esm-azure-example")))
}

/// Without debug information, as the workspace has other crates built, so that it shares some.
fn downstream() -> Result<()> {
    let manifest = project::root().join("examples/downstream/Cargo.toml");
    command::run(
        command::cargo()
            .args(["test", "--quiet", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(project::target())
            .env("CARGO_PROFILE_DEV_DEBUG", "0"),
    )
}

/// Whether every crate that can be published could be. What it is built from is what the stages
/// before have built, so it is not built a second time.
pub(crate) fn package() -> Result<()> {
    let mut cargo = command::cargo();
    cargo.args(["package", "--workspace", "--no-verify", "--quiet"]);
    if !project::in_ci() {
        cargo.arg("--allow-dirty");
    }
    for private in [
        "xtask",
        "esm-attack",
        "esm-azure-example",
        "esm-library-examples",
        "esm-bench",
        "esm-live",
        "esm-model",
    ] {
        cargo.args(["--exclude", private]);
    }
    command::run(&mut cargo)
}

fn deny() -> Result<()> {
    if !command::answers("cargo-deny", &["--version"]) {
        command::run(command::cargo().args([
            "install",
            "--locked",
            "--quiet",
            "cargo-deny",
            "--version=^0.20",
        ]))?;
    }
    command::run(command::cargo().args([
        "deny",
        "--log-level=error",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}
