//! Damage: what only informs blocks nothing, a damaged journal has a way out, vanished streams end a
//! migration, and what was left in discarded targets is removed.

use std::sync::Arc;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::event::Revision;
use esm_core::id::MigrationId;
use esm_core::id::{StreamId, StreamRef};
use esm_core::migration::{ControlOptions, MigrationService, MigrationStatus};
use esm_core::protocol::control::Answer;
use esm_core::router::{ObjectReader, ReadPosition};
use esm_core::store::{
    Append, CellKind, Close, EventStore, Origin, RecordKey, RecordsExt as _, Tail,
};
use esm_core::transform::{EventTransformer as _, Identity};
use esm_testkit::damage::{Damage, DamagedRecords, VanishingStreams};
use esm_testkit::faults::{At, Fault, FaultPlan};
use esm_testkit::{event, ids};
use futures::TryStreamExt as _;

use crate::world::World;

/// A world whose records can be damaged, and a process that works on it.
struct Damaged {
    world: World,
    records: Arc<DamagedRecords>,
    service: MigrationService,
}

impl Damaged {
    /// One order with these events.
    async fn with_order(types: &[&str]) -> Self {
        let world = World::with_order(types).await;
        let records = Arc::new(DamagedRecords::new(world.storage.records()));
        let service = MigrationService::new(
            world.storage.event_store(),
            Arc::clone(&records) as _,
            world.storage.locks(),
        );
        let service = service.with_environment(world.storage.environment.clone());
        Self {
            world,
            records,
            service,
        }
    }

    /// A migration of the order that crashed right before its Close.
    async fn crashed(&self) -> MigrationId {
        let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
        let actor = plan.actor("migrator");
        let service = actor.migration_service(&self.world.storage);
        let migrate = service.migrate(self.world.order.clone());
        assert!(actor.run(migrate.execute()).await.is_err());
        // its lock expires
        self.world
            .storage
            .environment
            .clock
            .sleep(Duration::from_secs(61))
            .await;
        self.world.migration().await.expect("it is planned")
    }

    fn journal_length(&self, migration: MigrationId) -> u64 {
        let key = RecordKey::Journal(migration);
        self.world.storage.records.snapshot(&key).len() as u64
    }
}

