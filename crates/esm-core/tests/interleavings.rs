//! Two holders of one migration: one is paused at any of its calls, the other takes over, and the
//! first wakes up again, still believing that it holds the lock.
#![expect(
    clippy::unwrap_used,
    reason = "a test says by panicking what went wrong"
)]

use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::event::{Event, Schema, SchemaVersion};
use esm_core::id::{EventId, EventType, Fingerprint, MigrationId, ObjectId, ObjectName, StreamId};
use esm_core::migration::{
    MigrationBuilder, MigrationResult, MigrationService, MigrationStatus, OnFailure,
};
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_core::store::{CellKind, LockProvider};
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_core::{ErrorKind, Result};
use esm_testkit::environment;
use esm_testkit::faults::{At, Fault, FaultPlan, Gate};
use esm_testkit::memory::{MemoryLocks, MemoryWorld};
use esm_testkit::observe::Observer;
use futures::TryStreamExt as _;
use tokio::task::JoinHandle;

/// Raises `Old` to schema version 2, drops `Noise`, fails on `Bad`.
#[derive(Debug, Clone, Copy)]
struct Raise;

impl EventTransformer for Raise {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new("raise@1").unwrap()
    }

    fn handles(&self, _: &Schema) -> bool {
        true
    }

    fn transform(
        &self,
        event: &Event,
        _: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        Ok(match event.event_type.as_str() {
            "Noise" => Transformed::dropped("noise"),
            "Bad" => return Err(TransformError::new("bad", "cannot be transformed")),
            "Old" => {
                let mut new = event.clone();
                new.schema_version = SchemaVersion(2);
                Transformed::Events(vec![new])
            }
            _ => Transformed::Unchanged,
        })
    }
}

fn event(id: &str, event_type: &str) -> Event {
    let (id, event_type) = (EventId::new(id), EventType::new(event_type));
    Event::new(id.unwrap(), event_type.unwrap(), "{}")
}

fn name() -> ObjectName {
    ObjectName::new("order").unwrap()
}

struct World {
    environment: Environment,
    storage: MemoryWorld,
}

impl World {
    async fn new(objects: &[(&str, &[&str])]) -> Self {
        let environment = environment(7);
        let storage = MemoryWorld::new(&environment);
        let world = Self {
            environment,
            storage,
        };
        for (object, types) in objects {
            world.object(object, types).await;
        }
        world
    }

    async fn object(&self, object: &str, types: &[&str]) {
        let cells = (0..).zip(types);
        let cells = cells.map(|(i, t)| vec![event(&format!("{object}-{i}"), t)]);
        let object = object.parse().unwrap();
        self.storage
            .create_object(&self.environment, &object, cells)
            .await
            .unwrap();
    }

    /// A process with these faults. Its locks are its own: it believes whatever it likes.
    fn holder(&self, name: &str, seed: u64, plan: &FaultPlan) -> MigrationService {
        let actor = plan.actor(name);
        let environment = environment(seed);
        let locks: Arc<dyn LockProvider> =
            Arc::new(MemoryLocks::new(Arc::clone(&environment.clock)));
        MigrationService::new(
            actor.event_store(self.storage.event_store()),
            actor.records(self.storage.records()),
            actor.locks(locks),
        )
        .unwrap()
        .with_environment(environment)
        .with_backups(self.storage.backups())
    }

    fn observer(&self, objects: &[ObjectId]) -> Arc<Observer> {
        let observer = Observer::new(self.storage.event_store(), self.storage.records());
        let observer = observer.transformation(Arc::new(Raise));
        Arc::new((objects.iter().cloned()).fold(observer, Observer::object))
    }

    async fn migration(&self) -> Option<MigrationId> {
        let service = self.holder("looker", 99, &FaultPlan::new());
        let all: Vec<_> = service.migrations().try_collect().await.unwrap();
        assert!(all.len() <= 1);
        let planned = all.into_iter().find(|state| state.plan.is_some());
        planned.map(|state| state.migration)
    }

