//! Phases and the index, published by one process or with another in between.

use std::sync::Arc;

use esm_core::id::{MigrationId, ObjectId, StoreId, StreamId, StreamRef};
use esm_core::migration::MigrationPhase;
use esm_core::protocol::routing::{RoutingEntry, next_entry};
use esm_core::router::RoutingTable;
use esm_core::store::{RecordKey, Records};
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};
use esm_testkit::memory::MemoryRecords;
use uuid::Uuid;

pub(super) fn object(n: u32) -> ObjectId {
    format!("order/{n}").parse().unwrap()
}

pub(super) fn migration(n: u128) -> MigrationId {
    MigrationId::from_uuid(Uuid::from_u128(n))
}

fn stream(name: &str) -> StreamRef {
    let store = StoreId::from_uuid(Uuid::from_u128(1));
    StreamRef::new(store, StreamId::new(name).unwrap())
}

pub(super) fn begin(generation: u64, target: &str) -> RoutingEntry {
    RoutingEntry {
        migration: migration(7),
        generation,
        source: stream("s"),
        target: stream(target),
        phase: MigrationPhase::Normal,
    }
}

pub(super) fn table(records: &MemoryRecords) -> RoutingTable {
    RoutingTable::new(Arc::new(records.clone()))
}

/// The phases and targets that were published, in order.
fn published(records: &MemoryRecords) -> Vec<(MigrationPhase, String)> {
    let versions = records.snapshot(&RecordKey::Routing(object(1)));
    let entries = versions
        .iter()
        .map(|body| serde_json::from_slice::<RoutingEntry>(body).unwrap());
    entries
        .map(|e| (e.phase, e.target.stream.to_string()))
        .collect()
}

