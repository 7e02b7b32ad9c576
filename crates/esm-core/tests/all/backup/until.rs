//! Restoring the beginning of a stream, up to a point.

use esm_core::ErrorKind;
use esm_core::backup::{RestoreOptions, RestoreTarget, RestoreUntil};
use esm_core::event::{Event, Revision};
use esm_core::id::ObjectId;

use crate::world::{World, event};

fn revision(last: u64) -> RestoreOptions {
    RestoreOptions::new().until(RestoreUntil::Revision(Revision(last)))
}

fn time(text: &str) -> RestoreOptions {
    RestoreOptions::new().until(RestoreUntil::Time(text.parse().unwrap()))
}

/// Events of these days.
fn of_days(id: &str, days: &[u32]) -> Vec<Event> {
    let days = days.iter().map(|day| Event {
        time: Some(format!("2026-01-{day:02}T12:00:00Z")),
        ..event(format!("{id}/{day}"))
    });
    days.collect()
}

#[tokio::test(start_paused = true)]
async fn each_point_is_a_restore_of_its_own_and_no_event_is_lost() {
    // R19, I9
    let f = World::new();
    let object = f.numbered("order/1", 9).await;
    let all = f.active_events(&object).await;
    let source = f.document(&object).await.active;
    let id = f.back_up(&[&object]).await;
    f.append(&object, event("later")).await;
    let restore = async |options: RestoreOptions| {
        let backups = f.backups();
        let target = RestoreTarget::FreshStream;
        backups
            .restore(&id, &object, target, options)
            .await
            .unwrap()
    };
    let restored = restore(revision(3)).await;
    let replaced = restored.replaced.unwrap();
    assert_eq!((restored.events, replaced.left_behind), (4, Some(6)));
    assert_eq!(f.active_events(&object).await, all[..4]);
    assert_eq!(f.storage.events(&source.stream).len(), 10);

    f.append(&object, event("since")).await;
    let repeated = restore(revision(3)).await;
    assert!(repeated.already);
    assert_eq!(f.active_events(&object).await.len(), 5, "nothing is undone");

    for (options, count) in [
        (revision(8), 9),
        (revision(0), 1),
        (RestoreOptions::new(), 9),
    ] {
        let restored = restore(options).await;
        assert_eq!((restored.already, restored.events), (false, count));
        assert_eq!(f.active_events(&object).await, all[..count as usize]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_point_that_is_not_there_is_refused_before_anything_is_written() {
    let f = World::new();
    let object = f.numbered("order/1", 4).await;
    let id = f.back_up(&[&object]).await;
    let before = f.storage.event_store.stream_ids();
    let copy = RestoreTarget::NewObject("copy/1".parse().unwrap());
    for (options, kind) in [
        (revision(4), ErrorKind::NotFound),
        // these events have no time
        (time("2026-01-01T00:00:00Z"), ErrorKind::Invalid),
    ] {
        for target in [copy.clone(), RestoreTarget::FreshStream] {
            let refused = f.backups().restore(&id, &object, target, options).await;
            let refused = refused.unwrap_err();
            assert_eq!(*refused.kind(), kind, "{refused}");
            assert!(refused.to_string().contains("order/1"), "{refused}");
        }
    }
    assert_eq!(f.storage.event_store.stream_ids(), before);
    assert!(
        f.storage
            .close_of(&f.document(&object).await.active.stream)
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn objects_without_an_event_until_then_are_named_and_not_made() {
    let old = World::new();
    let mut objects = Vec::new();
    for (id, days) in [
        ("order/1", &[1, 3][..]),
        ("order/2", &[3]),
        ("user/1", &[2, 2, 5]),
    ] {
        objects.push(old.object_of(id, of_days(id, days), 2).await);
    }
    let id = old.back_up(&objects.iter().collect::<Vec<_>>()).await;
    let fresh = World::new();
    let mut world = fresh.storage.clone();
    world.backups = old.storage.backups.clone();
    let backups = world.backup_service();
    let same = |section: &esm_core::store::BackupSection| {
        Some(RestoreTarget::NewObject(section.object.clone()))
    };
    let then = time("2026-01-02T23:00:00Z");
    let refused = backups.restore_each(&id, same, then).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::NotFound);
    assert!(refused.to_string().contains("order/2"), "{refused}");
    assert!(fresh.storage.event_store.stream_ids().is_empty());

    for already in [0, 2] {
        let all = backups
            .restore_each(&id, same, then.keep_going())
            .await
            .unwrap();
        assert_eq!((all.objects, all.already, all.events), (2, already, 3));
        let failed: Vec<&ObjectId> = all.failures.iter().map(|f| &f.object).collect();
        assert_eq!(failed, [&objects[1]]);
    }
    assert_eq!(fresh.active_events(&objects[0]).await.len(), 1);
    assert_eq!(fresh.active_events(&objects[2]).await.len(), 2);
    let documents = esm_core::object::Documents::new(fresh.storage.records());
    assert!(documents.find(&objects[1]).await.unwrap().is_none());
}
