//! What commands that write make of a damaged store. Each works on a copy of its own: it fails, or
//! every event is where it belongs afterwards. What is damaged must never keep a lock from being
//! broken, nor, unless the journal itself is damaged, a migration from being undone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::change::{Change, What};
use super::fixture::{Fixture, OBJECTS};
use super::judge::{Files, forgets_events};
use crate::files;
use crate::formats::{self, Kind, Place};
use crate::model::Event;
use crate::program::{Esm, Outcome};

const LIMIT: Duration = Duration::from_secs(60);

/// The locks of the fixture.
const LOCKS: [&str; 2] = ["object o/middle", "object o/moved"];

/// Commands that write, and the events that must be there afterwards.
#[derive(Debug)]
pub(super) struct Aftermath {
    /// An import that continues each object.
    more: PathBuf,
    before: Vec<String>,
    after_import: Vec<String>,
    unfinished: String,
}

/// A fault and what it was.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: String,
    pub(super) happened: String,
}

impl Aftermath {
    /// What each command does to the unchanged store.
    pub(super) fn of(esm: &Esm, fixture: &Fixture, scratch: &Path) -> Result<Self> {
        let before = exported(&esm.must(&fixture.store, "export --all", LIMIT)?);
        let mut aftermath = Self {
            more: scratch.join("aftermath.ndjson"),
            after_import: Vec::new(),
            unfinished: fixture.unfinished.clone(),
            before,
        };
        std::fs::write(&aftermath.more, continued(&aftermath.before)?)?;
        let copy = scratch.join("sound");
        files::copy(&fixture.store, &copy)?;
        esm.must(&copy, &aftermath.import(), LIMIT)?;
        aftermath.after_import = exported(&esm.must(&copy, "export --all", LIMIT)?);
        std::fs::remove_dir_all(&copy)?;
        Ok(aftermath)
    }

    fn import(&self) -> String {
        format!("import {}", self.more.display())
    }

    /// Tries every command after a change.
    pub(super) fn try_all(
        &self,
        esm: &Esm,
        damaged: &Path,
        scratch: &Path,
        change: &Change,
        before: &Files,
    ) -> Result<Vec<Fault>> {
        let forgets = forgets_events(change, before);
        let mut faults = Vec::new();
        for name in ["import", "migrate", "backup", "way out"] {
            let copy = scratch.join("copy");
            files::copy(damaged, &copy)?;
            let found = match name {
                "import" => self.import_into(esm, &copy, forgets)?,
                "migrate" => self.migrate(esm, &copy, change, forgets)?,
                "backup" => self.back_up(esm, &copy, forgets)?,
                _ if is_about_work(change) => self.find_a_way_out(esm, &copy, change)?,
                _ => None,
            };
            faults.extend(found.map(|(what, happened)| Fault {
                kind: format!(
                    "{name}: {what} ({} {})",
                    change.what.name(),
                    super::judge::subject(change)
                ),
                happened,
            }));
        }
        Ok(faults)
    }

    fn import_into(
        &self,
        esm: &Esm,
        store: &Path,
        forgets: bool,
    ) -> Result<Option<(&'static str, String)>> {
        let line = self.import();
        let outcome = esm.ask(store, &line, LIMIT)?;
        if let Some(complaint) = outcome.bad_manners() {
            return Ok(Some(("bad end", format!("esm import: {complaint}"))));
        }
        if !outcome.succeeded() || forgets {
            return Ok(None);
        }
        compare(esm, store, "import", &self.after_import)
    }

    fn migrate(
        &self,
        esm: &Esm,
        store: &Path,
        change: &Change,
        forgets: bool,
    ) -> Result<Option<(&'static str, String)>> {
        let line = "migrate o/plain o/moved o/back --again --lock-timeout 5s";
        let outcome = esm.ask(store, line, LIMIT)?;
        if let Some(complaint) = outcome.bad_manners() {
            return Ok(Some(("bad end", format!("esm {line}: {complaint}"))));
        }
        let place = Place::of(&change.path);
        let only_informs = match place.kind {
            Kind::Progress | Kind::Control | Kind::Heartbeat => true,
            // a copy is an acquisition that nobody has released: it holds until it is broken or its
            // lease has expired
            Kind::Acquisition => !matches!(change.what, What::CopyTo(_)),
            _ => false,
        };
        if !outcome.succeeded() && only_informs {
            return Ok(Some(("blocked", format!("esm {line}: {outcome}"))));
        }
        if !outcome.succeeded() || forgets {
            return Ok(None);
        }
        compare(esm, store, "migrate", &self.before)
    }

