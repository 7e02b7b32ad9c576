//! Reading along chains.

use esm_core::event::Revision;
use esm_core::router::{ExpectedRevision, ObjectReader, ReadPosition};
use esm_core::store::{PageLimit, Stores};
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::FaultPlan;
use futures::{StreamExt as _, TryStreamExt as _};

use super::cutover::*;
use crate::world::World;

fn one_cell() -> PageLimit {
    PageLimit { cells: 1, bytes: 0 }
}

/// The ids that are read, a cell at a time and in large pages, which must be the same.
async fn read(f: &World, from: ReadPosition) -> Result<Vec<String>> {
    let whole = f.read_from(from.clone()).await?;
    let pages = f.reader().with_pages(one_cell()).read(&f.order, from);
    let recorded: Vec<_> = pages.try_collect().await?;
    let ids: Vec<_> = recorded.iter().map(|r| r.event.id.to_string()).collect();
    assert_eq!(ids, whole);
    Ok(whole)
}

#[tokio::test(start_paused = true)]
async fn events_come_in_order_from_any_position() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a", "b"], &["c"], &["d", "e"]]).await?;
    let all = ["a", "b", "c", "d", "e"];
    assert_eq!(read(&f, ReadPosition::Start).await?, all);
    for from in 0..=5_u8 {
        let position = ReadPosition::At(at(&s, from.into()));
        assert_eq!(read(&f, position).await?, all[usize::from(from)..]);
    }
    assert!(read(&f, ReadPosition::At(at(&s, 9))).await?.is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn positions_say_where_each_stands_and_where_to_read_on() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a", "b"], &["c"]]).await?;
    let recorded: Vec<_> = f
        .reader()
        .read(&f.order, ReadPosition::Start)
        .try_collect()
        .await?;
    let positions: Vec<_> = recorded.iter().map(|r| r.position.clone()).collect();
    assert_eq!(positions, [at(&s, 0), at(&s, 1), at(&s, 2)]);
    for (index, event) in recorded.iter().enumerate() {
        let rest = read(&f, ReadPosition::At(event.next())).await?;
        assert_eq!(rest.len(), recorded.len() - index - 1);
    }
    let appended = f
        .client()
        .append(
            &f.order,
            ExpectedRevision::At(recorded[2].next()),
            events(&["d"]),
        )
        .await?;
    assert_eq!(appended.first, at(&s, 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_object_without_events_reads_nothing_and_an_unknown_one_fails() -> Result<()> {
    let f = World::new();
    assert_eq!(
        f.read_from(ReadPosition::Start).await.unwrap_err().kind(),
        &ErrorKind::NotFound
    );
    f.client().create(&f.order).await?;
    assert!(read(&f, ReadPosition::Start).await?.is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_closed_stream_is_read_to_its_end_and_then_the_target_from_there() -> Result<()> {
    // R14: N = 3, M = 2
    let (f, s) = World::with_cells(&[&["a", "b"], &["c"]]).await?;
    let t = f.cut_over(&s, target_of(2)).await?;
    f.append_ids(&["d"]).await?;
    let u = f.cut_over(&t, target_of(4)).await?;
    f.append_ids(&["e"]).await?;
    assert_eq!(
        read(&f, ReadPosition::At(at(&s, 1))).await?,
        ["b", "c", "d", "e"]
    );
    assert_eq!(read(&f, ReadPosition::At(at(&s, 3))).await?, ["d", "e"]);
    assert_eq!(read(&f, ReadPosition::At(at(&t, 3))).await?, ["e"]);
    assert_eq!(read(&f, ReadPosition::At(at(&u, 4))).await?, ["e"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn from_the_start_means_the_start_of_the_last_stream() -> Result<()> {
    // the document is two hops behind
    let (f, s) = World::with_cells(&[&["a"], &["b"], &["c"]]).await?;
    let t = f.cut_over(&s, target_of(2)).await?;
    let u = f.cut_over(&t, target_of(3)).await?;
    let ids = read(&f, ReadPosition::Start).await?;
    assert_eq!(ids, f.stored(&u));
    assert_eq!(
        f.document(&f.order).await.active,
        s,
        "a reader never writes (R12)"
    );
    // positions of a stream that the document does not know yet
    assert_eq!(read(&f, ReadPosition::At(at(&u, 2))).await?, ids[2..]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cutover_under_a_reader_repeats_and_leaves_out_nothing() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"], &["b"], &["c"]]).await?;
    let mut reading = f
        .reader()
        .with_pages(one_cell())
        .read(&f.order, ReadPosition::Start);
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.extend(reading.try_next().await?);
    }
    f.cut_over(&s, target_of(1)).await?;
    f.append_ids(&["d"]).await?;
    while let Some(recorded) = reading.try_next().await? {
        ids.push(recorded);
    }
    let ids: Vec<_> = ids.iter().map(|r| r.event.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn reading_stops_at_a_restore_and_starts_behind_it() -> Result<()> {
    // R19
    let (f, s) = World::with_cells(&[&["a"], &["b"]]).await?;
    let restored = Cutover {
        continues: false,
        ..target_of(1)
    };
    let t = f.cut_over(&s, restored).await?;
    let mut reading = f.reader().read(&f.order, ReadPosition::At(at(&s, 1)));
    assert!(matches!(reading.next().await, Some(Ok(r)) if r.event.id.as_str() == "b"));
    let error = reading.next().await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed(close) if close.target.as_ref() == Some(&t)));
    assert!(reading.next().await.is_none());
    assert_eq!(read(&f, ReadPosition::Start).await?, f.stored(&t));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn deleted_events_are_gone_and_never_the_end() -> Result<()> {
    // R14
    let (f, s) = World::with_cells(&[&["a", "b"], &["c"], &["d"]]).await?;
    assert!(f.storage.event_store.bury(&s.stream, 1));
    assert_eq!(
        f.read_from(ReadPosition::Start).await.unwrap_err().kind(),
        &ErrorKind::Gone
    );
    let from_deleted = f.read_from(ReadPosition::At(at(&s, 2))).await;
    assert_eq!(from_deleted.unwrap_err().kind(), &ErrorKind::Gone);
    assert_eq!(read(&f, ReadPosition::At(at(&s, 3))).await?, ["d"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn reading_over_a_store_that_is_not_known_fails_there() -> Result<()> {
    // R13
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let other = f.storage.another_event_store();
    let cutover = Cutover {
        store: Some(other.clone()),
        ..target_of(2)
    };
    f.cut_over(&s, cutover).await?;
    let error = f.read_from(ReadPosition::Start).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::UnknownStore);
    let stores = Stores::new(f.storage.event_store()).with(shared(&other));
    let reader = ObjectReader::new(f.storage.records(), stores);
    let events: Vec<_> = reader
        .read(&f.order, ReadPosition::Start)
        .try_collect()
        .await?;
    assert_eq!(events.len(), 2);
    assert_eq!(
        reader.load(&f.order).await?.tail.next_revision(),
        Revision(2)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_small_stream_costs_its_document_and_one_page() -> Result<()> {
    let (f, _) = World::with_cells(&[&["a"], &["b"]]).await?;
    let plan = FaultPlan::new();
    let actor = plan.actor("reader");
    let reader = ObjectReader::new(
        actor.records(f.storage.records()),
        actor.event_store(f.storage.event_store()),
    );
    let read: Vec<_> = reader
        .read(&f.order, ReadPosition::Start)
        .try_collect()
        .await?;
    assert_eq!((read.len(), plan.log().len()), (2, 2));
    Ok(())
}
