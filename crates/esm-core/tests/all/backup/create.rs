//! Writing backups and verifying them.

use std::sync::mpsc;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::backup::{BackupOptions, BackupStage};
use esm_core::id::BackupId;
use esm_core::migration::Scope;
use esm_core::store::{Close, Compression, EventStore as _};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use crate::world::{World, event};

#[tokio::test(start_paused = true)]
async fn a_backup_holds_every_object_with_its_document_if_wanted() {
    let f = World::new();
    for (id, count) in [("order/1", 4), ("order/2", 0), ("user/1", 7)] {
        f.numbered(id, count).await;
    }
    let options = BackupOptions::new()
        .include_document()
        .retention(Duration::from_hours(24))
        .tag("why", "audit");
    let manifest = f.backups().create(&Scope::All, options).await.unwrap();
    assert_eq!((manifest.sections, manifest.events), (3, 11));
    assert_eq!(manifest.settings.tags["why"], "audit");
    let until = manifest.created_at + Duration::from_hours(24);
    assert_eq!(manifest.settings.keep_until, Some(until));
    assert_eq!(f.backups().verify(&manifest.id).await.unwrap(), manifest);

    let sections: Vec<_> = f
        .backups()
        .sections(&manifest.id)
        .try_collect()
        .await
        .unwrap();
    let counts: Vec<_> = sections
        .iter()
        .map(|(section, summary)| (section.object.to_string(), summary.events))
        .collect();
    let expected = [("order/1", 4), ("order/2", 0), ("user/1", 7)];
    assert_eq!(counts, expected.map(|(id, count)| (id.to_owned(), count)));
    for (section, _) in sections {
        let document = f.document(&section.object).await;
        assert_eq!(section.document, Some(document));
    }

    let name = Scope::Name("order".try_into().unwrap());
    let orders = f
        .backups()
        .create(&name, BackupOptions::new())
        .await
        .unwrap();
    assert_eq!((orders.sections, orders.events), (2, 4));
    let mut sections = f.backups().sections(&orders.id);
    let (section, _) = sections.try_next().await.unwrap().unwrap();
    assert_eq!(section.document, None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_and_no_backup_is_there() {
    let f = World::new();
    let object = f.numbered("order/1", 1).await;
    let scope = Scope::Objects(vec![object.clone()]);
    let cases = [
        (
            Scope::Objects(vec!["order/9".parse().unwrap()]),
            BackupOptions::new(),
            ErrorKind::NotFound,
        ),
        (
            Scope::Name("nobody".try_into().unwrap()),
            BackupOptions::new(),
            ErrorKind::NotFound,
        ),
        (
            Scope::Objects(vec![object.clone(), object.clone()]),
            BackupOptions::new(),
            ErrorKind::Invalid,
        ),
        (
            scope.clone(),
            BackupOptions::new().compression(Compression::Zstd { level: 99 }),
            ErrorKind::Invalid,
        ),
        (
            scope.clone(),
            BackupOptions::new().retention(Duration::MAX),
            ErrorKind::Invalid,
        ),
    ];
    for (scope, options, kind) in cases {
        let error = f.backups().create(&scope, options).await.unwrap_err();
        assert_eq!(*error.kind(), kind, "{error}");
    }
    assert_eq!(f.backups().list().count().await, 0);

    let id = BackupId::new("mine").unwrap();
    let options = BackupOptions::new().id(id.clone());
    f.backups().create(&scope, options.clone()).await.unwrap();
    let error = f.backups().create(&scope, options).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AlreadyExists);
    f.backups().verify(&id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn deleted_objects_are_left_out_unless_they_are_named() {
    let f = World::new();
    let (kept, deleted) = (
        f.numbered("order/1", 2).await,
        f.numbered("order/2", 2).await,
    );
    let stream = f.document(&deleted).await.active.stream;
    let store = &f.storage.event_store;
    let tail = store.tail(&stream).await.unwrap();
    let close = Close {
        target: None,
        events: tail.next_revision(),
        target_events: esm_core::event::Revision::START,
        migration: f.storage.environment.migration_id(),
        continues: true,
        target_last: None,
    };
    let commit = f.storage.environment.commit_id();
    store.close(&stream, &tail, commit, close).await.unwrap();

    let all = f
        .backups()
        .create(&Scope::All, BackupOptions::new())
        .await
        .unwrap();
    assert_eq!((all.sections, all.first_object), (1, Some(kept)));
    let named = Scope::Objects(vec![deleted]);
    let error = f
        .backups()
        .create(&named, BackupOptions::new())
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Deleted);
}

#[tokio::test(start_paused = true)]
async fn objects_may_come_as_a_stream_and_its_error_ends_it() {
    let f = World::new();
    let object = f.numbered("order/1", 2).await;
    let given = stream::iter([Ok(object)]);
    let backup = f
        .backups()
        .create_of(given, BackupOptions::new())
        .await
        .unwrap();
    assert_eq!(backup.events, 2);
    let broken = stream::iter([Err(esm_core::Error::invalid("line 1"))]);
    let error = f
        .backups()
        .create_of(broken, BackupOptions::new())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "line 1");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_backup_is_named_with_its_section() {
    let f = World::new();
    let (a, b) = (
        f.numbered("order/1", 2).await,
        f.numbered("order/2", 2).await,
    );
    let id = f.back_up(&[&a, &b]).await;
    assert!(f.storage.backups.corrupt(&id));
    let error = f.backups().verify(&id).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Corrupt);
    let message = error.to_string();
    assert!(message.contains(id.as_str()), "{message}");
    assert!(message.contains("section 1 (order/2"), "{message}");
    f.backups().delete(&id).await.unwrap();
    let error = f.backups().delete(&id).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_events_were_deleted_is_not_backed_up() {
    let f = World::new();
    let object = f.numbered("order/1", 6).await;
    let stream = f.document(&object).await.active.stream;
    assert!(f.storage.event_store.bury(&stream, 0));
    let scope = Scope::Objects(vec![object]);
    let error = f
        .backups()
        .create(&scope, BackupOptions::new())
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Gone);
    assert_eq!(f.backups().list().count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn progress_tells_the_first_stage_and_the_end() {
    let f = World::new();
    f.numbered("order/1", 5).await;
    let (sender, told) = mpsc::channel();
    let last = sender.clone();
    let service = f.backups().clone().with_progress(|p| {
        p.every(Duration::ZERO)
            .on_progress(move |p| sender.send((p.stage, p.events, false)).unwrap())
            .on_completed(move |p| last.send((p.stage, p.events, true)).unwrap())
    });
    let created = service.create(&Scope::All, BackupOptions::new()).await;
    assert_eq!(created.unwrap().events, 5);
    drop(service);
    // ends when the thread that calls the callbacks has called the last
    let told: Vec<_> = told.into_iter().collect();
    assert_eq!(told.first(), Some(&(BackupStage::Writing, 0, false)));
    let end = [(BackupStage::Done, 5, false), (BackupStage::Done, 5, true)];
    assert_eq!(told[told.len() - 2..], end);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_stops_and_leaves_no_backup() {
    let f = World::new();
    f.numbered("order/1", 5).await;
    let token = CancellationToken::new();
    token.cancel();
    let service = f.backups().clone().cancel_on(token);
    let error = service
        .create(&Scope::All, BackupOptions::new())
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Cancelled);
    assert_eq!(f.backups().list().count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_stream_at_the_end_of_the_chain_is_backed_up_and_nothing_is_written() {
    // R12: the document is not helped, but the backup has it as it should be
    let f = World::new();
    let object = f.numbered("order/1", 3).await;
    let id = f.back_up(&[&object]).await;
    let restored = f
        .backups()
        .restore(
            &id,
            &object,
            esm_core::backup::RestoreTarget::FreshStream,
            esm_core::backup::RestoreOptions::new(),
        )
        .await
        .unwrap();
    f.append(&object, event("later")).await;
    let document = f.document(&object).await;
    let again = f.back_up(&[&object]).await;
    let (section, summary) = f
        .backups()
        .sections(&again)
        .try_next()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(section.stream, restored.stream);
    assert_eq!(summary.events, 4);
    assert_eq!(f.document(&object).await, document);
    assert_eq!(f.active_events(&object).await.last(), Some(&event("later")));
}
