//! `cargo xtask mutants`: changes the code in small ways, and lists the changes that no test notices.
//!
//! It works on a copy of the last commit, which keeps what was built, so that a mutant costs the
//! crate and its tests and no more. The tests that are about an area judge its mutants first; what
//! they miss is judged again by all tests of the package.

mod areas;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{command, project};
use areas::{AREAS, Area};

/// Options of `cargo xtask mutants`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The area to mutate; without one, all are listed
    area: Option<String>,
    /// A part of the area's mutants: `2/8` is the third of eight parts
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
    /// Arguments for cargo-mutants, e.g. `--re follow_in`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<String>,
}

/// Judges the mutants of an area, and fails where one survives.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Some(name) = &options.area else {
        for area in AREAS {
            println!("{:12} {}", area.name, area.about);
        }
        return Ok(());
    };
    let Some(area) = AREAS.iter().find(|area| area.name == name) else {
        bail!("there is no such area: `cargo xtask mutants` lists them");
    };
    for (program, arguments) in [("cargo-mutants", "mutants"), ("cargo-nextest", "nextest")] {
        if !command::answers(program, &[arguments, "--version"]) {
            bail!("{program} is not installed: `cargo install --locked {program}`");
        }
    }
    let commit = command::output(command::new("git").args(["rev-parse", "HEAD"]))?;
    let tree = copy_of(commit.trim())?;
    let survivors = judge(area, options, &tree)?;
    println!("mutants of {name} at {}:", commit.trim());
    if survivors.is_empty() {
        println!("none survived")
    } else {
        bail!("these survived:\n  {}", survivors.join("\n  "))
    }
    Ok(())
}

fn directory() -> PathBuf {
    project::target().join("mutants")
}

/// The copy of a commit, with what was built in it before.
fn copy_of(commit: &str) -> Result<PathBuf> {
    let tree = directory().join("tree");
    if !tree.join(".git").exists() {
        let clone = ["clone", "--quiet", "--shared", "--no-checkout", "."];
        command::run(command::new("git").args(clone).arg(&tree))?;
    }
    let git = |arguments: &[&str]| {
        let mut git = command::new("git");
        git.args(arguments).current_dir(&tree);
        command::run_quietly(&mut git)
    };
    // an interrupted run leaves its mutant behind
    git(&["checkout", "--quiet", "--force", "--detach", commit])?;
    git(&["clean", "--quiet", "--force", "-d"])?;
    Ok(tree)
}

/// The mutants that neither the area's own tests nor the package's notice.
fn judge(area: &Area, options: &Options, tree: &Path) -> Result<Vec<String>> {
    let mut first = cargo_mutants(area, tree, "first");
    first.args(area.judges());
    if let Some(shard) = &options.shard {
        // so that each part is a sample of all files
        first.args(["--sharding=round-robin", &format!("--shard={shard}")]);
    }
    first.args(&options.arguments);
    let missed = outcome(&mut first, area, "first")?;
    if missed.is_empty() {
        return Ok(missed);
    }
    let mut second = cargo_mutants(area, tree, "second");
    second.args(
        missed
            .iter()
            .map(|name| format!("--re=^{}$", literally(name))),
    );
    outcome(&mut second, area, "second")
}

fn cargo_mutants(area: &Area, tree: &Path, round: &str) -> Command {
    let mut cargo = command::cargo();
    cargo
        .args(["mutants", "--in-place", "--package", area.package])
        .args(area.files.iter().map(|file| format!("--file={file}")))
        .arg("--output")
        .arg(directory().join(area.name).join(round))
        .current_dir(tree)
        .env_remove("CARGO_TARGET_DIR")
        .env("INSTA_UPDATE", "no");
    cargo
}

/// Runs it, and gives the names of the mutants that were missed or took too long.
fn outcome(cargo: &mut Command, area: &Area, round: &str) -> Result<Vec<String>> {
    let output = directory().join(area.name).join(round);
    std::fs::create_dir_all(&output)?;
    let found = output.join("mutants.out");
    if found.exists() {
        std::fs::remove_dir_all(&found)?;
    }
    println!("$ {}", command::shown(cargo));
    let status = cargo.status()?;
    // 2: some were missed; 3: some took too long, which is no proof that they are noticed
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        bail!("the mutants could not be judged: {status}");
    }
    let mut names = Vec::new();
    for list in ["missed.txt", "timeout.txt"] {
        let list = found.join(list);
        let text = std::fs::read_to_string(&list)
            .with_context(|| format!("cannot read {}", list.display()))?;
        names.extend(text.lines().map(str::to_owned));
    }
    Ok(names)
}

/// A regular expression that matches this text and nothing else.
fn literally(text: &str) -> String {
    let mut expression = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            expression.push('\\');
        }
        expression.push(c);
    }
    expression
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git;

    #[test]
    fn a_name_matches_literally() {
        assert_eq!(
            literally("a.rs:1:2: replace + with * in f -> [u8]"),
            r"a\.rs:1:2: replace \+ with \* in f -> \[u8\]"
        );
    }

    #[test]
    fn every_area_has_tests() {
        for area in AREAS {
            let tests = project::root()
                .join("crates")
                .join(area.package)
                .join("tests");
            for name in area.tests.iter().filter_map(|t| t.strip_prefix("--test=")) {
                let there = [format!("{name}.rs"), format!("{name}/main.rs")];
                let there = there.iter().any(|file| tests.join(file).is_file());
                assert!(there, "{}: no such test: {name}", area.name);
            }
        }
    }

    #[test]
    fn every_area_has_files() -> Result<()> {
        let files = git::files()?;
        for area in AREAS {
            for pattern in area.files {
                let path = pattern.split('*').next().unwrap_or(pattern);
                let there = files.iter().any(|file| {
                    let file = file.to_string_lossy();
                    file.starts_with(path) && file.ends_with(".rs")
                });
                assert!(there, "{}: no such file: {pattern}", area.name);
            }
        }
        Ok(())
    }
}
