//! Restoring into a fresh stream of the same object.

use esm_core::backup::{RestoreOptions, RestoreTarget, Restored};
use esm_core::event::{Event, Position, Revision, Schema, SchemaVersion};
use esm_core::id::{BackupId, Fingerprint, ObjectId};
use esm_core::object::TerminationReason;
use esm_core::router::{ExpectedRevision, ObjectReader, ReadPosition, Translation};
use esm_core::store::CellKind;
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_core::{ErrorKind, Result};
use futures::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::world::{World, event};

async fn restore(f: &World, id: &BackupId, object: &ObjectId) -> Result<Restored> {
    let options = RestoreOptions::new().cells(2, 1 << 20);
    f.backups()
        .restore(id, object, RestoreTarget::FreshStream, options)
        .await
}

#[tokio::test(start_paused = true)]
async fn the_backup_takes_the_place_of_the_active_stream() {
    // R19, I9
    let f = World::new();
    let object = f.numbered("order/1", 5).await;
    let backed_up = f.active_events(&object).await;
    let source = f.document(&object).await.active;
    let id = f.back_up(&[&object]).await;
    for id in ["x", "y"] {
        f.append(&object, event(id)).await;
    }
    let restored = restore(&f, &id, &object).await.unwrap();
    assert_eq!((restored.events, restored.already), (5, false));
    let replaced = restored.replaced.unwrap();
    assert_eq!((&replaced.stream, replaced.events), (&source, 7));
    assert_eq!(replaced.left_behind, Some(2));
    assert_eq!(replaced.appended_meanwhile, Some(0));

    assert_eq!(f.active_events(&object).await, backed_up);
    assert_eq!(f.storage.events(&source.stream).len(), 7, "nothing is lost");
    let document = f.document(&object).await;
    assert_eq!(document.active, restored.stream);
    let entry = document.terminated(&source).unwrap();
    assert_eq!(entry.reason, TerminationReason::Restored);
    let fingerprint = entry.fingerprint.as_ref().unwrap().to_string();
    assert_eq!(fingerprint, format!("restore:{id}"));

    let close = f.storage.close_of(&source.stream).unwrap();
    assert!(!close.continues);
    assert_eq!(
        (close.events, close.target_events),
        (Revision(7), Revision(5))
    );
    for header in f.headers(&restored.stream.stream) {
        assert_eq!(header.cursor(), Some(header.next_revision()), "R1");
    }
    let cells = f.storage.event_store.snapshot(&restored.stream.stream);
    let counts: Vec<_> = cells.iter().map(|cell| cell.header.count).collect();
    assert_eq!(counts, [2, 2, 1]);
    let mut copied = cells.iter().flat_map(|cell| &cell.events);
    assert!(copied.all(|event| event.source_revision.is_none()), "R19");
    let CellKind::Data {
        origin: Some(origin),
        ..
    } = &f.headers(&restored.stream.stream)[0].kind
    else {
        panic!("the first cell has no origin")
    };
    assert_eq!((&origin.source, origin.attempt), (&source, 0), "R2, R13");
}

#[tokio::test(start_paused = true)]
async fn an_empty_section_is_restored_too() {
    let f = World::new();
    let object = f.numbered("order/1", 0).await;
    let id = f.back_up(&[&object]).await;
    f.append(&object, event("x")).await;
    let restored = restore(&f, &id, &object).await.unwrap();
    assert_eq!(restored.events, 0);
    assert!(f.active_events(&object).await.is_empty());
    f.append(&object, event("y")).await;
    assert_eq!(f.active_events(&object).await, [event("y")]);
}

#[tokio::test(start_paused = true)]
async fn positions_never_carry_over_and_writers_go_on_in_the_restored_stream() {
    // R8, R9, R19
    let f = World::new();
    let object = f.numbered("order/1", 3).await;
    let client = f.storage.client();
    let before = client.load(&object).await.unwrap().position();
    let id = f.back_up(&[&object]).await;
    let restored = restore(&f, &id, &object).await.unwrap();

    let stale = ExpectedRevision::At(before.clone());
    let error = client.append(&object, stale, vec![event("x")]).await;
    assert!(matches!(
        error.unwrap_err().kind(),
        ErrorKind::Conflict { .. }
    ));
    let reader = ObjectReader::new(f.storage.records(), f.storage.event_store());
    let lies = reader.translate(&object, &before).await.unwrap();
    assert!(matches!(lies, Translation::Replaced(_)), "{lies:?}");
    let read: Result<Vec<_>> = reader
        .read(&object, ReadPosition::At(before))
        .try_collect()
        .await;
    assert!(matches!(read.unwrap_err().kind(), ErrorKind::Closed(_)));

    let appended = client
        .append(&object, ExpectedRevision::Any, vec![event("y")])
        .await
        .unwrap();
    let expected = Position {
        stream: restored.stream.stream,
        revision: Revision(3),
    };
    assert_eq!(appended.first, expected);
}

