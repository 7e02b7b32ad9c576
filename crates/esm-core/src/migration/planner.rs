//! Making plans: the same steps as a migration's, over stores that cannot be written to.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::describe::RunOptions;
use super::object::is_up_to_date;
use super::options::{PlannedMigration, Scope};
use super::plan::{Estimates, MigrationPlan, PlanDepth, SchemaFindings, SchemaReport};
use super::scan::{CellScan, CheckedPage};
use super::service::MigrationService;
use crate::chain;
use crate::document::Documents;
use crate::error::{Error, Result};
use crate::event::{Event, Revision, Schema};
use crate::id::{ObjectId, StreamRef};
use crate::store::{OnRetired, ReadFrom, ReadOnlyRecords, Stores, Tail};
use crate::transform::{EventTransformer, Fate, Identity, Ledger, Mapper};

/// Makes plans: the same steps as a migration's, over stores that cannot be written to.
#[derive(Debug)]
pub(crate) struct Planner {
    stores: Stores,
    documents: Documents,
    mapper: Mapper,
    planned: PlannedMigration,
    depth: PlanDepth,
    identity: bool,
}

/// What was found out about one object.
struct Findings {
    digest: [u8; 32],
    up_to_date: bool,
    events: u64,
    scanned: Scanned,
}

#[derive(Debug, Default)]
struct Scanned {
    events: u64,
    bytes: u64,
    target_bytes: u64,
    cells: u64,
    schemas: BTreeMap<Schema, SchemaFindings>,
    earliest: Option<(Timestamp, String)>,
    latest: Option<(Timestamp, String)>,
    ledger: Ledger,
}

impl Planner {
    pub(crate) fn new(
        service: &MigrationService,
        planned: PlannedMigration,
        options: &RunOptions,
        depth: PlanDepth,
    ) -> Self {
        let transformer: Arc<dyn EventTransformer> = options
            .transformer
            .clone()
            .unwrap_or_else(|| Arc::new(Identity));
        Self {
            stores: service.stores.read_only(),
            documents: Documents::new(Arc::new(ReadOnlyRecords::new(Arc::clone(&service.records)))),
            identity: planned.fingerprint == Identity.fingerprint(),
            mapper: Mapper::new(transformer).checking_determinism(),
            planned,
            depth,
        }
    }

    pub(crate) async fn plan(self) -> Result<MigrationPlan> {
        let mut plan = self.empty();
        let mut total = Scanned::default();
        let mut sources = [0; 32];
        let concurrency = self.planned.bulk.concurrency.max(1);
        let objects = self.objects();
        let mut findings = objects
            .map_ok(|object| self.object(object))
            .try_buffered(concurrency)
            .boxed();
        while let Some(found) = findings.try_next().await? {
            // order must not matter: objects are listed in no promised order
            sources
                .iter_mut()
                .zip(found.digest)
                .for_each(|(sum, byte)| *sum ^= byte);
            if found.up_to_date {
                plan.up_to_date += 1;
                continue;
            }
            plan.objects += 1;
            plan.events += found.events;
            total.merge(found.scanned);
        }
        drop(findings);
        plan.sources = blake3::Hash::from_bytes(sources).to_hex().to_string();
        self.fill(&mut plan, total);
        Ok(plan)
    }

