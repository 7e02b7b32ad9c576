//! Requests to the storage, against the protocol's budget. Counts do not vary, so one run is enough.

use std::sync::Arc;

use anyhow::Result;
use esm_bench::counting::{Count, CountingObjectStore, Counts};
use esm_core::id::ObjectId;
use esm_core::router::ExpectedRevision;
use object_store::memory::InMemory;

use crate::Options;
use crate::report::Report;
use crate::workload;
use crate::world::{World, check};

/// Streams of the counted batch: one batch.
const STREAMS: u64 = 256;

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.section("requests");
    report.requests_head();
    warm_append(report).await?;
    one_small_stream(report).await?;
    in_bulk(report).await?;
    one_long_stream(options, report).await
}

async fn world() -> Result<(World, Counts)> {
    let counts = Counts::default();
    let objects = CountingObjectStore::new(InMemory::new(), counts.clone());
    Ok((World::over_objects(Arc::new(objects)).await?, counts))
}

async fn warm_append(report: &mut Report) -> Result<()> {
    let (world, counts) = world().await?;
    let object: ObjectId = "order/1".parse()?;
    world.fill(&object, 1).await?;
    counts.take();
    let append = vec![workload::event(1)?];
    world
        .client
        .append(&object, ExpectedRevision::Any, append)
        .await?;
    report.requests(
        "an append to a stream that is known",
        &counts.take(),
        1.0,
        "1",
    );
    Ok(())
}

async fn one_small_stream(report: &mut Report) -> Result<()> {
    let (world, counts) = world().await?;
    let object: ObjectId = "order/1".parse()?;
    world.fill(&object, 8).await?;
    counts.take();
    check(world.service.migrate(object).execute().await?)?;
    report.requests("one small stream alone", &counts.take(), 1.0, "9");
    Ok(())
}

async fn in_bulk(report: &mut Report) -> Result<()> {
    let (world, counts) = world().await?;
    world.fill_many(STREAMS, 8).await?;
    counts.take();
    check(world.service.migrate_all().execute().await?)?;
    let all = counts.take();
    let own = |count: &Count| matches!(count.folder.as_str(), "streams" | "documents");
    let (own, shared): (Vec<_>, Vec<_>) = all.into_iter().partition(own);
    let label = format!("each of {STREAMS} small streams, its own");
    report.requests(&label, &own, STREAMS as f64, "3");
    report.requests("what they share: lock, journal, index", &shared, 1.0, "–");
    Ok(())
}

async fn one_long_stream(options: &Options, report: &mut Report) -> Result<()> {
    let (world, counts) = world().await?;
    let object: ObjectId = "order/long".parse()?;
    world.fill(&object, options.events).await?;
    counts.take();
    let result = check(world.service.migrate(object).execute().await?)?;
    let millions = options.events as f64 / 1e6;
    let label = "a long stream, per million events";
    report.requests(label, &counts.take(), millions, "about 2,000");
    let cells = result.statistics.cells as f64 / millions;
    report.line(&format!(
        "data cells of its target, per million events: {cells:.0}"
    ));
    Ok(())
}
