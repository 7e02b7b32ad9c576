//! Storages that the suites run on, each fresh and empty for one case.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use esm_core::clock::Environment;
use esm_core::id::{BackupId, StreamId};
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};
use esm_objectstore::{OpenOptions, Store};
use esm_testkit::SteppedClock;
use esm_testkit::conformance::{
    BackupHarness, DamageHarness, EventStoreHarness, LockHarness, RecordsHarness, Services,
};
use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

/// A storage that stores can be opened in, and looked into behind their backs.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// A handle as a process gets it that has just started.
    async fn store(&self, options: OpenOptions) -> Store;

    /// The objects, and the prefix that the store is below.
    fn objects(&self) -> (Arc<dyn ObjectStore>, Path);
}

/// Memory.
pub(crate) struct Memory(Arc<InMemory>);

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Arc::new(InMemory::new()))
    }
}

#[async_trait]
impl Place for Memory {
    async fn store(&self, options: OpenOptions) -> Store {
        let objects = Arc::clone(&self.0) as _;
        esm_objectstore::open_or_create_with_client(objects, "a/prefix", options)
            .await
            .unwrap()
    }

    fn objects(&self) -> (Arc<dyn ObjectStore>, Path) {
        (Arc::clone(&self.0) as _, Path::from("a/prefix"))
    }
}

/// A directory of the local file system.
pub(crate) struct Directory(tempfile::TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Place for Directory {
    async fn store(&self, options: OpenOptions) -> Store {
        esm_objectstore::open_or_create(self.0.path().to_str().unwrap(), options)
            .await
            .unwrap()
    }

    fn objects(&self) -> (Arc<dyn ObjectStore>, Path) {
        let objects = object_store::local::LocalFileSystem::new_with_prefix(self.0.path());
        (Arc::new(objects.unwrap()), Path::default())
    }
}

/// A place with a clock that the cases set forward. Handles are processes of their own: they draw
/// ids of their own, so the randomness is the system's.
pub(crate) struct Timed<P> {
    pub(crate) place: P,
    pub(crate) clock: SteppedClock,
}

impl<P: Place> Timed<P> {
    pub(crate) fn new(place: P) -> Self {
        Self {
            place,
            clock: SteppedClock::new(),
        }
    }

    pub(crate) async fn store(&self) -> Store {
        let environment = Environment {
            clock: Arc::new(self.clock.clone()),
            ..Environment::system()
        };
        let options = OpenOptions::new().with_environment(environment);
        self.place.store(options).await
    }

    /// The keys of a stream's cells, in order.
    async fn cells(&self, stream: &StreamId) -> Vec<Path> {
        let (objects, root) = self.place.objects();
        let found: Vec<_> = objects.list(Some(&root)).try_collect().await.unwrap();
        let folder = format!("streams/{}/c/", segment(stream));
        let keys = found.into_iter().map(|object| object.location);
        let mut cells: Vec<_> = keys.filter(|key| key.as_ref().contains(&folder)).collect();
        cells.sort();
        cells
    }

    /// Changes a file of a backup.
    async fn damage(&self, id: &BackupId, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let (objects, root) = self.place.objects();
        let found: Vec<_> = objects.list(Some(&root)).try_collect().await.unwrap();
        let key = found.into_iter().map(|object| object.location).find(|key| {
            key.as_ref().contains(&format!("backups/{id}/")) && key.as_ref().ends_with(file)
        });
        let key = key.expect("the backup's file is there");
        let bytes = objects.get(&key).await.unwrap().bytes().await.unwrap();
        let mut bytes = bytes.to_vec();
        change(&mut bytes);
        objects.put(&key, bytes.into()).await.unwrap();
        true
    }
}

/// The segment of a stream's name, as `docs/formats.md` describes it, for names without capitals.
fn segment(stream: &StreamId) -> String {
    let escaped = |c: char| match c {
        'a'..='z' | '0'..='9' | '-' => c.to_string(),
        _ => format!("_{:02x}", u32::from(c)),
    };
    stream.as_str().chars().map(escaped).collect()
}

#[async_trait]
impl<P: Place> DamageHarness for Timed<P> {
    async fn open(&self) -> Services {
        let store = self.store().await;
        Services {
            events: store.event_store(),
            records: store.records(),
            locks: store.locks(),
            backups: store.backups(),
        }
    }

    async fn lose_from(&self, stream: &StreamId, seq: u64) {
        let (objects, _) = self.place.objects();
        let cells = self.cells(stream).await;
        let seq = usize::try_from(seq).unwrap();
        assert!(seq < cells.len(), "nothing to lose: {cells:?}");
        for key in &cells[seq..] {
            objects.delete(key).await.unwrap();
        }
    }

    async fn exchange_first(&self, one: &StreamId, other: &StreamId) {
        let (objects, _) = self.place.objects();
        let (one, other) = (self.cells(one).await, self.cells(other).await);
        let aside = Path::from(format!("{}.aside", one[0]));
        objects.rename(&one[0], &aside).await.unwrap();
        objects.rename(&other[0], &one[0]).await.unwrap();
        objects.rename(&aside, &other[0]).await.unwrap();
    }
}

#[async_trait]
impl<P: Place> EventStoreHarness for Timed<P> {
    async fn open(&self) -> Arc<dyn EventStore> {
        self.store().await.event_store()
    }
}

#[async_trait]
impl<P: Place> RecordsHarness for Timed<P> {
    async fn open(&self) -> Arc<dyn Records> {
        self.store().await.records()
    }
}

#[async_trait]
impl<P: Place> LockHarness for Timed<P> {
    async fn open(&self) -> Arc<dyn LockProvider> {
        self.store().await.locks()
    }

    async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
    }
}

#[async_trait]
impl<P: Place> BackupHarness for Timed<P> {
    async fn open(&self) -> Arc<dyn BackupProvider> {
        self.store().await.backups()
    }

    async fn corrupt(&self, id: &BackupId) -> bool {
        self.damage(id, ".events.ndjson.zst", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        })
        .await
    }

    async fn truncate(&self, id: &BackupId) -> bool {
        self.damage(id, ".events.ndjson.zst", |bytes| {
            bytes.truncate(bytes.len() / 2);
        })
        .await
    }

    async fn change_retention(&self, id: &BackupId) -> bool {
        self.damage(id, "/manifest.json", keep_longer).await
    }
}

/// Changes one byte of a manifest: the backup is kept for a thousand years more.
fn keep_longer(manifest: &mut Vec<u8>) {
    let text = String::from_utf8(std::mem::take(manifest)).unwrap();
    let changed = text.replace("\"keep_until\": \"2", "\"keep_until\": \"3");
    assert_ne!(text, changed);
    *manifest = changed.into_bytes();
}
