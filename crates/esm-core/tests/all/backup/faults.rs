//! Crashes, lost answers and races while restoring.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use esm_core::backup::{BackupService, RestoreOptions, RestoreTarget};
use esm_core::event::{Event, Revision};
use esm_core::id::{BackupId, ObjectId, StreamId};
use esm_core::object::ObjectDocument;
use esm_core::router::ExpectedRevision;
use esm_core::store::{Append, CellKind, EventStore as _, Tail};
use esm_core::{Error, ErrorKind};
use esm_testkit::faults::{Actor, At, Fault, FaultPlan, Gate, Watch};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::observe::Observer;
use esm_testkit::tap::Operation;

use crate::world::{World, event};

/// A world with an object, its backup, and one event that came after it.
struct Scene {
    fixture: World,
    object: ObjectId,
    backup: BackupId,
    backed_up: Vec<Event>,
}

const EVENTS: usize = 7;

impl Scene {
    async fn new() -> Self {
        let fixture = World::new();
        let object = fixture.numbered("order/1", EVENTS).await;
        let backup = fixture.back_up(&[&object]).await;
        let backed_up = fixture.active_events(&object).await;
        fixture.append(&object, event("later")).await;
        Self {
            fixture,
            object,
            backup,
            backed_up,
        }
    }

    fn observer(&self) -> Arc<Observer> {
        let world = &self.fixture.storage;
        let observer = Observer::new(world.event_store(), world.records())
            .backup(&self.backup, self.backed_up.clone())
            .object(self.object.clone())
            .object(copy());
        Arc::new(observer)
    }

    /// A process that restores.
    fn process(&self, plan: &FaultPlan, name: &str) -> (BackupService, Actor) {
        let actor = plan.actor(name);
        (actor.backup_service(&self.fixture.storage), actor)
    }

    async fn restore(
        &self,
        service: &BackupService,
        target: &RestoreTarget,
    ) -> esm_core::Result<esm_core::backup::Restored> {
        let options = RestoreOptions::new().cells(3, 1 << 20);
        service
            .restore(&self.backup, &self.object, target.clone(), options)
            .await
    }

    fn restored_object(&self, target: &RestoreTarget) -> ObjectId {
        match target {
            RestoreTarget::NewObject(object) => object.clone(),
            _ => self.object.clone(),
        }
    }
}

fn copy() -> ObjectId {
    "copy/1".parse().unwrap()
}

/// What must be the same however it came about.
fn timeless(document: ObjectDocument) -> ObjectDocument {
    ObjectDocument {
        created_at: jiff::Timestamp::UNIX_EPOCH,
        ..document
    }
}

async fn clean(target: &RestoreTarget) -> (u64, ObjectDocument) {
    let scene = Scene::new().await;
    let plan = FaultPlan::new().watched_by(scene.observer());
    let (service, _) = scene.process(&plan, "clean");
    scene.restore(&service, target).await.unwrap();
    assert!(plan.violations().is_empty(), "{:?}", plan.violations());
    let object = scene.restored_object(target);
    let document = scene.fixture.document(&object).await;
    (plan.log().len(), timeless(document))
}

/// A fault at every operation, then the same again: the same result.
async fn sweep(target: RestoreTarget) {
    let (operations, document) = clean(&target).await;
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
            let scene = Scene::new().await;
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
            assert_eq!(second.events, EVENTS as u64, "{place}");
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
    sweep(RestoreTarget::FreshStream).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_anywhere_while_restoring_a_new_object_is_mended_by_repetition() {
    sweep(RestoreTarget::NewObject(copy())).await;
}

/// A scene in which the first process is stalled before its Close.
async fn held_at_close() -> (Scene, FaultPlan, Gate) {
    let scene = Scene::new().await;
    let gate = Gate::new();
    let plan = FaultPlan::new()
        .with(
            At::Named("event_store.close", 0),
            Fault::Stall(gate.clone()),
        )
        .watched_by(scene.observer());
    (scene, plan, gate)
}

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
    let (operations, document) = clean(&target).await;
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
    let (operations, document) = clean(&target).await;
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