    fn objects(&self) -> futures::stream::BoxStream<'_, Result<ObjectId>> {
        match &self.planned.scope {
            Scope::Objects(objects) => {
                futures::stream::iter(objects.iter().cloned().map(Ok)).boxed()
            }
            Scope::Name(name) => self.documents.objects(Some(name.clone())),
            Scope::All => self.documents.objects(None),
        }
    }

    async fn object(&self, object: ObjectId) -> Result<Findings> {
        let document = self.documents.load(&object).await?.document;
        let end = chain::follow_in(&self.stores, document.active.clone()).await?;
        chain::refuse_deleted(&object, &end)?;
        let up_to_date = !self.planned.again
            && is_up_to_date(&self.stores, &self.planned, &document, &end.stream).await?;
        let scanned = match up_to_date {
            true => Scanned::default(),
            false => self.scan(&object, &end.stream).await?,
        };
        let events = end.tail.next_revision().0;
        let digest = digest(&object, &end.stream, &end.tail);
        Ok(Findings {
            digest,
            up_to_date,
            events,
            scanned,
        })
    }

    async fn scan(&self, object: &ObjectId, stream: &StreamRef) -> Result<Scanned> {
        let limit = match self.depth {
            PlanDepth::Nothing => return Ok(Scanned::default()),
            PlanDepth::Sample { events_per_stream } => events_per_stream,
            PlanDepth::All => u64::MAX,
        };
        let mut cells = CellScan::start(self.stores.of(stream)?, stream, ReadFrom::Seq(0));
        let mut total = Scanned::default();
        while total.events < limit {
            let Some(page) = cells.next().await? else {
                break;
            };
            let (mapper, object) = (self.mapper.clone(), object.clone());
            let room = limit - total.events;
            let scanned =
                tokio::task::spawn_blocking(move || scan_page(&mapper, &object, page, room));
            total.merge(scanned.await.map_err(|panic| {
                Error::corrupt("transforming a page of events panicked").with_source(panic)
            })?);
        }
        let options = &self.planned.copy;
        let by_events = total.ledger.outputs.div_ceil(options.cell_events as u64);
        let by_bytes = total.target_bytes.div_ceil(options.cell_bytes);
        total.cells = by_events.max(by_bytes).max(1);
        Ok(total)
    }

    fn empty(&self) -> MigrationPlan {
        MigrationPlan {
            format: MigrationPlan::FORMAT,
            planned: self.planned.clone(),
            depth: self.depth,
            objects: 0,
            up_to_date: 0,
            events: 0,
            sampled_events: 0,
            bytes: 0,
            schemas: Vec::new(),
            earliest: None,
            latest: None,
            ledger: Ledger::new(),
            estimates: Estimates::default(),
            prerequisites: Vec::new(),
            risks: Vec::new(),
            reversibility: String::new(),
            sources: String::new(),
        }
    }

    fn fill(&self, plan: &mut MigrationPlan, total: Scanned) {
        plan.sampled_events = total.events;
        plan.bytes = total.bytes;
        plan.earliest = total.earliest.map(|(_, text)| text);
        plan.latest = total.latest.map(|(_, text)| text);
        plan.ledger = total.ledger;
        plan.schemas = total
            .schemas
            .into_iter()
            .map(|(schema, findings)| SchemaReport { schema, findings })
            .collect();
        plan.estimates = self.estimates(plan, total.cells, total.target_bytes);
        plan.prerequisites = self.prerequisites();
        plan.risks = self.risks(plan);
        plan.reversibility = self.reversibility(plan);
    }

    fn estimates(&self, plan: &MigrationPlan, cells: u64, target_bytes: u64) -> Estimates {
        let batches = match self.planned.scope.single() {
            Some(_) => u64::from(self.planned.backup.is_some()),
            None => plan
                .objects
                .div_ceil(self.planned.bulk.batch_objects.max(1) as u64),
        };
        let copies = u64::from(self.planned.backup.is_some())
            + u64::from(
                self.planned
                    .close_books
                    .as_ref()
                    .is_some_and(|b| b.archive.is_some()),
            );
        // lock, claim, plan, terminal record, release; for each object its cells, Close, document
        const SHARED: u64 = 5;
        Estimates {
            writes: SHARED + batches + cells + 2 * plan.objects,
            cells,
            target_bytes,
            backup_bytes: copies * plan.bytes,
        }
    }

    fn prerequisites(&self) -> Vec<String> {
        let mut given = vec![
            "every writer honours a closed stream; with this store format all do".to_owned(),
            format!(
                "the transformation is the same everywhere: {}",
                self.planned.fingerprint
            ),
        ];
        if let Some(store) = self.planned.target_store {
            given.push(format!(
                "every application knows the store that the events go to: {store}"
            ));
        }
        if self.planned.backup.is_some() {
            given.push("a backup is written and read again before anything is copied".to_owned());
        }
        given
    }

    fn risks(&self, plan: &MigrationPlan) -> Vec<String> {
        let mut risks = Vec::new();
        if plan.sampled_events < plan.events {
            risks.push(format!(
                "only {} of {} events were looked at; others may fail",
                plan.sampled_events, plan.events
            ));
        }
        let partly: Vec<_> = (plan.schemas.iter())
            .filter(|s| {
                let taken = s.findings.changed + s.findings.dropped;
                taken > 0 && taken + s.findings.failed < s.findings.events
            })
            .map(|s| s.schema.to_string())
            .collect();
        if !partly.is_empty() {
            risks.push(format!(
                "only some events of a schema are changed or dropped, and the schema is retired as \
                 a whole, so later appends of it are refused: {}",
                partly.join(", ")
            ));
        }
        if !plan.ledger.reused.is_empty() {
            let schemas: Vec<_> = plan.ledger.reused.iter().map(ToString::to_string).collect();
            risks.push(format!(
                "changed events keep their type and schema version, so appends of old code cannot \
                 be told from those of new code{}: {}",
                match self.planned.on_retired {
                    None => ", and what becomes of them must be chosen (on_retired)",
                    Some(OnRetired::Refuse) => ", and both are refused",
                    Some(OnRetired::AcceptUnchanged) => ", and both are accepted unchanged",
                },
                schemas.join(", ")
            ));
        }
        if plan.ledger.dropped() > 0 {
            risks.push(format!(
                "{} events are dropped; they stay in the closed source{}",
                plan.ledger.dropped(),
                if self.planned.backup.is_some() {
                    " and in the backup"
                } else {
                    ""
                }
            ));
        }
        if self.planned.backup.is_none() {
            risks.push("no backup is made".to_owned());
        }
        risks
    }

    fn reversibility(&self, plan: &MigrationPlan) -> String {
        let after = match (self.identity, plan.ledger.retired.is_empty()) {
            (true, _) | (_, true) => "no event is changed, so migrating back loses nothing",
            _ => {
                "migrating back needs a transformation from the new schemas to the old ones; the \
                 closed sources keep the originals"
            }
        };
        format!(
            "until a source is closed everything can be rolled back; from then on only forward: \
             {after}"
        )
    }
}

