//! A small store with some of everything: an object that was never migrated, one that was, one that
//! was migrated and rolled back, one in the middle of a migration; a backup and an archive.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::files;
use crate::formats::{Kind, Place};
use crate::model::{Event, PROGRAM};
use crate::program::{Esm, pause, until};

/// How long a command on so small a store may take.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const OBJECTS: [&str; 4] = ["o/plain", "o/moved", "o/back", "o/middle"];

/// The store and what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) store: PathBuf,
    pub(crate) migrations: Vec<String>,
    /// The one that did not end.
    pub(crate) unfinished: String,
    pub(crate) backups: Vec<String>,
}

/// Makes it below a directory.
pub(crate) fn build(esm: &Esm, directory: &Path) -> Result<Fixture> {
    let store = directory.join("store");
    let program = directory.join("program.jq");
    std::fs::write(&program, PROGRAM)?;
    let program = program.to_string_lossy();
    let first = directory.join("first.ndjson");
    std::fs::write(&first, lines(&OBJECTS, 0, &["A", "B", "C"]))?;
    let more = directory.join("more.ndjson");
    std::fs::write(&more, lines(&["o/plain", "o/back"], 3, &["D"]))?;
    let later = directory.join("later.ndjson");
    let at = [Event::new("later", "D", 9)];
    // o/moved has A, C1, C2 by then
    std::fs::write(&later, at.map(|event| event.line("o/moved", 3)).concat())?;

    let must = |line: &str| esm.must(&store, line, LIMIT).map(drop);
    must(&format!("import {}", first.display()))?;
    must(&format!("import {}", more.display()))?;
    must(&format!(
        "migrate o/moved --transform {program} --backup {} --close-books --cell-events 2",
        store.display()
    ))?;
    must(&format!("import {}", later.display()))?;
    must(&format!("migrate o/back --transform {program}"))?;
    let back = migrations(esm, &store)?.pop().context("no migration")?;
    must(&format!("rollback {back}"))?;
    must("backup create --all --id kept")?;
    stop_in_the_middle(esm, &store, &program)?;
    settle(esm, &store)?;

    Fixture::load(esm, directory)
}

impl Fixture {
    /// What is in the store that was made below a directory.
    pub(crate) fn load(esm: &Esm, directory: &Path) -> Result<Self> {
        let store = directory.join("store").canonicalize()?;
        let migrations = migrations(esm, &store)?;
        let unfinished = migrations.last().context("no migration")?.clone();
        let listed = esm.must(&store, "backup list", LIMIT)?;
        let listed: Value = serde_json::from_str(&listed.stdout)?;
        let ids = listed["backups"].as_array().into_iter().flatten();
        let ids = ids.filter_map(|b| b["id"].as_str().map(str::to_owned));
        Ok(Self {
            backups: ids.collect(),
            store,
            migrations,
            unfinished,
        })
    }
}

fn lines(objects: &[&str], from: usize, kinds: &[&str]) -> String {
    let mut lines = String::new();
    for object in objects {
        for (at, kind) in kinds.iter().enumerate() {
            let sequence = from + at;
            let id = format!("{object}-{sequence}");
            lines += &Event::new(&id, kind, sequence as u64).line(object, sequence);
        }
    }
    lines
}

/// All migrations, oldest first.
fn migrations(esm: &Esm, store: &Path) -> Result<Vec<String>> {
    let status = esm.must(store, "status --all", LIMIT)?;
    let status: Value = serde_json::from_str(&status.stdout)?;
    let all = status["migrations"].as_array().into_iter().flatten();
    let mut ids: Vec<String> = all
        .filter_map(|m| m["migration"].as_str().map(str::to_owned))
        .collect();
    ids.sort();
    Ok(ids)
}

/// Kills a migration that waits for its cutover, once it has published its progress and has
/// answered a command.
fn stop_in_the_middle(esm: &Esm, store: &Path, program: &str) -> Result<()> {
    let line = format!(
        "migrate o/middle --transform {program} --cutover manual --phases always --lock-lease 1s \
         --lock-heartbeat 300ms"
    );
    let words: Vec<&str> = line.split(' ').collect();
    let mut migrating = esm.on(store, &words);
    let mut child = migrating
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let published = until(LIMIT, || {
        let paths = files::below(store)?;
        Ok(paths
            .iter()
            .any(|path| Place::of(path).kind == Kind::Progress))
    })?;
    ensure!(published, "no progress was published");
    esm.must(store, "set --concurrency 2", LIMIT)?;
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Lets the lock of the dead migration expire, as far as its age can show that.
fn settle(esm: &Esm, store: &Path) -> Result<()> {
    pause(Duration::from_secs(2));
    esm.must(store, "lock list", LIMIT).map(drop)
}
