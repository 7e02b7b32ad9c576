//! Races.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use esm_core::event::Revision;
use esm_core::store::{CellKind, EventStore, Tail};
use esm_core::{ErrorKind, Result};

use crate::conformance::fixtures::{append, close, commit, read_all, stream};
use crate::conformance::race::race;
use crate::conformance::verdict::{ensure, ensure_eq};
use crate::conformance::{EventStoreHarness, Failure, Verdict};

const RACERS: usize = 16;

/// More attempts than a race can take. A store that needs them is broken.
const TRIES: u64 = 20_000;

async fn handles(harness: &dyn EventStoreHarness) -> Vec<Arc<dyn EventStore>> {
    let mut handles = Vec::new();
    for _ in 0..RACERS {
        handles.push(harness.open().await);
    }
    handles
}

/// Guarantee 4: of 16 appends at the same tail one succeeds, the others conflict, and the one that
/// succeeded is there.
pub async fn one_of_many_appends_wins(harness: &dyn EventStoreHarness) -> Verdict {
    let (handles, id) = (handles(harness).await, stream()?);
    let mut tail = Tail::default();
    for round in 0..8 {
        let answers = race(RACERS, |n| {
            let (store, id, tail) = (Arc::clone(&handles[n]), id.clone(), tail.clone());
            async move { store.append(&id, &tail, append(round..round + 1)?).await }
        })
        .await;
        let (mut won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        ensure_eq!(won.len(), 1, "winners among {RACERS}");
        for answer in lost {
            let conflict = answer.is_err_and(|e| matches!(e.kind(), ErrorKind::Conflict { .. }));
            ensure!(conflict, "a loser got another error than Conflict");
        }
        let winner = won.remove(0)?;
        ensure_eq!(
            handles[0].tail(&id).await?,
            winner,
            "tail after round {round}"
        );
        tail = winner;
    }
    Ok(())
}

/// Guarantees 4 and 5: of 8 appends and 8 Closes at the same tail one succeeds.
pub async fn one_of_appends_and_closes_wins(harness: &dyn EventStoreHarness) -> Verdict {
    let handles = handles(harness).await;
    for round in 0..8 {
        let id: esm_core::id::StreamId = format!("race-{round}").as_str().try_into()?;
        let tail = handles[0]
            .append(&id, &Tail::default(), append(0..1)?)
            .await?;
        let answers = race(RACERS, |n| {
            let (store, id, tail) = (Arc::clone(&handles[n]), id.clone(), tail.clone());
            async move {
                match n % 2 {
                    0 => store.append(&id, &tail, append(1..2)?).await,
                    _ => {
                        store
                            .close(&id, &tail, commit(), close(&*store, Revision(1))?)
                            .await
                    }
                }
            }
        })
        .await;
        let won: Vec<_> = answers.iter().flatten().collect();
        ensure_eq!(won.len(), 1, "winners among {RACERS}");
        ensure_eq!(handles[0].tail(&id).await?, *won[0], "tail of the winner");
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let told = match won[0].close() {
                Some(_) => matches!(error.kind(), ErrorKind::Closed(_)),
                None => matches!(error.kind(), ErrorKind::Conflict { .. }),
            };
            ensure!(told, "a loser got a wrong number of events: {error:?}");
        }
    }
    Ok(())
}

/// Gives other tasks a chance between a read and a write, however fast the storage is.
async fn give_way() {
    tokio::task::yield_now().await;
}

/// Appends until the stream is closed, and counts the acknowledged ones.
async fn write_until_closed(store: Arc<dyn EventStore>, writer: u64) -> Result<Vec<u64>, Failure> {
    let (id, mut acknowledged) = (stream()?, Vec::new());
    let mut number = writer * 1_000_000;
    for _ in 0..TRIES {
        let tail = store.tail(&id).await?;
        give_way().await;
        match store.append(&id, &tail, append(number..number + 1)?).await {
            Ok(_) => {
                acknowledged.push(number);
                number += 1;
            }
            Err(error) => match error.kind() {
                ErrorKind::Closed(_) => return Ok(acknowledged),
                ErrorKind::Conflict { .. } => {}
                _ => return Err(error.into()),
            },
        }
        tokio::task::yield_now().await;
    }
    Err(Failure::new(format!(
        "a writer did not get the Close in {TRIES} attempts"
    )))
}

