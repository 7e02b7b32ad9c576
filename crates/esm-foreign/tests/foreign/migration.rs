//! Migrations of streams that applications wrote by themselves.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::event::{Event, Revision};
use esm_core::id::{ObjectId, StreamId};
use esm_core::migration::{MigrationService, MigrationStatus};
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_core::store::{EventStore, Stores};
use esm_foreign::{ForeignEventStore, adopt};
use esm_testkit::faults::{Actor, At, Fault, FaultPlan};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::{Rules, environment};
use futures::TryStreamExt as _;

use super::fixture::{event, open, rules, stream};
use super::kurrent::{Adapter, Expected, Kurrent, NEW, data_of};

/// A native store with an object, and a storage of esm's own beside it for records and locks.
pub(crate) struct World {
    pub(crate) kurrent: Kurrent,
    pub(crate) adapter: Adapter,
    pub(crate) storage: MemoryWorld,
    pub(crate) object: ObjectId,
}

pub(crate) const SOURCE: &str = "order-1";

impl World {
    pub(crate) async fn new(adapter: impl FnOnce(&Kurrent) -> Adapter, types: &[&str]) -> Self {
        let kurrent = Kurrent::rolled_out();
        let events = (0..)
            .zip(types)
            .map(|(n, t)| data_of(&event(&format!("e{n}"), t)));
        kurrent
            .append(NEW, SOURCE, Expected::Any, events.collect())
            .unwrap();
        let world = Self {
            adapter: adapter(&kurrent),
            kurrent,
            storage: MemoryWorld::new(environment(1)),
            object: "order/1".parse().unwrap(),
        };
        let (store, records) = (world.open(2).await, world.storage.records());
        let (object, id) = (world.object.clone(), stream(SOURCE));
        let adopted = adopt(records, &*store, object, id, &environment(3)).await;
        adopted.unwrap();
        world
    }

    pub(crate) async fn open(&self, seed: u64) -> Arc<ForeignEventStore> {
        open(self.adapter.clone(), seed).await
    }

    /// A migrator, as this process sees the world.
    pub(crate) async fn migrator(&self, seed: u64, actor: &Actor) -> MigrationService {
        let native = actor.native_store(Arc::new(self.adapter.clone()));
        let events = ForeignEventStore::open(native, &environment(seed)).await;
        let events: Arc<dyn EventStore> = Arc::new(events.unwrap());
        let records = actor.records(self.storage.records());
        // each believes that it holds the lock
        let locks = esm_testkit::memory::MemoryLocks::new(environment(seed).clock);
        let locks = actor.locks(Arc::new(locks));
        let service = MigrationService::new(events, records, locks);
        service.with_environment(environment(seed))
    }

    pub(crate) async fn client(&self, seed: u64, others: &[Arc<dyn EventStore>]) -> ObjectClient {
        let home: Arc<dyn EventStore> = self.open(seed).await;
        let stores = others.iter().cloned().fold(Stores::new(home), Stores::with);
        ObjectClient::new(self.storage.records(), stores, Environment::system())
    }

    pub(crate) async fn read(&self, others: &[Arc<dyn EventStore>]) -> Vec<Event> {
        let client = self.client(77, others).await;
        let events = client.read(&self.object, ReadPosition::Start);
        let events: Vec<_> = events.try_collect().await.unwrap();
        events.into_iter().map(|recorded| recorded.event).collect()
    }

    /// Types and schema versions of the object's events.
    async fn schemas(&self, others: &[Arc<dyn EventStore>]) -> Vec<String> {
        let events = self.read(others).await;
        events.iter().map(|e| e.schema().to_string()).collect()
    }

    async fn active(&self) -> StreamId {
        let document = self.storage.document(&self.object).await.unwrap();
        document.active.stream
    }
}

const TYPES: &[&str] = &["Old", "Noise", "Keep", "Split", "Noise", "Old"];

