//! The suite of routing tables: see [`routing_conformance!`](crate::routing_conformance).
//!
//! A routing table is a typed view over versioned records. It needs of them what their own suite
//! checks; this one checks that nothing else is needed, and that it is enough for everybody who
//! publishes and reads phases at the same time.
//!
//! ```
//! # struct Mine(esm_testkit::memory::MemoryRecords);
//! # #[async_trait::async_trait]
//! # impl esm_testkit::conformance::RecordsHarness for Mine {
//! #     async fn open(&self) -> std::sync::Arc<dyn esm_core::store::Records> {
//! #         std::sync::Arc::new(self.0.clone())
//! #     }
//! # }
//! use esm_testkit::conformance::{routing, run_case};
//! use esm_testkit::memory::MemoryRecords;
//!
//! // `Mine` is a `RecordsHarness`: its documentation shows one
//! for case in routing::CASES {
//!     let mine = Mine(MemoryRecords::new());
//!     let verdict = run_case(async { (case.run)(&mine).await });
//!     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
//! }
//! ```

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::id::{MigrationId, ObjectId, StoreId, StreamId, StreamRef};
use esm_core::migration::MigrationPhase;
use esm_core::store::{RecordKey, Records};
use esm_core::{protocol::routing::RoutingEntry, router::RoutingTable};

use super::fixtures::migration;
use super::race::race;
use super::verdict::{ensure, ensure_eq, ensure_err};
use super::{Failure, RecordsHarness, Verdict};

crate::__routing_cases!(__conformance_table!(dyn RecordsHarness));

/// The list of cases, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __routing_cases {
    ($then:ident!($($arguments:tt)*)) => {
        $crate::$then! { ($($arguments)*) [
            nothing_is_published_at_first
            every_phase_is_published_in_its_turn
            what_is_published_is_seen_by_everybody
            publishing_again_writes_nothing
            an_entry_of_another_generation_is_none
            a_later_generation_supersedes
            nothing_goes_back_from_closed_books
            those_who_publish_at_once_take_turns
            those_who_enlist_at_once_are_all_in_the_index
            what_is_delisted_is_gone
        ] }
    };
}

/// One `#[test]` per case of the routing table's suite, each with its own harness.
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
/// esm_testkit::routing_conformance!(Mine(MemoryRecords::new()));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! routing_conformance {
    ($harness:expr) => {
        $crate::__routing_cases!(__conformance_tests!(routing, $harness));
    };
}

const RACERS: usize = 8;

fn object(number: usize) -> esm_core::Result<ObjectId> {
    format!("order/{number}").parse()
}

/// An attempt at the source of this generation.
fn attempt(generation: u64, target: &str) -> esm_core::Result<RoutingEntry> {
    let store = StoreId::from_uuid(Environment::system().uuid_v4());
    let stream = |name: &str| StreamId::new(name).map(|stream| StreamRef::new(store, stream));
    Ok(RoutingEntry {
        migration: migration(),
        generation,
        source: stream("source")?,
        target: stream(target)?,
        phase: MigrationPhase::Normal,
    })
}

async fn table(harness: &dyn RecordsHarness) -> RoutingTable {
    RoutingTable::new(harness.open().await)
}

/// Every version of an object's entry, oldest first.
async fn published(records: &dyn Records, object: &ObjectId) -> Result<Vec<RoutingEntry>, Failure> {
    let key = RecordKey::Routing(object.clone());
    let mut entries = Vec::new();
    while let Some(record) = records.get(&key, entries.len() as u64).await? {
        let entry = serde_json::from_slice(&record.body);
        entries.push(entry.map_err(|error| Failure::new(format!("no entry: {error}")))?);
    }
    Ok(entries)
}

fn phases(entries: &[RoutingEntry]) -> Vec<MigrationPhase> {
    entries.iter().map(|entry| entry.phase).collect()
}

