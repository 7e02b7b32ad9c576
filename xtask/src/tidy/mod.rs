//! `cargo xtask tidy`: what neither the compiler nor clippy checks. One check a file.

mod decisions;
mod examples;
mod links;
mod lints;
mod names;
mod newlines;
mod readme;
mod sizes;
mod source;

use anyhow::{Result, bail};

use source::Source;

/// A check looks at all text files and answers what is wrong, a line each.
type Check = fn(&[Source]) -> Vec<String>;

const CHECKS: &[Check] = &[
    decisions::check,
    examples::check,
    links::check,
    lints::check,
    names::check,
    newlines::check,
    readme::check,
    sizes::check,
];

/// Runs every check and tells all that is wrong.
pub(crate) fn run() -> Result<()> {
    let sources = source::all()?;
    let wrong: Vec<String> = CHECKS.iter().flat_map(|check| check(&sources)).collect();
    if !wrong.is_empty() {
        bail!("untidy:\n  {}", wrong.join("\n  "));
    }
    println!("tidy: {} text files", sources.len());
    Ok(())
}
