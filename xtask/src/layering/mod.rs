//! `cargo xtask layering`: which crate may depend on which, which module of a crate may use which.

mod arrows;
mod crates;
mod modules;
mod tree;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command;

/// Options of `cargo xtask layering`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Only list the violations between the modules of every crate, and count them
    #[arg(long)]
    report: bool,
}

/// Checks crates and modules.
pub(crate) fn run(options: &Options) -> Result<()> {
    let metadata = command::output(command::cargo().args([
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--quiet",
    ]))?;
    let metadata = serde_json::from_str(&metadata).context("cargo metadata is no JSON")?;
    let roots = roots(&metadata);
    if options.report {
        return report(&roots);
    }
    let mut wrong = crates::check(&metadata)?;
    for (name, root) in &roots {
        let found = modules::violations(name, root)?;
        let circles = found.circles.into_iter().flat_map(|circle| circle.arrows);
        wrong.extend(
            found
                .upward
                .iter()
                .map(|arrow| format!("{name}: upwards: {arrow}")),
        );
        wrong.extend(circles.map(|arrow| format!("{name}: in a circle: {arrow}")));
    }
    if !wrong.is_empty() {
        bail!("layering is broken:\n  {}", wrong.join("\n  "));
    }
    println!(
        "layering: every crate and module depends on what it may, in no circle; esm-core on no network"
    );
    Ok(())
}

fn report(roots: &[(String, PathBuf)]) -> Result<()> {
    let mut counts = Vec::new();
    for (name, root) in roots {
        let found = modules::violations(name, root)?;
        for arrow in &found.upward {
            println!("{name}: upwards: {arrow}");
        }
        for circle in &found.circles {
            println!("{name}: a circle of {} files:", circle.files);
            println!("  {}", circle.arrows.join("\n  "));
        }
        let files: usize = found.circles.iter().map(|circle| circle.files).sum();
        let arrows: usize = found.circles.iter().map(|circle| circle.arrows.len()).sum();
        counts.push(format!(
            "{name}: {} arrows upwards, {} circles of {files} files with {arrows} arrows",
            found.upward.len(),
            found.circles.len(),
        ));
    }
    println!("{}", counts.join("\n"));
    Ok(())
}

/// The root files of the libraries, programs and examples, with the names of their packages.
fn roots(metadata: &Value) -> Vec<(String, PathBuf)> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let mut roots = Vec::new();
    for package in list(metadata, "packages") {
        for target in list(&package, "targets") {
            let kinds = list(&target, "kind");
            let is_code =
                (kinds.iter()).any(|kind| kind == "lib" || kind == "bin" || kind == "example");
            let name = package["name"].as_str();
            let root = target["src_path"].as_str();
            if let (true, Some(name), Some(root)) = (is_code, name, root) {
                roots.push((name.to_owned(), root.into()));
            }
        }
    }
    roots
}
