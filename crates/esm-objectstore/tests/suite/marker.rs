//! The marker: lost, damaged, renewed; and telling a store from its copy.

use std::path::Path;
use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::id::{StoreId, StreamId};
use esm_core::store::{Append, Stores, Tail};
use esm_core::{Error, ErrorKind};
use esm_objectstore::{OpenOptions, Store, open, open_or_create, open_or_create_with_client};
use esm_testkit::event;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as Key;

use crate::scripted::{Op, Scripted};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn append(store: &Store) {
    let commit = Environment::system().commit_id();
    let append = Append::events(commit, vec![event("1", "T").into()]);
    let stream = StreamId::new(format!("s-{commit}")).unwrap();
    let events = store.event_store();
    let end = Tail::default();
    events.append(&stream, &end, append).await.unwrap();
}

fn write(folder: &Path, key: &str) {
    let path = folder.join(key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "x").unwrap();
}

#[track_caller]
fn is_lost(error: &Error, key: &str) {
    assert_eq!(error.kind(), &ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("esm.json"), "{error}");
    assert!(error.to_string().contains(key), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("--adopt")));
}

#[tokio::test]
async fn a_place_with_any_object_of_a_store_gets_no_new_marker() {
    for key in [
        "streams/s/c/00000000000000000000",
        "streams/s/head",
        "documents/order/7/00000000000000000003",
        "documents/order/7/latest",
        "journals/01890000/00000000000000000000",
        "locks/objects/00000000000000000000.hb",
        "locks/objects/lease",
        "backups/b/manifest.json",
        "backups/b/01.events.ndjson.zst",
        "known-stores/00000000000000000000",
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "README");
        write(folder.path(), key);
        let path = text(folder.path());
        for opened in [
            open(path, OpenOptions::new()).await,
            open_or_create(path, OpenOptions::new()).await,
            open_or_create(path, OpenOptions::new().read_only()).await,
        ] {
            is_lost(&opened.unwrap_err(), key);
        }
        assert!(!folder.path().join("esm.json").exists(), "{key}");
    }
}

#[tokio::test]
async fn other_files_do_not_keep_a_place_from_becoming_a_store() {
    let folder = tempfile::tempdir().unwrap();
    for key in [
        "README",
        "backups/home.tgz",
        "streams/s/notes",
        "a/streams/s/head",
    ] {
        write(folder.path(), key);
    }
    let made = open_or_create(text(folder.path()), OpenOptions::new()).await;
    append(&made.unwrap()).await;
}

#[tokio::test]
async fn a_lost_marker_is_noticed_among_thousands_of_other_objects() {
    let objects = Scripted::new();
    for number in 0..2_500 {
        let key = Key::from(format!("archive/{number}"));
        objects.put(&key, "x".into()).await.unwrap();
    }
    let open = || open_or_create_with_client(Arc::clone(&objects) as _, "", OpenOptions::new());
    append(&open().await.unwrap()).await;
    objects.delete(&Key::from("esm.json")).await.unwrap();
    is_lost(&open().await.unwrap_err(), "streams/");
}

#[tokio::test]
async fn creating_a_store_lists_once() {
    let objects = Scripted::new();
    let made = open_or_create_with_client(Arc::clone(&objects) as _, "", OpenOptions::new());
    made.await.unwrap();
    let asked = objects.asked();
    let lists = asked.iter().filter(|(op, _)| *op == Op::List).count();
    assert_eq!(lists, 1, "{asked:?}");
    let again = open_or_create_with_client(Arc::clone(&objects) as _, "", OpenOptions::new());
    again.await.unwrap();
    assert_eq!(objects.asked(), [(Op::Get, "esm.json".to_owned())]);
}

#[tokio::test]
async fn a_store_that_others_make_and_fill_meanwhile_has_not_lost_its_marker() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(folder.path()).to_owned();
    let all = (0..16).map(|_| {
        let path = path.clone();
        tokio::spawn(async move {
            let store = open_or_create(&path, OpenOptions::new()).await.unwrap();
            append(&store).await;
            store.id()
        })
    });
    let ids = futures::future::join_all(all).await;
    let first = *ids[0].as_ref().unwrap();
    assert!(ids.into_iter().all(|id| id.unwrap() == first));
}

