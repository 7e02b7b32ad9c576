//! A whole store, read file by file, without esm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::cell::Cell;
use super::{Kind, Place, record};
use crate::files;

/// What is in a store.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// The cells of each stream, in order.
    streams: BTreeMap<String, Vec<Cell>>,
    /// The newest document of each object.
    documents: BTreeMap<String, (u64, Value)>,
    /// Files that are being written, or were abandoned.
    pub(crate) staged: Vec<String>,
    backups: BTreeMap<String, BTreeSet<Kind>>,
    /// What contradicts the document.
    pub(crate) complaints: Vec<String>,
}

impl Store {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut store = Self::default();
        let mut cells: BTreeMap<String, BTreeMap<u64, Cell>> = BTreeMap::new();
        for path in files::below(root)? {
            let place = Place::of(&path);
            let bytes = || std::fs::read(root.join(&path));
            match (place.kind, place.number) {
                (Kind::Cell, Some(number)) => match Cell::decode(&bytes()?) {
                    Ok(cell) => drop(cells.entry(place.of).or_default().insert(number, cell)),
                    Err(error) => store.complaints.push(format!("{path}: {error:#}")),
                },
                (kind, Some(number)) if is_record(kind) => {
                    match record::decode(&bytes()?, number) {
                        Ok(value) if kind == Kind::Document => {
                            store.add_document(place.of, number, value)
                        }
                        Ok(_) => {}
                        Err(error) => store.complaints.push(format!("{path}: {error:#}")),
                    }
                }
                (Kind::BackupFile | Kind::Manifest, _) => {
                    store
                        .backups
                        .entry(place.of)
                        .or_default()
                        .insert(place.kind);
                }
                (Kind::Staging, _) => store.staged.push(path),
                (Kind::Unknown, _) => {
                    store
                        .complaints
                        .push(format!("docs/formats.md does not describe {path}"));
                }
                _ => {}
            }
        }
        for (stream, cells) in cells {
            if let Err(error) = check_stream(&cells) {
                store.complaints.push(format!("stream {stream}: {error:#}"));
            }
            store.streams.insert(stream, cells.into_values().collect());
        }
        Ok(store)
    }

    fn add_document(&mut self, object: String, number: u64, document: Value) {
        let newest = self.documents.entry(object).or_default();
        if number >= newest.0 {
            *newest = (number, document);
        }
    }

    /// The objects.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &String> {
        self.documents.keys()
    }

    /// The events of an object: those of the stream that its document names, or of the one that
    /// the Closes lead to from there.
    pub(crate) fn events(&self, object: &str) -> Result<Vec<Value>> {
        let (_, document) = self
            .documents
            .get(object)
            .context("an object without a document")?;
        let mut lines = Vec::new();
        for cell in self.active(document)? {
            lines.extend(&cell.events);
        }
        let events = lines.into_iter().map(|line| serde_json::from_str(line));
        Ok(events.collect::<Result<_, _>>()?)
    }

    fn active(&self, document: &Value) -> Result<&[Cell]> {
        let mut name = stream_of(&document["active"])?.to_owned();
        for _ in 0..=self.streams.len() {
            let cells = self.streams.get(&name);
            let cells = cells.with_context(|| format!("stream {name} is missing"))?;
            let Some(close) = cells.last().and_then(Cell::close) else {
                return Ok(cells);
            };
            let next = stream_of(&close["target"])?.to_owned();
            let target = self
                .streams
                .get(&next)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let has: u64 = target
                .iter()
                .map(|cell| cell.number("count").unwrap_or_default())
                .sum();
            let needed = close["target_events"].as_u64().unwrap_or_default();
            ensure!(
                has >= needed,
                "{next} has {has} events, its Close says {needed}"
            );
            name = next;
        }
        anyhow::bail!("the Closes form a ring")
    }

    /// Streams and backups that nothing refers to.
    pub(crate) fn orphans(&self) -> Vec<String> {
        let mut known = BTreeSet::new();
        for (_, document) in self.documents.values() {
            let text = document.to_string();
            known.extend(
                self.streams
                    .keys()
                    .filter(|name| text.contains(&format!("\"{name}\""))),
            );
        }
        for cells in self.streams.values() {
            let closes = cells.iter().filter_map(Cell::close);
            let targets: Vec<&str> = closes
                .filter_map(|c| stream_of(&c["target"]).ok())
                .collect();
            known.extend(
                self.streams
                    .keys()
                    .filter(|name| targets.contains(&name.as_str())),
            );
        }
        let streams = self.streams.keys().filter(|name| !known.contains(name));
        let mut orphans: Vec<String> = streams
            .map(|name| {
                let origin = self.streams[name].first().and_then(Cell::origin);
                format!("stream {name} (origin {})", origin.unwrap_or(&Value::Null))
            })
            .collect();
        let unfinished = self.unfinished_backups();
        orphans.extend(unfinished.map(|id| format!("backup {id}")));
        orphans
    }

    /// Backups of which there are files without a manifest, or a manifest without files.
    pub(crate) fn unfinished_backups(&self) -> impl Iterator<Item = &String> {
        let backups = self.backups.iter();
        let unfinished = backups.filter(|(_, kinds)| kinds.len() < 2);
        unfinished.map(|(id, _)| id)
    }
}

/// The streams of a store that were never closed, and that no Close leads to.
pub(crate) fn unclosed(root: &Path) -> Result<BTreeSet<String>> {
    let store = Store::read(root)?;
    let mut unclosed: BTreeSet<String> = store.streams.keys().cloned().collect();
    for (stream, cells) in &store.streams {
        for close in cells.iter().filter_map(Cell::close) {
            unclosed.remove(stream);
            if let Ok(target) = stream_of(&close["target"]) {
                unclosed.remove(target);
            }
        }
    }
    Ok(unclosed)
}

/// The paths of the cells that applications appended.
pub(crate) fn appended(root: &Path) -> Result<BTreeSet<String>> {
    let mut appended = BTreeSet::new();
    for path in files::below(root)? {
        if Place::of(&path).kind != Kind::Cell {
            continue;
        }
        let cell = Cell::decode(&std::fs::read(root.join(&path))?);
        if cell.with_context(|| path.clone())?.is_appended() {
            appended.insert(path);
        }
    }
    Ok(appended)
}

fn is_record(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Document
            | Kind::Routing
            | Kind::Journal
            | Kind::Control
            | Kind::Progress
            | Kind::Index
            | Kind::KnownStores
    )
}

fn stream_of(place: &Value) -> Result<&str> {
    place["stream"].as_str().context("no stream is named")
}

/// Numbers without gaps, each cell behind the one that it names, nothing behind a Close.
fn check_stream(cells: &BTreeMap<u64, Cell>) -> Result<()> {
    let (mut revision, mut previous, mut closed) = (0, None, false);
    for (expected, (number, cell)) in (0..).zip(cells) {
        ensure!(*number == expected, "cell {expected} is missing");
        ensure!(!closed, "cell {number} is behind a Close");
        ensure!(cell.number("seq")? == expected, "cell {number} is not that");
        ensure!(
            cell.number("first_revision")? == revision,
            "cell {number} begins elsewhere"
        );
        ensure!(
            cell.text("previous") == previous,
            "cell {number} follows another cell"
        );
        revision += cell.number("count")?;
        previous = cell.text("commit");
        closed = cell.close().is_some();
    }
    Ok(())
}
