//! Backups by hand and restores on a real storage.

use std::sync::Arc;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::backup::{
    BackupOptions, BackupService, PrunePolicy, PruneReason, RestoreOptions, RestoreTarget,
};
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::migration::Scope;
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_core::store::BackupManifest;
use esm_objectstore::{OpenOptions, Store};
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;

use crate::places::{Directory, Memory, Place};

async fn events(client: &ObjectClient, object: &ObjectId) -> Vec<Event> {
    let read = client.read(object, ReadPosition::Start);
    read.map_ok(|recorded| recorded.event)
        .try_collect()
        .await
        .unwrap()
}

fn event(id: &str) -> Event {
    Event {
        payload: [0xff, 0x00, b'\n'].as_slice().into(),
        content_type: Some("application/octet-stream".to_owned()),
        ..esm_testkit::event(id, "Happened")
    }
}

async fn restores_to_the_same_bytes(store: Store) {
    // I9, R19
    let environment = Environment::system();
    let client = ObjectClient::new(store.records(), store.event_store(), environment);
    let object: ObjectId = "order/日本 7".parse().unwrap();
    for cell in 0..3 {
        let cell = (0..700).map(|i| event(&format!("{cell}-{i}"))).collect();
        let appended = client.append(&object, ExpectedRevision::Any, cell);
        appended.await.unwrap();
    }
    let backed_up = events(&client, &object).await;
    let backups = BackupService::new(store.event_store(), store.records(), store.backups());
    let options = BackupOptions::new().include_document();
    let backup = backups.create(&Scope::All, options).await.unwrap();
    assert_eq!(backup.events, 2100);
    let late = vec![event("late")];
    client
        .append(&object, ExpectedRevision::Any, late)
        .await
        .unwrap();

    let copy: ObjectId = "copy/7".parse().unwrap();
    for target in [
        RestoreTarget::NewObject(copy.clone()),
        RestoreTarget::FreshStream,
    ] {
        for already in [false, true] {
            let options = RestoreOptions::new();
            let restored = backups
                .restore(&backup.id, &object, target.clone(), options)
                .await;
            let restored = restored.unwrap();
            assert_eq!((restored.events, restored.already), (2100, already));
        }
    }
    for object in [&object, &copy] {
        assert_eq!(events(&client, object).await, backed_up);
    }

    let now = backup.created_at + std::time::Duration::from_hours(1);
    let policy = PrunePolicy::new().older_than(std::time::Duration::from_secs(60));
    let pruned = backups.prune(now, &policy).await.unwrap();
    assert_eq!(pruned.removed.len(), 1);
    assert!(backups.verify(&backup.id).await.is_err());
}

#[tokio::test]
async fn a_backup_restores_to_the_same_bytes_in_memory() {
    let store = Memory::new().store(OpenOptions::default()).await;
    restores_to_the_same_bytes(store).await;
}

#[tokio::test]
async fn a_backup_restores_to_the_same_bytes_in_a_directory() {
    let place = Arc::new(Directory::new());
    restores_to_the_same_bytes(place.store(OpenOptions::default()).await).await;
}

/// A store with one event, and its backups.
async fn with_an_order(memory: &Memory) -> (Store, BackupService) {
    let store = memory.store(OpenOptions::default()).await;
    let environment = Environment::system();
    let client = ObjectClient::new(store.records(), store.event_store(), environment);
    let object: ObjectId = "order/7".parse().unwrap();
    let appended = client.append(&object, ExpectedRevision::Any, vec![event("1")]);
    appended.await.unwrap();
    let backups = BackupService::new(store.event_store(), store.records(), store.backups());
    (store, backups)
}