/// No entry means `Normal`, and no index that no migration publishes phases (R21).
pub async fn nothing_is_published_at_first(harness: &dyn RecordsHarness) -> Verdict {
    let table = table(harness).await;
    ensure_eq!(table.newest(&object(1)?).await?, None, "entry");
    ensure_eq!(
        table.entry(&object(1)?, 0).await?,
        None,
        "entry of generation 0"
    );
    ensure!(table.index().await?.is_empty(), "an index stands there");
    Ok(())
}

/// R20: phases go forward one at a time and back one at a time, and each is a version of its own.
pub async fn every_phase_is_published_in_its_turn(harness: &dyn RecordsHarness) -> Verdict {
    use MigrationPhase::{Cutover, DualRead, DualWrite, Normal};
    let (table, records) = (table(harness).await, harness.open().await);
    let (object, attempt) = (object(1)?, attempt(0, "target")?);
    table.advance_to(&object, &attempt, Cutover).await?;
    table.advance_to(&object, &attempt, Normal).await?;
    let found = phases(&published(&*records, &object).await?);
    let wanted = [DualWrite, DualRead, Cutover, DualRead, DualWrite, Normal];
    ensure_eq!(found, wanted, "published phases");
    Ok(())
}

/// What one handle has published, every other sees at once.
pub async fn what_is_published_is_seen_by_everybody(harness: &dyn RecordsHarness) -> Verdict {
    let (one, two) = (table(harness).await, table(harness).await);
    let (object, attempt) = (object(1)?, attempt(3, "target")?);
    for phase in [
        MigrationPhase::DualWrite,
        MigrationPhase::DualRead,
        MigrationPhase::Cutover,
        MigrationPhase::BookClosed,
    ] {
        one.advance_to(&object, &attempt, phase).await?;
        let wanted = Some(RoutingEntry {
            phase,
            ..attempt.clone()
        });
        for reader in [&one, &two, &table(harness).await] {
            ensure_eq!(
                reader.entry(&object, 3).await?,
                wanted,
                "entry in {phase:?}"
            );
        }
    }
    Ok(())
}

/// Guarantee 2: what is so already is not written again, whoever says it.
pub async fn publishing_again_writes_nothing(harness: &dyn RecordsHarness) -> Verdict {
    let (one, two) = (table(harness).await, table(harness).await);
    let (object, attempt) = (object(1)?, attempt(0, "target")?);
    let objects = [object.clone()];
    for table in [&one, &two, &one] {
        table.enlist(attempt.migration, &objects).await?;
        let phase = MigrationPhase::DualRead;
        table.advance_to(&object, &attempt, phase).await?;
    }
    let records = harness.open().await;
    let versions = published(&*records, &object).await?.len();
    ensure_eq!(versions, 2, "versions of the entry");
    let index = records.latest(&RecordKey::Index).await?;
    let versions = index.map(|record| record.number + 1);
    ensure_eq!(versions, Some(1), "versions of the index");
    Ok(())
}

/// R20: an entry whose generation is not the stream's is ignored.
pub async fn an_entry_of_another_generation_is_none(harness: &dyn RecordsHarness) -> Verdict {
    let table = table(harness).await;
    let object = object(1)?;
    let (old, new) = (attempt(0, "old")?, attempt(1, "new")?);
    table
        .advance_to(&object, &old, MigrationPhase::BookClosed)
        .await?;
    ensure_eq!(
        table.entry(&object, 1).await?,
        None,
        "entry of the next generation"
    );
    table
        .advance_to(&object, &new, MigrationPhase::DualWrite)
        .await?;
    ensure_eq!(
        table.entry(&object, 0).await?,
        None,
        "entry of the last generation"
    );
    let newest = table.newest(&object).await?.map(|entry| entry.target);
    ensure_eq!(newest, Some(new.target), "newest entry");
    Ok(())
}

