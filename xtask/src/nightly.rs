//! `cargo xtask nightly`: what takes too long for every build.

use anyhow::{Result, bail};

use crate::{attack, command, dist, install, project};

/// Options of `cargo xtask nightly`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Number of random cases of a property, of which a build tries 256; where a case is dear, a
    /// fixed part of it: a half to a twentieth
    #[arg(long, default_value_t = 4096)]
    cases: u32,
    /// Arguments for nextest, e.g. `-p esm-core crash_sweep::pairs::identity`; without any,
    /// everything runs
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<String>,
}

/// Runs all tests as the profile `nightly` has them: the sweeps whole and in pairs, the model within
/// its larger bounds. Without arguments, then packs the program and examines the package, installs
/// the program from the packaged crates, runs the fuzzer's targets, and attacks the binary for an hour.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !command::answers("cargo-nextest", &["nextest", "--version"]) {
        bail!("cargo-nextest is not installed: `cargo install --locked cargo-nextest`");
    }
    let mut tests = command::cargo();
    tests
        .args(["nextest", "run", "--profile=nightly"])
        .env("ESM_SWEEP", "full")
        .env("ESM_MODEL", "large")
        .env("PROPTEST_CASES", options.cases.to_string());
    if options.arguments.is_empty() {
        tests.args(["--workspace", "--all-features"]);
        command::run(&mut tests)?;
        dist::run(&dist::Options::default())?;
        install::run(&install::Options::default())?;
        fuzz()?;
        attack::at_length()
    } else {
        command::run(tests.args(&options.arguments))
    }
}

/// The targets of `fuzz/`, for 15 minutes each.
const TARGETS: [&str; 8] = [
    "event",
    "cell",
    "backup",
    "record",
    "text",
    "arguments",
    "jq",
    "store",
];

/// Unpacks what earlier runs of a target have found, unless there is a corpus of this machine.
fn unpack(target: &str) -> Result<()> {
    let fuzz = project::root().join("fuzz");
    let packed = fuzz.join("corpora").join(format!("{target}.tar.gz"));
    let corpora = fuzz.join("corpus");
    if corpora.join(target).exists() || !packed.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&corpora)?;
    let mut tar = command::new("tar");
    command::run_quietly(tar.arg("-xzf").arg(packed).arg("-C").arg(corpora))
}

fn fuzz() -> Result<()> {
    if !command::answers("cargo-fuzz", &["--version"]) {
        println!("not fuzzed: cargo-fuzz is not installed: `cargo install --locked cargo-fuzz`");
        return Ok(());
    }
    for target in TARGETS {
        let [corpus, seeds] = ["corpus", "seeds"].map(|folder| format!("fuzz/{folder}/{target}"));
        unpack(target)?;
        for folder in [&corpus, &seeds] {
            std::fs::create_dir_all(project::root().join(folder))?;
        }
        let mut fuzz = command::new("rustup");
        fuzz.args([
            "run", "nightly", "cargo", "fuzz", "run", target, &corpus, &seeds,
        ]);
        fuzz.args(["--", "-max_total_time=900", "-timeout=60"]);
        command::run(&mut fuzz)?;
    }
    Ok(())
}
