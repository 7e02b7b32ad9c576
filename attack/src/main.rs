//! Attacks `esm` from the outside: kills, freezes, damage, random walks, hostile content, scarce
//! resources.
//!
//! It knows nothing of esm's insides. It uses the binary, docs/cli.md and docs/formats.md, with a
//! decoder of its own, so that a mistake in esm's code is not made here a second time.
//!
//! Needs a Unix; `strace` and `faketime` where they are installed.

mod context;
mod dice;
mod files;
mod formats;
mod model;
mod parts;
mod program;
mod report;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};

use context::Context;
use parts::{damage, freezes, hostile, kills, resources, scenes, walks};
use program::{Esm, Tools};
use report::Tally;

/// Attacks esm from the outside.
#[derive(Debug, Parser)]
#[command(name = "esm-attack", max_term_width = 100)]
struct Arguments {
    /// The parts to run; defaults to all
    parts: Vec<Part>,
    /// The binary to attack
    #[arg(long, value_name = "PATH")]
    binary: PathBuf,
    /// What all choices follow from; drawn if absent
    #[arg(long)]
    seed: Option<u64>,
    /// Rounds of kills, of freezes and of walks, each
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// The parts share this time, and begin nothing new when theirs is over
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<f64>,
    /// Workers at the same time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Where the stores are written; removed at the end, unless something was found
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Use the store that an earlier attack left here, instead of a new one
    #[arg(long, value_name = "DIR")]
    on: Option<PathBuf>,
    /// The form of the report
    #[arg(short, long, default_value = "text")]
    output: Output,
    #[command(flatten)]
    damage: damage::Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Processes die at random points, and others complete their work
    Kills,
    /// Processes are stopped at system calls while others work, with other clocks
    Freezes,
    /// Commands in any order, against a model
    Walks,
    /// A copy beside its store, a dead holder, a store that vanishes, a ring of Closes
    Scenes,
    /// Events, inputs, names, programs and arguments that break things
    Hostile,
    /// Few descriptors, little memory, full disks, closed outputs
    Resources,
    /// Every file of a small store is changed in every way
    Damage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(2),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the parts and returns the number of findings.
fn run(arguments: &Arguments) -> Result<usize> {
    let drawn = RandomState::new().build_hasher().finish() % 1_000_000;
    let seed = arguments.seed.unwrap_or(drawn);
    let root = match &arguments.directory {
        Some(directory) => directory.clone(),
        None => std::env::temp_dir().join(format!("esm-attack-{}", std::process::id())),
    };
    std::fs::create_dir_all(&root)?;
    let limit = arguments.minutes.map(|m| Duration::from_secs_f64(m * 60.0));
    let end = limit.map(|limit| Instant::now() + limit);
    let mut context = Context {
        esm: Esm::at(&arguments.binary)?,
        tools: Tools::find(),
        seed,
        until: None,
        jobs: arguments.jobs.max(1),
        root: root.canonicalize()?,
        on: arguments.on.clone(),
    };
    eprintln!(
        "seed {seed}, {}, in {}",
        context.esm.binary().display(),
        root.display()
    );
    let parts = match &*arguments.parts {
        [] => Part::value_variants(),
        parts => parts,
    };
    let mut tallies = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let begun = Instant::now();
        // what a part leaves of its time is for those behind it
        let left = (parts.len() - at) as u32;
        context.until = end.map(|end| begun + end.saturating_duration_since(begun) / left);
        let mut tally = match part {
            Part::Damage => damage::run(&context, &arguments.damage),
            Part::Kills => kills::run(&context, arguments.rounds),
            Part::Freezes => freezes::run(&context, arguments.rounds),
            Part::Walks => walks::run(&context, arguments.rounds),
            Part::Scenes => scenes::run(&context),
            Part::Hostile => hostile::run(&context, arguments.rounds),
            Part::Resources => resources::run(&context),
        }
        .with_context(|| format!("part {part:?}"))?;
        tally.seconds = begun.elapsed().as_secs_f64();
        tallies.push(tally);
    }
    print(arguments.output, seed, &tallies);
    let findings = tallies.iter().map(|tally| tally.findings.len()).sum();
    if findings == 0 && arguments.directory.is_none() {
        std::fs::remove_dir_all(&root)?;
    }
    Ok(findings)
}

fn print(output: Output, seed: u64, tallies: &[Tally]) {
    match output {
        Output::Json => {
            let parts: Vec<_> = tallies.iter().map(Tally::to_json).collect();
            println!("{}", serde_json::json!({"seed": seed, "parts": parts}));
        }
        Output::Text => {
            println!(
                "{:<10} {:>7} {:>9} {:>8}",
                "part", "rounds", "findings", "seconds"
            );
            for tally in tallies {
                println!("{tally}");
            }
        }
    }
}
