//! What esm costs, as ratios to what the storage itself takes.
//!
//! Everything is measured in one run, ours and the baseline in turns, because the speed of a shared
//! machine changes from minute to minute while ratios hardly do. Requests are counted, not measured.

mod baseline;
mod in_place;
mod latency;
mod long_stream;
mod many_streams;
mod measure;
mod report;
mod requests;
mod sqlite_file;
mod steps;
mod workload;
mod world;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use tempfile::TempDir;

use report::Report;

/// Measures esm against what the storage itself takes.
#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo xtask bench",
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// How often each comparison is repeated
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Events of the long stream, and of the table that is rewritten in place
    #[arg(long, default_value_t = 200_000)]
    events: u64,
    /// Number of small streams
    #[arg(long, default_value_t = 1_000)]
    streams: u64,
    /// Only this comparison
    #[arg(long, value_enum)]
    only: Option<Comparison>,
    /// Where to measure: a directory on the disk that is meant
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    Latency(latency::Options),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Comparison {
    LongStream,
    ManyStreams,
    SqliteFile,
    InPlace,
    Requests,
}

impl Options {
    /// An empty directory that goes away with the measurement.
    fn directory(&self, name: &str) -> Result<TempDir> {
        let directory = &self.directory;
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(tempfile::Builder::new()
            .prefix(name)
            .tempdir_in(directory)?)
    }

    fn wants(&self, comparison: Comparison) -> bool {
        self.only.is_none_or(|only| only == comparison)
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    match &options.command {
        Some(Command::Latency(options)) => latency::run(options),
        None => tokio::runtime::Runtime::new()?.block_on(compare(&options)),
    }
}

async fn compare(options: &Options) -> Result<()> {
    let mut report = Report;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    report.section(&format!(
        "{} on {cores} cores, medians of {} runs: esm, baseline, ratio (least … most)",
        std::env::consts::OS,
        options.runs
    ));
    if options.wants(Comparison::LongStream) {
        long_stream::run(options, &mut report).await?;
    }
    if options.wants(Comparison::ManyStreams) {
        many_streams::run(options, &mut report).await?;
    }
    if options.wants(Comparison::SqliteFile) {
        sqlite_file::run(options, &mut report).await?;
    }
    if options.wants(Comparison::InPlace) {
        in_place::run(options, &mut report).await?;
    }
    if options.wants(Comparison::Requests) {
        requests::run(options, &mut report).await?;
    }
    Ok(())
}