/// Waits until there are some events, then closes the stream against all writers.
async fn close_against_writers(store: Arc<dyn EventStore>) -> Result<Vec<u64>, Failure> {
    let id = stream()?;
    for _ in 0..TRIES {
        let tail = store.tail(&id).await?;
        if tail.next_revision().0 < 20 {
            tokio::task::yield_now().await;
            continue;
        }
        let by = close(&*store, tail.next_revision())?;
        give_way().await;
        match store.close(&id, &tail, commit(), by).await {
            Ok(_) => return Ok(Vec::new()),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(format!(
        "concurrent appends won over a Close {TRIES} times in a row"
    )))
}

/// Guarantees 1 to 5 together: writers append until the stream is closed. The Close counts exactly
/// the acknowledged events, and each of them is stored once.
pub async fn no_acknowledged_append_is_lost_by_a_close(harness: &dyn EventStoreHarness) -> Verdict {
    let handles = handles(harness).await;
    let answers = race(5, |n| {
        let store = Arc::clone(&handles[n]);
        async move {
            match n {
                0 => close_against_writers(store).await,
                _ => write_until_closed(store, n as u64).await,
            }
        }
    })
    .await;
    let mut acknowledged = Vec::new();
    for answer in answers {
        acknowledged.extend(answer?);
    }
    let cells = read_all(&*handles[5], &stream()?).await?;
    let Some(CellKind::Close(by)) = cells.last().map(|cell| &cell.header.kind) else {
        return Err(Failure::new("the Close is not the last cell"));
    };
    let mut found = Vec::new();
    for event in cells.iter().flat_map(|cell| &cell.events) {
        let number = event
            .event
            .id
            .as_str()
            .trim_start_matches('e')
            .parse::<u64>();
        found.push(number.map_err(|e| Failure::new(e.to_string()))?);
    }
    ensure_eq!(
        by.events.0,
        found.len() as u64,
        "events that the Close counts"
    );
    let mut in_order = found.clone();
    in_order.sort_unstable();
    acknowledged.sort_unstable();
    ensure_eq!(
        in_order,
        acknowledged,
        "events in the stream against acknowledged ones"
    );
    for writer in 1..5 {
        let own: Vec<_> = found.iter().filter(|n| **n / 1_000_000 == writer).collect();
        ensure!(
            own.is_sorted(),
            "events of one writer are out of order: {own:?}"
        );
    }
    Ok(())
}

/// Guarantee 1: a reader never sees a part of a cell.
pub async fn readers_see_whole_batches(harness: &dyn EventStoreHarness) -> Verdict {
    const BATCH: u64 = 50;
    let (writer, reader) = (harness.open().await, harness.open().await);
    let (id, done) = (stream()?, Arc::new(AtomicBool::new(false)));
    let writing = tokio::spawn({
        let (id, done) = (id.clone(), Arc::clone(&done));
        async move {
            let mut tail = Tail::default();
            for batch in 0..20 {
                let events = append(batch * BATCH..(batch + 1) * BATCH)?;
                tail = writer.append(&id, &tail, events).await?;
            }
            done.store(true, Ordering::SeqCst);
            Ok::<_, Failure>(())
        }
    });
    loop {
        let last_look = done.load(Ordering::SeqCst) || writing.is_finished();
        for cell in read_all(&*reader, &id).await? {
            ensure_eq!(cell.header.count, BATCH, "count of a cell");
            ensure_eq!(cell.events.len() as u64, BATCH, "events of a cell");
        }
        if last_look {
            break;
        }
        tokio::task::yield_now().await;
    }
    let outcome = writing.await;
    outcome.map_err(|e| Failure::new(e.to_string()))??;
    ensure_eq!(
        reader.tail(&id).await?.next_revision().0,
        20 * BATCH,
        "events"
    );
    Ok(())
}
