//! Many small streams: migrating them against creating the same files.

use anyhow::Result;

use crate::Options;
use crate::baseline::{create_files, files, new_files};
use crate::measure::{Comparison, timed};
use crate::report::Report;
use crate::world::{CONCURRENCY, World, check};

/// Events of each stream: as many as a small order has.
const EVENTS: u64 = 8;

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    let directory = options.directory("many")?;
    let root = directory.path().join("store");
    let world = World::on_disk(&root).await?;
    world.fill_many(options.streams, EVENTS).await?;

    let mut comparison = Comparison::default();
    let mut created = 0;
    for run in 0..options.runs {
        let known = files(&root)?;
        let migration = world.service.migrate_all().again();
        let (migrated, result) = timed(migration.concurrency(CONCURRENCY).execute()).await;
        check(result?)?;

        let new = new_files(&root, &known)?;
        created = new.len();
        let to = directory.path().join(format!("created-{run}"));
        std::fs::create_dir(&to)?;
        let (alone, done) = timed(create_files(&to, &new, CONCURRENCY)).await;
        done?;
        std::fs::remove_dir_all(&to)?;
        comparison.add(migrated, alone);
    }
    let streams = options.streams;
    report.section(&format!("{streams} streams of {EVENTS} events"));
    report.ratio(
        &format!("migrating, to creating the same {created} files"),
        &comparison,
    );
    Ok(())
}
