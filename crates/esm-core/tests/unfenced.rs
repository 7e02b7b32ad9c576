//! Stores that cannot fence a source: an undo keeps the target for ever and ends as `Abandoned`;
//! and stores whose streams cannot be closed while they are written to.
#![expect(
    clippy::unwrap_used,
    reason = "a test says by panicking what went wrong"
)]

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::backup::{BackupOptions, BackupService, RestoreOptions, RestoreTarget};
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, MigrationId, ObjectId, StoreId, StreamId};
use esm_core::migration::{MigrationService, MigrationStatus, Scope};
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_core::store::{Capabilities, CellKind, LockProvider, Shortcoming};
use esm_testkit::faults::{Actor, At, Fault, FaultPlan, Gate};
use esm_testkit::memory::{MemoryEventStore, MemoryLocks, MemoryWorld};
use esm_testkit::observe::Observer;
use esm_testkit::{Rule, Rules, environment};
use futures::TryStreamExt as _;

fn rules() -> Rules {
    let of = |name, rule| (EventType::new(name).unwrap(), rule);
    Rules::new([of("Old", Rule::Change), of("Bad", Rule::Fail)])
}

fn event(id: &str, event_type: &str) -> Event {
    let (id, event_type) = (EventId::new(id), EventType::new(event_type));
    Event::new(id.unwrap(), event_type.unwrap(), "{}")
}

struct World {
    environment: Environment,
    storage: MemoryWorld,
    object: ObjectId,
}

impl World {
    /// A storage with these capabilities and one object.
    async fn new(capabilities: Capabilities, types: &[&str]) -> Self {
        let environment = environment(7);
        let mut storage = MemoryWorld::new(&environment);
        storage.event_store = storage.event_store.with_capabilities(capabilities);
        let object: ObjectId = "order/1".parse().unwrap();
        let cells = (0..)
            .zip(types)
            .map(|(n, t)| vec![event(&format!("e{n}"), t)]);
        let created = storage.create_object(&environment, &object, cells).await;
        created.unwrap();
        Self {
            environment,
            storage,
            object,
        }
    }

    async fn unfenced(types: &[&str]) -> Self {
        let capabilities = Capabilities::default().with_discard(true).with_fence(false);
        Self::new(capabilities, types).await
    }

    /// A process with these faults, whose locks are its own.
    fn holder(&self, actor: &Actor, seed: u64) -> MigrationService {
        let environment = environment(seed);
        let locks: Arc<dyn LockProvider> =
            Arc::new(MemoryLocks::new(Arc::clone(&environment.clock)));
        let events = actor.event_store(self.storage.event_store());
        let records = actor.records(self.storage.records());
        let service = MigrationService::new(events, records, actor.locks(locks)).unwrap();
        service.with_environment(environment)
    }

    fn service(&self) -> MigrationService {
        self.holder(&FaultPlan::new().actor("service"), 3)
    }

    fn client(&self) -> ObjectClient {
        let (records, events) = (self.storage.records(), self.storage.event_store());
        ObjectClient::new(records, events, environment(55))
    }

    async fn ids(&self) -> Vec<String> {
        let events = self.client().read(&self.object, ReadPosition::Start);
        let events: Vec<_> = events.try_collect().await.unwrap();
        events.iter().map(|e| e.event.id.to_string()).collect()
    }

    async fn planned(&self) -> Option<MigrationId> {
        let service = self.service();
        let all: Vec<_> = service.active().try_collect().await.unwrap();
        all.first().map(|state| state.migration)
    }

