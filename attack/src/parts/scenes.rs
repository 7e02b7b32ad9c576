//! Scenes with a certain order: a copy of a store beside it, a paused migration whose process dies,
//! a store that vanishes under a migration, Closes that form a ring.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::context::Context;
use crate::files;
use crate::formats::{Kind, Place, forge};
use crate::model::Event;
use crate::program::{Ended, pause, until, wait};
use crate::report::{Finding, Tally};

const LIMIT: Duration = Duration::from_secs(60);

/// How long something may take that ends by itself within seconds.
const PATIENCE: Duration = Duration::from_secs(15);

const LOCK: &str = "--lock-lease 1s --lock-heartbeat 300ms";

pub(crate) fn run(context: &Context) -> Result<Tally> {
    let mut scenes = Scenes {
        context,
        directory: context.directory("scenes")?,
        tally: Tally::of("scenes"),
    };
    type Scene<'a> = fn(&mut Scenes<'a>) -> Result<()>;
    let all: [(&str, Scene<'_>); 5] = [
        ("copy", Scenes::copy_of_a_store),
        ("paused", Scenes::paused_and_dead),
        ("gone", Scenes::store_gone),
        ("ring", Scenes::ring_of_closes),
        ("marker", Scenes::marker_lost),
    ];
    for (name, scene) in all {
        if context.is_over() {
            break;
        }
        scenes.tally.rounds += 1;
        scene(&mut scenes).with_context(|| format!("scene {name}"))?;
    }
    Ok(scenes.tally)
}

struct Scenes<'a> {
    context: &'a Context,
    directory: PathBuf,
    tally: Tally,
}

