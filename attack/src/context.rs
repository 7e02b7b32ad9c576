//! What all parts share.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::program::{Esm, Tools};
use crate::report::Tally;

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) esm: Esm,
    pub(crate) tools: Tools,
    pub(crate) seed: u64,
    /// When to begin nothing new.
    pub(crate) until: Option<Instant>,
    /// Workers at the same time.
    pub(crate) jobs: usize,
    /// Where everything is written.
    pub(crate) root: PathBuf,
    /// A directory that an earlier attack left, to repeat what it found.
    pub(crate) on: Option<PathBuf>,
}

impl Context {
    pub(crate) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// A fresh directory with this name.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        fresh(&path)?;
        Ok(path)
    }

    /// The command that does this again.
    pub(crate) fn again(&self, arguments: &str) -> String {
        self.again_with(arguments, self.seed)
    }

    /// The same for a round with a seed of its own.
    pub(crate) fn again_with(&self, arguments: &str, seed: u64) -> String {
        format!("cargo xtask attack -- {arguments} --seed {seed}")
    }

    /// Plays rounds, each with the next seed and a directory of its own, which stays where
    /// something was found.
    pub(crate) fn in_parallel(
        &self,
        part: &'static str,
        rounds: u64,
        round: &(dyn Fn(u64, &Path) -> Result<Tally> + Sync),
    ) -> Result<Tally> {
        let next = AtomicU64::new(0);
        let tally = Mutex::new(Tally::of(part));
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= rounds || self.is_over() {
                    return Ok(());
                }
                let seed = self.seed.wrapping_add(number);
                let directory = self.directory(&format!("{part}-{seed}"))?;
                let played = round(seed, &directory)
                    .with_context(|| format!("round with --seed {seed} of {part}"))?;
                for finding in &played.findings {
                    eprintln!("found: {}: {}", finding.kind, finding.again);
                }
                if played.findings.is_empty() {
                    std::fs::remove_dir_all(&directory)?;
                }
                let mut tally = tally
                    .lock()
                    .map_err(|_| anyhow::anyhow!("a worker panicked"))?;
                tally.add(played);
            }
        };
        std::thread::scope(|scope| -> Result<()> {
            let workers: Vec<_> = (0..self.jobs).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                worker
                    .join()
                    .map_err(|_| anyhow::anyhow!("a worker panicked"))??;
            }
            Ok(())
        })?;
        tally.into_inner().context("a worker panicked")
    }
}

/// Makes an empty directory.
pub(crate) fn fresh(path: &Path) -> Result<()> {
    if path.exists() {
        std::fs::remove_dir_all(path)?;
    }
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}
