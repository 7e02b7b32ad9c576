//! Counts of the events that a dry run reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::cutover::source::cells::CheckedPage;
use crate::event::{Event, Revision, Schema};
use crate::id::ObjectId;
use crate::migration::plan::migration_plan::SchemaFindings;
use crate::migration::plan::way_back;
use crate::store::EventStore;
use crate::transform::Samples;
use crate::transform::{
    EventCounts, Failure, Ledger, Mapped, Mapper, MaskingSurvey, SchemaAnalysis,
};

/// The rule by which an event fails whose outputs the target does not accept.
const TOO_LARGE: &str = "size limit";
/// The rule by which an event fails that becomes several in place.
const IN_PLACE: &str = "in place";
/// How many times its approximate size an event has at most as it is stored: text may consist of
/// characters that are escaped.
const ENCODED: u64 = 8;

#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) events: u64,
    pub(super) analysis: SchemaAnalysis,
    pub(super) cells: u64,
    pub(super) schemas: BTreeMap<Schema, SchemaFindings>,
    pub(super) samples: Samples,
    pub(super) earliest: Option<(Timestamp, String)>,
    pub(super) latest: Option<(Timestamp, String)>,
    /// Events with an output that has another `source` or `subject`.
    pub(super) renamed: u64,
    /// In place: a digest of the events, which do not become others by being appended to.
    pub(super) content: [u8; 32],
    /// The first output that the `down` fails on.
    pub(super) down_failure: Option<Failure>,
}

/// The scan of one page.
pub(super) struct PageScan {
    pub(super) mapper: Mapper,
    pub(super) down: Option<Mapper>,
    pub(super) object: ObjectId,
    /// The store that the outputs go to.
    pub(super) target: Arc<dyn EventStore>,
    /// First event that is read.
    pub(super) from: Revision,
    /// Maximum number of events to read.
    pub(super) room: u64,
    /// Whether each event keeps its number, and so cannot become several.
    pub(super) in_place: bool,
    /// Observes what is masked, if anything is.
    pub(super) masking: Option<Arc<MaskingSurvey>>,
}

impl PageScan {
    pub(super) fn scan(&self, page: CheckedPage) -> Scanned {
        let mut scanned = Scanned::default();
        for cell in page.cells {
            let first = cell.header.first_revision;
            for (index, cell_event) in cell.events.iter().enumerate() {
                let revision = first.plus(index as u64);
                if revision < self.from {
                    continue;
                }
                if scanned.events == self.room {
                    return scanned;
                }
                scanned.add(self, revision, &cell_event.event);
            }
        }
        scanned
    }
}

/// Whether an output has a `source` or `subject` of its own that the event does not have.
fn renames(event: &Event, mapped: &Mapped) -> bool {
    mapped.outputs.iter().any(|output| {
        ["source", "subject"].iter().any(|name| {
            let own = output.metadata.get(name);
            own.is_some() && own != event.metadata.get(name)
        })
    })
}

impl PageScan {
    /// Transforms an event, and fails where the target does not accept the outputs.
    fn map(&self, revision: Revision, event: &Event) -> Result<Mapped, Failure> {
        let mapped = self.mapper.map(&self.object, revision, event)?;
        let failure = |rule: &str, message| Failure {
            object: Some(Box::new(self.object.clone())),
            event: event.id.clone(),
            schema: event.schema(),
            revision,
            rule: rule.to_owned(),
            message,
            count: 1,
        };
        if self.in_place && mapped.outputs.len() > 1 {
            let outputs = mapped.outputs.len();
            let message = format!("{outputs} outputs, and an event keeps its number in place");
            return Err(failure(IN_PLACE, message));
        }
        match self.excess(&mapped.outputs) {
            None => Ok(mapped),
            Some(message) => Err(failure(TOO_LARGE, message)),
        }
    }

