//! A migration's journal, written and read by several processes, on the in-memory fakes.

use esm_core::ErrorKind;
use esm_core::id::{MigrationId, ObjectId};
use esm_core::migration::{MigrationResult, MigrationService, MigrationStatus};
use esm_core::protocol::journal::{JournalRecord, JournalState, Outcome};
use esm_core::store::{RecordCollection, RecordKey, Records as _};
use esm_testkit::faults::{At, Fault, FaultPlan};
use futures::TryStreamExt as _;

use crate::world::{World, race, stalled_at};

/// A process with these faults, which only the records keep from doing harm.
fn process(world: &World, plan: &FaultPlan) -> MigrationService {
    world.unlocked(&plan.actor("process"))
}

fn healthy(world: &World) -> MigrationService {
    process(world, &FaultPlan::new())
}

/// A migration of this object that has crashed before this operation.
async fn crashed(world: &World, object: &ObjectId, at: &'static str) -> MigrationId {
    let before = journals(world).await;
    let plan = FaultPlan::new().with(At::Named(at, 0), Fault::CrashBefore);
    let actor = plan.actor("process");
    let migrate = world.unlocked(&actor).migrate(object.clone());
    let ended = actor.run(migrate.execute()).await;
    assert!(ended.is_err(), "the migration reached no {at}: {ended:?}");
    let mut after = journals(world).await;
    after.retain(|migration| !before.contains(migration));
    match after[..] {
        [migration] => migration,
        _ => panic!("new journals: {after:?}, wanted one"),
    }
}

/// The migrations that have a journal.
async fn journals(world: &World) -> Vec<MigrationId> {
    let keys = world.storage.records.list(RecordCollection::Journals);
    let of = |key| match key {
        RecordKey::Journal(migration) => migration,
        other => panic!("no journal: {other:?}"),
    };
    keys.map_ok(of).try_collect().await.unwrap()
}

/// The state that a journal's records describe. They have no gaps, and each may follow those before.
fn journal(world: &World, migration: MigrationId) -> JournalState {
    let key = RecordKey::Journal(migration);
    let mut state = JournalState::default();
    for (number, body) in (0..).zip(world.storage.records.snapshot(&key)) {
        assert_eq!(number, state.next_number);
        let record: JournalRecord = serde_json::from_slice(&body).unwrap();
        let applied = state.apply(&record);
        applied.unwrap_or_else(|illegal| panic!("record {number}: {illegal}"));
    }
    state
}

/// The migrations that another process lists as active.
async fn active(world: &World) -> Vec<MigrationId> {
    let service = healthy(world);
    let active = service.active().map_ok(|state| state.migration);
    active.try_collect().await.unwrap()
}

/// How a migration ended, in one value.
fn ending(ended: esm_core::Result<MigrationResult>) -> esm_core::Result<()> {
    let result = ended?;
    let success = result.is_success();
    match result.error {
        Some(error) => Err(error),
        None if success => Ok(()),
        None => panic!("{}, and no error", result.status),
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_survives_its_writer() {
    let world = World::with_order(&["A", "A", "A"]).await;
    let migration = crashed(&world, &world.order, "event_store.close").await;
    let found = journal(&world, migration);
    assert!(found.plan.is_some(), "the plan is not in the journal");
    assert_eq!(found.outcome, None);
    assert_eq!(active(&world).await, [migration]);

    ending(healthy(&world).resume(migration).execute().await).unwrap();
    let ended = journal(&world, migration);
    assert_eq!(ended.outcome, Some(Outcome::Completed));
    assert_eq!(ended.epoch.0, found.epoch.0 + 1, "one takeover");
    let status = healthy(&world).status(migration).await.unwrap().status;
    assert_eq!(status, MigrationStatus::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_takeover_fences_the_earlier_holder() {
    let world = World::with_order(&["A", "A", "A"]).await;
    let (plan, gate) = stalled_at(At::Named("event_store.close", 0));
    let sleeper = process(&world, &plan).migrate(world.order.clone());
    let sleeper = tokio::spawn(sleeper.execute());
    gate.reached().await;
    let all = journals(&world).await;
    assert_eq!(all.len(), 1, "{all:?}");
    ending(healthy(&world).resume(all[0]).execute().await).unwrap();
    gate.open();
    let woken = ending(sleeper.await.unwrap()).unwrap_err();
    assert_eq!(woken.kind(), &ErrorKind::Fenced);
    assert_eq!(journal(&world, all[0]).outcome, Some(Outcome::Completed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_take_over_at_once_one_completes() {
    let world = World::with_order(&["A", "A", "A"]).await;
    let migration = crashed(&world, &world.order, "event_store.append").await;
    let ended = race(6, |_| {
        let service = healthy(&world);
        async move { ending(service.resume(migration).execute().await) }
    });
    let mut completed = 0;
    for ended in ended.await {
        match ended {
            Ok(()) => completed += 1,
            // a process that comes after the end has nothing to resume
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Fenced | ErrorKind::AlreadyExists),
                "{error:?}"
            ),
        }
    }
    assert_eq!(completed, 1);
    let journal = journal(&world, migration);
    assert_eq!(journal.outcome, Some(Outcome::Completed));
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_the_terminal_record() {
    let world = World::with_order(&["A", "A", "A"]).await;
    let result = healthy(&world).migrate(world.order.clone()).execute().await;
    let result = result.unwrap();
    let migration = result.migration;
    ending(Ok(result)).unwrap();
    let ended = journal(&world, migration);
    let late = healthy(&world);
    let resumed = late.resume(migration).execute().await.unwrap_err();
    assert_eq!(resumed.kind(), &ErrorKind::AlreadyExists);
    let undo = late.roll_back(migration).undo_only().execute().await;
    assert_eq!(undo.unwrap_err().kind(), &ErrorKind::AlreadyExists);
    assert_eq!(journal(&world, migration).next_number, ended.next_number);
}

#[tokio::test(start_paused = true)]
async fn an_undo_is_recorded_before_it_happens_and_then_only_continued() {
    let world = World::with_order(&["A", "A", "A"]).await;
    let migration = crashed(&world, &world.order, "event_store.close").await;
    let plan = FaultPlan::new().with(At::Named("event_store.fence", 0), Fault::CrashBefore);
    let actor = plan.actor("process");
    let undo = world.unlocked(&actor).roll_back(migration).execute();
    let ended = actor.run(undo).await;
    assert!(ended.is_err(), "the undo reached no fence: {ended:?}");
    let begun = journal(&world, migration);
    assert!(begun.rolling_back.is_some(), "{begun:?}");

    let result = healthy(&world).resume(migration).execute().await.unwrap();
    assert_eq!(result.status, MigrationStatus::RolledBack);
    let journal = journal(&world, migration);
    assert_eq!(journal.outcome, Some(Outcome::RolledBack));
}

#[tokio::test(start_paused = true)]
async fn every_process_lists_every_journal_once() {
    let world = World::new();
    let mut wanted = Vec::new();
    let one = world.object("order/1", &["A"]).await;
    wanted.push(crashed(&world, &one, "event_store.append").await);
    for id in ["order/2", "order/3"] {
        let object = world.object(id, &["A"]).await;
        let result = healthy(&world).migrate(object).execute().await.unwrap();
        wanted.push(result.migration);
        ending(Ok(result)).unwrap();
    }
    assert_eq!(active(&world).await, wanted[..1]);
    let mut found = journals(&world).await;
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}