    fn back_up(
        &self,
        esm: &Esm,
        store: &Path,
        forgets: bool,
    ) -> Result<Option<(&'static str, String)>> {
        let line = "backup create --all --id probe";
        let outcome = esm.ask(store, line, LIMIT)?;
        if let Some(complaint) = outcome.bad_manners() {
            return Ok(Some(("bad end", format!("esm {line}: {complaint}"))));
        }
        if !outcome.succeeded() || forgets {
            return Ok(None);
        }
        let kept = formats::backup_events(&store.join("backups/probe"))?;
        if by_object(&kept)? == by_object(&self.before)? {
            return Ok(None);
        }
        let happened = format!(
            "the backup has {} events of {}",
            kept.len(),
            self.before.len()
        );
        Ok(Some(("succeeds with other events", happened)))
    }

    /// Breaks the locks and undoes the migration that did not end.
    fn find_a_way_out(
        &self,
        esm: &Esm,
        store: &Path,
        change: &Change,
    ) -> Result<Option<(&'static str, String)>> {
        for lock in LOCKS {
            let words = ["--output", "json", "lock", "break", lock, "--yes"];
            let outcome = crate::program::run(&mut esm.on(store, &words), LIMIT)?;
            let is_free = outcome.kind() == "not_found";
            if outcome.bad_manners().is_some() || !(outcome.succeeded() || is_free) {
                return Ok(Some((
                    "a lock cannot be broken",
                    format!("lock break '{lock}': {outcome}"),
                )));
            }
        }
        let line = format!("rollback {} --lock-timeout 5s", self.unfinished);
        let outcome = esm.ask(store, &line, LIMIT)?;
        if let Some(complaint) = outcome.bad_manners() {
            return Ok(Some(("bad end", format!("esm {line}: {complaint}"))));
        }
        if outcome.succeeded() {
            return compare(esm, store, "rollback", &self.before);
        }
        let of_journal = change.path.contains("journals");
        let error = outcome.error().unwrap_or_default();
        if of_journal && error["hint"].is_string() {
            return Ok(None);
        }
        Ok(Some(("blocked", format!("esm {line}: {outcome}"))))
    }
}

/// Whether a change concerns what a migration writes beside the streams.
fn is_about_work(change: &Change) -> bool {
    let folder = change.path.split('/').next().unwrap_or_default();
    [
        "locks", "journals", "control", "progress", "routing", "index",
    ]
    .contains(&folder)
}

fn compare(
    esm: &Esm,
    store: &Path,
    command: &str,
    expected: &[String],
) -> Result<Option<(&'static str, String)>> {
    let outcome = esm.ask(store, "export --all", LIMIT)?;
    if let Some(complaint) = outcome.bad_manners() {
        return Ok(Some((
            "bad end",
            format!("esm export after {command}: {complaint}"),
        )));
    }
    if !outcome.succeeded() {
        // of an object that the command had nothing to do with
        return Ok(None);
    }
    let found = exported(&outcome);
    if found == expected {
        return Ok(None);
    }
    let (found, expected) = (found.len(), expected.len());
    Ok(Some((
        "succeeds with other events",
        format!("esm {command} succeeds; {found} events are exported, {expected} are right"),
    )))
}

fn exported(outcome: &Outcome) -> Vec<String> {
    outcome.stdout.lines().map(str::to_owned).collect()
}

/// One more event for each object, at its end.
fn continued(exported: &[String]) -> Result<String> {
    let mut counts: BTreeMap<&str, usize> = OBJECTS.iter().map(|object| (*object, 0)).collect();
    for events in by_object(exported)?.into_iter() {
        let (object, events) = events;
        let count = counts.get_mut(&*object).context("an object of no import")?;
        *count = events.len();
    }
    let lines = counts
        .into_iter()
        .map(|(object, count)| Event::new(&format!("{object}-after"), "D", 7).line(object, count));
    Ok(lines.collect())
}

/// The ids of the events of each object, in order.
fn by_object(lines: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut objects: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let event: Value = serde_json::from_str(line).context("not an event")?;
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let object = format!("{}/{}", text("source"), text("subject"));
        objects.entry(object).or_default().push(text("id"));
    }
    Ok(objects)
}