/// Identifies where an object's active stream ends.
fn digest(object: &ObjectId, stream: &StreamRef, tail: &Tail) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    let mut field = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(object.to_string().as_bytes());
    field(stream.to_string().as_bytes());
    if let Some(last) = &tail.last {
        field(&last.seq.to_le_bytes());
        field(last.commit.as_uuid().as_bytes());
    }
    *hash.finalize().as_bytes()
}

fn scan_page(mapper: &Mapper, object: &ObjectId, page: CheckedPage, room: u64) -> Scanned {
    let mut scanned = Scanned::default();
    for cell in page.cells {
        let first = cell.header.first_revision;
        for (index, cell_event) in cell.events.iter().enumerate() {
            if scanned.events == room {
                return scanned;
            }
            scanned.add(mapper, object, first.plus(index as u64), &cell_event.event);
        }
    }
    scanned
}

impl Scanned {
    fn add(&mut self, mapper: &Mapper, object: &ObjectId, revision: Revision, event: &Event) {
        let bytes = event.approximate_size();
        self.events += 1;
        self.bytes += bytes;
        let schema = event.schema();
        let mapped = mapper.map(object, revision, event);
        let found = self.schemas.entry(schema.clone()).or_default();
        found.events += 1;
        found.bytes += bytes;
        match &mapped {
            Ok(mapped) => match mapped.fate {
                Fate::Unchanged => {}
                Fate::Changed | Fate::Split => found.changed += 1,
                Fate::Dropped { .. } => found.dropped += 1,
            },
            Err(_) => found.failed += 1,
        }
        match mapped {
            Ok(mapped) => {
                self.target_bytes += mapped
                    .outputs
                    .iter()
                    .map(Event::approximate_size)
                    .sum::<u64>();
                self.ledger.record_schema(&schema, &mapped);
            }
            Err(failure) => self.ledger.record_failure(failure),
        }
        self.add_time(event.time.as_deref());
    }

    fn add_time(&mut self, text: Option<&str>) {
        let Some(text) = text else { return };
        // a time that is none is kept like any other text, but has no place in a range
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

    fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
        self.target_bytes += other.target_bytes;
        self.cells += other.cells;
        for (schema, found) in other.schemas {
            let mine = self.schemas.entry(schema).or_default();
            mine.events += found.events;
            mine.bytes += found.bytes;
            mine.changed += found.changed;
            mine.dropped += found.dropped;
            mine.failed += found.failed;
        }
        let earliest = self.earliest.take().into_iter().chain(other.earliest);
        self.earliest = earliest.min_by_key(|(time, _)| *time);
        let latest = self.latest.take().into_iter().chain(other.latest);
        self.latest = latest.max_by_key(|(time, _)| *time);
        self.ledger.merge(&other.ledger);
    }
}
