//! Processes on one directory that are stopped before and after every system call, while another
//! sweeps: no success may be returned for bytes that are not there.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use esm_cells::Store;
use esm_core::clock::Environment;
use esm_core::id::{BackupId, StreamId, StreamRef};
use esm_core::store::{
    BackupDraft, BackupKind, BackupManifest, BackupSection, BackupSettings, EventStore,
    SectionSummary,
};
use esm_core::{ErrorKind, Result, RollingHash};
use esm_testkit::frozen::{Deed, FreezableHarness, Freezer, pairs};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions};

use super::calls::Calls;
use super::directory::LocalDirectory;
use super::staging::is_staging;
use super::sweep::sweep;
use crate::OpenOptions;

/// A directory, with processes that are `LocalDirectory`s of their own.
struct Directory(tempfile::TempDir);

impl Directory {
    /// In memory where there is such a file system: syncing takes most of the time otherwise.
    fn new() -> Self {
        let memory = tempfile::tempdir_in("/dev/shm");
        Self(memory.or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn process(&self, freezer: Option<&Freezer>) -> Arc<LocalDirectory> {
        let calls = Calls {
            freezer: freezer.cloned(),
        };
        Arc::new(LocalDirectory::with_calls(self.0.path(), calls).unwrap())
    }

    /// What the sweep of a process makes of the directory, to which every staging file is days old:
    /// by its own clock, and by the file system's.
    fn sweep_days_later(&self) {
        make_old(self.0.path());
        let _ = std::fs::remove_file(self.0.path().join(".esm-swept"));
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 100);
        sweep(self.0.path(), now, usize::MAX, &Calls::default()).unwrap();
    }

    fn staging_files(&self) -> usize {
        let mut found = 0;
        each_file(self.0.path(), &mut |_| found += 1);
        found
    }
}

fn each_file(folder: &FilePath, found: &mut impl FnMut(&FilePath)) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            each_file(&path, found);
        } else if entry.file_name().to_str().is_some_and(is_staging) {
            found(&path);
        }
    }
}

fn make_old(folder: &FilePath) {
    each_file(folder, &mut |path| {
        let file = std::fs::File::open(path).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified - Duration::from_hours(72))
            .unwrap();
    });
}

impl Directory {
    async fn store(&self, freezer: &Freezer) -> Store {
        let process = self.process(Some(freezer));
        let store = crate::open_or_create_with_client(process, "", OpenOptions::new()).await;
        store.unwrap()
    }
}

#[async_trait]
impl FreezableHarness for Directory {
    async fn open(&self, freezer: &Freezer) -> Arc<dyn EventStore> {
        self.store(freezer).await.event_store()
    }

    async fn start_days_later(&self) {
        self.sweep_days_later();
    }
}

async fn check(first: Deed, second: Deed) {
    let outcome = pairs(Directory::new, first, second).await;
    let outcome = outcome.unwrap_or_else(|wrong| panic!("{wrong}"));
    // before and after each of: create, write, sync, open the folder, link, compare, sync, remove
    assert!(
        outcome.steps >= 16 && outcome.runs >= 16 * 10,
        "{outcome:?}"
    );
}

#[tokio::test]
async fn two_frozen_appends_at_one_place_are_one_success() {
    check(Deed::Append, Deed::Append).await;
}

#[tokio::test]
async fn two_frozen_beginnings_of_a_stream_are_one_success() {
    check(Deed::Begin, Deed::Begin).await;
}

#[tokio::test]
async fn a_frozen_close_and_an_append_are_one_success() {
    check(Deed::Close, Deed::Append).await;
}

#[tokio::test]
async fn a_frozen_append_and_a_close_are_one_success() {
    check(Deed::Append, Deed::Close).await;
}

/// Runs a write with its process stopped at each step, and the sweep meanwhile.
async fn at_each_step<F>(
    write: impl Fn(Arc<LocalDirectory>) -> F,
    check: impl AsyncFn(&Directory, object_store::Result<()>),
) where
    F: Future<Output = object_store::Result<()>> + Send + 'static,
{
    for step in 0.. {
        let directory = Directory::new();
        let freezer = Freezer::at(step);
        freezer.arm();
        let mut writing = tokio::spawn(write(directory.process(Some(&freezer))));
        let ended = tokio::select! {
            () = freezer.reached() => None,
            ended = &mut writing => Some(ended.unwrap()),
        };
        if let Some(result) = ended {
            result.unwrap();
            assert!(step > 15, "{step}");
            assert_eq!(directory.staging_files(), 0);
            return;
        }
        directory.sweep_days_later();
        freezer.thaw();
        check(&directory, writing.await.unwrap()).await;
    }
}

