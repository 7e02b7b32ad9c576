//! The suite of journals: see [`journal_conformance!`](crate::journal_conformance).
//!
//! A journal is a typed view over versioned records: the durable record of a migration. The cases
//! migrate streams in memory and keep the journals, and all other records, in what is tested.
//!
//! ```
//! # struct Mine(esm_testkit::memory::MemoryRecords);
//! # #[async_trait::async_trait]
//! # impl esm_testkit::conformance::RecordsHarness for Mine {
//! #     async fn open(&self) -> std::sync::Arc<dyn esm_core::store::Records> {
//! #         std::sync::Arc::new(self.0.clone())
//! #     }
//! # }
//! use esm_testkit::conformance::{journal, run_case};
//! use esm_testkit::memory::MemoryRecords;
//!
//! // `Mine` is a `RecordsHarness`: its documentation shows one
//! for case in journal::CASES {
//!     let mine = Mine(MemoryRecords::new());
//!     let verdict = run_case(async { (case.run)(&mine).await });
//!     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
//! }
//! ```

use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::id::{HolderId, MigrationId, ObjectId, StreamId, StreamRef};
use esm_core::migration::{
    JournalRecord, JournalState, MigrationResult, MigrationService, MigrationStatus, Outcome,
};
use esm_core::object::ObjectDocument;
use esm_core::store::{EventStore as _, RecordCollection, RecordKey, RecordsExt as _, Tail};
use esm_core::{Error, ErrorKind};
use futures::TryStreamExt as _;

use super::fixtures::append;
use super::race::race;
use super::verdict::{ensure, ensure_eq, ensure_err};
use super::{Failure, RecordsHarness, Verdict};
use crate::faults::{At, Fault, FaultPlan, Gate};
use crate::memory::{MemoryLocks, MemoryWorld};

crate::__journal_cases!(__conformance_table!(dyn RecordsHarness));

/// The list of cases, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __journal_cases {
    ($then:ident!($($arguments:tt)*)) => {
        $crate::$then! { ($($arguments)*) [
            a_journal_survives_its_writer
            who_takes_over_fences_the_holder
            of_many_that_take_over_the_last_one_holds
            nothing_follows_the_end
            an_undo_is_written_down_before_it_happens
            every_journal_is_listed
        ] }
    };
}

/// One `#[test]` per case of the journal's suite, each with its own harness.
///
/// Takes an expression that makes a [`RecordsHarness`]; it may await.
///
/// ```
/// # struct Mine(esm_testkit::memory::MemoryRecords);
/// # #[async_trait::async_trait]
/// # impl esm_testkit::conformance::RecordsHarness for Mine {
/// #     async fn open(&self) -> std::sync::Arc<dyn esm_core::store::Records> {
/// #         std::sync::Arc::new(self.0.clone())
/// #     }
/// # }
/// use esm_testkit::memory::MemoryRecords;
///
/// // `Mine` is a `RecordsHarness`: its documentation shows one
/// esm_testkit::journal_conformance!(Mine(MemoryRecords::new()));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! journal_conformance {
    ($harness:expr) => {
        $crate::__journal_cases!(__conformance_tests!(journal, $harness));
    };
}

/// Streams in memory, and records where the harness has them.
struct Streams<'a> {
    harness: &'a dyn RecordsHarness,
    memory: MemoryWorld,
}

impl<'a> Streams<'a> {
    fn new(harness: &'a dyn RecordsHarness) -> Self {
        let memory = MemoryWorld::new(Environment::system());
        Self { harness, memory }
    }

    /// An object with a few events.
    async fn object(&self, number: u64) -> Result<ObjectId, Failure> {
        let object: ObjectId = format!("order/{number}").parse()?;
        let store = &self.memory.event_store;
        let stream = StreamRef::new(store.id(), StreamId::first(&object));
        let at = Environment::system().clock.now();
        let document = ObjectDocument::new(object.clone(), stream.clone(), at);
        let key = RecordKey::Document(object.clone());
        let records = self.harness.open().await;
        records.put_as(&key, 0, &document).await?;
        let events = append(10 * number..10 * number + 3)?;
        store
            .append(&stream.stream, &Tail::default(), events)
            .await?;
        Ok(object)
    }

    /// A process without a lock, that only the records keep from doing harm. A fault may be in its
    /// way.
    async fn process(&self, fault: Option<(At, Fault)>) -> Result<Process, Failure> {
        let plan = match fault {
            Some((at, fault)) => FaultPlan::new().with(at, fault),
            None => FaultPlan::new(),
        };
        let environment = Environment::system();
        let actor = plan.actor("process");
        let locks = MemoryLocks::new(Arc::clone(&environment.clock));
        let service = MigrationService::new(
            actor.event_store(self.memory.event_store()),
            actor.records(self.harness.open().await),
            actor.locks(Arc::new(locks)),
        )?;
        let holder = HolderId::new(environment.uuid_v4().to_string())?;
        Ok(Process {
            service: service.with_holder(holder),
            actor,
        })
    }

