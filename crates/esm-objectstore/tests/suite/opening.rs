//! Opening: what is found, made, refused and left alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use esm_core::event::Revision;
use esm_core::id::{CommitId, HolderId, LockName, StreamId};
use esm_core::store::{Append, LockRequest, PageLimit, ReadFrom, RecordKey, Tail};
use esm_core::{Error, ErrorKind};
use esm_objectstore::{OpenOptions, local_directory};
use esm_testkit::event;
use object_store::prefix::PrefixStore;

use crate::scripted::{Fault, Op, Scripted};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn refused(address: &str) -> Error {
    let error = esm_objectstore::open(address, OpenOptions::new())
        .await
        .unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    error
}

#[tokio::test]
async fn a_directory_is_made_and_found_again_with_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b c");
    let made = esm_objectstore::open_or_create(text(&path), OpenOptions::new())
        .await
        .unwrap();
    let url = format!("file://{}", text(&path).replace(' ', "%20"));
    for address in [text(&path), &url] {
        let found = esm_objectstore::open(address, OpenOptions::new())
            .await
            .unwrap();
        assert_eq!(found.id(), made.id());
        let again = esm_objectstore::open_or_create(address, OpenOptions::new())
            .await
            .unwrap();
        assert_eq!(again.id(), made.id());
    }
}

#[tokio::test]
async fn a_directory_is_the_same_store_under_a_decorator() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let directory = local_directory(&path).await.unwrap();
    let decorated = Arc::new(PrefixStore::new(directory, "below"));
    let made = esm_objectstore::open_or_create_with_client(decorated, "", OpenOptions::new())
        .await
        .unwrap();
    let below = path.join("below");
    let found = esm_objectstore::open(text(&below), OpenOptions::new())
        .await
        .unwrap();
    assert_eq!(found.id(), made.id());
}

#[tokio::test]
async fn what_is_no_store_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert_eq!(refused(text(&missing)).await.kind(), &ErrorKind::NotFound);
    assert!(!missing.exists());

    let empty = refused(text(folder.path())).await;
    assert_eq!(empty.kind(), &ErrorKind::NotFound);
    assert!(empty.to_string().contains("it is empty"), "{empty}");

    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert_eq!(refused(text(&file)).await.kind(), &ErrorKind::Invalid);
    let full = refused(text(folder.path())).await;
    assert!(full.to_string().contains("other things"), "{full}");
    let below = file.join("below");
    let made = esm_objectstore::open_or_create(text(&below), OpenOptions::new()).await;
    assert_eq!(made.unwrap_err().kind(), &ErrorKind::Invalid);
    assert_eq!(refused("memory:").await.kind(), &ErrorKind::NotFound);
}

#[tokio::test]
async fn another_layout_and_a_newer_format_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(folder.path());
    esm_objectstore::open_or_create(path, OpenOptions::new())
        .await
        .unwrap();
    let marker = folder.path().join("esm.json");
    // as an earlier version wrote it: without a checksum
    let sealed = std::fs::read_to_string(&marker).unwrap();
    let (unsealed, _) = sealed.split_once(",\n  \"crc32\"").unwrap();
    let good = format!("{unsealed}\n}}\n");
    for (changed, kind, named) in [
        (
            good.replace("esm-cells", "append-blobs"),
            ErrorKind::Unsupported,
            "append-blobs",
        ),
        (
            good.replace("\"format\": 1", "\"format\": 9"),
            ErrorKind::Unsupported,
            "9",
        ),
        (
            good[..good.len() / 2].to_owned(),
            ErrorKind::Corrupt,
            "esm.json",
        ),
        (String::new(), ErrorKind::Corrupt, "esm.json"),
    ] {
        assert_ne!(changed, good);
        std::fs::write(&marker, &changed).unwrap();
        for error in [
            esm_objectstore::open(path, OpenOptions::new())
                .await
                .unwrap_err(),
            esm_objectstore::open_or_create(path, OpenOptions::new())
                .await
                .unwrap_err(),
        ] {
            assert_eq!(error.kind(), &kind, "{error}");
            assert!(error.to_string().contains(named), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&marker).unwrap(), changed);
    }
}

