//! `cargo xtask tidy`: what neither the compiler nor clippy checks. One check a file.

mod decisions;
mod examples;
mod links;
mod lints;
mod names;
mod newlines;
mod prose;
mod protocol;
mod readme;
mod rules;
mod sizes;
mod source;
mod words;

use anyhow::{Result, bail};

use crate::pictures;
use source::Source;

/// A check of all text files: returns what is wrong, a line each.
type Check = fn(&[Source]) -> Vec<String>;

const CHECKS: &[Check] = &[
    decisions::check,
    examples::check,
    links::check,
    lints::check,
    names::check,
    newlines::check,
    protocol::check,
    rules::check,
    sizes::check,
    words::check,
];

/// Options of `cargo xtask tidy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only list old words below this path, with what to write instead; `.` searches everything
    #[arg(long, value_name = "PATH")]
    words: Option<String>,
}

/// Runs every check and reports all that is wrong. `tasks` are the names after `cargo xtask`.
pub(crate) fn run(options: &Options, tasks: &[String]) -> Result<()> {
    let sources = source::all()?;
    if let Some(path) = &options.words {
        return list_words(&sources, path);
    }
    let mut wrong: Vec<String> = CHECKS.iter().flat_map(|check| check(&sources)).collect();
    wrong.extend(readme::check(&sources, tasks));
    wrong.extend(pictures::outdated()?);
    if !wrong.is_empty() {
        bail!("untidy:\n  {}", wrong.join("\n  "));
    }
    println!("tidy: {} text files", sources.len());
    Ok(())
}

fn list_words(sources: &[Source], path: &str) -> Result<()> {
    let hits = words::below(sources, path);
    if hits.is_empty() {
        println!("tidy: no old words below {path}");
        return Ok(());
    }
    println!("{}", hits.join("\n"));
    bail!("{} old words below {path}", hits.len())
}
