//! Appends of retired schemas ([R11](crate::protocol#r11)).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::TryStreamExt as _;
use tokio::sync::OnceCell;

use crate::error::{Error, Result};
use crate::event::{Event, Revision, Schema};
use crate::id::{ObjectId, StreamId, StreamRef};
use crate::router::transformers::Transformers;
use crate::store::{
    CellEvent, CellKind, EventStore, EventStoreExt as _, Origin, PageLimit, ReadFrom, Stores, Tail,
};
use crate::transform::Fate;

/// What the first cell of a stream says that retires schemas.
#[derive(Debug)]
pub(in crate::router) struct Retired {
    origin: Origin,
    /// What the streams before it retired.
    earlier: OnceCell<Earlier>,
}

/// The origins of the streams before one, newest first, as far as they retired anything.
#[derive(Debug, Default)]
struct Earlier {
    origins: Vec<Origin>,
    /// Whether one could not be read: its store is not known here, or it was deleted.
    cut_short: bool,
}

/// The events of an append as they are stored in a stream.
#[derive(Debug, Clone)]
pub(in crate::router) struct Image {
    pub(in crate::router) events: Arc<[CellEvent]>,
    /// Number of events that went through a transformation.
    pub(in crate::router) transformed: u64,
    /// Number of events of retired schemas that are stored as they are.
    pub(in crate::router) accepted: u64,
}

impl Image {
    /// The very same events.
    pub(in crate::router) fn same(events: &Arc<[CellEvent]>) -> Self {
        Self {
            events: Arc::clone(events),
            transformed: 0,
            accepted: 0,
        }
    }
}

/// Where an append would go.
pub(in crate::router) struct AppendPlace<'a> {
    pub(in crate::router) stores: &'a Stores,
    pub(in crate::router) transformers: &'a Transformers,
    pub(in crate::router) object: &'a ObjectId,
    /// The revision that its first event would get.
    pub(in crate::router) revision: Revision,
}

impl Retired {
    /// What a stream retires; nothing where it retires nothing.
    pub(in crate::router) async fn of(
        stores: &Stores,
        stream: &StreamRef,
        tail: &Tail,
    ) -> Result<Option<Self>> {
        let origin = match &tail.last {
            None => None,
            Some(first) if first.seq == 0 => first.origin().cloned(),
            Some(_) => stores.of(stream)?.origin(&stream.stream).await?,
        };
        Ok(Self::by(origin))
    }

    /// What a stream of this origin retires; nothing where it retires nothing.
    pub(in crate::router) fn by(origin: Option<Origin>) -> Option<Self> {
        let retires = origin.filter(|origin| !origin.retired.is_empty());
        retires.map(|origin| Self {
            origin,
            earlier: OnceCell::new(),
        })
    }

    /// The image of an append: events of retired schemas go through the registered transformation,
    /// else the policy of the plan decides; all others stay as they are.
    ///
    /// # Errors
    /// `Invalid` for an event that is refused; `TransformFailed`; those of the stores.
    pub(in crate::router) async fn image(
        &self,
        place: &AppendPlace<'_>,
        events: &Arc<[CellEvent]>,
    ) -> Result<Image> {
        let is_retired = |e: &CellEvent| self.origin.retired.contains(&e.event.schema());
        if !events.iter().any(is_retired) {
            return Ok(Image::same(events));
        }
        let mut image = Image::same(events);
        let mut stored = Vec::with_capacity(events.len());
        for original in events.iter() {
            let schema = original.event.schema();
            if !self.origin.retired.contains(&schema) {
                stored.push(original.clone());
            } else if let Some(outputs) = self.transformed(place, &original.event).await? {
                image.transformed += 1;
                stored.extend(outputs.into_iter().map(CellEvent::from));
            } else if self.origin.accepted.contains(&schema) {
                image.accepted += 1;
                stored.push(original.clone());
            } else {
                return Err(self.refusal(&schema));
            }
        }
        image.events = stored.into();
        Ok(image)
    }