    fn source_is_closed(&self) -> bool {
        let cells = (self.storage.event_store).snapshot(&StreamId::first(&self.object));
        let last = cells.last().map(|cell| &cell.header.kind);
        matches!(last, Some(CellKind::Close(_)))
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_keeps_the_target_and_ends_as_abandoned() {
    let world = World::unfenced(&["Old", "Keep"]).await;
    // the target is written, and the process dies before the Close
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("first");
    let migration = world.holder(&actor, 1).migrate(world.object.clone());
    let crashed = actor.run(migration.transform(rules()).execute());
    assert!(crashed.await.is_err());
    let migration = world.planned().await.unwrap();
    let undone = world.service().roll_back(migration).execute().await;
    let undone = undone.unwrap();
    assert_eq!(undone.status, MigrationStatus::Abandoned, "{undone:?}");
    assert_eq!(
        (undone.statistics.abandoned, undone.statistics.rolled_back),
        (1, 0)
    );
    assert!(!undone.is_success());
    assert_eq!(world.storage.event_store.stream_ids().len(), 2, "T is kept");
    assert!(!world.source_is_closed());
    let state = world.service().status(migration).await.unwrap();
    assert_eq!(state.status, MigrationStatus::Abandoned);
    // it is over, and another may begin
    let again = world
        .service()
        .resume(migration)
        .transform(rules())
        .execute();
    assert_eq!(*again.await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let next = world.service().migrate(world.object.clone());
    assert!(
        next.transform(rules())
            .execute()
            .await
            .unwrap()
            .is_success()
    );
    assert_eq!(world.ids().await, ["e0", "e1"]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_anything_was_written_is_rolled_back_and_what_was_begun_is_abandoned() {
    for (failing_check, status, streams) in [
        (false, MigrationStatus::RolledBack, 1),
        (true, MigrationStatus::Abandoned, 2),
    ] {
        // the analysis finds what cannot be transformed, and a user's check sees the target
        let types = if failing_check { ["Old"] } else { ["Bad"] };
        let world = World::unfenced(&types).await;
        let migration = world.service().migrate(world.object.clone());
        let migration = migration.transform(rules()).with_rollback();
        let migration = migration.verify(|verify| match failing_check {
            true => verify.custom("no", |_| async { Err("not good enough".to_owned()) }),
            false => verify,
        });
        let result = migration.execute().await.unwrap();
        assert_eq!(result.status, status, "{:?}", result.error);
        assert_eq!(world.storage.event_store.stream_ids().len(), streams);
        assert!(!world.source_is_closed());
    }
}

/// I1, I4–I7: the first holder is paused at each of its calls, the second abandons, the first wakes
/// up. A late Close is possible, and loses nothing.
#[tokio::test(start_paused = true)]
async fn a_paused_holder_wakes_up_after_another_has_abandoned() {
    let mut late_closes = 0;
    for at in 0.. {
        let world = World::unfenced(&["Old", "Keep"]).await;
        let observer = Observer::new(world.storage.event_store(), world.storage.records());
        let observer = observer.transformation(Arc::new(rules()));
        let observer = Arc::new(observer.object(world.object.clone()));
        let gate = Gate::new();
        let plan = FaultPlan::new().with(At::Operation(at), Fault::Stall(gate.clone()));
        let plan = plan.watched_by(observer.clone());
        let holder = world.holder(&plan.actor("first"), 1);
        let migration = holder.migrate(world.object.clone()).transform(rules());
        let mut first = tokio::spawn(migration.execute());
        let paused = tokio::select! {
            () = gate.reached() => true,
            done = &mut first => { done.unwrap().unwrap(); false }
        };
        if !paused {
            assert!(at > 10, "the first holder was never paused");
            assert!(late_closes > 0, "no pause led to a late Close");
            return;
        }
        let mut ended = None;
        if let Some(migration) = world.planned().await {
            let second = FaultPlan::new().watched_by(observer.clone());
            let undo = world
                .holder(&second.actor("second"), 2)
                .roll_back(migration);
            ended = Some(undo.undo_only().execute().await.unwrap().status);
            assert_eq!(second.violations(), [], "paused at {at}");
        }
        let before = world.source_is_closed();
        gate.open();
        let first = first.await.unwrap();
        assert_eq!(plan.violations(), [], "paused at {at}");
        let after = world.source_is_closed();
        match ended {
            Some(MigrationStatus::RolledBack) => assert!(!after, "I7: paused at {at}"),
            Some(MigrationStatus::Abandoned) => {
                assert!(!first.unwrap().is_success(), "paused at {at}");
                late_closes += u32::from(after && !before);
            }
            _ => {}
        }
        let any = ExpectedRevision::Any;
        let late = vec![event("late", "Keep")];
        let appended = world.client().append(&world.object, any, late).await;
        appended.unwrap();
        assert_eq!(world.ids().await, ["e0", "e1", "late"], "paused at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_close_live_streams_is_refused_before_anything_is_touched() {
    for shortcoming in [
        Shortcoming::InexactAppends,
        Shortcoming::ContentChanged,
        Shortcoming::CloseNotAtomic,
        Shortcoming::CloseNotHonoured,
        Shortcoming::Untested,
    ] {
        let capabilities = Capabilities::default().with_shortcoming(shortcoming);
        let world = World::new(capabilities, &["Old"]).await;
        let migrate = || {
            world
                .service()
                .migrate(world.object.clone())
                .transform(rules())
        };
        for refused in [
            migrate().build().map(drop).unwrap_err(),
            migrate().dry_run().await.map(drop).unwrap_err(),
            migrate().execute().await.map(drop).unwrap_err(),
        ] {
            assert_eq!(*refused.kind(), ErrorKind::Unsupported);
            assert!(
                refused.to_string().contains(&shortcoming.to_string()),
                "{refused}"
            );
            assert_eq!(refused.hint(), Some(shortcoming.hint()));
        }
        assert_eq!(world.planned().await, None, "nothing was begun");
        let appends = capabilities.ensure_target().is_ok();
        assert_eq!(appends, shortcoming.permits_appends());
    }
    assert!(Capabilities::default().ensure_source().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_target_store_need_not_be_able_to_close_live_streams_until_they_are_to_move_on() {
    let world = World::new(Capabilities::default(), &["Old"]).await;
    let other = |shortcoming| {
        let id = StoreId::from_uuid(world.environment.uuid_v4());
        let capabilities = Capabilities::default().with_shortcoming(shortcoming);
        Arc::new(MemoryEventStore::new(id).with_capabilities(capabilities))
    };
    let service = world.service();
    let migrate = || service.migrate(world.object.clone()).transform(rules());
    let inexact = migrate().to_store(other(Shortcoming::InexactAppends));
    let refused = inexact.execute().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Unsupported);
    let target = other(Shortcoming::CloseNotHonoured);
    let moved = migrate().to_store(target.clone()).execute().await.unwrap();
    assert!(moved.is_success(), "{moved:?}");
    // back home again: now the other store is the source
    for builder in [migrate(), service.migrate_all()] {
        let home = world.storage.event_store();
        let onwards = builder.again().to_store(target.clone()).to_store(home);
        let answer = onwards.execute().await;
        let refused = answer.map_or_else(Some, |result| result.error).unwrap();
        assert_eq!(*refused.kind(), ErrorKind::Unsupported, "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_not_restored_into_a_store_that_cannot_close_live_streams() {
    let capabilities = Capabilities::default().with_shortcoming(Shortcoming::CloseNotHonoured);
    let world = World::new(capabilities, &["Old"]).await;
    let (records, events) = (world.storage.records(), world.storage.event_store());
    let service = BackupService::new(events, records, world.storage.backups())
        .with_environment(world.environment.clone());
    let scope = Scope::Objects(vec![world.object.clone()]);
    let backup = service.create(&scope, BackupOptions::new()).await.unwrap();
    let fresh = RestoreTarget::FreshStream;
    let refused = service.restore(&backup.id, &world.object, fresh, RestoreOptions::new());
    assert_eq!(*refused.await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(world.storage.event_store.stream_ids().len(), 1);
}