    async fn status(&self, migration: MigrationId) -> MigrationStatus {
        let service = self.holder("looker", 99, &FaultPlan::new());
        service.status(migration).await.unwrap().status
    }

    fn client(&self) -> ObjectClient {
        let (records, events) = (self.storage.records(), self.storage.event_store());
        ObjectClient::new(records, events, environment(55))
    }

    /// The ids of the object's events, as its readers see them.
    async fn ids(&self, object: &ObjectId) -> Vec<String> {
        let events = self.client().read(object, ReadPosition::Start);
        let events: Vec<_> = events.try_collect().await.unwrap();
        events.iter().map(|e| e.event.id.to_string()).collect()
    }

    fn is_closed(&self, stream: &StreamId) -> bool {
        let cells = self.storage.event_store.snapshot(stream);
        let last = cells.last().map(|cell| &cell.header.kind);
        matches!(last, Some(CellKind::Close(_)))
    }
}

fn run(migration: MigrationBuilder) -> JoinHandle<Result<MigrationResult>> {
    tokio::spawn(async move { migration.transform(Raise).execute().await })
}

fn stalled_at(at: At) -> (FaultPlan, Gate) {
    let gate = Gate::new();
    let plan = FaultPlan::new().with(at, Fault::Stall(gate.clone()));
    (plan, gate)
}

/// R-journal: who meets a higher epoch stops, and does not go on in that epoch.
#[tokio::test(start_paused = true)]
async fn a_holder_that_was_replaced_appends_nothing_in_its_successors_epoch() {
    let world = World::new(&[("order/1", &["Old"]), ("order/2", &["Old"])]).await;
    // claim, plan, batch, document, batch
    let (plan, gate) = stalled_at(At::Named("records.put", 4));
    let first = world.holder("first", 1, &plan);
    let first = run(first.migrate_named(name()).batch(1));
    gate.reached().await;

    let migration = world.migration().await.unwrap();
    let (plan, second_gate) = stalled_at(At::Named("event_store.close", 0));
    let second = world.holder("second", 2, &plan);
    let resumed = second.resume(migration).transform(Raise);
    let second = tokio::spawn(resumed.execute());
    second_gate.reached().await;

    gate.open();
    let first = first.await.unwrap().unwrap();
    assert_eq!(*first.error.unwrap().kind(), ErrorKind::Fenced);
    assert_eq!(
        world.status(migration).await,
        MigrationStatus::InProgress,
        "the first holder's end is not the second's"
    );
    second_gate.open();
    let second = second.await.unwrap().unwrap();
    assert!(second.is_success(), "{second:?}");
    assert_eq!(world.status(migration).await, MigrationStatus::Completed);
}

/// What the second holder does while the first one is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    Resumes,
    RollsBack,
}