/// What is left where a backup was deleted by its name while it was written, and its writer was killed
/// right after the manifest. A backup that lost one of its files is damaged, and stays.
#[tokio::test]
async fn a_backup_without_files_is_pruned_whatever_the_policy_says() {
    let memory = Memory::new();
    let (_store, backups) = with_an_order(&memory).await;
    let (whole, damaged, empty) = (
        backups
            .create(&Scope::All, BackupOptions::new())
            .await
            .unwrap(),
        backups
            .create(&Scope::All, BackupOptions::new())
            .await
            .unwrap(),
        backups
            .create(&Scope::All, BackupOptions::new())
            .await
            .unwrap(),
    );
    let (objects, root) = memory.objects();
    let all: Vec<_> = objects.list(Some(&root)).try_collect().await.unwrap();
    for object in all {
        let name = object.location.as_ref();
        // the rest of its id is encoded
        let of = |backup: &BackupManifest| {
            let (_, nonce) = backup.id.as_str().rsplit_once('-').unwrap();
            name.contains(&format!("-{nonce}/"))
        };
        let is_file = name.ends_with(".zst");
        let is_lost = of(&empty) || of(&damaged) && name.contains("sections");
        if is_file && is_lost {
            objects.delete(&object.location).await.unwrap();
        }
    }
    for dry_run in [true, false] {
        let policy = if dry_run {
            PrunePolicy::new().dry_run()
        } else {
            PrunePolicy::new()
        };
        let pruned = backups.prune(whole.created_at, &policy).await.unwrap();
        let removed: Vec<_> = pruned
            .removed
            .iter()
            .map(|one| (&one.manifest.id, one.reason))
            .collect();
        assert_eq!(removed, [(&empty.id, PruneReason::NoFiles)]);
        assert_eq!(pruned.kept.len(), 2);
    }
    let listed: Vec<_> = backups
        .list()
        .map_ok(|one| one.id)
        .try_collect()
        .await
        .unwrap();
    assert!(
        listed.len() == 2 && !listed.contains(&empty.id),
        "{listed:?}"
    );
    assert!(backups.verify(&damaged.id).await.is_err());
}

/// What a backup of a newer format needs is not known: none is removed beside it.
#[tokio::test]
async fn nothing_is_pruned_beside_a_backup_of_a_newer_format() {
    let memory = Memory::new();
    let (_store, backups) = with_an_order(&memory).await;
    let mut made = Vec::new();
    for _ in 0..2 {
        let options = BackupOptions::new().retention(Duration::from_secs(60));
        made.push(backups.create(&Scope::All, options).await.unwrap());
    }
    let (old, newer) = (&made[0], &made[1]);
    let now = newer.created_at + Duration::from_secs(3600);
    let (objects, root) = memory.objects();
    let all: Vec<_> = objects.list(Some(&root)).try_collect().await.unwrap();
    // the rest of its id is encoded
    let (_, nonce) = newer.id.as_str().rsplit_once('-').unwrap();
    let is_its = |name: &str| name.ends_with(&format!("-{nonce}/manifest.json"));
    let manifest = all.iter().find(|one| is_its(one.location.as_ref()));
    let manifest = &manifest.unwrap().location;
    let bytes = objects.get(manifest).await.unwrap().bytes().await.unwrap();

    let unknown = br#"{"format":2}"#.as_slice();
    objects.put(manifest, unknown.into()).await.unwrap();
    for policy in [PrunePolicy::new().dry_run(), PrunePolicy::new()] {
        let refused = backups.prune(now, &policy).await.unwrap_err();
        assert_eq!(refused.kind(), &ErrorKind::Unsupported, "{refused}");
        let names_it = refused.to_string().contains("newer format 2");
        assert!(names_it, "{refused}");
    }
    backups.verify(&old.id).await.unwrap();

    // what is merely damaged keeps nothing but itself
    objects.put(manifest, b"{".as_slice().into()).await.unwrap();
    let pruned = backups.prune(now, &PrunePolicy::new()).await.unwrap();
    assert_eq!((pruned.removed.len(), pruned.damaged.len()), (1, 1));
    objects.put(manifest, bytes.into()).await.unwrap();
    backups.verify(&newer.id).await.unwrap();
}

/// Files may be put back at any time: a removal of the manifest leaves them, and with the manifest the
/// backup is whole again.
#[tokio::test]
async fn a_manifest_is_removed_without_its_files() {
    let memory = Memory::new();
    let (store, backups) = with_an_order(&memory).await;
    let backup = backups.create(&Scope::All, BackupOptions::new());
    let backup = backup.await.unwrap();
    let (objects, root) = memory.objects();
    let all: Vec<_> = objects.list(Some(&root)).try_collect().await.unwrap();
    let is_manifest = |name: &str| name.contains("backups/") && name.ends_with("manifest.json");
    let manifest = all.iter().find(|one| is_manifest(one.location.as_ref()));
    let manifest = manifest.unwrap().location.clone();
    let bytes = objects.get(&manifest).await.unwrap().bytes().await.unwrap();

    let another = BackupManifest {
        events: 7,
        ..backup.clone()
    };
    let provider = store.backups();
    assert!(!provider.delete_manifest(&another).await.unwrap());
    assert!(provider.delete_manifest(&backup).await.unwrap());
    assert!(backups.verify(&backup.id).await.is_err());
    assert!(!provider.delete_manifest(&backup).await.unwrap());
    objects.put(&manifest, bytes.into()).await.unwrap();
    backups.verify(&backup.id).await.unwrap();
}
