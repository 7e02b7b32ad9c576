//! Restoring as a new object.

use esm_core::ErrorKind;
use esm_core::backup::{BackupOptions, RestoreOptions, RestoreTarget};
use esm_core::event::Revision;
use esm_core::id::{ObjectId, StreamId, StreamRef};
use esm_core::object::TerminationReason;
use esm_core::store::EventStore as _;
use futures::stream;
use serde_json::json;

use crate::world::{World, event};

fn new(id: &str) -> (ObjectId, RestoreTarget) {
    let object: ObjectId = id.parse().unwrap();
    (object.clone(), RestoreTarget::NewObject(object))
}

#[tokio::test(start_paused = true)]
async fn a_new_object_has_the_events_and_the_users_fields() {
    // R19, I9
    let f = World::new();
    let object = f.numbered("order/1", 5).await;
    let extra = ("owner".to_owned(), json!({"team": 7}));
    let documents = esm_core::object::Documents::new(f.storage.records());
    documents
        .update(&object, |d| {
            d.extra.insert(extra.0.clone(), extra.1.clone()).is_none()
        })
        .await
        .unwrap();
    let id = f.back_up(&[&object]).await;
    f.append(&object, event("x")).await;

    let (copy, target) = new("order/1-restored");
    let options = RestoreOptions::new().cells(2, 1 << 20);
    let restored = f
        .backups()
        .restore(&id, &object, target.clone(), options)
        .await
        .unwrap();
    assert_eq!((restored.events, restored.replaced), (5, None));
    let backed_up = &f.active_events(&object).await[..5];
    assert_eq!(f.active_events(&copy).await, backed_up);
    let document = f.document(&copy).await;
    assert_eq!(document.extra["owner"], extra.1);
    let first = StreamRef::new(f.storage.event_store.id(), StreamId::first(&copy));
    let entry = document.terminated(&first).unwrap();
    assert_eq!(
        (entry.events, entry.reason),
        (Revision(0), TerminationReason::Restored)
    );
    assert_eq!(
        f.active_events(&object).await.len(),
        6,
        "the original continues"
    );

    f.append(&copy, event("y")).await;
    let repeated = f
        .backups()
        .restore(&id, &object, target, options)
        .await
        .unwrap();
    assert!(repeated.already);
    assert_eq!(f.active_events(&copy).await.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_existing_object_or_stream_is_refused() {
    let f = World::new();
    let (object, other) = (
        f.numbered("order/1", 3).await,
        f.numbered("order/2", 3).await,
    );
    let id = f.back_up(&[&object]).await;
    let orphan: ObjectId = "order/3".parse().unwrap();
    let stream = StreamId::first(&orphan);
    let appended = f.storage.append_cell(&stream, vec![event("orphan")]);
    appended.await.unwrap();
    let before = f.storage.event_store.stream_ids();
    for taken in [&object, &other, &orphan] {
        let target = RestoreTarget::NewObject(taken.clone());
        let options = RestoreOptions::new();
        let error = f.backups().restore(&id, &object, target, options).await;
        let error = error.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::AlreadyExists, "{error}");
        assert!(error.hint().is_some());
    }
    assert_eq!(f.storage.event_store.stream_ids(), before);
    assert_eq!(f.active_events(&other).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn all_objects_are_restored_into_a_new_store_under_their_names() {
    let old = World::new();
    let mut objects = Vec::new();
    for (id, count) in [("order/1", 4), ("order/2", 0), ("user/1", 700)] {
        objects.push(old.numbered(id, count).await);
    }
    let id = old.back_up(&objects.iter().collect::<Vec<_>>()).await;
    let fresh = World::new();
    let mut world = fresh.storage.clone();
    world.backups = old.storage.backups.clone();
    let backups = world.backup_service();
    let options = RestoreOptions::new();
    let same = |section: &esm_core::store::BackupSection| {
        Some(RestoreTarget::NewObject(section.object.clone()))
    };
    let all = backups.restore_each(&id, same, options).await.unwrap();
    assert_eq!((all.objects, all.already, all.events), (3, 0, 704));
    for object in &objects {
        assert_eq!(
            fresh.active_events(object).await,
            old.active_events(object).await
        );
    }
    let all = backups.restore_each(&id, same, options).await.unwrap();
    assert_eq!((all.objects, all.already, all.events), (3, 3, 704));

    let orders = |section: &esm_core::store::BackupSection| {
        let copy = format!("copy/{}", section.object.key()).parse().ok()?;
        (section.object.name().as_str() == "order").then_some(RestoreTarget::NewObject(copy))
    };
    let some = backups.restore_each(&id, orders, options).await.unwrap();
    assert_eq!((some.objects, some.events), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_holds_two_streams_of_an_object_wants_one_to_be_chosen() {
    let f = World::new();
    let object = f.numbered("order/1", 3).await;
    let first = f.document(&object).await.active;
    let given = stream::iter([Ok(object.clone()), Ok(object.clone())]);
    let id = f
        .backups()
        .create_of(given, BackupOptions::new())
        .await
        .unwrap()
        .id;
    let (_, target) = new("copy/1");
    let options = RestoreOptions::new();
    let error = f
        .backups()
        .restore(&id, &object, target.clone(), options)
        .await;
    let error = error.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("2 streams"), "{error}");
    assert_eq!(f.storage.event_store.stream_ids(), [first.stream]);
}
