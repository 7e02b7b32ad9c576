//! Which key holds what: see "Layout on an object store" in `docs/formats.md`.

use esm_core::id::{BackupId, LockName, StreamId};
use esm_core::store::RecordKey;
use esm_core::{Error, Result};
use esm_format::backup::{EVENTS_FILE, MANIFEST_FILE, SECTIONS_FILE};
use uuid::Uuid;

use crate::key::Key;
use crate::segment::encode;

/// Name of the layout in which streams, records, locks and backups are numbered objects, each
/// created only if absent. It needs no other feature of a storage.
pub const LAYOUT: &str = "esm-cells";

/// The keys of a store, below its root.
#[derive(Debug, Clone)]
pub struct Layout {
    root: Key,
}

/// The digits of a number in a key: as many as the largest number has, so that names sort.
const DIGITS: usize = 20;
/// The name of the object that has the newest versions of a record.
pub(crate) const LATEST: &str = "latest";
/// The name of the object of a lock, in layouts where one object has its acquisitions.
pub(crate) const LEASE: &str = "lease";
/// The folders of a store, below its root.
const FOLDERS: [&str; 10] = [
    "backups",
    "control",
    "documents",
    "index",
    "journals",
    "known-stores",
    "locks",
    "progress",
    "routing",
    "streams",
];
/// Names of objects in them that are no numbers.
const NAMES: [&str; 4] = ["head", LATEST, LEASE, MANIFEST_FILE];
/// How the names of a backup's data files end.
const DATA_FILES: [&str; 2] = [EVENTS_FILE, SECTIONS_FILE];

impl Layout {
    pub(crate) fn new(root: Key) -> Self {
        Self { root }
    }

    /// What every key of the store begins with.
    pub fn root(&self) -> &Key {
        &self.root
    }

    /// The object that makes a place a store.
    pub fn marker(&self) -> Key {
        self.root.clone().join("esm.json")
    }

    pub(crate) fn self_test(&self, nonce: Uuid) -> Key {
        self.under(["esm-self-test", &nonce.to_string()])
    }

    /// The folder of all streams.
    pub(crate) fn streams(&self) -> Key {
        self.under(["streams"])
    }

    pub(crate) fn stream(&self, stream: &StreamId) -> Key {
        self.under(["streams", &encode(stream.as_str())])
    }

    pub(crate) fn cell(&self, stream: &StreamId, seq: u64) -> Key {
        number(self.stream(stream).join("c"), seq)
    }

    pub(crate) fn head(&self, stream: &StreamId) -> Key {
        self.stream(stream).join("head")
    }

    pub(crate) fn documents(&self) -> Key {
        self.under(["documents"])
    }

    pub(crate) fn journals(&self) -> Key {
        self.under(["journals"])
    }

    /// The folder of a record's versions.
    ///
    /// # Errors
    /// `Unsupported` for a record that this version has no place for.
    pub fn record(&self, key: &RecordKey) -> Result<Key> {
        Ok(match key {
            RecordKey::Document(object) => self.under([
                "documents",
                &encode(object.name().as_str()),
                &encode(object.key().as_str()),
            ]),
            RecordKey::Routing(object) => self.under([
                "routing",
                &encode(object.name().as_str()),
                &encode(object.key().as_str()),
            ]),
            RecordKey::Journal(migration) => self.under(["journals", &migration.to_string()]),
            RecordKey::Index => self.under(["index"]),
            RecordKey::Control(migration) => self.under(["control", &migration.to_string()]),
            RecordKey::Progress(migration) => self.under(["progress", &migration.to_string()]),
            RecordKey::KnownStores => self.under(["known-stores"]),
            other => {
                return Err(Error::unsupported(format!(
                    "this version of the object store provider has no place for record {other:?}"
                ))
                .with_hint("use the same version of all esm crates"));
            }
        })
    }

    pub(crate) fn record_version(&self, key: &RecordKey, version: u64) -> Result<Key> {
        Ok(number(self.record(key)?, version))
    }