    /// An event as the registered transformations of this stream, and of those before it that
    /// retired its schema, turn it. Nothing where one of them is not to be seen, or is neither
    /// registered nor included in a later one, or changes the event and keeps a retired schema: then
    /// old and new code are indistinguishable, and only the policy can say what is to be done.
    async fn transformed(
        &self,
        place: &AppendPlace<'_>,
        event: &Event,
    ) -> Result<Option<Vec<Event>>> {
        let Some(layers) = self.layers(place.stores, &event.schema()).await? else {
            return Ok(None);
        };
        let mut events = vec![event.clone()];
        for (newer, origin) in layers.iter().enumerate().rev() {
            let mut outputs = Vec::new();
            for event in events {
                if !origin.retired.contains(&event.schema()) {
                    outputs.push(event);
                    continue;
                }
                let Some(mapper) = place.transformers.of(origin.appends_through()) else {
                    let (known, newer) = (place.transformers, &layers[..newer]);
                    if !is_included(known, origin, newer, &event.schema()) {
                        return Ok(None);
                    }
                    outputs.push(event);
                    continue;
                };
                let mapped = mapper.map_owned(place.object, place.revision, event);
                let mapped = mapped.map_err(|failure| {
                    Error::from(failure).with_hint(
                        "nothing was appended; the schema is retired here, and the registered \
                         transformation cannot turn this event into what took its place",
                    )
                })?;
                let is_retired = |e: &Event| origin.retired.contains(&e.schema());
                if mapped.fate != Fate::Unchanged && mapped.outputs.iter().any(is_retired) {
                    return Ok(None);
                }
                outputs.extend(mapped.outputs);
            }
            events = outputs;
        }
        Ok(Some(events))
    }

    /// The origins that retire a schema, newest first, without a gap; nothing when not all of them
    /// are to be seen.
    async fn layers(&self, stores: &Stores, schema: &Schema) -> Result<Option<Vec<&Origin>>> {
        let earlier = self
            .earlier
            .get_or_try_init(|| earlier(stores, &self.origin));
        let Earlier { origins, cut_short } = earlier.await?;
        let retires = |origin: &&Origin| origin.retired.contains(schema);
        let layers = [&self.origin]
            .into_iter()
            .chain(origins)
            .take_while(retires);
        let layers: Vec<_> = layers.collect();
        let all = !cut_short || layers.len() <= origins.len();
        Ok(all.then_some(layers))
    }

    fn refusal(&self, schema: &Schema) -> Error {
        Error::invalid(format!(
            "events of a retired schema are refused: {schema} was retired by migration {}",
            self.origin.migration
        ))
        .with_hint(
            "append what the migration turns such events into, or register its transformation \
             with the client",
        )
    }
}

/// Whether a registered transformation of a newer layer takes events of this schema, and includes
/// that of an origin, and those of all layers between.
fn is_included(
    transformers: &Transformers,
    origin: &Origin,
    newer: &[&Origin],
    schema: &Schema,
) -> bool {
    // newest first: what is nearer to the origin is behind
    (0..newer.len()).rev().any(|at| {
        let Some(mapper) = transformers.of(newer[at].appends_through()) else {
            return false;
        };
        let includes = |skipped: &Origin| {
            let earlier = skipped.appends_through();
            mapper.transformer().includes(earlier, &skipped.retired)
        };
        let mut skipped = newer[at + 1..].iter().copied().chain([origin]);
        newer[at].retired.contains(schema) && skipped.all(includes)
    })
}

async fn earlier(stores: &Stores, origin: &Origin) -> Result<Earlier> {
    let mut earlier = Earlier::default();
    let mut met = HashSet::new();
    loop {
        let source = &earlier.origins.last().unwrap_or(origin).source;
        if !met.insert(source.clone()) {
            return Err(Error::corrupt(format!(
                "streams name each other as their origins in a circle: {source}"
            )));
        }
        let first = match stores.of(source) {
            Ok(store) => store.cell(&source.stream, 0).await?,
            Err(_) => None,
        };
        match first.map(|cell| cell.header.kind) {
            Some(CellKind::Data {
                origin: Some(origin),
                ..
            }) if !origin.retired.is_empty() => earlier.origins.push(origin),
            None | Some(CellKind::Tombstone) => {
                earlier.cut_short = true;
                return Ok(earlier);
            }
            Some(_) => return Ok(earlier),
        }
    }
}

/// How many events of each retired schema a stream accepted as they are
/// ([R11](crate::protocol#r11)): those that applications appended, not those that a migration
/// copied. Reads the whole stream, a page at a time; nothing where it accepts none.
///
/// # Errors
/// Those of the store. What was deleted is not counted.
pub async fn accepted_unchanged(
    store: &Arc<dyn EventStore>,
    stream: &StreamId,
) -> Result<BTreeMap<Schema, u64>> {
    let mut counts = BTreeMap::new();
    let origin = store.origin(stream).await?;
    let Some(accepted) = origin.map(|o| o.accepted).filter(|a| !a.is_empty()) else {
        return Ok(counts);
    };
    let from = ReadFrom::Seq(0);
    let mut cells = Arc::clone(store).cells(stream.clone(), from, PageLimit::default());
    while let Some(cell) = cells.try_next().await? {
        if cell.header.cursor().is_some() {
            continue;
        }
        for schema in cell.events.iter().map(|e| e.event.schema()) {
            if accepted.contains(&schema) {
                *counts.entry(schema).or_default() += 1;
            }
        }
    }
    Ok(counts)
}