    /// A migration of this object that has crashed at this operation.
    async fn crashed(&self, object: &ObjectId, at: &'static str) -> Result<MigrationId, Failure> {
        let before = self.migrations().await?;
        let fault = (At::Named(at, 0), Fault::CrashBefore);
        let process = self.process(Some(fault)).await?;
        let ended = process
            .actor
            .run(process.service.migrate(object.clone()).execute())
            .await;
        ensure!(ended.is_err(), "the migration reached no {at}: {ended:?}");
        let mut after = self.migrations().await?;
        after.retain(|migration| !before.contains(migration));
        match after.as_slice() {
            [migration] => Ok(*migration),
            other => Err(Failure::new(format!("new journals: {other:?}, wanted one"))),
        }
    }

    /// The migrations that have a journal, as a process that has just started lists them.
    async fn migrations(&self) -> Result<Vec<MigrationId>, Failure> {
        let records = self.harness.open().await;
        let keys = records.list(RecordCollection::Journals);
        let keys: Vec<_> = keys.try_collect().await?;
        let of = |key| match key {
            RecordKey::Journal(migration) => Some(migration),
            _ => None,
        };
        Ok(keys.into_iter().filter_map(of).collect())
    }

    /// What a journal comes to, read by a process that has just started: records without gaps,
    /// each of which may follow those before it.
    async fn journal(&self, migration: MigrationId) -> Result<JournalState, Failure> {
        let (records, key) = (self.harness.open().await, RecordKey::Journal(migration));
        let mut state = JournalState::default();
        while let Some(record) = records.get(&key, state.next_number).await? {
            let number = record.number;
            let record: JournalRecord = serde_json::from_slice(&record.body)
                .map_err(|error| Failure::new(format!("record {number}: {error}")))?;
            let applied = state.apply(&record);
            applied.map_err(|illegal| Failure::new(format!("record {number}: {illegal}")))?;
        }
        let newest = records.latest(&key).await?;
        let newest = newest.map_or(0, |newest| newest.number + 1);
        ensure_eq!(newest, state.next_number, "number of records");
        Ok(state)
    }
}

struct Process {
    service: MigrationService,
    actor: crate::faults::Actor,
}

/// How a process ended, in one value.
fn ending(ended: esm_core::Result<MigrationResult>) -> esm_core::Result<()> {
    match ended {
        Ok(result) if result.is_success() => Ok(()),
        Ok(result) => {
            let status = result.status;
            let error = result.error;
            Err(error.unwrap_or_else(|| Error::invalid(format!("{status}, and no error"))))
        }
        Err(error) => Err(error),
    }
}

/// What a process has written before it dies, the next one reads, and goes on from there.
pub async fn a_journal_survives_its_writer(harness: &dyn RecordsHarness) -> Verdict {
    let streams = Streams::new(harness);
    let object = streams.object(1).await?;
    let migration = streams.crashed(&object, "event_store.close").await?;
    let found = streams.journal(migration).await?;
    ensure!(found.plan.is_some(), "the plan is not in the journal");
    ensure_eq!(found.outcome, None, "outcome of a crashed migration");

    let next = streams.process(None).await?;
    let active: Vec<_> = next.service.active().try_collect().await?;
    let active: Vec<_> = active.into_iter().map(|state| state.migration).collect();
    ensure_eq!(active, [migration], "active migrations");
    ending(next.service.resume(migration).execute().await)?;
    let ended = streams.journal(migration).await?;
    ensure_eq!(ended.outcome, Some(Outcome::Completed), "outcome");
    ensure_eq!(ended.epoch.0, found.epoch.0 + 1, "epoch after one takeover");
    let status = streams
        .process(None)
        .await?
        .service
        .status(migration)
        .await?;
    ensure_eq!(status.status, MigrationStatus::Completed, "status");
    Ok(())
}

/// A holder that was taken over appends nothing more, and is told.
pub async fn who_takes_over_fences_the_holder(harness: &dyn RecordsHarness) -> Verdict {
    let streams = Streams::new(harness);
    let object = streams.object(1).await?;
    let gate = Gate::new();
    let stalled = (
        At::Named("event_store.close", 0),
        Fault::Stall(gate.clone()),
    );
    let sleeper = streams.process(Some(stalled)).await?;
    let other = streams.process(None).await?;
    let sleeping = sleeper.service.migrate(object).execute();
    let taking_over = async {
        gate.reached().await;
        let migrations = streams.migrations().await;
        let ended = match migrations.as_deref() {
            Ok([migration]) => Ok(other.service.resume(*migration).execute().await),
            _ => Err(Failure::new(format!(
                "journals: {migrations:?}, wanted one"
            ))),
        };
        gate.open();
        ended
    };
    let (woken, other) = futures::join!(sleeping, taking_over);
    let result = other??;
    let migration = result.migration;
    ending(Ok(result))?;
    ensure_err!(
        ending(woken),
        ErrorKind::Fenced,
        "what the paused holder is told"
    );
    let journal = streams.journal(migration).await?;
    ensure_eq!(journal.outcome, Some(Outcome::Completed), "outcome");
    Ok(())
}

