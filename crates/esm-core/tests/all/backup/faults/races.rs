//! A restore against applications, migrations and other restores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use esm_core::backup::{RestoreOptions, RestoreTarget};
use esm_core::event::Revision;
use esm_core::id::StreamId;
use esm_core::router::ExpectedRevision;
use esm_core::store::CellKind;
use esm_core::{Error, ErrorKind};
use esm_testkit::faults::{At, Fault, FaultPlan, Gate, Watch};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::tap::Operation;

use super::scene::{EVENTS, Scene, clean, copy, held_at_close};
use crate::world::event;

#[tokio::test(start_paused = true)]
async fn events_appended_meanwhile_stay_in_the_closed_stream_and_are_counted() {
    // R6, R19
    let target = RestoreTarget::FreshStream;
    let (scene, plan, gate) = held_at_close().await;
    let source = scene.fixture.document(&scene.object).await.active;
    let (service, _) = scene.process(&plan, "restore");
    let (restored, ()) = tokio::join!(scene.restore(&service, &target), async {
        gate.reached().await;
        scene
            .fixture
            .append(&scene.object, event("meanwhile"))
            .await;
        gate.open();
    });
    let replaced = restored.unwrap().replaced.unwrap();
    assert_eq!(replaced.events, EVENTS as u64 + 2);
    assert_eq!(replaced.left_behind, Some(2));
    assert_eq!(replaced.appended_meanwhile, Some(1));
    let kept = scene.fixture.storage.events(&source.stream);
    assert_eq!(kept.last(), Some(&event("meanwhile")));
    assert!(plan.violations().is_empty(), "{:?}", plan.violations());
}

