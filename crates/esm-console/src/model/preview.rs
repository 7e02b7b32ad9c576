//! What the transformation of a migration does to the first events of a few objects.
//!
//! Reads the first page of a few source streams, whatever the size of the store, and transforms these
//! events again. A whole plan is made by `esm plan`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use esm_core::event::{Event, Revision, Schema};
use esm_core::id::{ObjectId, StreamRef};
use esm_core::migration::{PlannedMigration, Scope};
use esm_core::store::{PageLimit, ReadFrom};
use esm_core::transform::{
    EventSample, EventTransformer, Failure, Fate, Ledger, Mapped, Mapper, SampledEvent,
};
use esm_core::{Error, ErrorKind, Result};
use esm_view::migration::transformation;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::cache::Load;
use crate::payload::{Payloads, VisibleSample};
use crate::source::Source;

/// Objects whose events are transformed.
const OBJECTS: usize = 12;
/// Documents that are read in search of them.
const DOCUMENTS: usize = 20;
/// Events of an object that are transformed, at most.
const EVENTS: usize = 100;
/// Samples of a schema, at most.
const SAMPLES: usize = 5;
/// Outputs of a sample, at most.
const OUTPUTS: usize = 8;
/// How much is read of a stream.
const PAGE: PageLimit = PageLimit {
    cells: 16,
    bytes: 256 << 10,
};

/// What became of the events of a schema.
#[derive(Debug, Clone, Default)]
pub(crate) struct SchemaTally {
    pub(crate) events: u64,
    pub(crate) unchanged: u64,
    pub(crate) changed: u64,
    pub(crate) split: u64,
    pub(crate) dropped: u64,
    pub(crate) failed: u64,
}

/// The outcome of a preview.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    /// Objects whose events were transformed.
    pub(crate) objects: usize,
    /// What became of these events.
    pub(crate) ledger: Ledger,
    /// The same by schema.
    pub(crate) schemas: BTreeMap<Schema, SchemaTally>,
    /// The first of each kind of outcome of each schema.
    pub(crate) samples: Vec<VisibleSample>,
}

/// Loads a preview.
#[derive(Debug)]
pub(crate) struct PreviewLoad {
    pub(crate) source: Arc<Source>,
    pub(crate) payloads: Payloads,
    pub(crate) planned: Arc<PlannedMigration>,
}

impl PreviewLoad {
    fn transformer(&self) -> Result<Arc<dyn EventTransformer>> {
        let transformer = transformation(&self.planned.annotations, None)?;
        if transformer.fingerprint() == self.planned.fingerprint {
            return Ok(transformer);
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "the plan does not contain its transformation",
        )
        .with_hint("it is a Rust program, or was changed; see the plan that its owner saved"))
    }

    async fn objects(&self) -> Result<Vec<ObjectId>> {
        let reader = self.source.reader();
        match &self.planned.scope {
            Scope::Objects(objects) => Ok(objects.iter().take(DOCUMENTS).cloned().collect()),
            Scope::Name(name) => {
                let all = reader.documents().objects(Some(name.clone()));
                all.take(DOCUMENTS).try_collect().await
            }
            Scope::All => {
                let all = reader.documents().objects(None);
                all.take(DOCUMENTS).try_collect().await
            }
        }
    }

    /// The source of an object: the stream that the migration closed, or the active one.
    async fn source_of(&self, object: &ObjectId) -> Result<Option<StreamRef>> {
        let reader = self.source.reader();
        let Some(found) = reader.documents().find(object).await? else {
            return Ok(None);
        };
        let document = found.document;
        let closed = document.closed_by(self.planned.migration);
        Ok(Some(match closed {
            Some(entry) => entry.stream.clone(),
            None => document.active,
        }))
    }

    /// The first events of a source; none where it was copied by this very transformation.
    async fn events(&self, stream: &StreamRef) -> Result<Vec<(Revision, Event)>> {
        let store = self.source.stores().of(stream)?;
        let from = ReadFrom::Revision(Revision(0));
        let page = store.read(&stream.stream, from, PAGE).await?;
        let origin = page.cells.first().and_then(|cell| cell.header.origin());
        if origin.is_some_and(|origin| origin.fingerprint == self.planned.fingerprint) {
            return Ok(Vec::new());
        }
        let events = page.cells.into_iter().flat_map(|cell| {
            let first = cell.header.first_revision;
            let events = cell.events.into_iter().zip(0..);
            events.map(move |(event, at)| (first.plus(at), event.event))
        });
        Ok(events.take(EVENTS).collect())
    }
}

