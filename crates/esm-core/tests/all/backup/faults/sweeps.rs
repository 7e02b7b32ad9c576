//! Crashes and lost responses while restoring: the same again completes it.

use esm_core::ErrorKind;
use esm_core::backup::{RestoreOptions, RestoreTarget};
use esm_core::event::Revision;
use esm_core::store::{Append, CellKind, EventStore as _, Tail};
use esm_testkit::faults::{At, Fault, FaultPlan};

use super::scene::{Scene, clean, copy, timeless};
use crate::world::event;

/// A fault at every operation, then the same again: the same result.
async fn sweep(target: RestoreTarget, until: Option<Revision>) {
    let (operations, document) = clean(&target, until).await;
    assert!(operations > 20, "{operations}");
    let faults = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::Duplicate,
    ];
    for fault in &faults {
        for at in 0..operations {
            let place = format!("{fault:?} at {at}");
            let scene = Scene::until(until).await;
            let plan = FaultPlan::new()
                .with(At::Operation(at), fault.clone())
                .watched_by(scene.observer());
            let (service, actor) = scene.process(&plan, "first");
            let first = actor.run(scene.restore(&service, &target)).await;
            if let Ok(Err(error)) = &first {
                assert!(error.is_retryable(), "{place}: {error}");
            }
            let (service, _) = scene.process(&plan, "second");
            let second = scene.restore(&service, &target).await;
            let second = second.unwrap_or_else(|e| panic!("{place}: {e:?}"));
            assert_eq!(second.events, scene.backed_up.len() as u64, "{place}");
            assert_eq!(second.stream, document.active, "{place}");
            let object = scene.restored_object(&target);
            let found = scene.fixture.document(&object).await;
            assert_eq!(timeless(found), document, "{place}");
            let events = scene.fixture.active_events(&object).await;
            assert_eq!(events, scene.backed_up, "{place}");
            let violations = plan.violations();
            assert!(violations.is_empty(), "{place}: {violations:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_anywhere_while_restoring_into_a_fresh_stream_is_mended_by_repetition() {
    sweep(RestoreTarget::FreshStream, None).await;
}

/// The point is within the second of the cells.
#[tokio::test(start_paused = true)]
async fn a_fault_anywhere_while_restoring_until_a_point_is_mended_by_repetition() {
    let until = Some(Revision(4));
    sweep(RestoreTarget::FreshStream, until).await;
    sweep(RestoreTarget::NewObject(copy()), until).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_anywhere_while_restoring_a_new_object_is_mended_by_repetition() {
    sweep(RestoreTarget::NewObject(copy()), None).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_crashed_is_resumed_at_its_cursor_with_other_cells() {
    let scene = Scene::new().await;
    let plan = FaultPlan::new().with(At::Named("event_store.append", 1), Fault::CrashBefore);
    let (service, actor) = scene.process(&plan, "first");
    let target = RestoreTarget::FreshStream;
    let first = actor.run(scene.restore(&service, &target)).await;
    first.unwrap_err();
    let options = RestoreOptions::new().cells(2, 1 << 20);
    let restored = scene
        .fixture
        .backups()
        .restore(&scene.backup, &scene.object, target, options)
        .await
        .unwrap();
    let headers = scene.fixture.headers(&restored.stream.stream);
    let counts: Vec<_> = headers.iter().map(|header| header.count).collect();
    assert_eq!(counts, [3, 2, 2], "the first cell is the earlier run's");
    let events = scene.fixture.active_events(&scene.object).await;
    assert_eq!(events, scene.backed_up);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_left_is_compared_and_given_up_where_it_differs() {
    let scene = Scene::new().await;
    let plan = FaultPlan::new().with(At::Named("event_store.append", 1), Fault::CrashBefore);
    let (service, actor) = scene.process(&plan, "first");
    let target = RestoreTarget::FreshStream;
    actor
        .run(scene.restore(&service, &target))
        .await
        .unwrap_err();
    let store = &scene.fixture.storage.event_store;
    let source = scene.fixture.document(&scene.object).await.active;
    let left = store.stream_ids();
    let left = left.iter().find(|id| **id != source.stream).unwrap();
    let first = store.snapshot(left).remove(0);
    let CellKind::Data { origin, cursor } = first.header.kind else {
        panic!("{first:?}")
    };
    let mut events = first.events;
    events[1].event = event("other");
    store.discard(left).await.unwrap();
    let append = Append {
        commit: first.header.commit,
        origin,
        cursor,
        events,
    };
    store.append(left, &Tail::default(), append).await.unwrap();

    let error = scene
        .restore(&scene.fixture.backups(), &target)
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("revision 1"), "{error}");
    assert_eq!(store.stream_ids().len(), 1, "fenced off and discarded");
    let restored = scene
        .restore(&scene.fixture.backups(), &target)
        .await
        .unwrap();
    assert_ne!(restored.stream.stream, *left);
    assert_eq!(
        scene.fixture.active_events(&scene.object).await,
        scene.backed_up
    );
}