async fn stored(directory: &Directory, key: &Path) -> Option<Vec<u8>> {
    match directory.process(None).get(key).await {
        Ok(found) => Some(found.bytes().await.unwrap().to_vec()),
        Err(object_store::Error::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_put_that_was_swept_at_any_step_still_succeeds() {
    for mode in [PutMode::Create, PutMode::Overwrite] {
        let write = |objects: Arc<LocalDirectory>| {
            let options = PutOptions::from(mode.clone());
            async move {
                let key = Path::from("a/b");
                let put = objects.put_opts(&key, "mine".into(), options);
                put.await.map(drop)
            }
        };
        at_each_step(write, async |directory, result| {
            result.unwrap();
            assert_eq!(
                stored(directory, &Path::from("a/b")).await.unwrap(),
                b"mine"
            );
            assert_eq!(directory.staging_files(), 0);
        })
        .await;
    }
}

/// It cannot be staged again: so a sweep leaves it alone, but for the time before it is locked.
#[tokio::test]
async fn an_upload_survives_the_sweep_or_says_that_it_did_not() {
    let write = |objects: Arc<LocalDirectory>| async move {
        let key = Path::from("a/b");
        let mut upload = objects
            .put_multipart_opts(&key, PutMultipartOptions::default())
            .await?;
        for part in ["one, ", "two"] {
            upload.put_part(part.into()).await?;
        }
        upload.complete().await.map(drop)
    };
    let failed = std::sync::atomic::AtomicUsize::new(0);
    at_each_step(write, async |directory, result| {
        let found = stored(directory, &Path::from("a/b")).await;
        if result.is_ok() {
            assert_eq!(found.unwrap(), b"one, two");
        } else {
            failed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            assert_eq!(found, None);
        }
    })
    .await;
    assert!(failed.into_inner() <= 1, "before the lock alone");
}

/// A file that another process made under a removed staging name is not published.
#[tokio::test]
async fn a_foreign_file_under_the_own_staging_name_is_no_success() {
    let key = Path::from("a/b");
    let directory = Directory::new();
    for step in 0.. {
        let freezer = Freezer::at(step);
        let objects = directory.process(Some(&freezer));
        let put = tokio::spawn({
            let key = key.clone();
            async move {
                objects
                    .put_opts(&key, "mine".into(), PutMode::Create.into())
                    .await
            }
        });
        freezer.arm();
        freezer.reached().await;
        let is_link = freezer
            .stopped_at()
            .is_some_and(|at| at.starts_with("before link"));
        if is_link {
            each_file(directory.0.path(), &mut |staging| {
                std::fs::remove_file(staging).unwrap();
                std::fs::write(staging, "foreign").unwrap();
            });
        }
        freezer.thaw();
        let put = put.await.unwrap();
        if is_link {
            let error = put.unwrap_err();
            assert!(
                matches!(error, object_store::Error::AlreadyExists { .. }),
                "{error}"
            );
            assert_eq!(stored(&directory, &key).await.unwrap(), b"foreign");
            return;
        }
        put.unwrap();
        directory.process(None).delete(&key).await.unwrap();
    }
}

async fn back_up(store: &Store) -> Result<BackupManifest> {
    let environment = Environment::system();
    let draft = BackupDraft {
        id: BackupId::new("one")?,
        kind: BackupKind::Backup,
        migration: None,
        created_at: environment.clock.now(),
        settings: BackupSettings::default(),
    };
    let mut writer = store.backups().create(draft).await?;
    let section = BackupSection {
        object: "order/1".parse()?,
        stream: StreamRef::new(store.id(), StreamId::new("s")?),
        document: None,
    };
    writer.section(section).await?;
    let hash = RollingHash::of(&[]).to_string();
    writer.end(SectionSummary { events: 0, hash }).await?;
    writer.finish().await
}

/// Another makes a backup of the same id and deletes it, while the first is stopped at each step.
#[tokio::test]
async fn a_backup_that_was_acknowledged_has_its_contents() {
    let id = BackupId::new("one").unwrap();
    for step in 0.. {
        let directory = Directory::new();
        let freezer = Freezer::at(step);
        let (first, other) = (
            directory.store(&freezer).await,
            directory.store(&Freezer::at(u64::MAX)).await,
        );
        freezer.arm();
        let mut writing = tokio::spawn(async move { back_up(&first).await });
        let ended = tokio::select! {
            () = freezer.reached() => None,
            ended = &mut writing => Some(ended.unwrap()),
        };
        if let Some(result) = ended {
            result.unwrap();
            assert!(step > 40, "two files and a manifest: {step}");
            return;
        }
        let _ = back_up(&other).await;
        let deleted = other.backups().delete(&id).await;
        deleted.unwrap();
        freezer.thaw();
        let backups = other.backups();
        if writing.await.unwrap().is_err() {
            let absent = backups.manifest(&id).await.unwrap_err();
            assert_eq!(absent.kind(), &ErrorKind::NotFound, "{step}");
            continue;
        }
        // deleted after it was there, or there with all that it names
        if backups.manifest(&id).await.is_ok() {
            let mut reader = backups.open(&id).await.unwrap();
            while reader.next().await.unwrap().is_some() {}
        }
    }
}
