//! Directories that cannot be written to, disks that are full, mounts that are read-only.
//!
//! A test that needs other rights than it has runs itself again: as a user without privileges, or
//! in a namespace of its own with a small disk.

#![cfg(unix)]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{BackupId, StreamId, StreamRef};
use esm_core::store::{
    Append, BackupDraft, BackupKind, BackupSection, BackupSettings, RecordKey, Tail,
};
use esm_core::{Error, ErrorKind, Result};
use esm_objectstore::{OpenOptions, Store};
use esm_testkit::{event, not_tested};

/// Where the small disk is mounted, in the process that has one.
const DISK: &str = "ESM_TEST_SMALL_DISK";
const NOBODY: u32 = 65_534;
const CANNOT_MOUNT: i32 = 97;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory that every user gets into.
fn public_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o777);
    folder
}

/// This test program where every user can run it.
fn this_program(folder: &Path) -> PathBuf {
    let (this, link) = (std::env::current_exe().unwrap(), folder.join("suite"));
    if std::fs::hard_link(&this, &link).is_err() {
        std::fs::copy(&this, &link).unwrap();
    }
    link
}

fn is_root() -> bool {
    tempfile::NamedTempFile::new()
        .unwrap()
        .as_file()
        .metadata()
        .unwrap()
        .uid()
        == 0
}

/// Runs the test of this name without privileges, if this process has them. Returns
/// whether it is done.
fn done_as_nobody(test: &str) -> bool {
    if !is_root() {
        return false;
    }
    let folder = public_folder();
    let status = Command::new(this_program(folder.path()))
        .args(["--exact", test, "--nocapture"])
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .status()
        .unwrap();
    assert!(status.success(), "as nobody: {status}");
    true
}

/// The small disk of this process. One that has none runs the test of this name again in a
/// namespace with one, and gets nothing.
fn small_disk(test: &str) -> Option<PathBuf> {
    disk(test, "size=256k")
}

/// A disk of these mount options.
fn disk(test: &str, options: &str) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o {options} esm \"$1\" || exit {CANNOT_MOUNT}; \
         exec \"$2\" --exact {test} --nocapture"
    );
    let namespace = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .env(DISK, folder.path())
        .status();
    match namespace {
        Ok(status) if status.success() => {}
        Ok(status) if matches!(status.code(), Some(1 | CANNOT_MOUNT)) => {
            not_tested(
                test,
                "no namespace with a file system of its own can be had here",
            );
        }
        Ok(status) => panic!("on a small disk: {status}"),
        Err(error) => not_tested(test, &format!("unshare cannot be run: {error}")),
    }
    None
}

fn one_event(environment: &Environment, bytes: usize) -> Append {
    // random, so that it does not compress
    let payload: String = (0..bytes / 36)
        .map(|_| environment.uuid_v4().to_string())
        .collect();
    let event = Event {
        payload: payload.into(),
        content_type: Some("text/plain".to_owned()),
        ..event(environment.uuid_v4().to_string(), "T")
    };
    Append::events(environment.commit_id(), vec![event.into()])
}

#[tokio::test]
async fn a_directory_without_permission_is_told_and_left_alone() {
    if done_as_nobody("machine::a_directory_without_permission_is_told_and_left_alone") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let address = path.to_str().unwrap();
    let refused = |error: Error| {
        assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error}");
        assert!(
            error.hint().is_some() && error.to_string().contains(address),
            "{error}"
        );
    };
    set_mode(folder.path(), 0o555);
    refused(
        esm_objectstore::open_or_create(address, OpenOptions::new())
            .await
            .unwrap_err(),
    );
    set_mode(folder.path(), 0o755);
    std::fs::create_dir(&path).unwrap();
    set_mode(&path, 0o555);
    refused(
        esm_objectstore::open_or_create(address, OpenOptions::new())
            .await
            .unwrap_err(),
    );
    set_mode(&path, 0o755);

    let store = esm_objectstore::open_or_create(address, OpenOptions::new())
        .await
        .unwrap();
    let environment = Environment::system();
    let stream = StreamId::new("s").unwrap();
    let events = store.event_store();
    let append = one_event(&environment, 100);
    let tail = events
        .append(&stream, &Tail::default(), append)
        .await
        .unwrap();
    set_mode(&path.join("streams/s/c"), 0o555);
    set_mode(&path, 0o555);
    let append = one_event(&environment, 100);
    refused(events.append(&stream, &tail, append).await.unwrap_err());
    refused(
        store
            .records()
            .put(&RecordKey::Index, 0, "{}".into())
            .await
            .unwrap_err(),
    );
    // a store that cannot be written to can be read
    let reader = esm_objectstore::open(address, OpenOptions::new().read_only())
        .await
        .unwrap();
    assert_eq!(reader.event_store().tail(&stream).await.unwrap(), tail);
    set_mode(&path.join("streams/s/c"), 0o000);
    refused(reader.event_store().tail(&stream).await.unwrap_err());
    for folder in [path.join("streams/s/c"), path.clone()] {
        set_mode(&folder, 0o755);
    }
}

