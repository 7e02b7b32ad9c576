//! `cargo xtask live`: what a migration costs those who write meanwhile.

mod figures;
mod phases;
mod picture;
mod report;
mod timeline;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::check::check;
use crate::process::Warden;
use crate::world::{Fleet, Pace, Size, World};
use figures::Figures;
use phases::Run;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Applications, each a process
    #[arg(long, default_value_t = 4)]
    writers: u32,
    /// Objects that they share
    #[arg(long, default_value_t = 16)]
    objects: u32,
    /// Events that each object has in the beginning
    #[arg(long, default_value_t = 10_000)]
    events: u32,
    /// Appends that must be acknowledged in each phase, at least
    #[arg(long, default_value_t = 1_000)]
    appends: u64,
    /// How long an application thinks between two appends, in microseconds
    #[arg(long, default_value_t = 2_000)]
    pause: u64,
    /// What the applications' choices follow from; each run takes the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where: a directory on the disk that is meant
    #[arg(long, default_value = "target/live")]
    directory: PathBuf,
    /// Where to draw the last run
    #[arg(long)]
    picture: Option<PathBuf>,
}

/// Measures, checks and reports.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let warden = Warden::start()?;
    report::heading(options);
    let mut figures = Figures::default();
    for number in 0..options.runs {
        let run = one(options, number, &warden).await?;
        report::run(number, &run, options.appends)?;
        figures.add(&run)?;
        if let (Some(path), true) = (&options.picture, number + 1 == options.runs) {
            picture::draw(&run, path)?;
        }
    }
    if options.runs > 1 {
        report::figures(&figures);
    }
    Ok(())
}

/// One run, in a directory of its own that goes away when all was right.
async fn one(options: &Options, number: u32, warden: &Warden) -> Result<Run> {
    std::fs::create_dir_all(&options.directory)
        .with_context(|| format!("cannot create {}", options.directory.display()))?;
    let directory = tempfile::Builder::new()
        .prefix("run-")
        .disable_cleanup(true)
        .tempdir_in(&options.directory)?;
    let size = Size {
        objects: options.objects,
        events: options.events,
    };
    let world = World::make(directory.path(), None, size, warden).await?;
    let pace = Pace {
        writers: options.writers,
        pause: options.pause,
        seed: options.seed.wrapping_add(u64::from(number) * 1_000),
    };
    let mut fleet = Fleet::start(&world, pace)?;
    let marks = timeline::run(&world, &mut fleet, options.appends).await?;
    fleet.stop().await?;
    let (found, told) = check(&world).await?;
    let run = Run::new(marks, found, told);
    std::fs::remove_dir_all(directory.path())?;
    Ok(run)
}