#[tokio::test]
async fn a_stream_that_an_application_wrote_is_migrated_within_its_store() {
    let world = World::new(Adapter::new, TYPES).await;
    let service = world.migrator(4, &FaultPlan::new().actor("m")).await;
    let migration = service.migrate(world.object.clone()).transform(rules());
    let plan = migration.clone().dry_run().await.unwrap();
    assert_eq!(plan.events, 6);
    let result = migration.execute().await.unwrap();
    assert!(result.is_success(), "{result:?}");
    let expected = ["Old v2", "Keep v1", "Split v2", "Split v2", "Old v2"];
    assert_eq!(world.schemas(&[]).await, expected);

    // a native reader finds the Close, which names the target in plain JSON
    let last = world.kurrent.last(SOURCE).unwrap();
    assert_eq!(
        (last.revision, last.event.event_type.as_str()),
        (6, "esm.Close")
    );
    let close: esm_core::store::Close = serde_json::from_slice(&last.event.data).unwrap();
    let target = close.target.unwrap();
    assert_eq!(
        (close.events, close.target_events),
        (Revision(6), Revision(5))
    );
    assert_eq!(target.stream, world.active().await);
    // and in the target what it knows
    let copied = world.kurrent.read(target.stream.as_str(), 0, 10);
    let types: Vec<_> = copied.iter().map(|e| e.event.event_type.as_str()).collect();
    assert_eq!(types, ["Old", "Keep", "Split", "Split", "Old"]);

    // an old writer is kept out, esm's client continues, and so does a native writer that looked
    let old = world
        .kurrent
        .append("orders", SOURCE, Expected::Any, vec![]);
    assert!(old.is_err());
    let client = world.client(5, &[]).await;
    let any = ExpectedRevision::Any;
    client
        .append(&world.object, any, vec![event("x", "Keep")])
        .await
        .unwrap();
    let natively = vec![data_of(&event("y", "Keep"))];
    world
        .kurrent
        .append(NEW, target.stream.as_str(), Expected::Revision(5), natively)
        .unwrap();
    assert_eq!(world.read(&[]).await.len(), 7);
    // and it can move on again, from a stream that both wrote
    let again = service
        .migrate(world.object.clone())
        .execute()
        .await
        .unwrap();
    assert!(again.is_success(), "{again:?}");
    assert_eq!(world.read(&[]).await.len(), 7);
}

#[tokio::test]
async fn streams_move_between_a_native_store_and_one_of_esms_own() {
    let world = World::new(Adapter::new, TYPES).await;
    let own = world.storage.event_store();
    let service = world.migrator(4, &FaultPlan::new().actor("m")).await;
    let out = service.migrate(world.object.clone()).transform(rules());
    let out = out.to_store(own.clone()).execute().await.unwrap();
    assert!(out.is_success(), "{out:?}");
    assert_eq!(
        world.storage.event_store.stream_ids(),
        [world.active().await]
    );
    let others = [own.clone()];
    let schemas = world.schemas(&others).await;
    let client = world.client(6, &others).await;
    let any = ExpectedRevision::Any;
    client
        .append(&world.object, any, vec![event("x", "Keep")])
        .await
        .unwrap();

    let home: Arc<dyn EventStore> = world.open(5).await;
    let back = service
        .migrate(world.object.clone())
        .to_store(own)
        .to_store(home);
    let back = back.execute().await.unwrap();
    assert!(back.is_success(), "{back:?}");
    let target = world.active().await;
    assert_eq!(
        world.kurrent.read(target.as_str(), 0, 99).len(),
        schemas.len() + 1
    );
}

