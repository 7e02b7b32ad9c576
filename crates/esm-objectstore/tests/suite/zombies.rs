//! A holder of a migration is paused at each of its calls, another rolls it back, and the first
//! wakes up: over real cells, where a paused write leaves a gap behind it.
use std::sync::Arc;

use esm_core::id::ObjectId;
use esm_core::migration::{MigrationService, MigrationState, MigrationStatus};
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_objectstore::OpenOptions;
use esm_testkit::faults::{At, Fault, FaultPlan, Gate};
use esm_testkit::memory::MemoryLocks;
use esm_testkit::{environment, event};
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

async fn process(objects: &Arc<dyn ObjectStore>, seed: u64, plan: &FaultPlan) -> MigrationService {
    let environment = environment(seed);
    let options = OpenOptions::default().with_environment(environment.clone());
    let store = esm_objectstore::open_or_create_with_client(Arc::clone(objects), "", options)
        .await
        .unwrap();
    let actor = plan.actor(format!("process {seed}"));
    MigrationService::new(
        actor.event_store(store.event_store()),
        actor.records(store.records()),
        // its own: it believes whatever it likes
        Arc::new(MemoryLocks::new(Arc::clone(&environment.clock))),
    )
    .with_environment(environment)
}

async fn client(objects: &Arc<dyn ObjectStore>) -> ObjectClient {
    let environment = environment(77);
    let options = OpenOptions::default().with_environment(environment.clone());
    let store = esm_objectstore::open_or_create_with_client(Arc::clone(objects), "", options)
        .await
        .unwrap();
    ObjectClient::new(store.records(), store.event_store(), environment)
}

/// R17, I1, I7
#[tokio::test(start_paused = true)]
async fn a_paused_holder_wakes_up_after_another_has_rolled_back() {
    let object: ObjectId = "order/1".parse().unwrap();
    let ids = ["0", "1", "2", "3", "4"];
    for at in 0.. {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let application = client(&objects).await;
        for id in ids {
            application
                .append(&object, ExpectedRevision::Any, vec![event(id, "T")])
                .await
                .unwrap();
        }
        let gate = Gate::new();
        let plan = FaultPlan::new().with(At::Operation(at), Fault::Stall(gate.clone()));
        let first = process(&objects, 1, &plan).await;
        // a cell for each event
        let migration = first.migrate(object.clone()).cells(1, 1 << 20);
        let mut first = tokio::spawn(migration.execute());
        tokio::select! {
            () = gate.reached() => {}
            done = &mut first => {
                assert!(done.unwrap().unwrap().is_success() && at > 15);
                return;
            }
        }
        let second = process(&objects, 2, &FaultPlan::new()).await;
        let states: Vec<MigrationState> = second.migrations().try_collect().await.unwrap();
        let planned = states.into_iter().find(|state| state.plan.is_some());
        let mut undone = false;
        if let Some(state) = &planned
            && let Ok(result) = second
                .roll_back(state.migration)
                .undo_only()
                .execute()
                .await
        {
            undone = result.status == MigrationStatus::RolledBack;
        }
        gate.open();
        let first = first.await.unwrap();
        let context = format!("paused at {at}: {first:?}");
        let read = client(&objects).await.read(&object, ReadPosition::Start);
        let read: Vec<_> = read.try_collect().await.unwrap();
        let read: Vec<_> = read
            .iter()
            .map(|e| e.event.id.as_str().to_owned())
            .collect();
        assert_eq!(read, ids, "{context}: I1");
        let folder = Path::from("streams");
        let streams = objects.list_with_delimiter(Some(&folder));
        let streams = streams.await.unwrap().common_prefixes;
        if undone {
            let loaded = client(&objects).await.load(&object).await.unwrap();
            assert!(loaded.document.terminated.is_empty(), "{context}: I7");
            assert_eq!(streams.len(), 1, "{context}: R17: {streams:?}");
        }
    }
}
