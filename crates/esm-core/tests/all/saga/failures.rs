//! What fails, stops, is refused by a check or undone; and what is left to do then.

use std::sync::atomic::{AtomicUsize, Ordering};

use esm_core::backup::BackupOptions;
use esm_core::event::{Event, Schema, SchemaVersion};
use esm_core::id::Fingerprint;
use esm_core::migration::BookClosingOptions;
use esm_core::migration::{MigrationStatus, OnFailure};
use esm_core::store::CellKind;
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan};
use tokio_util::sync::CancellationToken;

use crate::world::{World, orders, rules};

#[tokio::test(start_paused = true)]
async fn a_failing_event_stops_before_anything_is_cut_over_and_is_rolled_back_on_wish() {
    let world = World::with_order(&["Keep", "Old", "Bad", "Keep", "Bad"]).await;
    let object = &world.order;
    let before = world.document(object).await;
    let result = world
        .migrate(object)
        .transform(rules())
        .fail_fast(false)
        .with_rollback()
        .execute()
        .await
        .unwrap();
    assert_eq!(result.status, MigrationStatus::RolledBack);
    assert!(!result.is_success());
    let error = result.error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::TransformFailed);
    assert!(error.to_string().contains("rules: 2"), "{error}");
    assert_eq!(world.document(object).await, before, "I7");
    let cells = world.storage.event_store.snapshot(&before.active.stream);
    assert!(
        matches!(cells.last().unwrap().header.kind, CellKind::Fence(_)),
        "R17"
    );
    assert_eq!(
        world.storage.event_store.stream_ids().len(),
        1,
        "the target was discarded"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_migration_is_refused_a_second_time_until_it_is_rolled_back() {
    let world = World::with_order(&["Keep", "Bad"]).await;
    let object = &world.order;
    let failed = world
        .migrate(object)
        .transform(rules())
        .execute()
        .await
        .unwrap();
    assert_eq!(failed.status, MigrationStatus::Failed);
    let refused = world.migrate(object).execute().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::AlreadyExists);
    assert!(
        refused
            .hint()
            .unwrap()
            .contains(&failed.migration.to_string())
    );

    let undone = world
        .service
        .roll_back(failed.migration)
        .reason("mend it")
        .execute()
        .await
        .unwrap();
    assert_eq!(undone.status, MigrationStatus::RolledBack, "{undone:?}");
    let state = world.service.status(failed.migration).await.unwrap();
    assert_eq!(state.status, MigrationStatus::RolledBack);
    let ended = world
        .service
        .resume(failed.migration)
        .execute()
        .await
        .unwrap_err();
    assert_eq!(*ended.kind(), ErrorKind::AlreadyExists);
    let again = world.migrate(object).execute().await.unwrap();
    assert!(again.is_success());
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_nothing_more_is_begun() {
    let types = |n| if n == 3 { ["Bad"] } else { ["Old"] };
    let world = World::new();
    for n in 1..=6 {
        world.object(&format!("order/{n}"), &types(n)).await;
    }
    let migration = world
        .service
        .migrate_named(orders())
        .batch(2)
        .concurrency(1);
    let failed = migration.transform(rules()).execute().await.unwrap();
    assert_eq!(failed.status, MigrationStatus::Failed);
    let numbers = (failed.statistics.migrated, failed.statistics.failed);
    assert_eq!(numbers, (2, 1));
    for n in 3..=6 {
        let object = format!("order/{n}");
        assert!(
            world.document(object.as_str()).await.terminated.is_empty(),
            "{n}"
        );
    }
}

/// A migration whose rest cannot be migrated can be rolled back, and another begun.
#[tokio::test(start_paused = true)]
async fn a_migration_with_an_object_that_always_fails_can_end() {
    let world = World::with(&[("order/1", &["Bad"]), ("order/2", &["Old"])]).await;
    let holder = world.unlocked(&FaultPlan::new().actor("first"));
    let all = || holder.migrate_named(orders()).batch(1).transform(rules());
    let failed = all()
        .on_failure(OnFailure::Continue)
        .execute()
        .await
        .unwrap();
    assert_eq!(
        (failed.statistics.migrated, failed.statistics.failed),
        (1, 1)
    );
    let undone = holder.roll_back(failed.migration).execute().await;
    assert_eq!(undone.unwrap().status, MigrationStatus::RolledBack);
    assert!(!all().execute().await.unwrap().is_success());
}

/// Whatever fails once while others continue, in the end all books are closed.
#[tokio::test(start_paused = true)]
async fn no_books_stay_open_when_something_failed_after_a_pivot() {
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        for at in 0.. {
            let world = World::with(&[("order/1", &["Old"]), ("order/2", &["Keep"])]).await;
            let plan = FaultPlan::new().with(At::Operation(at), fault.clone());
            let first = world.unlocked(&plan.actor("first"));
            let migration = first
                .migrate_named(orders())
                .batch(1)
                .concurrency(1)
                .on_failure(OnFailure::Continue)
                .close_books(BookClosingOptions::new().archive(BackupOptions::new()));
            let _ = migration.transform(rules()).execute().await;
            if at >= plan.log().operations().len() as u64 {
                assert!(at > 20);
                break;
            }
            let Some(migration) = world.migration().await else {
                continue;
            };
            for _ in 0..3 {
                if !world.status(migration).await.is_terminal() {
                    let next = world.unlocked(&FaultPlan::new().actor("next"));
                    let _ = next.resume(migration).transform(rules()).execute().await;
                }
            }
            let context = format!("{fault:?} at {at}");
            let status = world.status(migration).await;
            assert_eq!(status, MigrationStatus::Completed, "{context}");
            for object in ["order/1", "order/2"] {
                let document = world.document(object).await;
                let [entry] = document.terminated.as_slice() else {
                    panic!("{context}: {document:?}")
                };
                assert!(entry.books_closed_at.is_some(), "{context}: {entry:?}");
                assert!(entry.archive.is_some(), "{context}: {entry:?}");
                assert!(entry.fingerprint.is_some(), "{context}: {entry:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_stops_at_a_safe_point_on_request_and_is_resumed() {
    let world = World::with_order(&["A"]).await;
    let object = &world.order;
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    let stopped = world
        .migrate(object)
        .check_with("stops when asked", move |_| {
            token.cancel();
            async { Ok(()) }
        })
        .cancel_on(cancel)
        .execute()
        .await
        .unwrap();
    assert_eq!(stopped.status, MigrationStatus::Paused);
    assert!(world.document(object).await.terminated.is_empty());
    let resumed = world
        .service
        .resume(stopped.migration)
        .execute()
        .await
        .unwrap();
    assert!(resumed.is_success(), "{resumed:?}");
    assert_eq!(world.document(object).await.terminated.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_custom_check_reads_both_streams_and_can_refuse() {
    use futures::TryStreamExt as _;
    let world = World::with_order(&["Old", "Noise", "Keep"]).await;
    let object = &world.order;
    let result = world
        .migrate(object)
        .transform(rules())
        .check_with("as many as before", |streams| async move {
            let count = |s: futures::stream::BoxStream<'static, Result<Event>>| s.try_collect();
            let old: Vec<Event> = count(streams.source_events())
                .await
                .map_err(|e| e.to_string())?;
            let new: Vec<Event> = count(streams.target_events())
                .await
                .map_err(|e| e.to_string())?;
            Err(format!("{} became {}", old.len(), new.len()))
        })
        .execute()
        .await
        .unwrap();
    let error = result.error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::VerificationFailed);
    assert!(error.to_string().contains("3 became 2"), "{error}");
    assert!(world.document(object).await.terminated.is_empty());
}

/// Also where there is nothing to compare, and where an earlier run has compared everything.
#[tokio::test(start_paused = true)]
async fn a_custom_check_is_asked_before_every_cutover() {
    for types in [&[][..], &["Old"], &["Old"; 40]] {
        let world = World::with_order(types).await;
        let object = &world.order;
        let migration = world.migrate(object).transform(rules()).cells(1, 1_024);
        let refuses = |_| async { Err("not yet".to_owned()) };
        let mut result = migration.check_with("no", refuses).execute().await.unwrap();
        for _ in 0..2 {
            let error = result.error.unwrap();
            assert_eq!(*error.kind(), ErrorKind::VerificationFailed, "{error}");
            assert!(error.to_string().contains("not yet"), "{error}");
            assert!(world.document(object).await.terminated.is_empty());
            let resumed = world.service.resume(result.migration).transform(rules());
            result = resumed.check_with("no", refuses).execute().await.unwrap();
        }
        let resumed = world.service.resume(result.migration).transform(rules());
        assert!(resumed.execute().await.unwrap().is_success());
    }
}

/// Gives another answer each time it is asked.
#[derive(Debug, Default)]
pub(super) struct Counting(AtomicUsize);

impl EventTransformer for Counting {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new("counting").unwrap()
    }

    fn handles(&self, _: &Schema) -> bool {
        true
    }

    fn transform(
        &self,
        event: &Event,
        _: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let mut new = event.clone();
        new.schema_version = SchemaVersion(2);
        new.payload = self.0.fetch_add(1, Ordering::SeqCst).to_string().into();
        Ok(Transformed::Events(vec![new]))
    }
}

#[tokio::test(start_paused = true)]
async fn a_transformer_that_is_not_deterministic_fails_the_verification() {
    let world = World::with_order(&["A", "B"]).await;
    let object = &world.order;
    let migrate = || world.migrate(object).transform(Counting::default());
    assert!(!migrate().dry_run().await.unwrap().is_executable());
    let error = migrate().execute().await.unwrap().error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::VerificationFailed);
    assert!(
        error
            .to_string()
            .contains("source revision 0, target revision 0"),
        "{error}"
    );
    assert!(world.document(object).await.terminated.is_empty());
}