impl Load for PreviewLoad {
    type Value = Preview;

    const FRESH: Duration = Duration::from_secs(120);

    async fn load(&mut self) -> Result<Preview> {
        let mapper = Mapper::new(self.transformer()?);
        let mut found = Vec::new();
        for object in self.objects().await? {
            let Some(stream) = self.source_of(&object).await? else {
                continue;
            };
            let events = self.events(&stream).await?;
            if !events.is_empty() {
                found.push((object, events));
            }
            if found.len() == OBJECTS {
                break;
            }
        }
        let transformed = (self.payloads)
            .on_a_thread(move |payloads| transform(&mapper, payloads, found))
            .await;
        transformed.map_err(|error| error.context("the preview was not completed"))
    }
}

fn transform(
    mapper: &Mapper,
    payloads: &Payloads,
    found: Vec<(ObjectId, Vec<(Revision, Event)>)>,
) -> Preview {
    let mut preview = Preview {
        objects: found.len(),
        ..Preview::default()
    };
    let mut samples = Samples::default();
    for (object, events) in found {
        for (revision, event) in events {
            let mapped = mapper.map(&object, revision, &event);
            preview.record(&event, &mapped);
            samples.add(&object, revision, &event, &mapped);
        }
    }
    let samples = samples.0.into_iter();
    preview.samples = samples.map(|sample| payloads.sample(sample)).collect();
    preview
}

impl Preview {
    fn record(&mut self, event: &Event, mapped: &Result<Mapped, Failure>) {
        let tally = self.schemas.entry(event.schema()).or_default();
        tally.events += 1;
        match mapped {
            Ok(mapped) => {
                self.ledger.record(event, mapped);
                *match mapped.fate {
                    Fate::Unchanged => &mut tally.unchanged,
                    Fate::Changed => &mut tally.changed,
                    Fate::Split => &mut tally.split,
                    Fate::Dropped { .. } => &mut tally.dropped,
                } += 1;
            }
            Err(failure) => {
                self.ledger.record_failure(failure.clone());
                tally.failed += 1;
            }
        }
    }
}

/// The first events of each kind of outcome of each schema.
#[derive(Debug, Default)]
struct Samples(Vec<EventSample>);

impl Samples {
    fn add(
        &mut self,
        object: &ObjectId,
        revision: Revision,
        event: &Event,
        mapped: &Result<Mapped, Failure>,
    ) {
        if let Some(sample) = self.sample(object, revision, event, mapped) {
            self.0.push(sample);
        }
    }

    /// The sample of an event, if it is the first of its kind.
    fn sample(
        &self,
        object: &ObjectId,
        revision: Revision,
        event: &Event,
        mapped: &Result<Mapped, Failure>,
    ) -> Option<EventSample> {
        let sample = EventSample::whole(object, revision, event, mapped)?;
        let schema = event.schema();
        let same_schema = || self.0.iter().filter(|s| s.before.schema == schema);
        let kind = std::mem::discriminant(&sample.outcome);
        let is_known = same_schema().any(|s| std::mem::discriminant(&s.outcome) == kind);
        if is_known || same_schema().count() >= SAMPLES {
            return None;
        }
        let outputs = mapped.as_ref().map_or(&[][..], |mapped| &mapped.outputs);
        Some(EventSample {
            before: SampledEvent::new(event),
            after: outputs
                .iter()
                .take(OUTPUTS)
                .map(SampledEvent::new)
                .collect(),
            ..sample
        })
    }
}