#[tokio::test]
async fn whatever_bit_of_the_marker_changes_is_noticed_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(folder.path());
    let made = open_or_create(path, OpenOptions::new()).await.unwrap();
    made.renew_id().await.unwrap();
    let store = open(path, OpenOptions::new()).await.unwrap();
    let marker = folder.path().join("esm.json");
    let good = std::fs::read(&marker).unwrap();
    let mut noticed = 0;
    for bit in 0..good.len() * 8 {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&marker, changed).unwrap();
        match open(path, OpenOptions::new().read_only()).await {
            Ok(opened) => {
                assert_eq!(
                    (opened.id(), opened.aliases()),
                    (store.id(), store.aliases())
                );
                assert_eq!(opened.layout(), store.layout());
            }
            Err(error) => {
                assert_eq!(error.kind(), &ErrorKind::Corrupt, "bit {bit}: {error}");
                assert!(error.to_string().contains("esm.json"), "{error}");
                noticed += 1;
            }
        }
    }
    assert!(noticed > good.len() * 6, "{noticed} of {}", good.len() * 8);
}

#[tokio::test]
async fn a_store_with_a_new_id_keeps_its_earlier_ones_as_aliases() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(folder.path());
    let first = open_or_create(path, OpenOptions::new()).await.unwrap();
    let also_open = open(path, OpenOptions::new()).await.unwrap();
    let second = first.renew_id().await.unwrap();
    let refused = also_open.renew_id().await.unwrap_err();
    assert_eq!(refused.kind(), &ErrorKind::Conflict { actual: None });

    let reopened = open(path, OpenOptions::new()).await.unwrap();
    assert_eq!(
        (reopened.id(), reopened.aliases()),
        (second, &[first.id()][..])
    );
    let third = reopened.renew_id().await.unwrap();
    let reopened = open(path, OpenOptions::new()).await.unwrap();
    assert_eq!(reopened.id(), third);
    assert_eq!(reopened.event_store().aliases(), [first.id(), second]);
    let read_only = open(path, OpenOptions::new().read_only()).await.unwrap();
    assert_eq!(
        read_only.renew_id().await.unwrap_err().kind(),
        &ErrorKind::Unsupported
    );
}

#[tokio::test]
async fn a_version_that_knows_no_aliases_refuses_a_store_that_has_some() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(folder.path());
    let has_format = |format: u32| {
        let marker = std::fs::read_to_string(folder.path().join("esm.json")).unwrap();
        marker.contains(&format!("\"format\": {format},"))
    };
    let made = open_or_create(path, OpenOptions::new()).await.unwrap();
    assert!(has_format(1));
    made.renew_id().await.unwrap();
    assert!(has_format(2));
}

#[tokio::test]
async fn an_unmarked_store_is_marked_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(folder.path());
    let unmarked = || esm_objectstore::open_unmarked(path, OpenOptions::new());
    assert_eq!(unmarked().await.unwrap_err().kind(), &ErrorKind::NotFound);
    let made = open_or_create(path, OpenOptions::new()).await.unwrap();
    append(&made).await;
    assert_eq!(
        unmarked().await.unwrap_err().kind(),
        &ErrorKind::AlreadyExists
    );

    std::fs::remove_file(folder.path().join("esm.json")).unwrap();
    let (one, other) = (unmarked().await.unwrap(), unmarked().await.unwrap());
    assert!(
        !one.store().event_store().capabilities().discard,
        "it is for reading"
    );
    one.restore(made.id(), Vec::new()).await.unwrap();
    let another = StoreId::from_uuid(uuid::Uuid::from_u128(1));
    let refused = other.restore(another, Vec::new()).await.unwrap_err();
    assert_eq!(refused.kind(), &ErrorKind::Conflict { actual: None });
    let found = open(path, OpenOptions::new()).await.unwrap();
    assert_eq!(found.id(), made.id());
}

#[cfg(unix)]
#[tokio::test]
async fn one_place_under_two_addresses_is_no_copy_and_a_copy_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("store"), folder.path().join("link"));
    let store = open_or_create(text(&path), OpenOptions::new())
        .await
        .unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let stores = Stores::new(store.event_store());
    for address in [text(&link), &format!("file://{}/", text(&path))] {
        let same = open(address, OpenOptions::new()).await.unwrap();
        stores.ensure_apart(&*same.event_store()).unwrap();
    }
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(path.join("esm.json"), copy.join("esm.json")).unwrap();
    let copy = open(text(&copy), OpenOptions::new()).await.unwrap();
    let error = stores.ensure_apart(&*copy.event_store()).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Invalid);
    for place in ["/store", "/copy"] {
        assert!(error.to_string().contains(place), "{error}");
    }
}
