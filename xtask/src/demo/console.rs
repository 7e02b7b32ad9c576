//! `cargo xtask console`: a console on a store in which a slow migration runs while orders come in, for
//! working on the console.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::directory::Directory;
use super::esm::Esm;
use crate::{command, project};

/// Options of `cargo xtask console`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to put the store; must be new, empty or of an earlier run
    #[arg(value_name = "DIRECTORY", default_value = "target/console")]
    directory: PathBuf,
    /// Events per second of the migration
    #[arg(long, default_value_t = 25)]
    speed: u32,
    /// Arguments for `esm console`
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// Orders that grow while the migration runs.
const GROWING: u32 = 4;
/// Time between two appends.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs until the console ends.
pub(crate) fn run(options: &Options) -> Result<()> {
    command::build(&["--bin=esm"])?;
    let directory = Directory::fresh(&options.directory)?;
    let esm = Esm::new(project::target().join("debug").join("esm"), &directory);
    let backups = directory.url("backups");
    esm.run(&["import", "examples/orders.ndjson"])?;
    let transform = ["--all", "--transform", "examples/orders.jq"];
    let plan = directory.path("plan.json").to_string_lossy().into_owned();
    esm.run(&[&["plan", "--save", &plan], &transform[..]].concat())?;
    esm.run(&["backup", "create", "--all", "--backup", &backups])?;

    let speed = options.speed.to_string();
    let slowly = [
        "migrate",
        "--yes",
        "--cutover",
        "manual",
        "--events-per-second",
        &speed,
    ];
    let mut migration = esm
        .command(&[&slowly[..], &transform[..]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    println!("\nA migration runs, at {speed} events a second; it waits for the cutover.");
    let mut console = esm.command(&["console", "--allow-control", "--plan", &plan]);
    console
        .args(["--backup", &backups])
        .args(&options.arguments);
    let stop = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| write(&esm, &stop));
        let ended = console.status().context("the console did not start");
        stop.store(true, Ordering::SeqCst);
        ended
    });
    // it may have ended by itself
    let _ = migration.kill();
    migration.wait()?;
    ended.map(drop)
}

/// Appends to a few orders, again and again. An import skips the events that are there already.
fn write(esm: &Esm, stop: &AtomicBool) -> Result<()> {
    let mut lines = String::new();
    for sequence in 0.. {
        for order in 0..GROWING {
            lines += &format!(
                "{{\"specversion\":\"1.0\",\"id\":\"live-{order}-{sequence}\",\"source\":\"order\",\
                 \"subject\":\"live-{order}\",\"sequence\":\"{sequence}\",\"type\":\"ItemAdded\",\
                 \"data\":{{\"sku\":\"tea\",\"quantity\":{sequence}}}}}\n"
            );
        }
        let mut import = esm
            .command(&["import"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut input) = import.stdin.take() {
            input.write_all(lines.as_bytes())?;
        }
        import.wait()?;
        std::thread::park_timeout(PAUSE);
        if stop.load(Ordering::SeqCst) {
            break;
        }
    }
    Ok(())
}