impl Scenes<'_> {
    /// Events that are to move into a copy of their store do not stay where they are.
    fn copy_of_a_store(&mut self) -> Result<()> {
        let store = self.store("original", 3)?;
        let copy = self.directory.join("copy");
        files::copy(&store, &copy)?;
        let before = files::below(&copy)?;
        let line = format!("migrate --all --to {}", copy.display());
        let outcome = self.context.esm.ask(&store, &line, LIMIT)?;
        let arrived = files::below(&copy)?
            .iter()
            .any(|path| Place::of(path).kind == Kind::Cell && !before.contains(path));
        if outcome.succeeded() && !arrived {
            let happened = format!("{line}: exit 0, and nothing is in the copy");
            self.found(
                "copy of a store",
                &happened,
                "refused, naming both; or moved there",
            );
        }
        Ok(())
    }

    /// A paused migration whose process died is resumed, and is not shown as held.
    fn paused_and_dead(&mut self) -> Result<()> {
        let store = self.store("paused", 20)?;
        let line = format!("migrate --all --events-per-second 10 {LOCK}");
        let mut migrating = self.start(&store, &line)?;
        self.until(&store, Kind::Progress)?;
        self.context.esm.must(&store, "pause", LIMIT)?;
        migrating.kill()?;
        migrating.wait()?;
        // longer than the lease, which nobody renews
        pause(Duration::from_secs(3));
        let status = self.context.esm.must(&store, "status", LIMIT)?;
        let status: Value = serde_json::from_str(&status.stdout)?;
        let lock = &status["migrations"][0]["lock"];
        let says_more = lock.to_string().contains("dead") || lock.to_string().contains("gone");
        if lock["held"] == true && !says_more {
            let happened = format!("3 s after its process died: {lock}");
            self.found(
                "held by the dead",
                &happened,
                "not held, or held by what is probably dead",
            );
        }
        let line = format!("resume --wait 3s {LOCK} --lock-timeout 20s");
        let mut outcome = self.context.esm.ask(&store, &line, LIMIT)?;
        for _ in 0..2 {
            if !outcome.succeeded() {
                outcome = self.context.esm.ask(&store, &line, LIMIT)?;
            }
        }
        if !outcome.succeeded() {
            let happened = format!("{line}, three times: {outcome}");
            self.found("paused and dead", &happened, "it is resumed");
        }
        Ok(())
    }

    /// A migration ends when its store or its streams vanish.
    fn store_gone(&mut self) -> Result<()> {
        for (what, delay) in [("", 30), ("streams", 30), ("streams", 90)] {
            let store = self.store("vanishing", 100)?;
            let mut migrating = self.start(&store, &format!("migrate --all {LOCK}"))?;
            pause(Duration::from_millis(delay));
            let away = self.directory.join("away");
            if away.exists() {
                std::fs::remove_dir_all(&away)?;
            }
            std::fs::rename(store.join(what), &away)?;
            if let Ended::Hung(limit) = wait(&mut migrating, PATIENCE)? {
                let happened = format!(
                    "{} is moved away after {delay} ms, still running after {limit:?}",
                    if what.is_empty() { "the store" } else { what }
                );
                self.found("endless", &happened, "it ends with an error");
            }
        }
        Ok(())
    }

    /// Every command ends that follows Closes which form a ring.
    fn ring_of_closes(&mut self) -> Result<()> {
        let store = self.store("ring", 1)?;
        self.context.esm.must(&store, "migrate --all", LIMIT)?;
        let paths = files::below(&store)?;
        let cells = paths
            .iter()
            .filter(|path| Place::of(path).kind == Kind::Cell);
        let streams: Vec<String> = cells.map(|path| Place::of(path).of).collect();
        let target = streams
            .iter()
            .find(|name| name.contains("-v2"))
            .context("no target")?;
        let source = streams
            .iter()
            .find(|name| *name != target)
            .context("no source")?;
        let of_target = paths
            .iter()
            .rfind(|path| Place::of(path).of == *target)
            .context("no cell")?;
        let closing = paths
            .iter()
            .rfind(|path| Place::of(path).of == *source)
            .context("no Close")?;
        let back = |header: &mut Value, last: &Value| {
            header["seq"] = json!(last["seq"].as_u64().unwrap_or_default() + 1);
            header["previous"] = last["commit"].clone();
            header["commit"] = json!("99999999-0000-4000-8000-000000000000");
            header["first_revision"] = last["count"].clone();
            header["last_control"] = Value::Null;
            let close = &mut header["kind"]["close"];
            close["target"]["stream"] = json!(source);
        };
        let last = std::fs::read(store.join(of_target))?;
        let close = std::fs::read(store.join(closing))?;
        let forged = forge(&close, |header| back(header, &forge_header(&last)))?;
        let (folder, _) = of_target.rsplit_once('/').context("no folder")?;
        std::fs::write(store.join(folder).join(format!("{:020}", 1)), forged)?;
        for line in [
            "export --all",
            "show o/0",
            "verify --all",
            "list",
            "import IN",
            "migrate --all --again",
        ] {
            let line = line.replace("IN", &self.directory.join("in.ndjson").to_string_lossy());
            let outcome = self.context.esm.ask(&store, &line, PATIENCE)?;
            if let Some(complaint) = outcome.bad_manners() {
                self.found(
                    "ring of Closes",
                    &format!("{line}: {complaint}"),
                    "it ends with an error",
                );
            }
        }
        Ok(())
    }

    /// A store without its marker does not become another store.
    fn marker_lost(&mut self) -> Result<()> {
        let store = self.store("marker", 2)?;
        let marker = store.join("esm.json");
        std::fs::remove_file(&marker)?;
        let line = format!("import {}", self.directory.join("in.ndjson").display());
        let outcome = self.context.esm.ask(&store, &line, LIMIT)?;
        if outcome.succeeded() || marker.exists() {
            let happened = format!(
                "{line} into a directory full of streams: {outcome}; it has a new marker: {}",
                marker.exists()
            );
            self.found(
                "marker",
                &happened,
                "refused, with the way to bring the marker back",
            );
        }
        Ok(())
    }

    /// A store with so many objects, of five events each.
    fn store(&self, name: &str, objects: usize) -> Result<PathBuf> {
        let store = self.directory.join(name);
        if store.exists() {
            std::fs::remove_dir_all(&store)?;
        }
        let file = self.directory.join("in.ndjson");
        let lines = (0..objects).flat_map(|object| {
            (0..5)
                .map(move |at| Event::new(&at.to_string(), "D", 1).line(&format!("o/{object}"), at))
        });
        std::fs::write(&file, lines.collect::<String>())?;
        self.context
            .esm
            .must(&store, &format!("import {}", file.display()), LIMIT)?;
        Ok(store)
    }

    fn start(&self, store: &Path, line: &str) -> Result<Child> {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = self.context.esm.on(store, &words);
        Ok(command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?)
    }

    /// Waits until the store has a file of this kind.
    fn until(&self, store: &Path, kind: Kind) -> Result<()> {
        let written = until(LIMIT, || {
            let paths = files::below(store)?;
            Ok(paths.iter().any(|path| Place::of(path).kind == kind))
        })?;
        ensure!(written, "no {kind} was written");
        Ok(())
    }

    fn found(&mut self, kind: &str, happened: &str, right: &str) {
        self.tally.findings.push(Finding {
            kind: kind.to_owned(),
            happened: happened.to_owned(),
            right: right.to_owned(),
            again: self.context.again("scenes"),
        });
    }
}

/// `cell` of the first line of a cell.
fn forge_header(bytes: &[u8]) -> Value {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let first: Value = serde_json::from_slice(line).unwrap_or_default();
    first["cell"].clone()
}