/// R4, R5, R17, I1, I4–I7: the first holder is paused at each of its calls.
async fn pause_everywhere(second: Second, bulk: bool) {
    let objects: Vec<ObjectId> = ["order/1", "order/2"].map(|o| o.parse().unwrap()).to_vec();
    let taken = match bulk {
        true => &objects[..],
        false => &objects[..1],
    };
    for at in 0.. {
        let world = World::new(&[
            ("order/1", &["Old", "Noise", "Keep"]),
            ("order/2", &["Noise"]),
        ])
        .await;
        let observer = world.observer(&objects);
        let (plan, gate) = stalled_at(At::Operation(at));
        let plan = plan.watched_by(observer.clone());
        let holder = world.holder("first", 1, &plan);
        let migration = match bulk {
            true => holder.migrate_named(name()).batch(1).concurrency(1),
            false => holder.migrate(objects[0].clone()),
        };
        let mut first = run(migration);
        let paused = tokio::select! {
            () = gate.reached() => true,
            done = &mut first => {
                assert!(done.unwrap().unwrap().is_success());
                false
            }
        };
        if !paused {
            assert!(at > 10, "the first holder was never paused");
            return;
        }
        let context = format!("{second:?}, bulk: {bulk}, paused at {at}");
        let Some(migration) = world.migration().await else {
            gate.open();
            first.await.unwrap().unwrap();
            continue;
        };
        let second_plan = FaultPlan::new().watched_by(observer.clone());
        let holder = world.holder("second", 2, &second_plan);
        let resumed = holder.resume(migration);
        let ended = match second {
            Second::Resumes => resumed.transform(Raise).execute().await,
            Second::RollsBack => resumed.roll_back("changed my mind").await,
        };
        let ended = ended.ok().map(|result| result.status);
        let client = world.client();
        for object in taken {
            let appended = client
                .append(
                    object,
                    ExpectedRevision::Any,
                    vec![event("between", "Keep")],
                )
                .await;
            appended.unwrap();
        }
        gate.open();
        let first = first.await.unwrap();

        let violations: Vec<_> = (plan.violations().into_iter())
            .chain(second_plan.violations())
            .map(|v| v.to_string())
            .collect();
        assert!(violations.is_empty(), "{context}: {violations:#?}");
        // whatever is left can be finished
        for _ in 0..3 {
            if !world.status(migration).await.is_terminal() {
                let last = world.holder("last", 3, &FaultPlan::new());
                let _ = last.resume(migration).transform(Raise).execute().await;
            }
        }
        let status = world.status(migration).await;
        assert!(status.is_terminal(), "{context}: {status}, {first:?}");
        if second == Second::Resumes && ended.is_some() {
            assert_eq!(status, MigrationStatus::Completed, "{context}");
        }
        for object in taken {
            let closed = world.is_closed(&StreamId::first(object));
            if status == MigrationStatus::Completed {
                assert!(closed, "{context}: {object}");
            }
            if status == MigrationStatus::RolledBack && !bulk {
                assert!(!closed, "{context}: I7: {object}, {first:?}");
                assert_eq!(world.storage.event_store.stream_ids().len(), 2, "{context}");
            }
            let ids = world.ids(object).await;
            let expected = match (object.key().as_str(), closed) {
                ("1", true) => vec!["order/1-0", "order/1-2", "between"],
                ("1", false) => vec!["order/1-0", "order/1-1", "order/1-2", "between"],
                (_, true) => vec!["between"],
                (_, false) => vec!["order/2-0", "between"],
            };
            assert_eq!(ids, expected, "{context}: I1: {object}");
        }
        // nothing that is rolled back is cut over later
        if ended == Some(MigrationStatus::RolledBack) {
            assert!(!first.unwrap().is_success(), "{context}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_holder_of_one_object_wakes_up_after_another_has_resumed() {
    pause_everywhere(Second::Resumes, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_holder_of_one_object_wakes_up_after_another_has_rolled_back() {
    pause_everywhere(Second::RollsBack, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_holder_of_many_wakes_up_after_another_has_resumed() {
    pause_everywhere(Second::Resumes, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_holder_of_many_wakes_up_after_another_has_rolled_back() {
    pause_everywhere(Second::RollsBack, true).await;
}

/// A migration whose rest cannot be migrated can be rolled back, and another begun.
#[tokio::test(start_paused = true)]
async fn a_migration_with_an_object_that_always_fails_can_end() {
    let world = World::new(&[("order/1", &["Bad"]), ("order/2", &["Old"])]).await;
    let holder = world.holder("first", 1, &FaultPlan::new());
    let all = || holder.migrate_named(name()).batch(1).transform(Raise);
    let failed = all()
        .on_failure(OnFailure::Continue)
        .execute()
        .await
        .unwrap();
    assert_eq!(
        (failed.statistics.migrated, failed.statistics.failed),
        (1, 1)
    );
    let undone = holder.resume(failed.migration).roll_back("give up").await;
    assert_eq!(undone.unwrap().status, MigrationStatus::RolledBack);
    assert!(!all().execute().await.unwrap().is_success());
}

/// An undo needs no transformation, going forward does: also where the undo was refused while this
/// holder waited for the lock.
#[tokio::test(start_paused = true)]
async fn nobody_goes_forward_without_the_transformation() {
    let world = World::new(&[("order/1", &["Old"])]).await;
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashAfter);
    let actor = plan.actor("first");
    let (events, records) = (world.storage.event_store(), world.storage.records());
    let first = MigrationService::new(
        actor.event_store(events),
        actor.records(records),
        world.storage.locks(),
    );
    let first = first.unwrap().with_environment(environment(1));
    let object: ObjectId = "order/1".parse().unwrap();
    let crashed = actor.run(first.migrate(object).transform(Raise).execute());
    assert!(crashed.await.is_err());
    let migration = world.migration().await.unwrap();

    // claim, intent, document, refusal
    let (plan, refusing) = stalled_at(At::Named("records.put", 3));
    let second = world.holder("second", 2, &plan).resume(migration);
    let second = tokio::spawn(async move { second.roll_back("too late").await });
    refusing.reached().await;
    assert_eq!(world.status(migration).await, MigrationStatus::RollingBack);

    let (plan, locking) = stalled_at(At::Named("locks.try_acquire", 0));
    let third = world.holder("third", 3, &plan).resume(migration);
    let third = tokio::spawn(third.execute());
    locking.reached().await;
    refusing.open();
    assert_eq!(
        second.await.unwrap().unwrap().status,
        MigrationStatus::Failed
    );
    locking.open();
    let refused = third.await.unwrap().unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::PlanOutdated, "{refused}");
}

/// Whatever fails once while others go on, in the end all books are closed.
#[tokio::test(start_paused = true)]
async fn no_books_stay_open_when_something_failed_after_a_pivot() {
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        for at in 0.. {
            let world = World::new(&[("order/1", &["Old"]), ("order/2", &["Keep"])]).await;
            let plan = FaultPlan::new().with(At::Operation(at), fault.clone());
            let first = world.holder("first", 1, &plan);
            let migration = first
                .migrate_named(name())
                .batch(1)
                .concurrency(1)
                .on_failure(OnFailure::Continue)
                .close_books(|books| books.archive(|archive| archive));
            let _ = migration.transform(Raise).execute().await;
            if at >= plan.log().operations().len() as u64 {
                assert!(at > 20);
                break;
            }
            let Some(migration) = world.migration().await else {
                continue;
            };
            for _ in 0..3 {
                if !world.status(migration).await.is_terminal() {
                    let next = world.holder("next", 2, &FaultPlan::new());
                    let _ = next.resume(migration).transform(Raise).execute().await;
                }
            }
            let context = format!("{fault:?} at {at}");
            let status = world.status(migration).await;
            assert_eq!(status, MigrationStatus::Completed, "{context}");
            for object in ["order/1", "order/2"] {
                let object = object.parse().unwrap();
                let document = world.storage.document(&object).await.unwrap().unwrap();
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

/// R11: what an earlier migration retired stays so, also where its first cell holds no events.
#[tokio::test(start_paused = true)]
async fn a_later_migration_retires_what_an_earlier_one_has_retired() {
    let world = World::new(&[("order/1", &["Noise"])]).await;
    let holder = world.holder("first", 1, &FaultPlan::new());
    let object: ObjectId = "order/1".parse().unwrap();
    let migrated = holder.migrate(object.clone()).transform(Raise).execute();
    assert!(migrated.await.unwrap().is_success());
    let keep = vec![event("2", "Keep")];
    let client = world.client();
    let appended = client.append(&object, ExpectedRevision::Any, keep).await;
    appended.unwrap();
    assert!(
        holder
            .migrate(object.clone())
            .execute()
            .await
            .unwrap()
            .is_success()
    );
    let noise = vec![event("3", "Noise")];
    let client = world.client();
    let refused = client.append(&object, ExpectedRevision::Any, noise).await;
    assert_eq!(*refused.unwrap_err().kind(), ErrorKind::Invalid);
}

/// R5: of two migrations of one object the second goes on from where the first has moved it.
#[tokio::test(start_paused = true)]
async fn a_paused_migration_wakes_up_after_another_one_has_closed_the_source() {
    let object: ObjectId = "order/1".parse().unwrap();
    for at in 0.. {
        let world = World::new(&[("order/1", &["Old", "Noise", "Keep"])]).await;
        let observer = world.observer(std::slice::from_ref(&object));
        let (plan, gate) = stalled_at(At::Operation(at));
        let plan = plan.watched_by(observer.clone());
        let holder = world.holder("first", 1, &plan);
        let mut first = run(holder.migrate(object.clone()));
        tokio::select! {
            () = gate.reached() => {}
            done = &mut first => {
                assert!(done.unwrap().unwrap().is_success() && at > 10);
                return;
            }
        }
        let context = format!("paused at {at}");
        let earlier = world.migration().await;
        let other_plan = FaultPlan::new().watched_by(observer.clone());
        let other = world.holder("second", 2, &other_plan);
        let other = other.migrate(object.clone()).execute().await.unwrap();
        assert!(other.is_success(), "{context}: {other:?}");
        let client = world.client();
        let between = vec![event("between", "Keep")];
        let appended = client.append(&object, ExpectedRevision::Any, between).await;
        appended.unwrap();
        gate.open();
        let first = first.await.unwrap().unwrap();
        if let Some(earlier) = earlier
            && !world.status(earlier).await.is_terminal()
        {
            let last = world.holder("last", 3, &FaultPlan::new());
            let resumed = last.resume(earlier).transform(Raise).execute().await;
            assert!(resumed.unwrap().is_success(), "{context}: {first:?}");
        }
        let violations = [plan.violations(), other_plan.violations()].concat();
        assert!(violations.is_empty(), "{context}: {violations:#?}");
        let ids = world.ids(&object).await;
        assert_eq!(ids, ["order/1-0", "order/1-2", "between"], "{context}: I1");
        let streams = world.storage.event_store.stream_ids();
        assert_eq!(streams.len(), 3, "{context}: {streams:?}");
    }
}

/// A lock that was never released keeps nobody away once its migration has ended, and one whose
/// holder died only as long as it takes to see that.
#[tokio::test(start_paused = true)]
async fn a_lock_that_was_never_released_does_not_keep_others_away_for_ever() {
    for (crash, ended) in [("event_store.close", false), ("locks.release", true)] {
        let world = World::new(&[("order/1", &["Old"]), ("order/2", &["Old"])]).await;
        let shared = world.storage.locks();
        let with = |actor: &esm_testkit::faults::Actor, seed| {
            let (events, records) = (world.storage.event_store(), world.storage.records());
            let (events, records) = (actor.event_store(events), actor.records(records));
            let service = MigrationService::new(events, records, actor.locks(shared.clone()));
            service.unwrap().with_environment(environment(seed))
        };
        let plan = FaultPlan::new().with(At::Named(crash, 0), Fault::CrashBefore);
        let actor = plan.actor("first");
        let bulk = with(&actor, 1).migrate_named(name()).transform(Raise);
        assert!(actor.run(bulk.execute()).await.is_err());
        let next = with(&FaultPlan::new().actor("next"), 2);
        let single = || next.migrate("order/2".parse().unwrap()).transform(Raise);
        if !ended {
            let refused = single().execute().await.unwrap_err();
            assert!(matches!(refused.kind(), ErrorKind::LockHeld(_)));
        }
        let patient = single().lock(|lock| match ended {
            true => lock,
            false => lock.timeout(lock.lease * 2),
        });
        assert!(patient.execute().await.unwrap().is_success(), "{crash}");
    }
}
