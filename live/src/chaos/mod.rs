//! `cargo xtask chaos`: migrators that are killed, frozen, doubled and undone while applications
//! write.

mod choices;
mod round;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use esm_core::clock::Environment;
use esm_testkit::containers::{self, Azurite};
use futures::StreamExt as _;

use crate::process::Warden;
use choices::Choices;

/// How much of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many rounds
    #[arg(long, default_value_t = 100)]
    rounds: u64,
    /// What the first round's choices follow from; each round takes the next one. Drawn if absent
    #[arg(long)]
    seed: Option<u64>,
    /// Rounds at the same time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// On Azure's blob storage, in an Azurite; without, in a directory
    #[arg(long)]
    azurite: bool,
    /// Where: a directory for the stores, or for what else is written
    #[arg(long, default_value = "target/chaos")]
    directory: PathBuf,
}

/// Runs the rounds; the stores of those that fail stay.
pub(crate) async fn run(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.directory)
        .with_context(|| format!("cannot create {}", options.directory.display()))?;
    let azurite = if options.azurite {
        containers::azurite().await
    } else {
        None
    };
    if options.azurite && azurite.is_none() {
        // the reason has been reported already
        return Ok(());
    }
    let warden = Warden::start()?;
    let drawn = Environment::system().randomness.draw() as u32;
    let first = options.seed.unwrap_or(u64::from(drawn));
    let begun = Instant::now();
    let seeds = first..first.wrapping_add(options.rounds);
    let failed = futures::stream::iter(seeds)
        .map(|seed| one(options, azurite.as_ref(), seed, &warden))
        .buffer_unordered(options.jobs.max(1))
        .filter(|well| std::future::ready(!well))
        .count()
        .await;
    if failed > 0 {
        bail!("{failed} of {} rounds failed", options.rounds);
    }
    println!(
        "{} rounds in {} s: nothing lost, doubled, invented or out of order",
        options.rounds,
        begun.elapsed().as_secs()
    );
    Ok(())
}

/// One round; says what happened, and whether all was right.
async fn one(options: &Options, azurite: Option<&Azurite>, seed: u64, warden: &Warden) -> bool {
    let choices = Choices::of(seed);
    let ended = async {
        let directory = tempfile::Builder::new()
            .prefix(&format!("seed-{seed}-"))
            .disable_cleanup(true)
            .tempdir_in(&options.directory)?;
        let ended = round::run(directory.path(), azurite, &choices, warden).await;
        if ended.is_ok() {
            std::fs::remove_dir_all(directory.path())?;
        }
        ended.with_context(|| format!("what is left: {}", directory.path().display()))
    };
    match ended.await {
        Ok(story) => {
            println!("seed {seed}: {choices}: {story}");
            true
        }
        Err(error) => {
            println!(
                "seed {seed}: {choices}: FAILED, again with: cargo xtask chaos --rounds 1 --seed \
                 {seed}{}\n{error:#}",
                if azurite.is_some() { " --azurite" } else { "" }
            );
            false
        }
    }
}