    /// The object that has the newest versions of a record, in layouts where one object has
    /// several.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn record_latest(&self, key: &RecordKey) -> Result<Key> {
        Ok(self.record(key)?.join(LATEST))
    }

    /// The object that has the versions of a record before this one, and perhaps others, in such
    /// layouts.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn record_before(&self, key: &RecordKey, version: u64) -> Result<Key> {
        self.record_version(key, version)
    }

    /// The folder of all locks.
    pub fn locks(&self) -> Key {
        self.under(["locks"])
    }

    /// The folder of a lock's acquisitions.
    pub fn lock(&self, name: &LockName) -> Key {
        self.under(["locks", &encode(name.as_str())])
    }

    pub(crate) fn backups(&self) -> Key {
        self.under(["backups"])
    }

    /// The folder of a backup.
    pub(crate) fn backup(&self, id: &BackupId) -> Key {
        self.under(["backups", &encode(id.as_str())])
    }

    /// The folders that only a store has.
    pub(crate) fn folders(&self) -> impl Iterator<Item = Key> {
        FOLDERS.iter().map(|folder| self.under([folder]))
    }

    /// Whether a key is that of a store's object, by its folder and the form of its name.
    pub(crate) fn is_part(&self, key: &Key) -> bool {
        let mut folder = key.below(&self.root);
        let is_below = folder
            .as_mut()
            .and_then(Iterator::next)
            .is_some_and(|first| FOLDERS.contains(&first));
        let name = key.name();
        is_below
            && (parse_number(name.strip_suffix(".hb").unwrap_or(name)).is_some()
                || NAMES.contains(&name)
                || DATA_FILES.iter().any(|end| name.ends_with(end)))
    }

    fn under<const N: usize>(&self, segments: [&str; N]) -> Key {
        segments
            .into_iter()
            .fold(self.root.clone(), |path, segment| path.join(segment))
    }
}

/// Whether a record's or a lock's object is one that is replaced.
pub(crate) fn is_replaced(key: &Key) -> bool {
    matches!(key.name(), LATEST | LEASE)
}

/// The key with this number in a folder.
pub(crate) fn number(folder: Key, number: u64) -> Key {
    folder.join(&format!("{number:0DIGITS$}"))
}

/// The number that a key's last segment is.
pub(crate) fn parse_number(segment: &str) -> Option<u64> {
    (segment.len() == DIGITS && segment.bytes().all(|b| b.is_ascii_digit()))
        .then(|| segment.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_as_names_do_and_are_read_back() {
        let name = |n| number(Key::default(), n).to_string();
        assert!(name(9) < name(10) && name(10) < name(u64::MAX));
        for n in [0, 7, u64::MAX] {
            assert_eq!(parse_number(&name(n)), Some(n));
        }
        for other in ["7", "00000000000000000001.hb", "99999999999999999999"] {
            assert_eq!(parse_number(other), None, "{other}");
        }
    }

    #[test]
    fn the_objects_of_a_store_are_told_from_others() -> Result<()> {
        let layout = Layout::new(Key::new("a/b"));
        let (stream, lock) = (StreamId::new("s")?, LockName::new("l")?);
        let mut parts = vec![
            layout.cell(&stream, 1),
            layout.head(&stream),
            layout.lock(&lock).join(LEASE),
            number(layout.lock(&lock), 7).with_suffix(".hb"),
            layout.backup(&BackupId::new("b")?).join(MANIFEST_FILE),
            layout
                .backup(&BackupId::new("b")?)
                .join("x.events.ndjson.zst"),
        ];
        let object: esm_core::id::ObjectId = "order/7".parse()?;
        for key in [
            RecordKey::Document(object.clone()),
            RecordKey::Routing(object),
            RecordKey::Index,
            RecordKey::KnownStores,
        ] {
            parts.extend([layout.record_version(&key, 0)?, layout.record_latest(&key)?]);
        }
        for part in parts {
            assert!(layout.is_part(&part), "{part}");
        }
        for other in [
            "a/b/esm.json",
            "a/b/streams/x",
            "a/b/backups/home.tgz",
            "b/streams/s/head",
        ] {
            assert!(!layout.is_part(&Key::new(other)), "{other}");
        }
        Ok(())
    }

    #[test]
    fn keys_are_where_the_documentation_says() -> Result<()> {
        let layout = Layout::new(Key::new("a/b"));
        assert_eq!(layout.marker().as_str(), "a/b/esm.json");
        let stream = StreamId::new("order-7.ab")?;
        assert_eq!(
            layout.cell(&stream, 1).as_str(),
            "a/b/streams/order-7_2eab/c/00000000000000000001"
        );
        assert_eq!(
            layout.head(&stream).as_str(),
            "a/b/streams/order-7_2eab/head"
        );
        let document = RecordKey::Document("order/2024/7".parse()?);
        assert_eq!(
            layout.record_version(&document, 0)?.as_str(),
            "a/b/documents/order/2024_2f7/00000000000000000000"
        );
        Ok(())
    }
}