#[tokio::test]
async fn an_undo_is_abandoned_where_a_fence_would_show_and_rolled_back_where_not() {
    for fence in [false, true] {
        let adapter = |kurrent: &Kurrent| Adapter::new(kurrent).with(|p| p.with_fence(fence));
        let world = World::new(adapter, &["Old", "Keep"]).await;
        let service = world.migrator(4, &FaultPlan::new().actor("m")).await;
        let migration = service.migrate(world.object.clone()).transform(rules());
        let vetoed = migration
            .with_rollback()
            .check_with("never", |_| async { Err("no".to_owned()) });
        let result = vetoed.execute().await.unwrap();
        let error = result.error.unwrap();
        assert_eq!(*error.kind(), ErrorKind::VerificationFailed);
        let expected = if fence {
            MigrationStatus::RolledBack
        } else {
            MigrationStatus::Abandoned
        };
        assert_eq!(result.status, expected);
        // what native writers expect of the source is as it was, where they may expect it
        let revisions = world.kurrent.read(SOURCE, 0, 9).len();
        assert_eq!(revisions, if fence { 3 } else { 2 });
        let targets = world.kurrent.streams();
        let kept = targets
            .iter()
            .filter(|name| name.starts_with("order-1-v"))
            .count();
        assert_eq!(kept, usize::from(!fence));
        assert_eq!(world.schemas(&[]).await, ["Old v1", "Keep v1"]);
        let next = service.migrate(world.object.clone()).transform(rules());
        assert!(next.execute().await.unwrap().is_success());
    }
}

/// I1, I4: a migrator out of the native store or back into it meets a fault at any of its calls, also
/// of those on the native store, and another that knows nothing continues.
#[tokio::test(start_paused = true)]
async fn a_migrator_between_stores_that_fails_anywhere_is_followed_by_another() {
    for back in [false, true] {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::FailAfter] {
            let mut at = 0;
            while moves_with(back, &fault, at).await {
                at += 1;
            }
            assert!(at > 20, "{fault:?}: only {at} calls");
        }
    }
}

/// Returns whether there was such a call.
async fn moves_with(back: bool, fault: &Fault, at: u64) -> bool {
    let world = World::new(Adapter::new, TYPES).await;
    let object = || world.object.clone();
    let mut stores = vec![world.storage.event_store()];
    if back {
        let service = world.migrator(3, &FaultPlan::new().actor("earlier")).await;
        let out = service.migrate(object()).transform(rules());
        let out = out.to_store(stores[0].clone()).execute().await.unwrap();
        assert!(out.is_success(), "{out:?}");
        stores.push(world.open(6).await);
    }
    let (before, schemas) = (world.active().await, world.schemas(&stores).await);

    let plan = FaultPlan::new();
    let actor = plan.actor("first");
    let service = world.migrator(4, &actor).await;
    plan.inject(At::Operation(plan.log().len() + at), fault.clone());
    let rules = || {
        if back {
            Rules::new::<&str>([])
        } else {
            rules()
        }
    };
    let migration = service.migrate(object()).transform(rules());
    let migration = stores.iter().cloned().fold(migration, |m, s| m.to_store(s));
    let done = actor.run(migration.cells(2, 1 << 20).execute()).await;
    let finished = done.is_ok_and(|result| result.is_ok_and(|r| r.is_success()));
    let reached = plan.log().operations().iter().any(|o| o.of_actor == at);

    let other = world.migrator(5, &FaultPlan::new().actor("other")).await;
    let planned: Vec<_> = other.active().try_collect().await.unwrap();
    for state in &planned {
        let resumed = other.resume(state.migration).transform(rules());
        let resumed = stores.iter().cloned().fold(resumed, |r, s| r.to_store(s));
        let resumed = resumed.execute().await.unwrap();
        assert!(resumed.is_success(), "{fault:?} at {at}: {resumed:?}");
    }
    let found = world.schemas(&stores).await;
    if world.active().await == before {
        // it died before anything was planned
        assert!(!finished && planned.is_empty(), "{fault:?} at {at}");
        assert_eq!(found, schemas, "{fault:?} at {at}");
    } else {
        let expected = ["Old v2", "Keep v1", "Split v2", "Split v2", "Old v2"];
        assert_eq!(found, expected, "{fault:?} at {at}");
    }
    assert!(reached || finished, "{fault:?} at {at}");
    reached
}
