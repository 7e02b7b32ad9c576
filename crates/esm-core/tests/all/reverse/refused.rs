//! What is refused, before anything is touched, and how it is said.

use std::time::Duration;

use esm_core::event::Revision;
use esm_core::migration::{MigrationStatus, RollBackPlan};
use esm_core::object::{Documents, TerminatedStream};
use esm_core::{Error, ErrorKind};

use super::back::{down, up};
use crate::world::{World, schema, unfinished, versioned};
use esm_core::transform::{FunctionTransformer, TransformError};
use esm_testkit::faults::{At, Fault, Interjection};

#[tokio::test(start_paused = true)]
async fn without_a_down_the_first_event_that_needs_one_is_named() {
    let w = World::watched(&[("order/1", &["Old", "Kept"])]).await;
    let forward = w.migrated("order/1").await;
    w.append("order/1", versioned("fine", "Kept", 1)).await;
    w.append("order/1", versioned("first", "Old", 2)).await;
    w.append("order/1", versioned("second", "Old", 2)).await;
    let before = w.everything();
    let error = w.service.roll_back(forward).execute().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TransformFailed);
    let text = error.to_string();
    for part in ["order/1", "first", "Old", "revision 3", "down"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // one that handles another schema is none for this one
    let other = FunctionTransformer::new("o", 1, [schema("Other", 1)], |_, _| {
        Err(TransformError::new("o", "never asked"))
    });
    let error = w
        .service
        .roll_back(forward)
        .down(other.unwrap())
        .execute()
        .await;
    assert!(error.unwrap_err().to_string().contains("first"));
    let fails = FunctionTransformer::for_all("f", 1, |_, _| Err(TransformError::new("f", "no")));
    let error = w
        .service
        .roll_back(forward)
        .down(fails.unwrap())
        .execute()
        .await;
    assert!(
        error.unwrap_err().to_string().contains("fine"),
        "the first that it fails on"
    );
    assert_eq!(w.everything(), before);
    w.succeeded(w.back(forward).execute().await);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_needs_a_down_and_comes_later_stops_it_before_the_close() {
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let forward = w.migrated("order/1").await;
    let active = w.active("order/1").await;
    let storage = w.storage.clone();
    let writer = Interjection::new(move || {
        let storage = storage.clone();
        async move {
            let (object, late) = ("order/1".parse().unwrap(), versioned("late", "Old", 2));
            storage.append(&object, vec![late]).await.unwrap();
        }
    });
    w.plan
        .inject(At::Named("event_store.close", 1), Fault::Interject(writer));
    let result = w.service.roll_back(forward).execute().await.unwrap();
    assert_eq!(result.status, MigrationStatus::Failed);
    let error = result.error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::TransformFailed, "{error}");
    assert!(error.to_string().contains("late"), "{error}");
    assert_eq!(w.active("order/1").await, active, "it is open and active");
    // it cannot be resumed without a down, but undone, and begun with one
    let undone = w
        .service
        .roll_back(result.migration)
        .execute()
        .await
        .unwrap();
    assert_eq!(undone.status, MigrationStatus::RolledBack, "{undone:?}");
    w.unharmed();
    w.succeeded(w.back(forward).execute().await);
    assert_eq!(
        w.lines("order/1").await,
        ["Old v1 order/1-0", "Old v1 late"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_undo_after_the_pivot_is_refused_with_the_way_to_do_it() {
    let w = World::watched(&[("order/1", &["Old"])]).await;
    w.plan
        .inject(At::Named("event_store.close", 0), Fault::CrashAfter);
    let migrating = w.migrate("order/1").transform(up());
    // the process dies between the Close and the document
    let died = tokio::time::timeout(Duration::from_secs(5), migrating.execute()).await;
    assert!(died.is_err());
    let next = w.next_process();
    let migration = unfinished(&next).await.unwrap().migration;
    let RollBackPlan::Undo { .. } = next.roll_back(migration).dry_run().await.unwrap() else {
        panic!("it has not ended");
    };
    let refused = next.roll_back(migration).execute().await.unwrap();
    let error = refused.error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::Stuck);
    assert!(
        error.hint().unwrap().contains("resume the migration"),
        "{error:?}"
    );
    let finished = next.resume(migration).transform(up()).execute().await;
    w.succeeded(finished);
    w.succeeded(next.roll_back(migration).execute().await);
    assert_eq!(w.lines("order/1").await, ["Old v1 order/1-0"]);
}

/// Wherever the process that undoes it dies: it says so itself, or its successor finds out.
#[tokio::test(start_paused = true)]
async fn an_undo_after_the_pivot_gives_way_when_it_is_resumed() {
    let mut undo_was_begun = false;
    for number in 0.. {
        let w = World::watched(&[("order/1", &["Old"])]).await;
        w.plan
            .inject(At::Named("event_store.close", 0), Fault::CrashAfter);
        let undoer = At::OfActor("undoer".to_owned(), number);
        w.plan.inject(undoer, Fault::CrashBefore);
        let migrating = w.migrate("order/1").transform(up());
        let died = tokio::time::timeout(Duration::from_secs(5), migrating.execute()).await;
        assert!(died.is_err());
        let next = w.next_process();
        let migration = unfinished(&next).await.unwrap().migration;
        let undoer = w.plan.actor("undoer").migration_service(&w.storage);
        let undoing = undoer.roll_back(migration).execute();
        let undone = tokio::time::timeout(Duration::from_secs(300), undoing).await;
        let status = next.status(migration).await.unwrap().status;
        undo_was_begun |= status == MigrationStatus::RollingBack;
        let finished = next.resume(migration).transform(up()).execute().await;
        w.succeeded(finished);
        w.succeeded(next.roll_back(migration).down(down()).execute().await);
        assert_eq!(w.lines("order/1").await, ["Old v1 order/1-0"]);
        if undone.is_ok() {
            break;
        }
    }
    assert!(undo_was_begun);
}

#[tokio::test(start_paused = true)]
async fn after_its_window_a_migration_is_final_and_the_error_says_how_to_go_back_all_the_same() {
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let day = Duration::from_secs(86_400);
    let builder = w.migrate("order/1").transform(up());
    let builder = builder.reversible_for(day).reversible_with(down());
    let plan = builder.clone().dry_run().await.unwrap();
    assert!(
        plan.reversibility.contains("final"),
        "{}",
        plan.reversibility
    );
    let forward = w.succeeded(builder.execute().await).migration;
    w.storage
        .environment
        .clock
        .sleep(day + Duration::from_secs(1))
        .await;
    let error = w.back(forward).execute().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Stuck);
    assert!(error.to_string().contains("final"), "{error}");
    assert!(error.hint().unwrap().contains("new migration"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn originals_that_were_deleted_on_purpose_cannot_be_restored() {
    let w = World::watched(&[("order/1", &["Old", "Kept", "Old"])]).await;
    let source = w.active("order/1").await;
    let forward = w.migrated("order/1").await;
    assert!(w.storage.event_store.bury(&source.stream, 1));
    let refused = |error: &Error| {
        assert_eq!(*error.kind(), ErrorKind::Gone, "{error}");
        for part in ["revision 1", source.stream.as_str()] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    };
    // the copy is the first to read them
    let failed = w.back(forward).execute().await.unwrap();
    assert_eq!(failed.status, MigrationStatus::Failed);
    refused(&failed.error.unwrap());
    let undone = w.service.roll_back(failed.migration).execute().await;
    assert_eq!(undone.unwrap().status, MigrationStatus::RolledBack);
    // unless they must say which schemas old code knows
    w.append("order/1", versioned("a", "Kept", 1)).await;
    let before = w.everything();
    refused(&w.back(forward).execute().await.unwrap_err());
    assert_eq!(w.everything(), before);
    w.unharmed();
}

/// The stream decides, not the document.
#[tokio::test(start_paused = true)]
async fn a_document_that_says_otherwise_than_the_closed_stream_is_not_believed() {
    let w = World::watched(&[("order/1", &["Old", "Kept"])]).await;
    let forward = w.migrated("order/1").await;
    // it has ended, and moved nothing
    let idle = w.migrated("order/1").await;
    w.append("order/1", versioned("since", "Kept", 1)).await;
    let documents = Documents::new(w.storage.records());
    let object = "order/1".parse().unwrap();
    let told = w.document("order/1").await.terminated;
    let otherwise: [(_, fn(&mut TerminatedStream)); 3] = [
        (forward, |entry| entry.events = Revision(3)),
        (forward, |entry| entry.continuation_events = Revision(1)),
        (idle, |_| {}),
    ];
    let tell = async |entries: Vec<TerminatedStream>| {
        let written = documents.update(&object, |document| {
            document.terminated.clone_from(&entries);
            true
        });
        written.await.unwrap();
    };
    for (migration, change) in otherwise {
        let mut entries = told.clone();
        entries[0].migration = migration;
        change(&mut entries[0]);
        tell(entries).await;
        let before = w.everything();
        let error = w.back(migration).execute().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Corrupt, "{error}");
        let closed = told[0].stream.stream.as_str();
        assert!(error.to_string().contains(closed), "{error}");
        assert_eq!(w.everything(), before);
    }
    tell(told.clone()).await;
    w.succeeded(w.back(forward).execute().await);
}

#[tokio::test(start_paused = true)]
async fn what_is_unknown_or_never_planned_is_said_so() {
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let unknown = w.storage.environment.migration_id();
    let error = w.service.roll_back(unknown).execute().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_until_which_event_it_is_reversible() {
    let w = World::watched(&[("order/1", &["Old", "Kept"])]).await;
    let builder = || w.migrate("order/1").transform(up());
    let without = builder().dry_run().await.unwrap();
    let needed = [schema("Old", 2)].into();
    assert_eq!(without.way_back.needs_down, needed);
    assert_eq!(without.way_back.not_covered, needed);
    assert!(
        without.reversibility.contains("Old"),
        "{}",
        without.reversibility
    );
    let with = builder().reversible_with(down()).dry_run().await.unwrap();
    assert!(with.way_back.not_covered.is_empty() && with.way_back.failure.is_none());
    let fails = FunctionTransformer::for_all("f", 1, |_, _| Err(TransformError::new("f", "no")));
    let failing = builder()
        .reversible_with(fails.unwrap())
        .dry_run()
        .await
        .unwrap();
    let failure = failing.way_back.failure.unwrap();
    assert_eq!(failure.event.as_str(), "order/1-0");
    assert!(
        failing.reversibility.contains("order/1-0"),
        "{}",
        failing.reversibility
    );
    let same = w.migrate("order/1").dry_run().await.unwrap();
    assert!(same.way_back.needs_down.is_empty());
}
