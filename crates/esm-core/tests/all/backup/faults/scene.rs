//! A backup to be restored, and processes that do it.

use std::sync::Arc;

use esm_core::backup::{BackupService, RestoreOptions, RestoreTarget, RestoreUntil};
use esm_core::event::{Event, Revision};
use esm_core::id::{BackupId, ObjectId};
use esm_core::object::ObjectDocument;
use esm_testkit::faults::{Actor, At, Fault, FaultPlan, Gate};
use esm_testkit::observe::Observer;

use crate::world::{World, event};

/// A world with an object, its backup, and one event that came after it.
pub(super) struct Scene {
    pub(super) fixture: World,
    pub(super) object: ObjectId,
    pub(super) backup: BackupId,
    /// The events that are to be restored.
    pub(super) backed_up: Vec<Event>,
    until: Option<RestoreUntil>,
}

pub(super) const EVENTS: usize = 7;

impl Scene {
    pub(super) async fn new() -> Self {
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
            until: None,
        }
    }

    /// The same, to be restored until a revision where there is one.
    pub(super) async fn until(last: Option<Revision>) -> Self {
        let mut scene = Self::new().await;
        if let Some(last) = last {
            scene.until = Some(RestoreUntil::Revision(last));
            scene.backed_up.truncate(last.0 as usize + 1);
        }
        scene
    }

    pub(super) fn observer(&self) -> Arc<Observer> {
        let world = &self.fixture.storage;
        let observer = Observer::new(world.event_store(), world.records())
            .backup(&self.backup, self.backed_up.clone())
            .object(self.object.clone())
            .object(copy());
        Arc::new(observer)
    }

    /// A process that restores.
    pub(super) fn process(&self, plan: &FaultPlan, name: &str) -> (BackupService, Actor) {
        let actor = plan.actor(name);
        (actor.backup_service(&self.fixture.storage), actor)
    }

    pub(super) async fn restore(
        &self,
        service: &BackupService,
        target: &RestoreTarget,
    ) -> esm_core::Result<esm_core::backup::Restored> {
        let mut options = RestoreOptions::new().cells(3, 1 << 20);
        if let Some(until) = self.until {
            options = options.until(until);
        }
        service
            .restore(&self.backup, &self.object, target.clone(), options)
            .await
    }

    pub(super) fn restored_object(&self, target: &RestoreTarget) -> ObjectId {
        match target {
            RestoreTarget::NewObject(object) => object.clone(),
            _ => self.object.clone(),
        }
    }
}

pub(super) fn copy() -> ObjectId {
    "copy/1".parse().unwrap()
}

/// What must be the same however it came about.
pub(super) fn timeless(document: ObjectDocument) -> ObjectDocument {
    ObjectDocument {
        created_at: jiff::Timestamp::UNIX_EPOCH,
        ..document
    }
}

pub(super) async fn clean(
    target: &RestoreTarget,
    until: Option<Revision>,
) -> (u64, ObjectDocument) {
    let scene = Scene::until(until).await;
    let plan = FaultPlan::new().watched_by(scene.observer());
    let (service, _) = scene.process(&plan, "clean");
    scene.restore(&service, target).await.unwrap();
    assert!(plan.violations().is_empty(), "{:?}", plan.violations());
    let object = scene.restored_object(target);
    let document = scene.fixture.document(&object).await;
    (plan.log().len(), timeless(document))
}

/// A scene in which the first process is stalled before its Close.
pub(super) async fn held_at_close() -> (Scene, FaultPlan, Gate) {
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