async fn back_up(store: &Store, environment: &Environment) -> Result<()> {
    let stream = StreamId::new("s")?;
    let draft = BackupDraft {
        id: BackupId::new("b")?,
        kind: BackupKind::Backup,
        migration: None,
        created_at: environment.clock.now(),
        settings: BackupSettings::default(),
    };
    let mut writer = store.backups().create(draft).await?;
    writer
        .section(BackupSection {
            object: "order/1".parse()?,
            stream: StreamRef::new(store.id(), stream),
            document: None,
        })
        .await?;
    let events: Vec<Event> = one_event(environment, 1 << 20)
        .events
        .into_iter()
        .map(|event| event.event)
        .collect();
    writer.events(&events).await?;
    let hash = esm_core::RollingHash::of(&events).to_string();
    writer
        .end(esm_core::store::SectionSummary { events: 1, hash })
        .await?;
    writer.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_full_disk_is_told_and_what_was_written_stays() {
    let Some(disk) = small_disk("machine::a_full_disk_is_told_and_what_was_written_stays") else {
        return;
    };
    let store = esm_objectstore::open_or_create(disk.to_str().unwrap(), OpenOptions::new())
        .await
        .unwrap();
    let environment = Environment::system();
    let stream = StreamId::new("s").unwrap();
    let events = store.event_store();
    let mut tail = Tail::default();
    let full = loop {
        let append = one_event(&environment, 30_000);
        match events.append(&stream, &tail, append).await {
            Ok(next) => tail = next,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), &ErrorKind::StorageFull, "{full}");
    assert!(full.hint().is_some());
    assert!(tail.next_seq() > 2);
    assert_eq!(events.tail(&stream).await.unwrap(), tail);

    let error = back_up(&store, &environment).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::StorageFull, "{error}");
    let id = BackupId::new("b").unwrap();
    let absent = store.backups().manifest(&id).await.unwrap_err();
    assert_eq!(absent.kind(), &ErrorKind::NotFound);

    // room again: the same store continues
    events
        .discard(&StreamId::new("other").unwrap())
        .await
        .unwrap();
    std::fs::remove_file(disk.join("streams/s/c/00000000000000000000")).unwrap();
    events
        .append(&stream, &tail, one_event(&environment, 1_000))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_disk_without_inodes_is_full_and_what_was_written_stays() {
    let test = "machine::a_disk_without_inodes_is_full_and_what_was_written_stays";
    let Some(disk) = disk(test, "size=16m,nr_inodes=64") else {
        return;
    };
    let store = esm_objectstore::open_or_create(disk.to_str().unwrap(), OpenOptions::new())
        .await
        .unwrap();
    let environment = Environment::system();
    let stream = StreamId::new("s").unwrap();
    let events = store.event_store();
    let mut tail = Tail::default();
    let full = loop {
        let append = one_event(&environment, 100);
        match events.append(&stream, &tail, append).await {
            Ok(next) => tail = next,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), &ErrorKind::StorageFull, "{full}");
    assert!(full.to_string().contains("no inodes"), "{full}");
    assert!(full.hint().is_some_and(|hint| hint.contains("df -i")));
    assert_eq!(events.tail(&stream).await.unwrap(), tail);
    std::fs::remove_file(disk.join(".esm-swept")).unwrap();
    let append = one_event(&environment, 100);
    events.append(&stream, &tail, append).await.unwrap();
}

/// Set in the process that may have few files open.
const FEW_FILES: &str = "ESM_TEST_FEW_FILES";

#[tokio::test]
async fn too_many_open_files_are_named_and_harm_nothing() {
    let test = "machine::too_many_open_files_are_named_and_harm_nothing";
    if std::env::var_os(FEW_FILES).is_none() {
        let limited = Command::new("sh")
            .args(["-c", "ulimit -n 64; exec \"$0\" --exact \"$1\" --nocapture"])
            .arg(std::env::current_exe().unwrap())
            .arg(test)
            .env(FEW_FILES, "1")
            .status();
        assert!(limited.unwrap().success(), "with few files");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store =
        esm_objectstore::open_or_create(folder.path().to_str().unwrap(), OpenOptions::new())
            .await
            .unwrap();
    let environment = Environment::system();
    let stream = StreamId::new("s").unwrap();
    let events = store.event_store();
    let empty = Tail::default();
    let begun = events.append(&stream, &empty, one_event(&environment, 100));
    let tail = begun.await.unwrap();
    let mut open = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        open.push(file);
    }
    // with none left, and with one: that is for the file, and none for its folder
    for _ in 0..2 {
        let append = one_event(&environment, 100);
        let error = events.append(&stream, &tail, append).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("too many open files"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("ulimit -n")));
        open.pop();
    }
    open.clear();
    assert_eq!(events.tail(&stream).await.unwrap(), tail);
    let append = one_event(&environment, 100);
    events.append(&stream, &tail, append).await.unwrap();
}

#[tokio::test]
async fn a_read_only_mount_is_told_and_can_be_read() {
    let Some(disk) = small_disk("machine::a_read_only_mount_is_told_and_can_be_read") else {
        return;
    };
    let address = disk.to_str().unwrap();
    let store = esm_objectstore::open_or_create(address, OpenOptions::new())
        .await
        .unwrap();
    let remount = Command::new("mount")
        .args(["-o", "remount,ro", address])
        .status();
    assert!(remount.unwrap().success());
    let error = store
        .records()
        .put(&RecordKey::Index, 0, "{}".into())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error}");
    assert!(
        error.hint().is_some_and(|hint| hint.contains("read-only")),
        "{error:?}"
    );
    let reader = esm_objectstore::open(address, OpenOptions::new().read_only())
        .await
        .unwrap();
    assert!(
        reader
            .records()
            .latest(&RecordKey::Index)
            .await
            .unwrap()
            .is_none()
    );
}
