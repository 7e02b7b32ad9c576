//! Many small streams in a SQLite file, against a directory: time, and room on the disk.

use std::path::Path;

use anyhow::Result;

use crate::Options;
use crate::measure::{Comparison, timed};
use crate::report::Report;
use crate::world::{CONCURRENCY, World, check};

/// Events of each stream: as many as a small order has.
const EVENTS: u64 = 8;

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    let streams = options.streams;
    let (mut filling, mut migrating) = (Comparison::default(), Comparison::default());
    let (mut of_file, mut of_directory) = (Footprint::default(), Footprint::default());
    for _ in 0..options.runs {
        let root = options.directory("sqlite")?;
        let [file, directory] = ["file", "directory"].map(|name| root.path().join(name));
        let in_file = World::in_sqlite(&file.join("bench.db")).await?;
        let in_directory = World::on_disk(&directory).await?;

        let (ours, filled) = timed(in_file.fill_many(streams, EVENTS)).await;
        filled?;
        let (theirs, filled) = timed(in_directory.fill_many(streams, EVENTS)).await;
        filled?;
        filling.add(ours, theirs);

        let (ours, migrated) = timed(migrate(&in_file)).await;
        migrated?;
        let (theirs, migrated) = timed(migrate(&in_directory)).await;
        migrated?;
        migrating.add(ours, theirs);
        of_file = Footprint::of(&file)?;
        of_directory = Footprint::of(&directory)?;
    }
    report.section(&format!(
        "{streams} streams of {EVENTS} events in a SQLite file, to the same in a directory"
    ));
    report.ratio("creating and appending", &filling);
    report.ratio("migrating", &migrating);
    report.line(&format!("on disk, in the file: {of_file}"));
    report.line(&format!("on disk, in the directory: {of_directory}"));
    Ok(())
}

async fn migrate(world: &World) -> Result<()> {
    let migration = world.service.migrate_all().concurrency(CONCURRENCY);
    check(migration.execute().await?).map(drop)
}

/// What a folder takes on the disk with all that is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Footprint {
    bytes: u64,
    inodes: u64,
}

impl Footprint {
    fn of(path: &Path) -> Result<Self> {
        let metadata = std::fs::symlink_metadata(path)?;
        let mut sum = Self {
            bytes: allocated(&metadata),
            inodes: 1,
        };
        if metadata.is_dir() {
            for entry in std::fs::read_dir(path)? {
                let below = Self::of(&entry?.path())?;
                sum.bytes += below.bytes;
                sum.inodes += below.inodes;
            }
        }
        Ok(sum)
    }
}

impl std::fmt::Display for Footprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mebibytes = self.bytes as f64 / f64::from(1 << 20);
        write!(f, "{mebibytes:.1} MiB, {} inodes", self.inodes)
    }
}

/// The blocks that a file takes, in bytes; its length where the system does not say.
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        metadata.blocks() * 512
    }
    #[cfg(not(unix))]
    metadata.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footprint_counts_folders_and_files() -> Result<()> {
        let root = tempfile::tempdir()?;
        std::fs::create_dir(root.path().join("folder"))?;
        std::fs::write(root.path().join("folder/file"), vec![1; 10_000])?;
        let footprint = Footprint::of(root.path())?;
        assert_eq!(footprint.inodes, 3);
        assert!(footprint.bytes >= 10_000, "{footprint}");
        Ok(())
    }
}
