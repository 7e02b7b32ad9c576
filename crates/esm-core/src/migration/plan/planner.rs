//! The planner: runs a migration's analysis over read-only stores.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};

use super::histories::{Histories, moved_last};
use super::scanned::{PageScan, Scanned};
use crate::cutover::meter::Totals;
use crate::cutover::source::cells::{CellScan, Pass};
use crate::cutover::source::scan::transform;
use crate::error::{Error, Result};
use crate::event::{Revision, Schema};
use crate::id::{MigrationId, ObjectId, StreamRef};
use crate::migration::context::Context;
use crate::migration::describe::options::RunOptions;
use crate::migration::plan::migration_plan::{Estimates, MigrationPlan, PlanDepth, SchemaReport};
use crate::migration::plan::way_back::WayBackFindings;
use crate::migration::run::triage::is_up_to_date;
use crate::migration::service::MigrationService;
use crate::migration::step::standing as reverse;
use crate::migration::step::standing::Standing;
use crate::object::chain;
use crate::object::{ChainEnd, Documents, ObjectDocument};
use crate::protocol::plan::{MigrationStrategy, PlannedMigration, Scope, cell_events};
use crate::protocol::statistics::{ObjectFailure, Statistics};
use crate::protocol::status::Step;
use crate::store::{Layered, ReadFrom, ReadOnly, Stores, Tail};
use crate::transform::{
    EventTransformer, Identity, Ledger, Mapper, MaskingFindings, MaskingSurvey,
};

/// Makes plans: runs a migration's analysis over read-only stores.
#[derive(Debug)]
pub(crate) struct Planner {
    pub(super) stores: Stores,
    pub(super) documents: Documents,
    pub(super) mapper: Mapper,
    /// The declared transformation of a later rollback.
    pub(super) down: Option<Mapper>,
    pub(super) planned: PlannedMigration,
    pub(super) depth: PlanDepth,
    /// What is masked, if anything is.
    masking: Option<Arc<MaskingSurvey>>,
}

/// A plan, and what was found while it was made.
pub(crate) struct Survey {
    pub(crate) plan: MigrationPlan,
    /// The first error that would stop the migration.
    pub(crate) problem: Option<Error>,
    pub(crate) totals: Totals,
}

/// Findings about one object.
struct Findings {
    digest: [u8; 32],
    up_to_date: bool,
    /// The migration that moved the object to its active stream.
    moved_last: Option<MigrationId>,
    events: u64,
    scanned: Scanned,
    /// The reason why the object cannot be migrated.
    blocked: Option<ObjectFailure>,
    /// The error that stops its migration: that reason, or the first event that fails.
    problem: Option<Error>,
}