#[tokio::test(start_paused = true)]
async fn doing_it_again_is_done_unless_it_is_asked_for() {
    let f = World::new();
    let object = f.numbered("order/1", 3).await;
    let backed_up = f.active_events(&object).await;
    let id = f.back_up(&[&object]).await;
    let first = restore(&f, &id, &object).await.unwrap();
    f.append(&object, event("bad")).await;
    let document = f.document(&object).await;
    let repeated = restore(&f, &id, &object).await.unwrap();
    assert!(repeated.already);
    assert_eq!(
        (repeated.stream, repeated.events),
        (first.stream.clone(), 3)
    );
    assert_eq!(f.document(&object).await, document);

    let again = RestoreOptions::new().again();
    let target = RestoreTarget::FreshStream;
    let second = f
        .backups()
        .restore(&id, &object, target, again)
        .await
        .unwrap();
    assert_ne!(second.stream, first.stream);
    let replaced = second.replaced.unwrap();
    assert_eq!((replaced.stream, replaced.events), (first.stream, 4));
    assert_eq!(
        replaced.left_behind, None,
        "the backup is of another stream"
    );
    assert_eq!(f.active_events(&object).await, backed_up);
    assert_eq!(f.document(&object).await.terminated.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_refused_before_anything_is_written() {
    let f = World::new();
    let (object, other) = (
        f.numbered("order/1", 3).await,
        f.numbered("order/2", 3).await,
    );
    let id = f.back_up(&[&object]).await;
    let before = f.storage.event_store.stream_ids();
    let missing = "backup-of-nothing".try_into().unwrap();
    let cases = [(&missing, &object), (&id, &other)];
    for (id, object) in cases {
        let error = restore(&f, id, object).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::NotFound, "{error}");
    }
    assert!(f.storage.backups.corrupt(&id));
    let error = restore(&f, &id, &object).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("section 0 (order/1"), "{error}");
    assert_eq!(f.storage.event_store.stream_ids(), before);

    // an object that only the backup knows
    let elsewhere = World::new();
    let object = elsewhere.numbered("order/3", 3).await;
    let id = elsewhere.back_up(&[&object]).await;
    let mut world = f.storage.clone();
    world.backups = elsewhere.storage.backups.clone();
    let service = world.backup_service();
    let (target, options) = (RestoreTarget::FreshStream, RestoreOptions::new());
    let error = service.restore(&id, &object, target, options).await;
    let error = error.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("new object"));
}

/// Raises every event to schema version 2.
#[derive(Debug)]
struct Raise;

impl EventTransformer for Raise {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new("raise@1").unwrap()
    }

    fn handles(&self, schema: &Schema) -> bool {
        schema.version == SchemaVersion(1)
    }

    fn transform(
        &self,
        event: &Event,
        _: &TransformContext<'_>,
    ) -> std::result::Result<Transformed, TransformError> {
        let mut new = event.clone();
        new.schema_version = SchemaVersion(2);
        Ok(Transformed::Events(vec![new]))
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_migration_retired_stays_retired_and_what_it_did_not_see_does_not() {
    // R11
    let f = World::new();
    let object = f.numbered("order/1", 3).await;
    let before = f.back_up(&[&object]).await;
    let migrations = f.storage.migration_service();
    let migrate = || {
        migrations
            .migrate(object.clone())
            .transform(Raise)
            .execute()
    };
    assert!(migrate().await.unwrap().is_success());
    let after = f.back_up(&[&object]).await;
    f.append_refused(&object, "old").await;

    restore(&f, &after, &object).await.unwrap();
    f.append_refused(&object, "old").await;
    let raised = f.active_events(&object).await;
    assert!(raised.iter().all(|e| e.schema_version == SchemaVersion(2)));

    // the old schema is back
    restore(&f, &before, &object).await.unwrap();
    f.append(&object, event("old")).await;
    assert!(!migrate().await.unwrap().was_up_to_date());
    assert_eq!(f.active_events(&object).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_stream_is_replaced_by_its_backup() {
    let f = World::new();
    let object = f.numbered("order/1", 6).await;
    let backed_up = f.active_events(&object).await;
    let id = f.back_up(&[&object]).await;
    let source = f.document(&object).await.active;
    for seq in 0..2 {
        assert!(f.storage.event_store.bury(&source.stream, seq));
    }
    restore(&f, &id, &object).await.unwrap();
    assert_eq!(f.active_events(&object).await, backed_up);
}

#[tokio::test(start_paused = true)]
async fn a_migration_goes_over_a_restored_stream() {
    let f = World::new();
    let object = f.numbered("order/1", 3).await;
    let migrations = f.storage.migration_service();
    migrations.migrate(object.clone()).execute().await.unwrap();
    let id = f.back_up(&[&object]).await;
    restore(&f, &id, &object).await.unwrap();
    let result = migrations.migrate(object.clone()).execute().await.unwrap();
    assert!(
        result.is_success() && !result.was_up_to_date(),
        "{result:?}"
    );
    assert_eq!(f.document(&object).await.terminated.len(), 3);
    assert_eq!(f.active_events(&object).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_restore_is_gone_on_with_or_abandoned() {
    // R17
    let f = World::new();
    let object = f.numbered("order/1", 2000).await;
    let id = f.back_up(&[&object]).await;
    let token = CancellationToken::new();
    let stop = token.clone();
    let service = f.backups().clone().cancel_on(token).with_progress(|p| {
        p.every(std::time::Duration::ZERO).on_progress(move |p| {
            if p.stage == esm_core::backup::BackupStage::Restoring && p.events > 0 {
                stop.cancel();
            }
        })
    });
    let (target, options) = (RestoreTarget::FreshStream, RestoreOptions::new());
    let stopped = service.restore(&id, &object, target.clone(), options).await;
    // the callback runs on its own thread, so the restore may have ended before it
    if let Err(error) = stopped {
        assert_eq!(*error.kind(), ErrorKind::Cancelled);
        let abandoned = f
            .backups()
            .abandon_restore(&id, &object, target.clone(), options)
            .await;
        abandoned.unwrap();
        assert_eq!(f.storage.event_store.stream_ids().len(), 1);
        let source = f.document(&object).await.active;
        let last = f.headers(&source.stream).pop().unwrap();
        assert!(matches!(last.kind, CellKind::Fence(_)));
    }
    restore(&f, &id, &object).await.unwrap();
    let error = f
        .backups()
        .abandon_restore(&id, &object, target, options)
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(f.active_events(&object).await.len(), 2000);
}