    /// How the outputs of one event, which go into one cell (R3), exceed the target's limits.
    fn excess(&self, outputs: &[Event]) -> Option<String> {
        let limits = self.target.limits();
        if outputs.len() as u64 > limits.max_cell_events {
            let (count, most) = (outputs.len(), limits.max_cell_events);
            return Some(format!(
                "{count} outputs, and a cell has at most {most} events"
            ));
        }
        let approximate: u64 = outputs.iter().map(Event::approximate_size).sum();
        if approximate < limits.max_event_bytes / ENCODED {
            return None;
        }
        let mut total = 0;
        for output in outputs {
            let bytes = self.target.size_of(output);
            if bytes > limits.max_event_bytes {
                let most = limits.max_event_bytes;
                return Some(format!(
                    "an output has {bytes} bytes, and at most {most} are accepted"
                ));
            }
            total += bytes;
        }
        let most = limits.max_cell_bytes;
        (total > most).then(|| format!("its outputs have {total} bytes, and a cell at most {most}"))
    }
}

/// Returns a digest of an event and its place.
fn digest(object: &ObjectId, revision: Revision, event: &Event) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    let mut field = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(object.to_string().as_bytes());
    field(&revision.0.to_le_bytes());
    field(event.id.as_str().as_bytes());
    field(event.event_type.as_str().as_bytes());
    field(&event.schema_version.0.to_le_bytes());
    field(event.time.as_deref().unwrap_or_default().as_bytes());
    field(&event.payload);
    for (name, value) in event.metadata.iter() {
        field(name.as_bytes());
        field(format!("{value:?}").as_bytes());
    }
    *hash.finalize().as_bytes()
}

impl Scanned {
    /// Returns the counts of events that are copied unchanged and not read.
    pub(super) fn originals(number: u64) -> Self {
        let ledger = Ledger {
            source: number,
            unchanged: number,
            outputs: number,
            ..Ledger::new()
        };
        let counts = EventCounts {
            ledger,
            ..EventCounts::default()
        };
        let analysis = SchemaAnalysis {
            counts,
            ..SchemaAnalysis::default()
        };
        Self {
            analysis,
            ..Self::default()
        }
    }

    fn add(&mut self, scan: &PageScan, revision: Revision, event: &Event) {
        let bytes = event.approximate_size();
        self.events += 1;
        let schema = event.schema();
        let mapped = scan.map(revision, event);
        if scan.in_place {
            self.add_content(digest(&scan.object, revision, event));
        }
        let found = self.schemas.entry(schema.clone()).or_default();
        found.record(bytes, &mapped);
        self.samples.record(&scan.object, revision, event, &mapped);
        match mapped {
            Ok(mapped) => {
                self.analysis.record(&schema, bytes, &mapped);
                self.renamed += u64::from(renames(event, &mapped));
                if let Some(survey) = &scan.masking {
                    survey.record(&scan.object, event, &mapped);
                }
                if let (Some(down), None) = (&scan.down, &self.down_failure) {
                    let failed = way_back::failure(down, &scan.object, revision, &mapped);
                    self.down_failure = failed;
                }
            }
            Err(failure) => self.analysis.record_failure(bytes, failure),
        }
        self.add_time(event.time.as_deref());
    }

    /// Independent of the order.
    fn add_content(&mut self, digest: [u8; 32]) {
        let bytes = self.content.iter_mut().zip(digest);
        bytes.for_each(|(sum, byte)| *sum ^= byte);
    }

    fn add_time(&mut self, text: Option<&str>) {
        let Some(text) = text else { return };
        // an invalid time is copied like any other text, but is not part of the range
        let Ok(time) = text.parse::<Timestamp>() else {
            return;
        };
        let entry = (time, text.to_owned());
        if self
            .earliest
            .as_ref()
            .is_none_or(|(earliest, _)| time < *earliest)
        {
            self.earliest = Some(entry.clone());
        }
        if self
            .latest
            .as_ref()
            .is_none_or(|(latest, _)| time > *latest)
        {
            self.latest = Some(entry);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.add_content(other.content);
        self.analysis.merge(other.analysis);
        self.cells += other.cells;
        self.renamed += other.renamed;
        for (schema, found) in other.schemas {
            self.schemas.entry(schema).or_default().merge(found);
        }
        self.samples.merge(other.samples);
        let earliest = self.earliest.take().into_iter().chain(other.earliest);
        self.earliest = earliest.min_by_key(|(time, _)| *time);
        let latest = self.latest.take().into_iter().chain(other.latest);
        self.latest = latest.max_by_key(|(time, _)| *time);
        self.down_failure = self.down_failure.take().or(other.down_failure);
    }
}