#[tokio::test]
async fn many_that_make_a_store_at_once_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(folder.path()).to_owned();
    let all = (0..16).map(|_| {
        let path = path.clone();
        tokio::spawn(async move {
            let store = esm_objectstore::open_or_create(&path, OpenOptions::new()).await;
            store.unwrap().id()
        })
    });
    let ids = futures::future::join_all(all).await;
    let first = *ids[0].as_ref().unwrap();
    assert!(ids.into_iter().all(|id| id.unwrap() == first));
}

#[tokio::test]
async fn a_storage_that_lets_two_create_the_same_object_fails_the_self_test() {
    let objects = Scripted::new();
    objects.fail(2, Op::Put, "esm-self-test", Fault::Lawless);
    let made = esm_objectstore::open_or_create_with_client(
        Arc::clone(&objects) as _,
        "",
        OpenOptions::new(),
    );
    let error = made.await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unsupported);
    assert!(error.hint().is_some());
    let asked = objects.asked();
    assert!(
        !asked
            .iter()
            .any(|(op, key)| *op == Op::Put && key.contains("esm.json"))
    );
}

fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            all.insert(entry.path(), (metadata.len(), metadata.modified().unwrap()));
        }
    }
    all
}

#[tokio::test]
async fn a_store_that_is_opened_read_only_is_never_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(folder.path());
    let commit = CommitId::from_uuid(uuid::Uuid::from_u128(1));
    let append = Append::events(commit, vec![event("1", "T").into()]);
    let (stream, name) = (StreamId::new("s").unwrap(), LockName::new("l").unwrap());
    let request = LockRequest {
        holder: HolderId::new("me").unwrap(),
        lease: std::time::Duration::from_secs(60),
        migration: None,
        at: jiff::Timestamp::UNIX_EPOCH,
        process: None,
    };
    {
        let store = esm_objectstore::open_or_create(path, OpenOptions::new())
            .await
            .unwrap();
        let events = store.event_store();
        let empty = Tail::default();
        events
            .append(&stream, &empty, append.clone())
            .await
            .unwrap();
        store.locks().try_acquire(&name, &request).await.unwrap();
        store
            .records()
            .put(&RecordKey::Index, 0, "{}".into())
            .await
            .unwrap();
    }
    // as if a writer had crashed two days ago
    let staging = folder.path().join("streams/s/c/00000000000000000001#1");
    let two_days_ago = std::time::SystemTime::UNIX_EPOCH;
    std::fs::File::create(&staging)
        .unwrap()
        .set_modified(two_days_ago)
        .unwrap();
    std::fs::remove_file(folder.path().join(".esm-swept")).unwrap();

    let before = snapshot(folder.path());
    for open in [
        esm_objectstore::open(path, OpenOptions::new().read_only()).await,
        esm_objectstore::open_or_create(path, OpenOptions::new().read_only()).await,
    ] {
        let store = open.unwrap();
        let events = store.event_store();
        let tail = events.tail(&stream).await.unwrap();
        assert_eq!(tail.next_revision(), Revision(1));
        assert!(!events.capabilities().discard);
        events
            .read(&stream, ReadFrom::Seq(0), PageLimit::default())
            .await
            .unwrap();
        assert!(store.locks().inspect(&name).await.unwrap().unwrap().held);
        assert_eq!(store.locks().list().await.unwrap().len(), 1);
        store
            .records()
            .latest(&RecordKey::Index)
            .await
            .unwrap()
            .unwrap();
        let commit = CommitId::from_uuid(uuid::Uuid::from_u128(2));
        let again = Append {
            commit,
            ..append.clone()
        };
        for error in [
            events.append(&stream, &tail, again).await.unwrap_err(),
            events.discard(&stream).await.unwrap_err(),
            store
                .records()
                .put(&RecordKey::Index, 1, "{}".into())
                .await
                .unwrap_err(),
            store
                .locks()
                .try_acquire(&name, &request)
                .await
                .unwrap_err(),
        ] {
            assert_eq!(error.kind(), &ErrorKind::Unsupported, "{error}");
        }
    }
    assert_eq!(snapshot(folder.path()), before);

    let missing = folder.path().join("missing");
    let refused =
        esm_objectstore::open_or_create(text(&missing), OpenOptions::new().read_only()).await;
    assert_eq!(refused.unwrap_err().kind(), &ErrorKind::NotFound);
    assert!(!missing.exists());

    // and a writer cleans up
    esm_objectstore::open(path, OpenOptions::new())
        .await
        .unwrap();
    assert!(!staging.exists());
}
