//! `cargo xtask demo`: a migration from end to end, on a local directory, with the real `esm`.
//!
//! `esm` is built without optimisations: on two cores that takes a third of the time of a release
//! build, what is built serves `cargo xtask test` too, and with a few hundred orders the disk
//! decides how long the migration takes, not the processor.

mod console;
mod directory;
mod esm;
mod tally;

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::{command, live, project, sample};
use directory::Directory;
use esm::Esm;
use tally::Tally;

pub(crate) use console::{Options as ConsoleOptions, run as run_console};

/// Options of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to put the store and the backups; must be new, empty or of an earlier demo
    #[arg(value_name = "DIRECTORY", default_value = "target/demo")]
    directory: PathBuf,
}

/// The order that is shown before and after.
const ORDER: &str = "order/1003";

/// Runs the demo.
pub(crate) fn run(options: &Options) -> Result<()> {
    heading("Building esm");
    command::build(&["--bin=esm"])?;
    let directory = Directory::fresh(&options.directory)?;
    let esm = Esm::new(project::target().join("debug").join("esm"), &directory);
    let jq = "examples/orders.jq";

    heading("Importing the orders of a small shop");
    let sample = sample::path();
    esm.run(&["import", "examples/orders.ndjson"])?;
    esm.run(&["read", ORDER])?;

    let backups = directory.url("backups");
    let migration = [
        "--all",
        "--transform",
        jq,
        "--backup",
        &backups,
        "--close-books",
    ];
    heading("What would a migration do? This writes nothing");
    esm.run(&[&["plan"], &migration[..]].concat())?;

    heading("Migrating: backup, copy and transform, verify, cut over, close the books");
    esm.run(&[&["migrate"], &migration[..]].concat())?;

    heading("The same order afterwards");
    esm.run(&["read", ORDER])?;
    esm.run(&["show", ORDER])?;
    esm.run(&["status", "--all"])?;

    let before = Tally::of(&std::fs::read_to_string(sample)?)?;
    let after = Tally::of(&esm.output(&["export", "--all"])?)?;
    ensure!(
        after == before.migrated(),
        "the migrated events are not the expected ones: {after:?}"
    );
    heading("The same while applications write: three processes append to eight streams that move");
    live::in_short(&directory.path("live"))?;

    ending(&esm, &directory, &before, &after);
    Ok(())
}

fn heading(text: &str) {
    println!("\n── {text}");
}

fn ending(esm: &Esm, directory: &Directory, before: &Tally, after: &Tally) {
    heading("What happened");
    println!(
        "{} events of {} orders became {}: {} notes were dropped, {} shipments split in two,",
        before.events(),
        before.objects(),
        after.events(),
        before.of_type("NoteTaken"),
        before.of_type("OrderShipped"),
    );
    println!(
        "and {} orders have their `customer` under its new name, in schema version 2. Every stream",
        before.of_type("OrderPlaced"),
    );
    println!(
        "was backed up before, verified event by event and only then cut over; the old streams"
    );
    println!("are closed and archived, and nothing of them was changed.");

    heading("Where the data lies");
    println!("{:<10} {}", "store", directory.path("store").display());
    println!("{:<10} {}", "backups", directory.path("backups").display());

    heading("What to try next");
    for line in esm.setup() {
        println!("{line}");
    }
    println!(
        "\
esm list                                           # the objects
esm read {ORDER} --output json                # events as CloudEvents
esm migrate --all --transform examples/orders.jq   # again: there is nothing to do
esm export --all > migrated.ndjson                 # take everything out
esm backup list --backup {backups}
esm console --open --backup {backups}
                                                   # the same in a browser
esm --help",
        backups = directory.url("backups"),
    );
}