/// R20: who publishes for a source that others have gone past is told, and changes nothing.
pub async fn a_later_generation_supersedes(harness: &dyn RecordsHarness) -> Verdict {
    let (late, faster) = (table(harness).await, table(harness).await);
    let object = object(1)?;
    let (old, new) = (attempt(0, "old")?, attempt(1, "new")?);
    late.advance_to(&object, &old, MigrationPhase::DualWrite)
        .await?;
    faster
        .advance_to(&object, &new, MigrationPhase::DualWrite)
        .await?;
    for phase in [MigrationPhase::Cutover, MigrationPhase::Normal] {
        let answer = late.advance_to(&object, &old, phase).await;
        ensure_err!(answer, ErrorKind::Fenced, "publishing {phase:?} too late");
    }
    let versions = published(&*harness.open().await, &object).await?.len();
    ensure_eq!(versions, 2, "versions of the entry");
    Ok(())
}

/// After the pivot nothing is undone.
pub async fn nothing_goes_back_from_closed_books(harness: &dyn RecordsHarness) -> Verdict {
    let table = table(harness).await;
    let (object, attempt) = (object(1)?, attempt(0, "target")?);
    table
        .advance_to(&object, &attempt, MigrationPhase::BookClosed)
        .await?;
    let answer = table
        .advance_to(&object, &attempt, MigrationPhase::Normal)
        .await;
    ensure_err!(
        answer,
        ErrorKind::Conflict { .. },
        "going back from closed books"
    );
    Ok(())
}

/// Guarantee 1: of many that publish at once nobody's step is lost or doubled.
pub async fn those_who_publish_at_once_take_turns(harness: &dyn RecordsHarness) -> Verdict {
    let (object, attempt) = (object(1)?, attempt(0, "target")?);
    let mut tables = Vec::new();
    for _ in 0..RACERS {
        tables.push(table(harness).await);
    }
    let answers = race(RACERS, |racer| {
        let (table, object, attempt) = (tables[racer].clone(), object.clone(), attempt.clone());
        async move {
            let phase = MigrationPhase::BookClosed;
            table.advance_to(&object, &attempt, phase).await
        }
    })
    .await;
    for answer in answers {
        answer?;
    }
    let found = phases(&published(&*harness.open().await, &object).await?);
    ensure_eq!(found, MigrationPhase::ALL[1..], "published phases");
    Ok(())
}

/// Guarantee 1: of many that enlist at once nobody is lost.
pub async fn those_who_enlist_at_once_are_all_in_the_index(
    harness: &dyn RecordsHarness,
) -> Verdict {
    let migrations: Arc<[MigrationId]> = (0..RACERS).map(|_| migration()).collect();
    let mut tables = Vec::new();
    for _ in 0..RACERS {
        tables.push(table(harness).await);
    }
    let answers = race(RACERS, |racer| {
        let (table, migrations) = (tables[racer].clone(), Arc::clone(&migrations));
        async move {
            let objects = [object(racer)?, object(racer + RACERS)?];
            table.enlist(migrations[racer], &objects).await
        }
    })
    .await;
    for answer in answers {
        answer?;
    }
    let index = table(harness).await.index().await?;
    ensure_eq!(index.migrations.len(), RACERS, "migrations in the index");
    for number in 0..2 * RACERS {
        ensure!(
            index.names(&object(number)?),
            "object {number} is not in the index"
        );
    }
    Ok(())
}

/// Of a migration without objects nothing is left, and of the others nothing is taken.
pub async fn what_is_delisted_is_gone(harness: &dyn RecordsHarness) -> Verdict {
    let (one, two) = (table(harness).await, table(harness).await);
    let (first, second) = (migration(), migration());
    one.enlist(first, &[object(1)?, object(2)?]).await?;
    two.enlist(second, &[object(2)?, object(3)?]).await?;
    two.delist(first, &[object(1)?]).await?;
    one.delist(second, &[object(2)?, object(3)?]).await?;
    let index = table(harness).await.index().await?;
    let left: Vec<_> = index.migrations.into_iter().collect();
    let wanted = [(first, [object(2)?].into())];
    ensure_eq!(left, wanted, "what is left in the index");
    Ok(())
}
