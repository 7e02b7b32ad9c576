//! What an object is, by its key: pure.

use crate::key::Key;
use crate::layout::{LATEST, LEASE, Layout, parse_number};

/// The file of a local directory that belongs to its search for abandoned staging files.
const SWEPT: &str = ".esm-swept";

/// What the objects of a folder are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FolderKind {
    Stream,
    Record,
    Lock,
    Backup,
}

/// A folder whose objects are one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) kind: FolderKind,
    /// Its segments below the store's root.
    pub(super) segments: Vec<String>,
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoredObject {
    /// A part of what is in a folder.
    Part { folder: Folder, part: Part },
    /// An object of the store by itself, which is examined when the store is opened.
    Own,
    /// Nothing that a store writes.
    Unknown,
}

/// What an object is in its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A cell, a version or an acquisition, by its number.
    Numbered(u64),
    /// The versions of a record in one object: then the others have several versions each.
    Replaced,
    Manifest,
    /// Anything else that belongs there.
    Other,
}

impl StoredObject {
    pub(super) fn of(layout: &Layout, key: &Key) -> Self {
        let Some(segments) = key.below(layout.root()) else {
            return Self::Unknown;
        };
        let segments: Vec<&str> = segments.collect();
        if *key == layout.marker() || matches!(segments[..], [SWEPT] | ["esm-self-test", _]) {
            return Self::Own;
        }
        if !layout.is_part(key) {
            return Self::Unknown;
        }
        let number = parse_number(key.name());
        let (kind, depth, part) = match segments[..] {
            ["streams", _, "c", _] => (FolderKind::Stream, 2, number.map(Part::Numbered)),
            ["streams", _, "head"] => (FolderKind::Stream, 2, Some(Part::Other)),
            ["documents" | "routing", _, _, _] => (FolderKind::Record, 3, version(key)),
            ["journals" | "control" | "progress", _, _] => (FolderKind::Record, 2, version(key)),
            ["index" | "known-stores", _] => (FolderKind::Record, 1, version(key)),
            ["locks", _, name] => (FolderKind::Lock, 2, acquisition(name)),
            ["backups", _, name] => (FolderKind::Backup, 2, Some(file(name))),
            _ => return Self::Unknown,
        };
        let Some(part) = part else {
            return Self::Unknown;
        };
        let segments = segments[..depth].iter().map(|&s| s.to_owned()).collect();
        Self::Part {
            folder: Folder { kind, segments },
            part,
        }
    }
}

fn version(key: &Key) -> Option<Part> {
    match key.name() {
        LATEST => Some(Part::Replaced),
        name => parse_number(name).map(Part::Numbered),
    }
}

fn acquisition(name: &str) -> Option<Part> {
    if name == LEASE {
        return Some(Part::Replaced);
    }
    match name.strip_suffix(".hb") {
        Some(token) => parse_number(token).map(|_| Part::Other),
        None => parse_number(name).map(Part::Numbered),
    }
}

fn file(name: &str) -> Part {
    if name == esm_format::backup::MANIFEST_FILE {
        Part::Manifest
    } else {
        Part::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> StoredObject {
        StoredObject::of(&Layout::new(Key::new("root")), &Key::new(text))
    }

    fn part(text: &str) -> (FolderKind, String, Part) {
        match of(text) {
            StoredObject::Part { folder, part } => (folder.kind, folder.segments.join("/"), part),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn each_object_of_a_store_belongs_to_its_folder() {
        let n = "00000000000000000007";
        let numbered = Part::Numbered(7);
        for (key, kind, folder, expected) in [
            (
                format!("streams/s/c/{n}"),
                FolderKind::Stream,
                "streams/s",
                numbered,
            ),
            (
                "streams/s/head".to_owned(),
                FolderKind::Stream,
                "streams/s",
                Part::Other,
            ),
            (
                format!("documents/o/1/{n}"),
                FolderKind::Record,
                "documents/o/1",
                numbered,
            ),
            (
                "routing/o/1/latest".to_owned(),
                FolderKind::Record,
                "routing/o/1",
                Part::Replaced,
            ),
            (
                format!("journals/m/{n}"),
                FolderKind::Record,
                "journals/m",
                numbered,
            ),
            (format!("index/{n}"), FolderKind::Record, "index", numbered),
            (
                format!("locks/l/{n}"),
                FolderKind::Lock,
                "locks/l",
                numbered,
            ),
            (
                format!("locks/l/{n}.hb"),
                FolderKind::Lock,
                "locks/l",
                Part::Other,
            ),
            (
                "locks/l/lease".to_owned(),
                FolderKind::Lock,
                "locks/l",
                Part::Replaced,
            ),
            (
                "backups/b/manifest.json".to_owned(),
                FolderKind::Backup,
                "backups/b",
                Part::Manifest,
            ),
            (
                "backups/b/x.events.ndjson.zst".to_owned(),
                FolderKind::Backup,
                "backups/b",
                Part::Other,
            ),
        ] {
            let found = part(&format!("root/{key}"));
            assert_eq!(found, (kind, folder.to_owned(), expected), "{key}");
        }
    }

    #[test]
    fn what_a_store_does_not_write_is_unknown() {
        for own in ["root/esm.json", "root/.esm-swept", "root/esm-self-test/1"] {
            assert_eq!(of(own), StoredObject::Own, "{own}");
        }
        for unknown in [
            "root/notes.txt",
            "root/streams/s/c/7",
            "root/streams/00000000000000000007",
            "root/backups/home.tgz",
            "root/documents/o/1/2/00000000000000000007",
            "other/esm.json",
        ] {
            assert_eq!(of(unknown), StoredObject::Unknown, "{unknown}");
        }
    }
}
