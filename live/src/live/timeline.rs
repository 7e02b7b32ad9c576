//! What happens in a run, one after the other; nothing waits for time, all for what was seen.

use anyhow::Result;
use tokio::process::Command;

use crate::migrator::{Lease, Migrator};
use crate::process::{Process, nanoseconds};
use crate::world::{Fleet, World};

/// When what began, on the clock that the histories have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    /// Nothing runs but the applications.
    pub(super) quiet: u64,
    /// Files are copied beside them.
    pub(super) copying: u64,
    /// That has ended.
    pub(super) copied: u64,
    /// The migrator was started.
    pub(super) migrating: u64,
    /// It has ended.
    pub(super) migrated: u64,
    /// The applications were instructed to stop.
    pub(super) end: u64,
}

/// Runs the phases, each for so many acknowledged appends at least.
pub(super) async fn run(world: &World, fleet: &mut Fleet<'_>, appends: u64) -> Result<Marks> {
    // those that are on when a phase begins belong to the one before
    let appends = appends + fleet.size();
    fleet.all_at_work().await?;
    // files and folders that are new to everybody are not what is measured
    fleet.acknowledge(appends / 4).await?;

    let quiet = nanoseconds();
    fleet.acknowledge(appends).await?;

    let copying = nanoseconds();
    let copier = copier(world)?;
    fleet.acknowledge(appends).await?;
    drop(copier);
    let copied = nanoseconds();

    // the order of a rollout: code that writes the new schemas first, then the migration
    fleet.roll_out().await?;
    fleet.acknowledge(appends / 4).await?;
    let migrating = nanoseconds();
    let migrator = Migrator::migrate(world, "migrate", Lease::Usual)?;
    migrator.succeed(world).await?;
    let migrated = nanoseconds();
    fleet.acknowledge(appends).await?;
    Ok(Marks {
        quiet,
        copying,
        copied,
        migrating,
        migrated,
        end: nanoseconds(),
    })
}

fn copier(world: &World) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("copier");
    command
        .arg("--from")
        .arg(world.path("store").join("streams"));
    command.arg("--to").arg(world.path("copy"));
    let (copier, _) = Process::converse(world.warden(), "copier", &mut command)?;
    Ok(copier)
}
