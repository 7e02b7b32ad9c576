//! Appends and reads of applications.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use esm_core::id::ObjectId;
use esm_core::router::{ExpectedRevision, ReadPosition};
use futures::{TryStreamExt as _, future};
use tokio::time::Instant;

use super::super::lab::{Lab, Measured, Shares, round_trips};
use super::migrations::renaming;
use crate::workload;
use crate::world::{APPEND, World, check};

/// Applications that append to the same objects.
const WRITERS: u64 = 4;
/// Objects that they append to.
const OBJECTS: u64 = 16;
/// Events that each of them has when it is migrated meanwhile.
const LIVE_EVENTS: u64 = 20_000;
/// Requests that an application does nothing for between two appends, so that a migration has a
/// chance to end.
const REST: u32 = 4;
/// Appends of each application to each object.
const ROUNDS: u64 = 12;

pub(super) async fn cold(lab: &Lab, cells: u64) -> Result<Measured> {
    let object = filled(lab, cells).await?;
    let client = lab.actor().await?;
    let watch = lab.watch();
    append(&client, &object, 1).await?;
    Ok(watch.end(Shares::ONE))
}

pub(super) async fn cold_to_migrated(lab: &Lab, cells: u64) -> Result<Measured> {
    let object = object(0)?;
    lab.actor().await?.fill(&object, cells * APPEND).await?;
    migrate(lab, &object).await?;
    let client = lab.actor().await?;
    let watch = lab.watch();
    append(&client, &object, 1).await?;
    Ok(watch.end(Shares::ONE))
}

pub(super) async fn cold_load(lab: &Lab, cells: u64) -> Result<Measured> {
    let object = filled(lab, cells).await?;
    let client = lab.actor().await?.client;
    let watch = lab.watch();
    client.load(&object).await?;
    Ok(watch.end(Shares::ONE))
}

pub(super) async fn cold_read(lab: &Lab, cells: u64) -> Result<Measured> {
    let object = filled(lab, cells).await?;
    let client = lab.actor().await?.client;
    let watch = lab.watch();
    let events: Vec<_> = (client.reader().read(&object, ReadPosition::Start))
        .try_collect()
        .await?;
    anyhow::ensure!(events.len() as u64 == cells, "read {}", events.len());
    Ok(watch.end(Shares::ONE))
}

pub(super) async fn meets_close(lab: &Lab, cells: u64) -> Result<Measured> {
    let object = object(0)?;
    let client = lab.actor().await?;
    client.fill(&object, cells * APPEND).await?;
    migrate(lab, &object).await?;
    let watch = lab.watch();
    append(&client, &object, 1).await?;
    Ok(watch.end(Shares::ONE))
}

pub(super) async fn contended(lab: &Lab) -> Result<Measured> {
    let setup = lab.actor().await?;
    setup.fill_many(OBJECTS, 1).await?;
    let writers = writers(lab).await?;
    lab.watch();
    let appends = writers
        .iter()
        .enumerate()
        .map(|(first, writer)| async move {
            let mut took = Vec::new();
            for number in 0..ROUNDS * OBJECTS {
                // all of them go round, and each begins elsewhere
                let object = object((first as u64 * OBJECTS / WRITERS + number) % OBJECTS)?;
                took.push(append(writer, &object, number).await?);
            }
            anyhow::Ok(took)
        });
    let mut took = future::try_join_all(appends).await?.concat();
    took.sort();
    let middle = *took.get(took.len() / 2).context("nobody appended")?;
    Ok(Measured {
        round_trips: round_trips(middle),
        requests: lab.requests() as f64 / took.len() as f64,
        in_flight: lab.most_in_flight(),
    })
}

pub(super) async fn live(lab: &Lab, shared: bool) -> Result<Measured> {
    let setup = lab.actor().await?;
    setup.fill_many(OBJECTS, LIVE_EVENTS).await?;
    let (writers, migrator) = (writers(lab).await?, lab.actor().await?);
    lab.watch();
    let ended = AtomicBool::new(false);
    let migrated = async {
        let migration = migrator.service.migrate_all();
        let migrated = migration.concurrency(OBJECTS as usize).execute().await;
        ended.store(true, Ordering::Relaxed);
        check(migrated?)
    };
    let ended = &ended;
    let appends = writers
        .iter()
        .enumerate()
        .map(|(first, writer)| async move {
            let mut longest = Duration::ZERO;
            let mut number = 0;
            while !ended.load(Ordering::Relaxed) {
                let turn = if shared {
                    first as u64 * OBJECTS / WRITERS + number
                } else {
                    first as u64 + number * WRITERS
                };
                longest = longest.max(append(writer, &object(turn % OBJECTS)?, number).await?);
                number += 1;
                lab.pass(REST).await;
            }
            anyhow::Ok((longest, number))
        });
    let (migrated, appended) = future::join(migrated, future::try_join_all(appends)).await;
    migrated?;
    let appended = appended?;
    let longest = appended.iter().map(|(longest, _)| *longest).max();
    let number: u64 = appended.iter().map(|(_, number)| number).sum();
    Ok(Measured {
        round_trips: round_trips(longest.unwrap_or_default()),
        requests: lab.requests() as f64 / number as f64,
        in_flight: lab.most_in_flight(),
    })
}

async fn writers(lab: &Lab) -> Result<Vec<World>> {
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        writers.push(lab.actor().await?);
    }
    Ok(writers)
}

/// An object whose stream has so many cells, each with an event.
async fn filled(lab: &Lab, cells: u64) -> Result<ObjectId> {
    let object = object(0)?;
    lab.actor().await?.fill_cells(&object, cells, 1).await?;
    Ok(object)
}

async fn migrate(lab: &Lab, object: &ObjectId) -> Result<()> {
    let migrator = lab.actor().await?.service;
    let migration = migrator.migrate(object.clone()).transform(renaming()?);
    check(migration.execute().await?)?;
    Ok(())
}

/// Appends an event that no migration retires. Returns how long it took.
async fn append(world: &World, object: &ObjectId, number: u64) -> Result<Duration> {
    let mut event = workload::event(number)?;
    event.event_type = esm_core::id::EventType::new("NoteAdded")?;
    let begun = Instant::now();
    let appended = world
        .client
        .append(object, ExpectedRevision::Any, vec![event])
        .await;
    appended.map_err(esm_core::Error::from)?;
    Ok(begun.elapsed())
}

fn object(number: u64) -> Result<ObjectId> {
    Ok(format!("order/{number}").parse()?)
}