/// The part of an object's active stream that is read.
struct Stretch {
    stream: StreamRef,
    /// First event that is read.
    from: Revision,
    /// Number of cells of the stream: no more are read.
    cells: u64,
    mapper: Mapper,
    /// Number of events that are copied unchanged and not read.
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
        // what a rollback restores was not masked
        let masks = planned.reverses.is_none().then(|| transformer.masks());
        let masking = masks.and_then(MaskingSurvey::of);
        Self {
            masking: masking.map(Arc::new),
            stores: service.stores.read_only(),
            documents: Documents::new(Layered::new(ReadOnly, &service.records)),
            mapper: Mapper::new(transformer).checking_determinism(),
            down: options.down.clone().map(Mapper::new),
            planned,
            depth,
        }
    }

    /// Returns a planner of a run, which reads through its limits.
    pub(crate) fn of_run(context: &Context) -> Self {
        Self {
            stores: context.services.stores.read_only(),
            documents: Documents::new(Layered::new(ReadOnly, &context.services.records)),
            mapper: context.mapper.clone(),
            down: None,
            planned: context.plan.clone(),
            depth: PlanDepth::Nothing,
            masking: None,
        }
    }

    pub(crate) async fn plan(self) -> Result<MigrationPlan> {
        Ok(self.survey().await?.plan)
    }

    /// Returns the plan, the first error that would stop it, and the size of the scope.
    pub(crate) async fn survey(self) -> Result<Survey> {
        let mut plan = self.empty();
        let mut totals = Totals::default();
        let mut histories = Histories::default();
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
            // independent of the order: objects are listed in no particular one
            sources
                .iter_mut()
                .zip(found.digest)
                .for_each(|(sum, byte)| *sum ^= byte);
            if found.up_to_date {
                plan.up_to_date += 1;
                totals.add_up_to_date();
                continue;
            }
            if let Some(blocked) = found.blocked {
                plan.blocked += 1;
                plan.blockers.push(blocked);
                plan.blockers.truncate(Statistics::MAX_NAMED);
            }
            problem = problem.or(found.problem);
            plan.objects += 1;
            histories.add(found.moved_last);
            plan.events += found.events;
            totals.add(found.events);
            let content = found.scanned.content;
            sources
                .iter_mut()
                .zip(content)
                .for_each(|(sum, byte)| *sum ^= byte);
            total.merge(found.scanned);
        }
        drop(findings);
        plan.sources = blake3::Hash::from_bytes(sources).to_hex().to_string();
        self.fill(&mut plan, total);
        if self.planned.reverses.is_none() {
            plan.risks.extend(histories.risk());
        }
        totals.objects = Some(totals.counted);
        Ok(Survey {
            plan,
            problem,
            totals,
        })
    }

    /// Counts the scope: the events of the first objects, up to `limit`, and of the rest only the
    /// objects. An object that cannot be read counts as one that needs no migration.
    ///
    /// # Errors
    /// Those of the listing.
    pub(crate) async fn count(&self, limit: usize) -> Result<Totals> {
        let mut totals = Totals::default();
        let mut objects = self.objects();
        let counted = objects.by_ref().take(limit);
        let mut found = counted
            .map_ok(|object| async { Ok(self.object(object).await.ok()) })
            .try_buffered(self.planned.bulk.concurrency.max(1))
            .boxed();
        while let Some(found) = found.try_next().await? {
            match found {
                Some(found) if !found.up_to_date && found.blocked.is_none() => {
                    totals.add(found.events);
                }
                _ => totals.add_up_to_date(),
            }
        }
        drop(found);
        let mut listed = totals.counted;
        while objects.try_next().await?.is_some() {
            listed += 1;
        }
        totals.objects = Some(listed);
        Ok(totals)
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

    /// Returns a schema that changed events of an object keep (R11), among the events that are
    /// read. Ignores errors: the migration itself reports them.
    pub(crate) async fn reused(&self, document: ObjectDocument, end: &ChainEnd) -> Option<Schema> {
        first_reused(self.findings(document, end).await)
    }

    /// Returns such a schema of the first objects of the scope.
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
        let end = chain::follow_in(&self.stores, &document).await?;
        self.findings(document, &end).await
    }

    async fn findings(&self, mut document: ObjectDocument, end: &ChainEnd) -> Result<Findings> {
        let object = document.object.clone();
        chain::refuse_deleted(&object, end)?;
        chain::follow_all(&mut document, end);
        let mut findings = Findings {
            digest: digest(&object, &end.stream, &end.tail),
            up_to_date: false,
            moved_last: moved_last(&document),
            events: end.tail.next_revision().0,
            scanned: Scanned::default(),
            blocked: None,
            problem: None,
        };
        if document.closed_by(self.planned.migration).is_some() {
            findings.up_to_date = true;
            return Ok(findings);
        }
        match self.stretch(&document, &end.tail).await {
            Ok(None) => findings.up_to_date = true,
            Ok(Some(stretch)) => {
                findings.scanned = self.scan(&object, &stretch).await?;
                findings.events = findings.events - stretch.from.0 + stretch.originals;
                let failures = &findings.scanned.analysis.counts.ledger.failures;
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

    /// Returns the stretch to read; `None` if there is nothing to do.
    async fn stretch(&self, document: &ObjectDocument, tail: &Tail) -> Result<Option<Stretch>> {
        let stream = document.active.clone();
        let Some(reverses) = &self.planned.reverses else {
            let planned = &self.planned;
            let done = !planned.again
                && is_up_to_date(&self.stores, &self.documents, planned, document).await?;
            return Ok((!done).then(|| Stretch {
                stream,
                from: Revision::START,
                cells: tail.next_seq(),
                mapper: self.mapper.clone(),
                originals: 0,
            }));
        };
        let standing =
            reverse::standing(&self.stores, &self.documents, reverses, document, tail).await?;
        let Standing::Restore(originals) = standing else {
            return Ok(None);
        };
        let from = originals.continuation_events;
        let mapper = if tail.next_revision() > from {
            originals.down(&self.mapper).await?
        } else {
            self.mapper.clone()
        };
        Ok(Some(Stretch {
            stream,
            from,
            cells: tail.next_seq(),
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
        let target = match self.planned.target_store {
            Some(store) => self.stores.get(store)?,
            None => self.stores.of(stream)?,
        };
        let pass = Pass {
            cells: Some(stretch.cells),
            ..Pass::default()
        };
        let mut cells = CellScan::begin(self.stores.of(stream)?, stream, begin, pass);
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
                target: Arc::clone(target),
                from,
                room,
                in_place: self.is_in_place(),
                masking: self.masking.clone(),
            };
            let scanned = transform(page.event_count(), move || scan.scan(page)).await?;
            room -= scanned.events;
            total.merge(scanned);
        }
        let options = &self.planned.copy;
        let counts = &total.analysis.counts;
        let cell = cell_events(options.cell_events as u64, counts.ledger.source);
        let by_events = counts.ledger.outputs.div_ceil(cell);
        let by_bytes = counts.target_bytes.div_ceil(options.cell_bytes);
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
            masking: MaskingFindings::default(),
            estimates: Estimates::default(),
            prerequisites: Vec::new(),
            risks: Vec::new(),
            reversibility: String::new(),
            way_back: WayBackFindings::default(),
            blocked: 0,
            blockers: Vec::new(),
            samples: Vec::new(),
            samples_omitted: 0,
            sources: String::new(),
        }
    }

    fn fill(&self, plan: &mut MigrationPlan, total: Scanned) {
        plan.sampled_events = total.events;
        plan.bytes = total.analysis.counts.source_bytes;
        plan.earliest = total.earliest.map(|(_, text)| text);
        plan.latest = total.latest.map(|(_, text)| text);
        plan.ledger = total.analysis.counts.ledger;
        plan.schemas = total
            .schemas
            .into_iter()
            .map(|(schema, findings)| SchemaReport { schema, findings })
            .collect();
        plan.samples_omitted = total.samples.omitted();
        plan.samples = total.samples.into_list();
        if let Some(survey) = &self.masking {
            plan.masking = survey.findings();
            plan.samples
                .iter_mut()
                .for_each(|sample| survey.hide(sample));
        }
        plan.estimates = self.estimates(plan, total.cells, total.analysis.counts.target_bytes);
        plan.prerequisites = self.prerequisites();
        plan.risks = match self.planned.reverses {
            Some(_) => self.risks_of_reversing(plan),
            None => self.risks(plan),
        };
        plan.risks.extend(Self::risk_of_renaming(total.renamed));
        let mut introduced = total.analysis.made;
        introduced.retain(|schema| !knows(plan, schema));
        plan.way_back = WayBackFindings::of(introduced, self.down.as_ref(), total.down_failure);
        plan.reversibility = if self.is_in_place() {
            plan.way_back.describe_in_place()
        } else {
            plan.way_back.describe(&self.planned.way_back)
        };
    }

    pub(super) fn is_in_place(&self) -> bool {
        self.planned.strategy == MigrationStrategy::InPlaceTransform
    }

    fn estimates(&self, plan: &MigrationPlan, cells: u64, target_bytes: u64) -> Estimates {
        if self.is_in_place() {
            // one statement for each stream, and no new cells
            return Estimates {
                writes: plan.objects,
                target_bytes,
                ..Estimates::default()
            };
        }
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
}

fn first_reused(findings: Result<Findings>) -> Option<Schema> {
    findings
        .ok()?
        .scanned
        .analysis
        .counts
        .ledger
        .reused
        .pop_first()
}

/// Returns whether old code knows a schema: sources have it, and it is neither changed nor dropped.
fn knows(plan: &MigrationPlan, schema: &Schema) -> bool {
    let mut found = plan.schemas.iter().map(|report| &report.schema);
    found.any(|found| found == schema) && !plan.ledger.retired.contains(schema)
}

/// Returns a digest of an object's active stream and its tail.
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
