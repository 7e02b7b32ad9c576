//! Files that may not be written, disks that are full, and other processes that lock or die. A test
//! that needs another process runs this program again.

#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::StreamId;
use esm_core::store::{Append, EventStore, RecordKey, Tail};
use esm_core::{Error, ErrorKind};
use esm_sqlite::OpenOptions;
use esm_testkit::{event, not_tested};

use crate::place::Place;

/// The file that the process which runs again works on.
const FILE: &str = "ESM_TEST_FILE";
const NOBODY: u32 = 65_534;
const CANNOT_MOUNT: i32 = 97;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().metadata().unwrap().uid() == 0
}

/// Runs the test of this name without privileges, if this process has them. Returns whether it is
/// done.
fn done_as_nobody(test: &str) -> bool {
    if !is_root() {
        return false;
    }
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o777);
    let (this, link) = (
        std::env::current_exe().unwrap(),
        folder.path().join("suite"),
    );
    if std::fs::hard_link(&this, &link).is_err() {
        std::fs::copy(&this, &link).unwrap();
    }
    let status = Command::new(link)
        .args(["--exact", test, "--nocapture"])
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .status()
        .unwrap();
    assert!(status.success(), "as nobody: {status}");
    true
}

/// A small disk. A process that has none runs the test of this name again in a namespace with one,
/// and gets nothing.
fn small_disk(test: &str) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(FILE) {
        return Some(disk.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=512k esm \"$1\" || exit {CANNOT_MOUNT}; \
         exec \"$2\" --exact {test} --nocapture"
    );
    let namespace = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .env(FILE, folder.path())
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

/// This program, running the test of this name on a file.
fn again(test: &str, file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FILE, file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The file of a process that runs again.
fn file_of_the_other() -> Option<PathBuf> {
    std::env::var_os(FILE).map(PathBuf::from)
}

/// The numbers that a process prints, each after an append was acknowledged.
fn acknowledged(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.filter_map(|line| line.ok()?.strip_prefix("acknowledged ")?.parse().ok())
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

async fn opened(address: &str) -> esm_sqlite::Store {
    esm_sqlite::open_or_create(address, OpenOptions::new())
        .await
        .unwrap()
}

/// Appends until an append fails. Returns the last tail and the error.
async fn fill(events: &dyn EventStore, stream: &StreamId, mut tail: Tail) -> (Tail, Error) {
    let environment = Environment::system();
    loop {
        let append = one_event(&environment, 30_000);
        match events.append(stream, &tail, append).await {
            Ok(next) => tail = next,
            Err(error) => return (tail, error),
        }
    }
}

#[tokio::test]
async fn a_file_without_permission_is_named_and_left_alone() {
    if done_as_nobody("machine::a_file_without_permission_is_named_and_left_alone") {
        return;
    }
    let place = Place::default();
    let (address, read_only) = (place.address(), OpenOptions::new().read_only());
    let folder = place.path().parent().unwrap().to_owned();
    let refused = |error: Error| {
        assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error}");
        let names = error.to_string().contains(folder.to_str().unwrap());
        assert!(names && error.hint().is_some(), "{error}");
    };
    set_mode(&folder, 0o555);
    let create = esm_sqlite::open_or_create(&address, OpenOptions::new());
    refused(create.await.unwrap_err());
    set_mode(&folder, 0o755);
    drop(place.store().await);
    set_mode(&place.path(), 0o444);
    let writer = esm_sqlite::open(&address, OpenOptions::new());
    refused(writer.await.unwrap_err());
    // a file that cannot be written can be read
    let reader = esm_sqlite::open(&address, read_only.clone());
    reader.await.unwrap();
    set_mode(&place.path(), 0o000);
    let reader = esm_sqlite::open(&address, read_only);
    refused(reader.await.unwrap_err());
}

#[tokio::test]
async fn a_full_disk_is_reported_and_what_was_written_stays() {
    let Some(disk) = small_disk("machine::a_full_disk_is_reported_and_what_was_written_stays")
    else {
        return;
    };
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![0; 64 << 10]).unwrap();
    let address = format!("sqlite:{}", disk.join("shop.db").display());
    let store = opened(&address).await;
    let (events, stream) = (store.event_store(), StreamId::new("s").unwrap());
    let (tail, full) = fill(&*events, &stream, Tail::default()).await;
    assert_eq!(full.kind(), &ErrorKind::StorageFull, "{full:?}");
    assert!(full.hint().is_some());
    assert!(tail.next_seq() > 2, "{tail:?}");
    assert_eq!(events.tail(&stream).await.unwrap(), tail);
    let fresh = opened(&address).await.event_store();
    assert_eq!(fresh.tail(&stream).await.unwrap(), tail);
    // room again: the same store continues
    std::fs::remove_file(ballast).unwrap();
    let append = one_event(&Environment::system(), 1_000);
    let next = events.append(&stream, &tail, append).await.unwrap();
    assert_eq!(fresh.tail(&stream).await.unwrap(), next);
}

#[tokio::test]
async fn a_lock_that_another_process_holds_is_named_with_it_and_nothing_is_written() {
    let test = "machine::a_lock_that_another_process_holds_is_named_with_it_and_nothing_is_written";
    if let Some(file) = file_of_the_other() {
        let connection = rusqlite::Connection::open(file).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        println!("\nacknowledged 1");
        // until the test that waits closes the pipe
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let place = Place::default();
    let records = place.store().await.records();
    let mut other = again(test, &place.path());
    let mut printed = acknowledged(&mut other);
    assert_eq!(printed.next(), Some(1));
    let put = records.put(&RecordKey::Index, 0, "{}".into());
    let error = put.await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable, "{error:?}");
    if cfg!(target_os = "linux") {
        let process = format!("(process {}, ", other.id());
        assert!(error.to_string().contains(&process), "{error}");
    }
    assert!(error.to_string().contains("locked by another process"));
    drop(other.stdin.take());
    assert_eq!(printed.next(), None);
    assert!(other.wait().unwrap().success());
    assert_eq!(records.latest(&RecordKey::Index).await.unwrap(), None);
    records
        .put(&RecordKey::Index, 0, "{}".into())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_killed_process_was_acknowledged_is_there_and_another_continues() {
    let test = "machine::what_a_killed_process_was_acknowledged_is_there_and_another_continues";
    let stream = StreamId::new("s").unwrap();
    let environment = Environment::system();
    if let Some(file) = file_of_the_other() {
        let events = opened(&format!("sqlite:{}", file.display())).await;
        let events = events.event_store();
        let mut tail = events.tail(&stream).await.unwrap();
        loop {
            let append = one_event(&environment, 5_000);
            tail = events.append(&stream, &tail, append).await.unwrap();
            println!("\nacknowledged {}", tail.next_seq());
        }
    }
    let place = Place::default();
    let mut expected = 0;
    for _ in 0..5 {
        let mut other = again(test, &place.path());
        let last = acknowledged(&mut other).take(40).last().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(last, expected + 40);
        let events = place.store().await.event_store();
        let tail = events.tail(&stream).await.unwrap();
        // it may have appended more than was read from it
        assert!(tail.next_seq() >= last, "{tail:?} after {last}");
        let append = one_event(&environment, 5_000);
        expected = events
            .append(&stream, &tail, append)
            .await
            .unwrap()
            .next_seq();
        let sound: String = place
            .connection()
            .query_row("PRAGMA integrity_check", (), |row| row.get(0))
            .unwrap();
        assert_eq!(sound, "ok");
    }
}