#[tokio::test]
async fn r21_the_index_names_objects_until_the_last_of_them_is_delisted() -> Result<()> {
    let records = MemoryRecords::new();
    let table = table(&records);
    assert!(table.index().await?.is_empty());
    table.enlist(migration(1), &[object(1), object(2)]).await?;
    table.enlist(migration(2), &[object(3)]).await?;
    assert_eq!(records.snapshot(&RecordKey::Index).len(), 2, "one each");
    let index = table.index().await?;
    assert!(!index.is_empty());
    assert!([1, 2, 3].iter().all(|n| index.names(&object(*n))));
    assert!(!index.names(&object(4)));

    // again, by another that does not know: nothing is written
    table.enlist(migration(1), &[object(2)]).await?;
    table.delist(migration(2), &[object(1)]).await?;
    table.delist(migration(9), &[object(1)]).await?;
    table.enlist(migration(9), &[]).await?;
    assert_eq!(records.snapshot(&RecordKey::Index).len(), 2);

    table.delist(migration(1), &[object(1)]).await?;
    assert!(!table.index().await?.names(&object(1)));
    table.delist(migration(2), &[object(3)]).await?;
    table.delist(migration(1), &[object(2)]).await?;
    assert!(table.index().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn r21_what_others_enlist_meanwhile_stays() -> Result<()> {
    let records = MemoryRecords::new();
    let other = table(&records);
    let step = Interjection::new(move || {
        let other = other.clone();
        async move { other.enlist(migration(2), &[object(9)]).await.unwrap() }
    });
    let plan = FaultPlan::new().with(At::Named("records.put", 0), Fault::Interject(step));
    let actor = plan.actor("migrator");
    let slow = RoutingTable::new(actor.records(Arc::new(records.clone())));
    slow.enlist(migration(1), &[object(1)]).await?;
    let index = slow.index().await?;
    assert!(index.names(&object(1)) && index.names(&object(9)));
    Ok(())
}

#[tokio::test]
async fn lost_answers_are_found_done() -> Result<()> {
    for lost in [Fault::FailAfter, Fault::Duplicate] {
        let records = MemoryRecords::new();
        let plan = (0..8).fold(FaultPlan::new(), |plan, n| {
            plan.with(At::Named("records.put", n), lost.clone())
        });
        let actor = plan.actor("migrator");
        let table = RoutingTable::new(actor.records(Arc::new(records.clone())));
        table.enlist(migration(1), &[object(1)]).await?;
        table
            .advance_to(&object(1), &begin(0, "t"), MigrationPhase::BookClosed)
            .await?;
        table.delist(migration(1), &[object(1)]).await?;
        assert!(table.index().await?.is_empty());
        assert_eq!(records.snapshot(&RecordKey::Index).len(), 2);
        assert_eq!(published(&records).len(), 4, "each phase once");
    }
    Ok(())
}

#[tokio::test]
async fn fields_of_newer_versions_are_kept_and_newer_formats_refused() -> Result<()> {
    let records = MemoryRecords::new();
    let body = r#"{"format":1,"migrations":{},"since":"tomorrow"}"#;
    records.put(&RecordKey::Index, 0, body.into()).await?;
    let table = table(&records);
    table.enlist(migration(1), &[object(1)]).await?;
    let newest = records.latest(&RecordKey::Index).await?.unwrap();
    let newest = String::from_utf8(newest.body.to_vec()).unwrap();
    assert!(newest.contains(r#""since":"tomorrow""#), "{newest}");
    let body = r#"{"format":2,"migrations":{}}"#;
    records.put(&RecordKey::Index, 2, body.into()).await?;
    let error = table
        .enlist(migration(1), &[object(2)])
        .await
        .expect_err("a newer format");
    assert_eq!(error.kind(), &ErrorKind::Unsupported);
    Ok(())
}

#[tokio::test]
async fn r20_phases_go_forward_and_back_one_at_a_time() -> Result<()> {
    use MigrationPhase::{BookClosed, Cutover, DualRead, DualWrite, Normal};
    let records = MemoryRecords::new();
    let (table, object) = (table(&records), object(1));
    let begin = begin(0, "t");
    // nothing is written for what no entry says
    table.advance_to(&object, &begin, Normal).await?;
    assert!(published(&records).is_empty());
    for phase in [DualWrite, Cutover, Cutover, Normal, DualRead, BookClosed] {
        table.advance_to(&object, &begin, phase).await?;
        assert_eq!(table.newest(&object).await?.unwrap().phase, phase);
    }
    let phases: Vec<_> = published(&records).into_iter().map(|(p, _)| p).collect();
    assert_eq!(
        phases,
        [
            DualWrite, DualRead, Cutover, DualRead, DualWrite, Normal, DualWrite, DualRead,
            Cutover, BookClosed
        ]
    );
    let back = table.advance_to(&object, &begin, Normal).await;
    assert!(matches!(
        back.unwrap_err().kind(),
        ErrorKind::Conflict { .. }
    ));
    Ok(())
}

#[tokio::test]
async fn r20_another_attempt_at_the_same_source_is_taken_back_first() -> Result<()> {
    use MigrationPhase::{BookClosed, DualRead, DualWrite, Normal};
    let records = MemoryRecords::new();
    let (table, object) = (table(&records), object(1));
    table.advance_to(&object, &begin(0, "t"), DualRead).await?;
    table.advance_to(&object, &begin(0, "u"), DualWrite).await?;
    let entry = |phase, target: &str| (phase, target.to_owned());
    assert_eq!(
        published(&records),
        [
            entry(DualWrite, "t"),
            entry(DualRead, "t"),
            entry(DualWrite, "t"),
            entry(Normal, "t"),
            entry(DualWrite, "u"),
        ]
    );
    // once its books are closed there is nothing to publish for any other
    table
        .advance_to(&object, &begin(0, "u"), BookClosed)
        .await?;
    let late = table.advance_to(&object, &begin(0, "t"), DualWrite).await;
    assert_eq!(late.unwrap_err().kind(), &ErrorKind::Fenced);
    Ok(())
}

#[tokio::test]
async fn r20_an_earlier_generation_is_over_and_a_later_one_is_left_alone() -> Result<()> {
    use MigrationPhase::{BookClosed, Cutover, DualWrite, Normal};
    let records = MemoryRecords::new();
    let (table, object) = (table(&records), object(1));
    table.advance_to(&object, &begin(0, "t"), Cutover).await?;
    table.advance_to(&object, &begin(1, "u"), DualWrite).await?;
    assert_eq!(table.entry(&object, 0).await?, None);
    let entry = table.entry(&object, 1).await?.unwrap();
    assert_eq!(
        (entry.phase, entry.target),
        (DualWrite, begin(1, "u").target)
    );
    for phase in [Normal, BookClosed] {
        let late = table.advance_to(&object, &begin(0, "t"), phase).await;
        assert_eq!(late.unwrap_err().kind(), &ErrorKind::Fenced);
    }
    Ok(())
}

#[tokio::test]
async fn r20_two_that_publish_the_same_publish_each_phase_once() -> Result<()> {
    let records = MemoryRecords::new();
    let other = table(&records);
    let step = Interjection::new(move || {
        let other = other.clone();
        async move {
            let (object, begin) = (object(1), begin(0, "t"));
            other
                .advance_to(&object, &begin, MigrationPhase::DualRead)
                .await
                .unwrap();
        }
    });
    let plan = FaultPlan::new().with(At::Named("records.put", 0), Fault::Interject(step));
    let actor = plan.actor("slow");
    let slow = RoutingTable::new(actor.records(Arc::new(records.clone())));
    slow.advance_to(&object(1), &begin(0, "t"), MigrationPhase::Cutover)
        .await?;
    let phases: Vec<_> = published(&records).into_iter().map(|(p, _)| p).collect();
    assert_eq!(phases, MigrationPhase::ALL[1..4]);
    Ok(())
}

#[test]
fn r20_every_entry_that_can_stand_there_has_its_next() {
    // what it says of a phase itself does not count
    let begin = RoutingEntry {
        phase: MigrationPhase::Cutover,
        ..begin(1, "ours")
    };
    let mut found = vec![None];
    for generation in 0..3 {
        for target in ["ours", "another"] {
            found.extend(MigrationPhase::ALL.map(|phase| {
                Some(RoutingEntry {
                    migration: migration(8),
                    generation,
                    target: stream(target),
                    phase,
                    ..begin.clone()
                })
            }));
        }
    }
    let shown = |entry: &RoutingEntry| {
        let (migration, target) = (entry.migration.to_string(), &entry.target.stream);
        let writer = if migration.ends_with('7') {
            "own"
        } else {
            "another's"
        };
        let (generation, phase) = (entry.generation, entry.phase);
        format!("{writer} entry to {target}, generation {generation}: {phase}")
    };
    let mut table = String::new();
    for found in found {
        table += &found.as_ref().map_or("nothing".to_owned(), &shown);
        table += "\n";
        for phase in MigrationPhase::ALL {
            let next = match next_entry(found.clone(), &begin, phase) {
                Ok(Some(entry)) => shown(&entry),
                Ok(None) => "it stays".to_owned(),
                Err(error) => format!("{:?}", error.kind()),
            };
            table += &format!("  to {phase} -> {next}\n");
        }
    }
    insta::assert_snapshot!(table);
}
