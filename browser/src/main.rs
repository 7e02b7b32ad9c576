//! Tests the console in a real browser, on a real migration, and takes the pictures of its
//! documentation.
//!
//! The program knows nothing of the insides of esm: it starts `esm`, and reads its documents and its
//! pages. The parts are one story on one store: a migration is watched, paused, hurried, cut over by
//! one of two operators, and another is cancelled.

mod axe;
mod browser;
mod drive;
mod esm;
mod parts;
mod pictures;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;

use axe::Axe;
use browser::Driver;
use parts::PARTS;
use world::World;

/// Tests the console in a real browser.
#[derive(Debug, Parser)]
#[command(name = "esm-browser", max_term_width = 100)]
struct Arguments {
    /// The `esm` to test
    #[arg(long, value_name = "PATH")]
    binary: PathBuf,
    /// The folder of the sample of orders and its program
    #[arg(long, value_name = "DIRECTORY")]
    examples: PathBuf,
    /// Where packages of npm are installed
    #[arg(long, value_name = "DIRECTORY")]
    packages: PathBuf,
    /// Where the pictures of the documentation go
    #[arg(long, value_name = "DIRECTORY")]
    pictures: PathBuf,
    /// Where pictures of every page go, in both colours and widths
    #[arg(long, value_name = "DIRECTORY")]
    album: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let driver = match Driver::start() {
        Ok(driver) => driver,
        Err(why) => {
            return not_tested("the console in a browser", &format!("{why:#}"));
        }
    };
    let axe = match Axe::installed(&arguments.packages) {
        Ok(axe) => Some(axe),
        Err(why) => {
            not_tested("accessibility of the console", &format!("{why:#}"))?;
            None
        }
    };
    let mut world = World::begin(&arguments, &driver, axe).await?;
    for part in PARTS {
        let begun = Instant::now();
        let ended = (part.run)(&mut world).await;
        let seconds = begun.elapsed().as_secs_f64();
        match ended {
            Ok(()) => println!("ok      {seconds:5.1} s  {}", part.name),
            Err(error) => {
                println!("FAILED  {seconds:5.1} s  {}", part.name);
                let kept = world.keep_what_failed().await;
                return Err(error.context(kept));
            }
        }
    }
    world.end().await
}

/// Reports that something was not tested, and why, into the directory that `ESM_NOT_TESTED` names: the
/// caller prints what is there.
fn not_tested(what: &str, why: &str) -> Result<()> {
    match std::env::var_os("ESM_NOT_TESTED") {
        Some(directory) => Ok(std::fs::write(Path::new(&directory).join(what), why)?),
        None => {
            println!("not tested: {what}: {why}");
            Ok(())
        }
    }
}
