//! Several processes that publish and read phases at the same time.

use esm_core::migration::MigrationPhase::{self, BookClosed, Cutover, DualRead, DualWrite, Normal};
use esm_core::protocol::routing::RoutingEntry;
use esm_core::store::RecordKey;
use esm_core::{ErrorKind, Result};
use esm_testkit::memory::MemoryRecords;

use super::table::{begin, migration, object, table};
use crate::world::race;

const RACERS: u32 = 8;

/// The phases of every version of an object's entry, oldest first.
fn phases(records: &MemoryRecords) -> Vec<MigrationPhase> {
    let versions = records.snapshot(&RecordKey::Routing(object(1)));
    let entries = versions.iter().map(|body| serde_json::from_slice(body));
    entries
        .map(|entry: serde_json::Result<RoutingEntry>| entry.unwrap().phase)
        .collect()
}

#[tokio::test]
async fn r21_nothing_is_published_at_first() -> Result<()> {
    let table = table(&MemoryRecords::new());
    assert_eq!(table.newest(&object(1)).await?, None);
    assert_eq!(table.entry(&object(1), 0).await?, None);
    assert!(table.index().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn r20_every_phase_is_published_in_its_turn() -> Result<()> {
    let records = MemoryRecords::new();
    let (table, object, entry) = (table(&records), object(1), begin(0, "target"));
    table.advance_to(&object, &entry, Cutover).await?;
    table.advance_to(&object, &entry, Normal).await?;
    let wanted = [DualWrite, DualRead, Cutover, DualRead, DualWrite, Normal];
    assert_eq!(phases(&records), wanted);
    Ok(())
}

#[tokio::test]
async fn what_one_process_publishes_every_other_sees_at_once() -> Result<()> {
    let records = MemoryRecords::new();
    let (one, two) = (table(&records), table(&records));
    let (object, entry) = (object(1), begin(3, "target"));
    for phase in [DualWrite, DualRead, Cutover, BookClosed] {
        one.advance_to(&object, &entry, phase).await?;
        let wanted = Some(RoutingEntry {
            phase,
            ..entry.clone()
        });
        for reader in [&one, &two, &table(&records)] {
            assert_eq!(reader.entry(&object, 3).await?, wanted, "{phase:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_is_published_already_is_not_written_again() -> Result<()> {
    let records = MemoryRecords::new();
    let (one, two) = (table(&records), table(&records));
    let (object, entry) = (object(1), begin(0, "target"));
    for table in [&one, &two, &one] {
        let objects = std::slice::from_ref(&object);
        table.enlist(entry.migration, objects).await?;
        table.advance_to(&object, &entry, DualRead).await?;
    }
    assert_eq!(phases(&records), [DualWrite, DualRead]);
    assert_eq!(records.snapshot(&RecordKey::Index).len(), 1);
    Ok(())
}

#[tokio::test]
async fn r20_an_entry_of_another_generation_is_none() -> Result<()> {
    let table = table(&MemoryRecords::new());
    let (object, old, new) = (object(1), begin(0, "old"), begin(1, "new"));
    table.advance_to(&object, &old, BookClosed).await?;
    assert_eq!(table.entry(&object, 1).await?, None);
    table.advance_to(&object, &new, DualWrite).await?;
    assert_eq!(table.entry(&object, 0).await?, None);
    let newest = table.newest(&object).await?.unwrap();
    assert_eq!(newest.target, new.target);
    Ok(())
}

#[tokio::test]
async fn r20_a_process_that_publishes_for_an_earlier_generation_changes_nothing() -> Result<()> {
    let records = MemoryRecords::new();
    let (late, first) = (table(&records), table(&records));
    let (object, old, new) = (object(1), begin(0, "old"), begin(1, "new"));
    late.advance_to(&object, &old, DualWrite).await?;
    first.advance_to(&object, &new, DualWrite).await?;
    for phase in [Cutover, Normal] {
        let refused = late.advance_to(&object, &old, phase).await.unwrap_err();
        assert_eq!(refused.kind(), &ErrorKind::Fenced, "{phase:?}");
    }
    assert_eq!(phases(&records).len(), 2);
    Ok(())
}

#[tokio::test]
async fn nothing_goes_back_from_closed_books() -> Result<()> {
    let table = table(&MemoryRecords::new());
    let (object, entry) = (object(1), begin(0, "target"));
    table.advance_to(&object, &entry, BookClosed).await?;
    let refused = table.advance_to(&object, &entry, Normal).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Conflict { .. }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_publish_at_once_no_step_is_lost_or_doubled() -> Result<()> {
    let records = MemoryRecords::new();
    let published = race(RACERS, |_| {
        let (table, object, entry) = (table(&records), object(1), begin(0, "target"));
        async move { table.advance_to(&object, &entry, BookClosed).await }
    });
    published.await.into_iter().collect::<Result<Vec<_>>>()?;
    assert_eq!(phases(&records), MigrationPhase::ALL[1..]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_that_enlist_at_once_are_in_the_index() -> Result<()> {
    let records = MemoryRecords::new();
    let enlisted = race(RACERS, |racer| {
        let table = table(&records);
        async move {
            let objects = [object(racer), object(racer + RACERS)];
            table.enlist(migration(racer.into()), &objects).await
        }
    });
    enlisted.await.into_iter().collect::<Result<Vec<_>>>()?;
    let index = table(&records).index().await?;
    assert_eq!(index.migrations.len(), RACERS as usize);
    for number in 0..2 * RACERS {
        assert!(index.names(&object(number)), "object {number}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_delisted_is_gone_and_the_rest_stays() -> Result<()> {
    let records = MemoryRecords::new();
    let (one, two) = (table(&records), table(&records));
    let (first, second) = (migration(1), migration(2));
    one.enlist(first, &[object(1), object(2)]).await?;
    two.enlist(second, &[object(2), object(3)]).await?;
    two.delist(first, &[object(1)]).await?;
    one.delist(second, &[object(2), object(3)]).await?;
    let index = table(&records).index().await?;
    let left: Vec<_> = index.migrations.into_iter().collect();
    assert_eq!(left, [(first, [object(2)].into())]);
    Ok(())
}