/// Every record is damaged, or lost, in turn. (A journal without its newest record is a valid, older
/// journal.) The streams decide, so another migration finishes the work.
#[tokio::test(start_paused = true)]
async fn a_damaged_journal_is_named_and_another_migration_takes_over_from_the_streams() {
    for finished in [false, true] {
        for damage in [Damage::Unreadable, Damage::Lost] {
            let mut number = 0;
            loop {
                let f = Damaged::with_order(&["A", "B", "C"]).await;
                let migration = f.crashed().await;
                if finished {
                    let resumed = f.service.resume(migration).execute().await.unwrap();
                    assert!(resumed.is_success());
                }
                let last = f.journal_length(migration) - 1;
                if number > last || damage == Damage::Lost && number == last {
                    assert!(number > 0, "too few records to say anything");
                    break;
                }
                let case = format!("finished {finished}, record {number} {damage:?}");
                let key = RecordKey::Journal(migration);
                f.records.damage(&key, number, damage);
                let length = f.journal_length(migration);

                let seen = f.service.status(migration).await.unwrap();
                let what = seen.damage.unwrap_or_else(|| panic!("unnoticed: {case}"));
                assert!(what.contains(&number.to_string()), "{case}: {what}");
                let all: Vec<_> = f.service.migrations().try_collect().await.unwrap();
                assert_eq!(all.len(), 1, "{case}");
                let active: Vec<_> = f.service.active().try_collect().await.unwrap();
                assert!(active.is_empty(), "{case}: it can be resumed by nobody");
                let control = f.service.control(migration);
                for refused in [
                    f.service.resume(migration).execute().await.map(drop),
                    f.service.roll_back(migration).execute().await.map(drop),
                    control.pause().await.map(drop),
                ] {
                    let error = refused.unwrap_err();
                    assert_eq!(error.kind(), &ErrorKind::Corrupt, "{case}");
                    let hint = error.hint().unwrap_or_default();
                    assert!(hint.contains("begin a new migration"), "{case}: {hint}");
                }
                assert_eq!(
                    f.journal_length(migration),
                    length,
                    "{case}: it was written to"
                );

                let again = f.service.migrate(f.world.order.clone()).again();
                let moved = again.execute().await.unwrap();
                assert!(moved.is_success(), "{case}: {moved:?}");
                let events = f.world.storage.read(&f.world.order).await.unwrap();
                assert_eq!(
                    ids(&events),
                    ["order/1-0", "order/1-1", "order/1-2"],
                    "{case}"
                );
                number += 1;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn damaged_progress_and_commands_block_nothing() {
    let f = Damaged::with_order(&["A", "B", "C"]).await;
    let migration = f.crashed().await;
    let control = f.service.control(migration);
    for _ in 0..2 {
        control.pause().await.unwrap();
    }
    let commands = RecordKey::Control(migration);
    for (number, damage) in [(0, Damage::Unreadable), (1, Damage::Unreadable)] {
        f.records.damage(&commands, number, damage);
    }
    let progress = RecordKey::Progress(migration);
    f.world
        .storage
        .records()
        .put(&progress, 0, "{".into())
        .await
        .unwrap();
    f.records.damage(&progress, 0, Damage::Unreadable);

    let seen = f.service.observe(migration).await.unwrap();
    assert!(seen.progress.is_none() && seen.desired.paused_by.is_none());
    let resume = control.resume().await.unwrap();
    let ended = f.service.resume(migration).execute().await.unwrap();
    assert!(ended.is_success(), "{ended:?}");
    let answer = resume.answer(Duration::ZERO).await.unwrap();
    assert!(matches!(answer, Some(Answer::Refused { .. })), "{answer:?}");
    assert_eq!(f.world.status(migration).await, MigrationStatus::Completed);
}

/// The newest version is damaged: the next one is published behind it, and watched.
#[tokio::test(start_paused = true)]
async fn progress_is_published_behind_a_damaged_version() {
    for versions in [1, 2, 7] {
        let f = Damaged::with_order(&["A", "B", "C"]).await;
        let migration = f.crashed().await;
        let progress = RecordKey::Progress(migration);
        for number in 0..versions {
            let stored = f.world.storage.records();
            stored.put(&progress, number, "{".into()).await.unwrap();
            f.records.damage(&progress, number, Damage::Unreadable);
        }
        // it stays paused, so that it does not end before it publishes
        f.service.control(migration).pause().await.unwrap();
        let every = Duration::from_millis(100);
        let control = ControlOptions::default().poll(every).publish(every);
        let resumed = f.service.resume(migration).control(control);
        let resumed = tokio::spawn(resumed.execute());
        f.world.let_time_pass(1000).await;
        let seen = f.service.observe(migration).await.unwrap();
        assert!(seen.progress.is_some(), "behind {versions} versions");
        resumed.abort();
    }
}

/// At whichever call: the migration ends soon, with an error or because it was done.
#[tokio::test(start_paused = true)]
async fn a_migration_whose_streams_vanish_ends() {
    for after in 0.. {
        let f = World::with_order(&["A", "B", "C", "D", "E"]).await;
        let store = Arc::new(VanishingStreams::new(f.storage.event_store(), after));
        let events: Arc<dyn EventStore> = Arc::clone(&store) as _;
        let service = MigrationService::new(events, f.storage.records(), f.storage.locks());
        let service = service.with_environment(f.storage.environment.clone());
        let ended = service.migrate(f.order.clone()).execute().await;
        let Some(calls) = store.calls_since() else {
            assert!(ended.unwrap().is_success());
            assert!(after > 5, "a migration takes more than {after} calls");
            return;
        };
        assert!(calls < 500, "after {after}: {calls} calls in vain");
    }
}

/// A Close that leads back: found as damage by everybody who follows it.
#[tokio::test(start_paused = true)]
async fn a_ring_of_closed_streams_is_corrupt() {
    let f = World::with_order(&["A"]).await;
    let (store, environment) = (f.storage.event_store(), &f.storage.environment);
    let migration = environment.migration_id();
    let stream = |name: &str| StreamRef::new(store.id(), StreamId::new(name).unwrap());
    let ring = [stream("a"), stream("b"), stream("c")];
    for (at, this) in ring.iter().enumerate() {
        let (before, next) = (&ring[(at + 2) % 3], &ring[(at + 1) % 3]);
        let first = Append {
            origin: Some(Origin {
                source: before.clone(),
                migration,
                attempt: 0,
                fingerprint: Identity.fingerprint(),
                retired: Default::default(),
                accepted: Default::default(),
                restores: None,
            }),
            cursor: Some(Revision(1)),
            ..Append::events(environment.commit_id(), vec![event("e", "A").into()])
        };
        let tail = store
            .append(&this.stream, &Tail::default(), first)
            .await
            .unwrap();
        let close = Close {
            target: Some(next.clone()),
            events: Revision(1),
            target_events: Revision(1),
            migration,
            continues: true,
            target_last: None,
        };
        let commit = environment.commit_id();
        store
            .close(&this.stream, &tail, commit, close)
            .await
            .unwrap();
    }
    let mut document = f.storage.document(&f.order).await.unwrap();
    document.active = ring[0].clone();
    let key = RecordKey::Document(f.order.clone());
    f.storage
        .records()
        .put_as(&key, 1, &document)
        .await
        .unwrap();

    let reader = ObjectReader::new(f.storage.records(), store);
    let at = esm_core::event::Position {
        stream: ring[0].stream.clone(),
        revision: Revision::START,
    };
    for from in [ReadPosition::Start, ReadPosition::At(at)] {
        let read: Result<Vec<_>, _> = reader.read(&f.order, from).try_collect().await;
        assert_eq!(read.unwrap_err().kind(), &ErrorKind::Corrupt);
    }
    let loaded = reader.load(&f.order).await.unwrap_err();
    assert_eq!(loaded.kind(), &ErrorKind::Corrupt);
    let moved = f.migrate(&f.order).again().execute().await.unwrap_err();
    assert_eq!(moved.kind(), &ErrorKind::Corrupt);
}

/// Streams that name each other as their origins: an append of a retired schema follows them back.
#[tokio::test(start_paused = true)]
async fn a_ring_of_origins_is_corrupt() {
    let f = World::with_order(&["A"]).await;
    let (store, environment) = (f.storage.event_store(), &f.storage.environment);
    let stream = |name: &str| StreamRef::new(store.id(), StreamId::new(name).unwrap());
    let (active, earlier) = (stream("active"), stream("earlier"));
    for (this, source) in [(&active, &earlier), (&earlier, &active)] {
        let first = Append {
            origin: Some(Origin {
                source: source.clone(),
                migration: environment.migration_id(),
                attempt: 0,
                fingerprint: Identity.fingerprint(),
                retired: [event("e", "A").schema()].into(),
                accepted: Default::default(),
                restores: None,
            }),
            cursor: Some(Revision::START),
            ..Append::events(environment.commit_id(), Vec::new())
        };
        let end = Tail::default();
        let append = store.append(&this.stream, &end, first);
        append.await.unwrap();
    }
    let mut document = f.storage.document(&f.order).await.unwrap();
    document.active = active;
    let key = RecordKey::Document(f.order.clone());
    f.storage
        .records()
        .put_as(&key, 1, &document)
        .await
        .unwrap();

    let appended = f.storage.append(&f.order, vec![event("late", "A")]).await;
    let error = esm_core::Error::from(appended.unwrap_err());
    assert_eq!(error.kind(), &ErrorKind::Corrupt, "{error:?}");
}

/// What a frozen process of one migration put into its discarded target, another migration removes.
#[tokio::test(start_paused = true)]
async fn a_late_cell_in_a_discarded_target_is_removed_by_any_later_migration() {
    let f = World::with_order(&["A", "B"]).await;
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("migrator");
    let migrate = f.unlocked(&actor).migrate(f.order.clone());
    assert!(actor.run(migrate.execute()).await.is_err());
    let first = f.migration().await.unwrap();
    let source = f.storage.document(&f.order).await.unwrap().active;
    f.service.roll_back(first).execute().await.unwrap();
    let cells = f.storage.event_store.snapshot(&source.stream);
    let fence = cells.iter().find_map(|cell| match &cell.header.kind {
        CellKind::Fence(fence) => Some(fence.clone()),
        _ => None,
    });
    let discarded = fence.expect("the rollback left its Fence").target;
    assert!(f.storage.event_store.snapshot(&discarded).is_empty());

    // the frozen process wakes up, writes, and is killed
    let late = Append::events(
        f.storage.environment.commit_id(),
        vec![event("late", "A").into()],
    );
    let store = f.storage.event_store();
    store
        .append(&discarded, &Tail::default(), late)
        .await
        .unwrap();
    let second = f.migrate(&f.order).execute().await.unwrap();
    assert!(second.is_success(), "{second:?}");
    assert!(f.storage.event_store.snapshot(&discarded).is_empty());
    let events = f.storage.read(&f.order).await.unwrap();
    assert_eq!(ids(&events), ["order/1-0", "order/1-1"]);
    let closed = f.storage.close_of(&source.stream).unwrap().target.unwrap();
    assert!(!f.storage.event_store.snapshot(&closed.stream).is_empty());
}