/// Of many that take over at once each is done, or is told that another has; the epochs grow.
pub async fn of_many_that_take_over_the_last_one_holds(harness: &dyn RecordsHarness) -> Verdict {
    const RACERS: usize = 6;
    let streams = Streams::new(harness);
    let object = streams.object(1).await?;
    let migration = streams.crashed(&object, "event_store.append").await?;
    let mut services = Vec::new();
    for _ in 0..RACERS {
        services.push(streams.process(None).await?.service);
    }
    let answers = race(RACERS, |racer| {
        let service = services[racer].clone();
        async move { ending(service.resume(migration).execute().await) }
    })
    .await;
    let mut done = 0;
    for answer in answers {
        match answer {
            Ok(()) => done += 1,
            Err(error) => {
                // who comes after the end is told that there is nothing to resume
                let expected = matches!(error.kind(), ErrorKind::Fenced | ErrorKind::AlreadyExists);
                ensure!(expected, "one of many gets another answer: {error:?}");
            }
        }
    }
    ensure_eq!(done, 1, "those who say that they have finished");
    let journal = streams.journal(migration).await?;
    ensure_eq!(journal.outcome, Some(Outcome::Completed), "outcome");
    Ok(())
}

/// After the terminal record nothing is appended.
pub async fn nothing_follows_the_end(harness: &dyn RecordsHarness) -> Verdict {
    let streams = Streams::new(harness);
    let object = streams.object(1).await?;
    let process = streams.process(None).await?;
    let result = process.service.migrate(object).execute().await?;
    let migration = result.migration;
    ending(Ok(result))?;
    let ended = streams.journal(migration).await?;
    let late = streams.process(None).await?;
    let answer = late.service.resume(migration).execute().await;
    ensure_err!(answer, ErrorKind::AlreadyExists, "resuming what has ended");
    let answer = late
        .service
        .roll_back(migration)
        .undo_only()
        .execute()
        .await;
    ensure_err!(answer, ErrorKind::AlreadyExists, "undoing what has ended");
    let after = streams.journal(migration).await?;
    ensure_eq!(after.next_number, ended.next_number, "number of records");
    Ok(())
}

/// An undo that has begun is gone on with by whoever comes next, and by nothing else.
pub async fn an_undo_is_written_down_before_it_happens(harness: &dyn RecordsHarness) -> Verdict {
    let streams = Streams::new(harness);
    let object = streams.object(1).await?;
    let migration = streams.crashed(&object, "event_store.close").await?;
    let fault = (At::Named("event_store.fence", 0), Fault::CrashBefore);
    let undoing = streams.process(Some(fault)).await?;
    let undo = undoing.service.roll_back(migration);
    let ended = undoing.actor.run(undo.execute()).await;
    ensure!(ended.is_err(), "the undo reached no fence: {ended:?}");
    let begun = streams.journal(migration).await?;
    ensure!(
        begun.rolling_back.is_some(),
        "the undo is not in the journal"
    );

    let next = streams.process(None).await?;
    let result = next.service.resume(migration).execute().await?;
    ensure_eq!(
        result.status,
        MigrationStatus::RolledBack,
        "how resuming it ends"
    );
    let journal = streams.journal(migration).await?;
    ensure_eq!(journal.outcome, Some(Outcome::RolledBack), "outcome");
    Ok(())
}

/// Everybody sees every journal, once.
pub async fn every_journal_is_listed(harness: &dyn RecordsHarness) -> Verdict {
    let streams = Streams::new(harness);
    let (one, two, three) = (
        streams.object(1).await?,
        streams.object(2).await?,
        streams.object(3).await?,
    );
    let crashed = streams.crashed(&one, "event_store.append").await?;
    let process = streams.process(None).await?;
    let mut wanted = vec![crashed];
    for object in [two, three] {
        let result = process.service.migrate(object).execute().await?;
        wanted.push(result.migration);
        ending(Ok(result))?;
    }
    let mut found = streams.migrations().await?;
    wanted.sort();
    found.sort();
    ensure_eq!(found, wanted, "journals");
    let lister = streams.process(None).await?;
    let active: Vec<_> = lister.service.active().try_collect().await?;
    let active: Vec<_> = active.into_iter().map(|state| state.migration).collect();
    ensure_eq!(active, [crashed], "active migrations");
    Ok(())
}
