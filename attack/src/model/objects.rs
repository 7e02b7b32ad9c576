//! The events of objects, and what each command makes of them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::event::Event;

/// The events of each object, in order.
pub(crate) type Objects = BTreeMap<String, Vec<Event>>;

/// The state of a store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) objects: Objects,
    /// Events that were imported into each object: the next one of an import has this number, also
    /// where a migration has made more or fewer of them.
    pub(crate) imported: BTreeMap<String, usize>,
    /// Objects whose active stream the program has made.
    pub(crate) migrated: BTreeSet<String>,
    /// For each object of the newest migration, its events before, and how many there were after.
    pub(crate) undo: BTreeMap<String, (Vec<Event>, usize)>,
    pub(crate) backups: BTreeMap<String, Backup>,
}

/// What a backup holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backup {
    pub(crate) objects: Objects,
    /// Objects that the program had migrated before.
    migrated: BTreeSet<String>,
}

impl Model {
    pub(crate) fn import(&self, events: &[(String, Event)]) -> Self {
        let mut next = self.clone();
        for (object, event) in events {
            next.objects
                .entry(object.clone())
                .or_default()
                .push(event.clone());
            *next.imported.entry(object.clone()).or_default() += 1;
        }
        next
    }

    pub(crate) fn migrate(&self) -> Self {
        let mut next = self.clone();
        next.undo.clear();
        for (object, events) in &mut next.objects {
            if next.migrated.insert(object.clone()) {
                let image: Vec<Event> = events.iter().flat_map(Event::image).collect();
                let before = std::mem::replace(events, image);
                next.undo.insert(object.clone(), (before, events.len()));
            }
        }
        next
    }

    /// Of the newest migration: the originals, then what came since.
    pub(crate) fn roll_back(&self) -> Self {
        let mut next = self.clone();
        for (object, (before, after)) in std::mem::take(&mut next.undo) {
            let since = self.objects[&object][after..].to_vec();
            let mut events = before;
            events.extend(since);
            next.objects.insert(object.clone(), events);
            next.migrated.remove(&object);
        }
        next
    }

    pub(crate) fn back_up(&self, id: &str) -> Self {
        let mut next = self.clone();
        let backup = Backup {
            objects: self.objects.clone(),
            migrated: self.migrated.clone(),
        };
        next.backups.insert(id.to_owned(), backup);
        next
    }

    /// What was backed up before a migration is migrated by the next one.
    pub(crate) fn restore(&self, backup: &str, object: &str, name: &str) -> Self {
        let mut next = self.clone();
        let backup = &self.backups[backup];
        let events = backup.objects[object].clone();
        next.objects.insert(name.to_owned(), events);
        if backup.migrated.contains(object) {
            next.migrated.insert(name.to_owned());
        }
        next
    }
}

/// The objects of an export.
pub(crate) fn of_export(lines: &str) -> Result<Objects> {
    let mut objects = Objects::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).context("not an event")?;
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let events = objects
            .entry(format!("{}/{}", text("source"), text("subject")))
            .or_default();
        ensure!(
            line["sequence"] == *events.len().to_string(),
            "a sequence that is not the next: {line}"
        );
        events.push(of_line(&line));
    }
    Ok(objects)
}

/// An event without its place.
pub(crate) fn of_line(line: &Value) -> Event {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    Event {
        id: text("id"),
        kind: text("type"),
        // absent in a cell, where it is the default
        version: line["schemaversion"].as_u64().unwrap_or(1),
        data: line["data"].clone(),
    }
}

/// Whether objects are exactly these, none without events on either side.
pub(crate) fn same(found: &Objects, right: &Objects) -> Result<()> {
    let names: BTreeSet<&String> = found.keys().chain(right.keys()).collect();
    let none = Vec::new();
    for name in names {
        let (found, right) = (
            found.get(name).unwrap_or(&none),
            right.get(name).unwrap_or(&none),
        );
        if found != right {
            bail!("{name} has {}, right is {}", shown(found), shown(right));
        }
    }
    Ok(())
}

/// Whether each object is what it was before a command, what it is after it, or, for what appends,
/// something between.
pub(crate) fn between(found: &Objects, before: &Objects, after: &Objects) -> Result<()> {
    let names: BTreeSet<&String> = found
        .keys()
        .chain(before.keys())
        .chain(after.keys())
        .collect();
    let none = Vec::new();
    for name in names {
        let of = |objects: &Objects| objects.get(name).cloned().unwrap_or_default();
        let (found, old, new) = (of(found), of(before), of(after));
        let grows = new.starts_with(&old) && new.starts_with(&found) && found.len() >= old.len();
        let appears = old == none && found == new;
        if found != old && found != new && !grows && !appears {
            bail!(
                "{name} has {}, right is {} or {}",
                shown(&found),
                shown(&old),
                shown(&new)
            );
        }
    }
    Ok(())
}

fn shown(events: &[Event]) -> String {
    let ids: Vec<String> = events
        .iter()
        .map(|e| format!("{}:{}{}", e.id, e.kind, e.version))
        .collect();
    format!("[{}]", ids.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(kinds: &[&str]) -> Objects {
        let events = kinds.iter().enumerate();
        let events = events.map(|(at, kind)| Event::new(&at.to_string(), kind, 1));
        Objects::from([("o/1".to_owned(), events.collect())])
    }

    #[test]
    fn a_rollback_gives_the_originals_and_what_came_since() {
        let model = Model {
            objects: objects(&["A", "B", "C"]),
            ..Model::default()
        };
        let migrated = model.migrate();
        assert_eq!(migrated.objects["o/1"].len(), 3);
        let later = migrated.import(&[("o/1".to_owned(), Event::new("x", "D", 1))]);
        let back = later.roll_back();
        let kinds: Vec<&str> = back.objects["o/1"].iter().map(|e| &*e.kind).collect();
        assert_eq!(kinds, ["A", "B", "C", "D"]);
    }

    #[test]
    fn what_was_backed_up_before_a_migration_is_migrated_by_the_next() {
        let model = Model {
            objects: objects(&["D", "B"]),
            ..Model::default()
        };
        let [before, after] = [model.back_up("b"), model.migrate().back_up("b")];
        let restored = before.migrate().restore("b", "o/1", "r/1");
        assert_eq!(restored.objects["r/1"].len(), 2);
        assert_eq!(restored.migrate().objects["r/1"].len(), 1);
        let restored = after.restore("b", "o/1", "r/1").migrate();
        assert_eq!(restored.objects["r/1"], after.objects["o/1"]);
    }

    #[test]
    fn a_lost_a_foreign_and_a_doubled_event_are_found() {
        let right = objects(&["A", "B"]);
        assert!(same(&right, &right).is_ok());
        for wrong in [
            objects(&["A"]),
            objects(&["A", "C"]),
            objects(&["A", "B", "B"]),
        ] {
            assert!(same(&wrong, &right).is_err());
            assert!(between(&wrong, &right, &right).is_err());
        }
        assert!(
            between(
                &objects(&["A", "B"]),
                &objects(&["A"]),
                &objects(&["A", "B", "C"])
            )
            .is_ok()
        );
    }
}
