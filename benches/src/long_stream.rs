//! One long stream: copying against recompressing, verifying against copying, backing up against
//! zstd.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use esm_core::backup::BackupOptions;
use esm_core::id::ObjectId;
use esm_core::migration::Step;
use esm_core::store::Compression;

use crate::Options;
use crate::baseline::{compress_to_file, files, recompress};
use crate::measure::{Comparison, timed};
use crate::report::Report;
use crate::steps::Steps;
use crate::world::{World, check};

/// The level that cells are compressed with.
const CELL_LEVEL: i32 = 1;
/// The level that backups are compressed with.
const BACKUP_LEVEL: i32 = 3;

/// What is new after a migration.
struct New {
    /// The target's cells, in order.
    cells: Vec<PathBuf>,
    /// The backup's events.
    backup: PathBuf,
}

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    let directory = options.directory("long")?;
    let root = directory.path().join("store");
    let world = World::on_disk(&root).await?;
    let object: ObjectId = "order/long".parse()?;
    world.fill(&object, options.events).await?;

    let mut known = BTreeSet::new();
    let mut cells = cells_of(&files(&root)?, &root);
    let (mut copy, mut verify, mut backup) = <(Comparison, Comparison, Comparison)>::default();
    for run in 0..options.runs {
        known.extend(files(&root)?);
        let steps = Steps::default();
        let compression = Compression::Zstd {
            level: BACKUP_LEVEL,
        };
        let migration = world.service.migrate(object.clone()).again();
        let migration = migration
            .backup(BackupOptions::new().compression(compression))
            .progress(steps.listening());
        check(migration.execute().await?)?;
        let new = new_files(&root, &known)?;

        let to = directory.path().join(format!("recompressed-{run}"));
        std::fs::create_dir(&to)?;
        let (recompressed, bytes) = timed(recompress(cells, &to, CELL_LEVEL)).await;
        bytes?;
        std::fs::remove_dir_all(&to)?;
        copy.add(steps.duration(Step::Copy)?, recompressed);
        verify.add(steps.duration(Step::Verify)?, steps.duration(Step::Copy)?);
        let alone = zstd_alone(&new.backup, &directory.path().join("alone.zst"))?;
        backup.add(steps.duration(Step::BackUp)?, alone);
        cells = new.cells;
    }
    let events = options.events;
    report.section(&format!("one stream of {events} events"));
    report.ratio("copying, to recompressing the same bytes", &copy);
    report.ratio("verifying, to copying", &verify);
    report.ratio("backing up and verifying that, to zstd and back", &backup);
    Ok(())
}

fn new_files(root: &Path, known: &BTreeSet<PathBuf>) -> Result<New> {
    let new: BTreeSet<PathBuf> = files(root)?.difference(known).cloned().collect();
    let mut backups = new.iter().filter(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        path.starts_with("backups") && name.is_some_and(|n| n.ends_with("events.ndjson.zst"))
    });
    Ok(New {
        cells: cells_of(&new, root),
        backup: root.join(backups.next().context("there is no backup")?),
    })
}

fn cells_of(files: &BTreeSet<PathBuf>, root: &Path) -> Vec<PathBuf> {
    let cells = files.iter().filter(|path| {
        let above = path.parent().and_then(Path::file_name);
        path.starts_with("streams") && above.is_some_and(|name| name == "c")
    });
    cells.map(|path| root.join(path)).collect()
}

/// Compresses what is in a backup, and reads it back, as the backup was.
fn zstd_alone(backup: &Path, to: &Path) -> Result<std::time::Duration> {
    let mut events = Vec::new();
    zstd::Decoder::new(std::fs::File::open(backup)?)?.read_to_end(&mut events)?;
    let chunks: Vec<Vec<u8>> = events.chunks(1 << 20).map(<[u8]>::to_vec).collect();

    let begun = Instant::now();
    compress_to_file(chunks, to, BACKUP_LEVEL)?;
    let mut decoder = zstd::Decoder::new(std::fs::File::open(to)?)?;
    let read = std::io::copy(&mut decoder, &mut std::io::sink())?;
    let taken = begun.elapsed();
    anyhow::ensure!(read == events.len() as u64, "zstd gave back other bytes");
    std::fs::remove_file(to)?;
    Ok(taken)
}
