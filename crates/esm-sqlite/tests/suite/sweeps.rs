//! Migrations with faults in their storage operations, on real files, with an observer that looks
//! after every write. Of some, a build tries every third operation, and `cargo xtask nightly` all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use esm_core::backup::BackupOptions;
use esm_sqlite::OpenOptions;
use esm_testkit::sweep::{Place, Scenario, Sweep};
use esm_testkit::{Rule, Rules, events};

fn scenario() -> Scenario {
    let mut events = events("e", ["Kept", "Dropped", "Split"].into_iter().cycle());
    let cells = [2, 1, 2].map(|size| events.by_ref().take(size).collect());
    let rules = [("Dropped", Rule::Drop), ("Split", Rule::Split(2))];
    // each run has a file of its own, and the last of them removes all
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let runs = AtomicU64::new(0);
    Scenario::new("order/1".parse().unwrap(), cells.to_vec())
        .transform(Rules::new(rules))
        .describe(|migration| {
            let migration = migration.cells(2, 1 << 20);
            migration.backup(BackupOptions::new().include_document())
        })
        .at(move || {
            let folder = Arc::clone(&folder);
            let run = runs.fetch_add(1, Ordering::Relaxed);
            async move {
                let address = format!("sqlite:{}/{run}.db", folder.path().display());
                let store = esm_sqlite::open_or_create(&address, OpenOptions::new()).await?;
                Ok(Place {
                    event_store: store.event_store(),
                    records: store.records(),
                    backups: store.backups(),
                    native_store: None,
                })
            }
        })
}

fn swept(sweep: Sweep, name: &str) {
    let command = format!("cargo test -p esm-sqlite --test suite sweeps::{name}");
    println!("{name}: {}", sweep.replayed_by(command).check());
}

#[test]
fn crashes_and_lost_answers() {
    swept(
        Sweep::of_crashes(scenario()).thinned().every(3),
        "crashes_and_lost_answers",
    );
}

#[test]
fn zombies() {
    swept(Sweep::of_zombies(scenario()).thinned().every(3), "zombies");
}

#[test]
fn writers() {
    swept(Sweep::of_writers(scenario()), "writers");
}