#[tokio::test(start_paused = true)]
async fn a_paused_restore_cannot_cut_over_once_it_was_abandoned() {
    // R17, X5
    let target = RestoreTarget::FreshStream;
    let (scene, plan, gate) = held_at_close().await;
    let before = scene.fixture.document(&scene.object).await;
    let (service, _) = scene.process(&plan, "paused");
    let (restored, ()) = tokio::join!(scene.restore(&service, &target), async {
        gate.reached().await;
        let (other, _) = scene.process(&plan, "other");
        let options = RestoreOptions::new();
        other
            .abandon_restore(&scene.backup, &scene.object, target.clone(), options)
            .await
            .unwrap();
        gate.open();
    });
    assert_eq!(*restored.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(scene.fixture.document(&scene.object).await, before);
    assert_eq!(
        scene.fixture.storage.close_of(&before.active.stream),
        None,
        "I7"
    );
    assert_eq!(scene.fixture.storage.event_store.stream_ids().len(), 1);
    // the next attempt has its own stream
    let again = scene
        .restore(&scene.fixture.backups(), &target)
        .await
        .unwrap();
    assert_eq!(again.events, EVENTS as u64);
    assert!(plan.violations().is_empty(), "{:?}", plan.violations());
}

#[tokio::test(start_paused = true)]
async fn a_migration_that_cuts_over_first_wins() {
    // R5
    let target = RestoreTarget::FreshStream;
    let (scene, plan, gate) = held_at_close().await;
    let world = &scene.fixture.storage;
    let migrations = world.migration_service();
    let (service, _) = scene.process(&plan, "restore");
    let (restored, ()) = tokio::join!(scene.restore(&service, &target), async {
        gate.reached().await;
        let migrated = migrations.migrate(scene.object.clone()).execute().await;
        assert!(migrated.unwrap().is_success());
        gate.open();
    });
    assert_eq!(*restored.unwrap_err().kind(), ErrorKind::Fenced);
    let document = scene.fixture.document(&scene.object).await;
    assert_eq!(document.terminated.len(), 1);
    let events = scene.fixture.active_events(&scene.object).await;
    assert_eq!(events.len(), EVENTS + 1);
    assert_eq!(
        world.event_store.stream_ids().len(),
        2,
        "the own target is gone"
    );
    assert!(plan.violations().is_empty(), "{:?}", plan.violations());
    scene
        .restore(&scene.fixture.backups(), &target)
        .await
        .unwrap();
    assert_eq!(
        scene.fixture.active_events(&scene.object).await,
        scene.backed_up
    );
}

#[tokio::test(start_paused = true)]
async fn two_that_know_nothing_of_each_other_restore_once() {
    for target in [RestoreTarget::FreshStream, RestoreTarget::NewObject(copy())] {
        let scene = Scene::new().await;
        let plan = FaultPlan::new().watched_by(scene.observer());
        let (a, _) = scene.process(&plan, "a");
        let (b, _) = scene.process(&plan, "b");
        let (a, b) = tokio::join!(scene.restore(&a, &target), scene.restore(&b, &target));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!((&a.stream, a.events), (&b.stream, b.events));
        let object = scene.restored_object(&target);
        assert_eq!(scene.fixture.active_events(&object).await, scene.backed_up);
        assert_eq!(scene.fixture.document(&object).await.terminated.len(), 1);
        assert!(plan.violations().is_empty(), "{:?}", plan.violations());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_paused_finds_it_done_by_another_wherever_it_stood() {
    // the zombie's part: another finishes and an application continues before it wakes
    let target = RestoreTarget::FreshStream;
    let (operations, document) = clean(&target, None).await;
    for at in 0..operations {
        let scene = Scene::new().await;
        let gate = Gate::new();
        let plan = FaultPlan::new()
            .with(
                At::OfActor("paused".to_owned(), at),
                Fault::Stall(gate.clone()),
            )
            .watched_by(scene.observer());
        let (paused, _) = scene.process(&plan, "paused");
        let (restored, ()) = tokio::join!(scene.restore(&paused, &target), async {
            gate.reached().await;
            let (other, _) = scene.process(&plan, "other");
            scene.restore(&other, &target).await.unwrap();
            scene.fixture.append(&scene.object, event("after")).await;
            gate.open();
        });
        let restored = restored.unwrap_or_else(|e| panic!("paused at {at}: {e:?}"));
        assert_eq!(restored.stream, document.active, "paused at {at}");
        let mut expected = scene.backed_up.clone();
        expected.push(event("after"));
        let found = scene.fixture.active_events(&scene.object).await;
        assert_eq!(found, expected, "paused at {at}");
        let violations = plan.violations();
        assert!(violations.is_empty(), "paused at {at}: {violations:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_paused_completes_what_another_with_other_cells_left_when_it_crashed() {
    let target = RestoreTarget::FreshStream;
    let (operations, document) = clean(&target, None).await;
    let places = (0..operations).flat_map(|at| (0..operations).map(move |crash| (at, crash)));
    for (at, crash) in places {
        let place = format!("paused at {at}, the other crashed at {crash}");
        let scene = Scene::new().await;
        let gate = Gate::new();
        let plan = FaultPlan::new()
            .with(
                At::OfActor("paused".to_owned(), at),
                Fault::Stall(gate.clone()),
            )
            .with(At::OfActor("other".to_owned(), crash), Fault::CrashAfter)
            .watched_by(scene.observer());
        let (paused, _) = scene.process(&plan, "paused");
        let (restored, ()) = tokio::join!(scene.restore(&paused, &target), async {
            gate.reached().await;
            let (other, actor) = scene.process(&plan, "other");
            let options = RestoreOptions::new().cells(2, 1 << 20);
            let restore = other.restore(&scene.backup, &scene.object, target.clone(), options);
            if let Ok(restored) = actor.run(restore).await {
                restored.unwrap_or_else(|e| panic!("{place}: {e:?}"));
            }
            gate.open();
        });
        let restored = restored.unwrap_or_else(|e| panic!("{place}: {e:?}"));
        assert_eq!(restored.stream, document.active, "{place}");
        let found = scene.fixture.active_events(&scene.object).await;
        assert_eq!(found, scene.backed_up, "{place}");
        let violations = plan.violations();
        assert!(violations.is_empty(), "{place}: {violations:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_that_begins_the_object_first_wins() {
    let target = RestoreTarget::NewObject(copy());
    let (scene, plan, gate) = held_at_close().await;
    let (service, _) = scene.process(&plan, "restore");
    let (restored, ()) = tokio::join!(scene.restore(&service, &target), async {
        gate.reached().await;
        let (client, new) = (scene.fixture.storage.client(), vec![event("mine")]);
        let expected = ExpectedRevision::NoStream;
        client.append(&copy(), expected, new).await.unwrap();
        gate.open();
    });
    assert_eq!(*restored.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(scene.fixture.active_events(&copy()).await, [event("mine")]);
    scene.fixture.append(&copy(), event("more")).await;
    assert!(plan.violations().is_empty(), "{:?}", plan.violations());
}

/// Appends to a stream after every read of its tail, until this many Closes were tried.
#[derive(Debug)]
struct BusyWriter {
    world: MemoryWorld,
    stream: StreamId,
    closes: AtomicU64,
    most: u64,
}

#[async_trait]
impl Watch for BusyWriter {
    async fn check(&self, operation: &Operation) -> Result<(), String> {
        if operation.call.key != self.stream.as_str() {
            return Ok(());
        }
        match operation.call.name {
            "event_store.close" => {
                self.closes.fetch_add(1, Ordering::Relaxed);
            }
            "event_store.tail" if self.closes.load(Ordering::Relaxed) < self.most => {
                let id = self.world.environment.uuid_v4().to_string();
                let appended = self.world.append_cell(&self.stream, vec![event(&id)]);
                appended.await.map_err(|e| e.to_string())?;
            }
            _ => {}
        }
        Ok(())
    }
}

async fn against_a_busy_writer(most: u64) -> (Scene, Result<u64, Error>) {
    let scene = Scene::new().await;
    let source = scene.fixture.document(&scene.object).await.active;
    let writer = BusyWriter {
        world: scene.fixture.storage.clone(),
        stream: source.stream,
        closes: AtomicU64::new(0),
        most,
    };
    let plan = FaultPlan::new().watched_by(Arc::new(writer));
    let (service, _) = scene.process(&plan, "restore");
    let restored = scene.restore(&service, &RestoreTarget::FreshStream).await;
    (scene, restored.map(|r| r.replaced.unwrap().events))
}

#[tokio::test(start_paused = true)]
async fn writers_that_are_faster_now_and_then_only_delay_the_cutover() {
    // R6
    let (scene, restored) = against_a_busy_writer(5).await;
    let source = scene.fixture.document(&scene.object).await.terminated[0].clone();
    assert_eq!(source.events, Revision(restored.unwrap()));
    assert_eq!(
        scene.fixture.active_events(&scene.object).await,
        scene.backed_up
    );
}

#[tokio::test(start_paused = true)]
async fn writers_that_are_always_faster_end_it_and_it_is_undone() {
    // R6, R17
    let (scene, restored) = against_a_busy_writer(64).await;
    assert_eq!(*restored.unwrap_err().kind(), ErrorKind::Stuck);
    let document = scene.fixture.document(&scene.object).await;
    assert!(document.terminated.is_empty());
    assert_eq!(scene.fixture.storage.event_store.stream_ids().len(), 1);
    let last = scene
        .fixture
        .headers(&document.active.stream)
        .pop()
        .unwrap();
    assert!(matches!(last.kind, CellKind::Fence(_)));
}
