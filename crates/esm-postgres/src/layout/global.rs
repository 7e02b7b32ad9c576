//! All events of a layout in their global order.

use std::collections::HashMap;
use std::sync::Arc;

use esm_core::event::{Event, Revision};
use esm_core::id::ObjectId;
use esm_core::{Error, Result};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::row::{EVENT_COLUMNS, NumberedEvent, Rows, texts, value};
use super::streams::LayoutStreams;
use crate::connection::explain;

/// One state of the database for the whole reading: what is committed later with a lower place in
/// the order would be missed by pages of their own.
const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Bytes of payload that a page is to have, and the most rows of one.
const PAGE_BYTES: usize = 1 << 20;
const PAGE_ROWS: usize = 512;
/// Rows of the first page.
const FIRST_ROWS: usize = 16;

/// An event and its place in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalEvent {
    /// The object whose stream has it.
    pub object: ObjectId,
    /// Its place in that stream.
    pub revision: Revision,
    /// The event.
    pub event: Event,
}

/// A reading that is under way.
struct Reading {
    client: Client,
    streams: Arc<LayoutStreams>,
    rows: Rows,
    /// Streams with absent numbers, and how many of their events were read.
    uneven: HashMap<Vec<Option<String>>, u64>,
    next_rows: usize,
}

/// Reads all events in their global order, from one state of the database.
///
/// # Errors
/// `Unsupported` for a layout without a global order; those of the server.
pub(super) async fn in_global_order(
    streams: Arc<LayoutStreams>,
    rows: Rows,
) -> Result<BoxStream<'static, Result<GlobalEvent>>> {
    let Some(sql) = streams.queries.global.clone() else {
        let message = format!("layout has no global order: {}", streams.layout.name);
        return Err(Error::unsupported(message).with_hint("export without --order global"));
    };
    let client = streams.database.open().await?;
    client.batch_execute(BEGIN).await.map_err(explain)?;
    let uneven = uneven(&client, &streams).await?;
    let declare = format!("DECLARE esm_events NO SCROLL CURSOR FOR {sql}");
    client.batch_execute(&declare).await.map_err(explain)?;
    let reading = Reading {
        client,
        streams,
        rows,
        uneven,
        next_rows: FIRST_ROWS,
    };
    Ok(stream::try_unfold(reading, |mut reading| async move {
        let page = reading.page().await?;
        let more = !page.is_empty();
        Ok::<_, Error>(more.then(|| (stream::iter(page).map(Ok), reading)))
    })
    .try_flatten()
    .boxed())
}

/// The streams whose revision is not their number less the first one.
async fn uneven(
    client: &Client,
    streams: &LayoutStreams,
) -> Result<HashMap<Vec<Option<String>>, u64>> {
    if !streams.layout.events.holes {
        return Ok(HashMap::new());
    }
    let first = streams.layout.events.first;
    let parameters = [(&first as _, Type::INT8)];
    let found = client.query_typed(&streams.queries.with_holes, &parameters);
    let rows = found.await.map_err(explain)?;
    let keys = rows.iter().map(|row| Ok((texts(row, 0..row.len())?, 0)));
    keys.collect()
}

impl Reading {
    async fn page(&mut self) -> Result<Vec<GlobalEvent>> {
        let fetch = format!("FETCH FORWARD {} FROM esm_events", self.next_rows);
        let rows = self
            .client
            .query_typed(&fetch, &[])
            .await
            .map_err(explain)?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            events.push(self.event(row)?);
        }
        let bytes: usize = events.iter().map(|e| e.event.payload.len() + 256).sum();
        if let Some(average) = bytes.checked_div(events.len()) {
            self.next_rows = (PAGE_BYTES / average).clamp(1, PAGE_ROWS);
        }
        Ok(events)
    }

    fn event(&mut self, row: &Row) -> Result<GlobalEvent> {
        let named = EVENT_COLUMNS + self.streams.layout.object.columns().len();
        let object = self
            .streams
            .layout
            .object
            .object(&texts(row, EVENT_COLUMNS..named)?)?;
        let key = texts(row, named..row.len())?;
        let NumberedEvent { number, event } =
            self.rows.event(row).map_err(|e| e.context(&object))?;
        let revision = match self.uneven.get_mut(&key) {
            Some(read) => {
                *read += 1;
                *read - 1
            }
            None => {
                let first = self.streams.layout.events.first;
                u64::try_from(number.saturating_sub(first)).map_err(|_| {
                    let number: i64 = value(row, 0).unwrap_or_default();
                    Error::corrupt(format!("an event has the number {number}, in {object}"))
                })?
            }
        };
        Ok(GlobalEvent {
            object,
            revision: Revision(revision),
            event,
        })
    }
}
