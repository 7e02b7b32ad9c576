//! Making plans: the same steps as a migration's, over stores that cannot be written to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::describe::RunOptions;
use super::object::is_up_to_date;
use super::options::{PlannedMigration, Scope};
use super::plan::{Estimates, MigrationPlan, PlanDepth, SchemaFindings, SchemaReport};
use super::report::{ObjectFailure, Statistics};
use super::reverse::{self, Standing, WayBackFindings};
use super::scan::{CellScan, CheckedPage};
use super::service::MigrationService;
use super::status::Step;
use crate::chain::{self, ChainEnd};
use crate::document::{Documents, ObjectDocument};
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
    /// The way back that is declared.
    down: Option<Mapper>,
    planned: PlannedMigration,
    depth: PlanDepth,
}

/// What was found out about one object.
struct Findings {
    digest: [u8; 32],
    up_to_date: bool,
    events: u64,
    scanned: Scanned,
    /// Why it cannot be migrated.
    blocked: Option<ObjectFailure>,
    /// What stops it: that, or the first event that fails.
    problem: Option<Error>,
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
    way_back: WayBackFindings,
}

/// What is looked at of an object.
struct Stretch {
    stream: StreamRef,
    /// Events before this one are left out.
    from: Revision,
    mapper: Mapper,
    /// Events that are copied as they are, and not looked at.
    originals: u64,
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
            mapper: Mapper::new(transformer).checking_determinism(),
            down: options.down.clone().map(Mapper::new),
            planned,
            depth,
        }
    }

    pub(crate) async fn plan(self) -> Result<MigrationPlan> {
        Ok(self.survey().await?.0)
    }

    /// The plan, and what would stop it first.
    pub(crate) async fn survey(self) -> Result<(MigrationPlan, Option<Error>)> {
        let mut plan = self.empty();
        let mut total = Scanned::default();
        let mut problem = None;
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
            if let Some(blocked) = found.blocked {
                plan.blocked += 1;
                plan.blockers.push(blocked);
                plan.blockers.truncate(Statistics::MAX_NAMED);
            }
            problem = problem.or(found.problem);
            plan.objects += 1;
            plan.events += found.events;
            total.merge(found.scanned);
        }
        drop(findings);
        plan.sources = blake3::Hash::from_bytes(sources).to_hex().to_string();
        self.fill(&mut plan, total);
        Ok((plan, problem))
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

    /// A schema that changed events of an object keep (R11), as far as it is looked at. What cannot
    /// be read shows nothing: whoever migrates it is told.
    pub(crate) async fn reused(&self, document: ObjectDocument, end: &ChainEnd) -> Option<Schema> {
        first_reused(self.findings(document, end).await)
    }

    /// The same of the first objects of the scope.
    pub(crate) async fn reused_by_the_first(&self, objects: usize) -> Option<Schema> {
        self.objects()
            .take(objects)
            .map(|object| async { self.object(object?).await })
            .buffered(self.planned.bulk.concurrency.max(1))
            .filter_map(|findings| std::future::ready(first_reused(findings)))
            .boxed()
            .next()
            .await
    }

    async fn object(&self, object: ObjectId) -> Result<Findings> {
        let document = self.documents.load(&object).await?.document;
        let end = chain::follow_in(&self.stores, document.active.clone()).await?;
        self.findings(document, &end).await
    }

    async fn findings(&self, mut document: ObjectDocument, end: &ChainEnd) -> Result<Findings> {
        let object = document.object.clone();
        chain::refuse_deleted(&object, end)?;
        chain::follow_all(&mut document, end);
        let mut findings = Findings {
            digest: digest(&object, &end.stream, &end.tail),
            up_to_date: false,
            events: end.tail.next_revision().0,
            scanned: Scanned::default(),
            blocked: None,
            problem: None,
        };
        match self.stretch(&document, &end.tail).await {
            Ok(None) => findings.up_to_date = true,
            Ok(Some(stretch)) => {
                findings.scanned = self.scan(&object, &stretch).await?;
                findings.events = findings.events - stretch.from.0 + stretch.originals;
                let failures = &findings.scanned.ledger.failures;
                let failure = failures.first().cloned().map(Error::from);
                findings.problem = failure.map(|failure| failure.context(&object));
            }
            Err(e) if reverse::blocks(&e) => {
                let mut named = Statistics::default();
                named.name_failure(&object, Step::Analyse, &e);
                findings.blocked = named.failures.pop();
                findings.problem = Some(e);
            }
            Err(e) => return Err(e),
        }
        Ok(findings)
    }

    /// What is to be looked at; nothing where there is nothing to do.
    async fn stretch(&self, document: &ObjectDocument, tail: &Tail) -> Result<Option<Stretch>> {
        let stream = document.active.clone();
        let Some(reverses) = &self.planned.reverses else {
            let (stores, planned) = (&self.stores, &self.planned);
            let done = !planned.again && is_up_to_date(stores, planned, document, &stream).await?;
            return Ok((!done).then(|| Stretch {
                stream,
                from: Revision::START,
                mapper: self.mapper.clone(),
                originals: 0,
            }));
        };
        let standing = reverse::standing(&self.stores, reverses, document, tail).await?;
        let Standing::Restore(originals) = standing else {
            return Ok(None);
        };
        let from = originals.continuation_events;
        let mapper = match tail.next_revision() > from {
            true => originals.down(&self.mapper).await?,
            false => self.mapper.clone(),
        };
        Ok(Some(Stretch {
            stream,
            from,
            mapper,
            originals: originals.events.0,
        }))
    }

    async fn scan(&self, object: &ObjectId, stretch: &Stretch) -> Result<Scanned> {
        let limit = match self.depth {
            PlanDepth::Nothing => return Ok(Scanned::default()),
            PlanDepth::Sample { events_per_stream } => events_per_stream,
            PlanDepth::All => u64::MAX,
        };
        let (stream, from) = (&stretch.stream, stretch.from);
        let begin = match from {
            Revision::START => ReadFrom::Seq(0),
            _ => ReadFrom::Revision(from),
        };
        let mut cells = CellScan::start(self.stores.of(stream)?, stream, begin);
        let mut total = Scanned::originals(stretch.originals);
        let mut room = limit;
        while room > 0 {
            let Some(page) = cells.next().await? else {
                break;
            };
            let scan = PageScan {
                mapper: stretch.mapper.clone(),
                down: self.down.clone(),
                object: object.clone(),
                from,
                room,
            };
            let scanned = tokio::task::spawn_blocking(move || scan.scan(page));
            let scanned = scanned.await.map_err(|panic| {
                Error::corrupt("transforming a page of events panicked").with_source(panic)
            })?;
            room -= scanned.events;
            total.merge(scanned);
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
            way_back: WayBackFindings::default(),
            blocked: 0,
            blockers: Vec::new(),
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
        plan.risks = match self.planned.reverses {
            Some(_) => self.risks_of_reversing(plan),
            None => self.risks(plan),
        };
        plan.way_back = total.way_back;
        plan.way_back.settle(&known(plan));
        plan.reversibility = plan.way_back.describe(&self.planned.way_back);
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
        // and where originals are restored, their pin
        let own = 2 + u64::from(self.planned.reverses.is_some());
        Estimates {
            writes: SHARED + batches + cells + own * plan.objects,
            cells,
            target_bytes,
            backup_bytes: copies * plan.bytes,
        }
    }

    fn prerequisites(&self) -> Vec<String> {
        let mut given = vec![
            "every writer honours a closed stream".to_owned(),
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

    fn risks_of_reversing(&self, plan: &MigrationPlan) -> Vec<String> {
        let mut risks = Vec::new();
        if plan.up_to_date > 0 {
            risks.push(format!(
                "{} objects stay as they are: the migration did not move them, or it is reversed",
                plan.up_to_date
            ));
        }
        if plan.ledger.dropped() > 0 {
            risks.push(format!(
                "{} events that came after the migration are dropped; they stay in the closed streams",
                plan.ledger.dropped()
            ));
        }
        risks
    }
}

fn first_reused(findings: Result<Findings>) -> Option<Schema> {
    findings.ok()?.scanned.ledger.reused.pop_first()
}

/// What old code knows: the schemas of the sources that are neither changed nor dropped.
fn known(plan: &MigrationPlan) -> BTreeSet<Schema> {
    let schemas = plan.schemas.iter().map(|report| &report.schema);
    schemas
        .filter(|schema| !plan.ledger.retired.contains(schema))
        .cloned()
        .collect()
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

/// What is done with a page.
struct PageScan {
    mapper: Mapper,
    down: Option<Mapper>,
    object: ObjectId,
    /// Events before this one are left out.
    from: Revision,
    /// Most events that are looked at.
    room: u64,
}

impl PageScan {
    fn scan(&self, page: CheckedPage) -> Scanned {
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

impl Scanned {
    /// Of events that are copied as they are, and not looked at.
    fn originals(number: u64) -> Self {
        let ledger = Ledger {
            source: number,
            unchanged: number,
            outputs: number,
            ..Ledger::new()
        };
        Self {
            ledger,
            ..Self::default()
        }
    }

    fn add(&mut self, scan: &PageScan, revision: Revision, event: &Event) {
        let bytes = event.approximate_size();
        self.events += 1;
        self.bytes += bytes;
        let schema = event.schema();
        let mapped = scan.mapper.map(&scan.object, revision, event);
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
                let at = (&scan.object, revision);
                self.way_back.record(scan.down.as_ref(), at, &mapped);
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
        self.way_back.merge(other.way_back);
    }
}
