//! Step 4: transforms the source's events and writes them to the target.

use std::collections::BTreeSet;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cutover::attempt::{Attempt, Sight};
use crate::cutover::meter::Phase;
use crate::cutover::source::cells::Written;
use crate::cutover::source::retired as reverse;
use crate::cutover::source::scan::{MappedEvent, MappedPage, SourceScan};
use crate::cutover::source::schemas::{
    analyse, record, refuse_failures, refuse_too_large, refuse_without_policy,
};
use crate::cutover::supervisor::Report;
use crate::cutover::target::writer::TargetWriter;
use crate::cutover::{Cutover, Urgency};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Revision, Schema};
use crate::id::StreamRef;
use crate::protocol::status::{MigrationStatus, Step};
use crate::store::{CellEvent, CellHeader, CellKind, OnRetired, ReadFrom, Tail};
use crate::transform::SchemaAnalysis;

/// The result of copying.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    pub(crate) cells: u64,
    /// The state of both streams as this copy left it: it read the source to its end and wrote the
    /// target's last cell. Absent when the streams must be read again, or more is to be copied.
    pub(crate) seen: Option<Sight>,
}

/// The comparison that follows a copy.
#[derive(Debug)]
pub(crate) struct Follower {
    /// Receives how far the target was written.
    pub(crate) written: watch::Sender<Written>,
    /// Is cancelled when a difference was found: then the copy ends after the append under way.
    pub(crate) failed: CancellationToken,
}

/// Copies from `from` to the end of the source; [`Urgency::Paced`] respects the limits of the run.
///
/// A concurrent append to the target ends the copy with its error; the target's own cursor then
/// says where to continue. The copy also ends, without an error, at a newly retired schema that the
/// target's first cell does not name; it adds the schema to the attempt.
///
/// # Errors
/// `TransformFailed`, `TooLarge`; `Conflict` and `Ambiguous`, after which the caller must observe the
/// streams again; those of the store.
pub(crate) async fn copy(
    cutover: &Cutover<'_>,
    attempt: &mut Attempt,
    sight: Sight,
    from: Revision,
    urgency: Urgency,
    follower: Option<Follower>,
) -> Result<Copied> {
    let supervisor = cutover.supervisor;
    supervisor.report(Report::Begins {
        status: MigrationStatus::InProgress,
        step: Step::Copy,
        object: &attempt.object,
    });
    // from the first cell, even one without events: it names the schemas retired already
    let begin = match from {
        Revision::START => ReadFrom::Seq(0),
        _ => ReadFrom::Revision(from),
    };
    let source_end = attempt.to_copy(sight.source_tail.next_revision());
    let mut scan = SourceScan::start(cutover, attempt, begin);
    let mut first = scan.next().await?;
    if sight.target_tail.is_empty() {
        match attempt.originals.clone() {
            Some(originals) => {
                cutover.supervisor.report(Report::Step(Step::Analyse));
                cutover.begin(Phase::Analyse, sight.source_tail.next_revision().0);
                reverse::determine_retired(cutover, attempt, &originals).await?;
                cutover.supervisor.report(Report::Step(Step::Copy));
            }
            None => learn_retired(cutover, attempt, source_end, first.as_ref()).await?,
        }
    }
    let mut end = SourceEnd::from(&sight);
    let writer = TargetWriter::new(cutover, attempt, sight.target_tail, from);
    let writer = writer.for_length(source_end);
    let mut copier = Copier::new(cutover, attempt, writer, follower);
    let mut lap = cutover.lap(Phase::Copy);
    while let Some(page) = first.take() {
        end.pass(attempt, &page.headers);
        let amount = page.amount();
        copier.paced(cutover.pace(urgency, amount)).await?;
        if copier.is_followed_in_vain() {
            let cells = copier.writer.cells();
            return Ok(Copied { cells, seen: None });
        }
        copier.page(page).await?;
        if let Some(schema) = copier.newly_retired {
            let cells = copier.writer.cells();
            attempt.retired.insert(schema);
            return Ok(Copied { cells, seen: None });
        }
        first = scan.next().await?;
        lap.done(amount.events);
    }
    let (cells, target_tail) = copier.finish(source_end).await?;
    lap.done(0);
    let origin = sight.origin.or_else(|| Some(attempt.origin()));
    let seen = end.tail.map(|source_tail| Sight {
        target_tail,
        origin,
        source_tail,
        fenced: end.fenced,
    });
    Ok(Copied { cells, seen })
}

/// Refuses a source that has fewer events than it had: cells of it were removed. Without this the copy
/// would be repeated without end, or a source that vanished be migrated as an empty one.
///
/// # Errors
/// `Gone`.
pub(crate) fn refuse_shorter(source: &StreamRef, had: Revision, has: Revision) -> Result<()> {
    if has >= had {
        return Ok(());
    }
    let message = format!("stream ends at revision {has}, but had {had} events: {source}");
    Err(Error::new(ErrorKind::Gone, message).with_hint(
        "cells were removed from the storage; check that it is complete, and mounted where it was",
    ))
}

/// The end of the source by the cells read so far. They include every control cell after the
/// observed tail (R4).
struct SourceEnd {
    /// Absent in a store whose tails have tokens: cells do not contain them.
    tail: Option<Tail>,
    fenced: bool,
}

impl SourceEnd {
    fn from(sight: &Sight) -> Self {
        let tail = &sight.source_tail;
        Self {
            tail: tail.token.is_empty().then(|| tail.clone()),
            fenced: sight.fenced,
        }
    }

    fn pass(&mut self, attempt: &Attempt, headers: &[CellHeader]) {
        let is_fence = |h: &CellHeader| matches!(&h.kind, CellKind::Fence(f) if f.target == attempt.target.stream);
        self.fenced |= headers.iter().any(is_fence);
        if let (Some(tail), Some(last)) = (&mut self.tail, headers.last()) {
            *tail = Tail::after(last.clone());
        }
    }
}

/// Determines the retired schemas, which the target's first cell names (R11).
///
/// They are those that the transformation declares, those that it changes or drops (in the only
/// page of a short source, in the analysis of a long one), and those that the source retires,
/// without those that the transformation produces again. The plan says which of them are accepted
/// unchanged; for inherited ones the source does.
async fn learn_retired(
    cutover: &Cutover<'_>,
    attempt: &mut Attempt,
    source_events: Revision,
    first: Option<&MappedPage>,
) -> Result<()> {
    let SchemaAnalysis { counts, made } = observe(cutover, attempt, source_events, first).await?;
    let found = counts.ledger;
    if let Some(schema) = found.reused.first() {
        refuse_without_policy(cutover, schema)?;
    }
    let declared = cutover.mapper.transformer().retired_schemas();
    let own: BTreeSet<Schema> = declared.into_iter().chain(found.retired).collect();
    let before = first.and_then(|page| page.headers.first()?.origin());
    let inherited = before.into_iter().flat_map(|origin| &origin.retired);
    let inherited = inherited.filter(|schema| !made.contains(schema));
    attempt.retired.extend(own.iter().chain(inherited).cloned());

    let policy = cutover.on_retired.unwrap_or_default();
    let accepts = |schema: &&Schema| match before {
        Some(before) if before.retired.contains(schema) && !own.contains(schema) => {
            before.accepted.contains(schema)
        }
        _ => policy == OnRetired::AcceptUnchanged,
    };
    attempt.accepted = attempt.retired.iter().filter(accepts).cloned().collect();
    Ok(())
}

async fn observe(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    source_events: Revision,
    first: Option<&MappedPage>,
) -> Result<SchemaAnalysis> {
    let mut found = SchemaAnalysis::default();
    let Some(page) = first else { return Ok(found) };
    if page.at_end || cutover.is_identity() {
        for event in &page.events {
            if let Ok(mapped) = &event.mapped {
                found.record(&event.schema, event.bytes, mapped);
            }
        }
        return Ok(found);
    }
    cutover.supervisor.report(Report::Step(Step::Analyse));
    cutover.begin(Phase::Analyse, source_events.0);
    let scan = SourceScan::start(cutover, attempt, ReadFrom::Seq(0));
    found = analyse(cutover, attempt, scan, Revision::START).await?;
    cutover.supervisor.report(Report::Step(Step::Copy));
    Ok(found)
}

/// Writes mapped events to a target.
struct Copier<'a> {
    cutover: &'a Cutover<'a>,
    attempt: &'a Attempt,
    writer: TargetWriter<'a>,
    /// What was found since the first failure.
    failed: SchemaAnalysis,
    /// A retired schema that this attempt's first cell does not name, of an event appended since
    /// the analysis. The next attempt must name it (R11).
    newly_retired: Option<Schema>,
    follower: Option<Follower>,
}

impl<'a> Copier<'a> {
    fn new(
        cutover: &'a Cutover<'a>,
        attempt: &'a Attempt,
        writer: TargetWriter<'a>,
        follower: Option<Follower>,
    ) -> Self {
        let copier = Self {
            cutover,
            attempt,
            writer,
            failed: SchemaAnalysis::default(),
            newly_retired: None,
            follower,
        };
        copier.tell();
        copier
    }

    /// Reports to the comparison how far the target was written.
    fn tell(&self) {
        if let Some(follower) = &self.follower {
            follower.written.send_replace(Written {
                cells: self.writer.tail().next_seq(),
                source_events: self.writer.recorded(),
            });
        }
    }

    async fn flush(&mut self) -> Result<()> {
        self.writer.flush().await?;
        self.tell();
        Ok(())
    }

    /// Waits as the limits of the run demand, but not once a difference was found.
    async fn paced(&self, pace: impl Future<Output = Result<()>>) -> Result<()> {
        let Some(follower) = &self.follower else {
            return pace.await;
        };
        tokio::select! {
            biased;
            paced = pace => paced,
            () = follower.failed.cancelled() => Ok(()),
        }
    }

    /// Whether the comparison has found a difference, so that nothing more need be copied.
    fn is_followed_in_vain(&self) -> bool {
        let failed = self.follower.as_ref().map(|f| f.failed.is_cancelled());
        failed.unwrap_or(false)
    }

    async fn page(&mut self, page: MappedPage) -> Result<()> {
        let amount = page.amount();
        for event in page.events {
            let revision = event.revision;
            let expected = self.writer.cursor();
            if revision != expected {
                let found = format!("expected revision {expected}, found {revision}");
                return Err(Error::corrupt(format!("{}: {found}", self.attempt.source)));
            }
            match event.mapped {
                Ok(mapped) if self.failed.counts.ledger.failed.is_empty() => {
                    if mapped.reuses(&event.schema) {
                        refuse_without_policy(self.cutover, &event.schema)?;
                    }
                    if mapped.retires() && !self.attempt.retired.contains(&event.schema) {
                        self.newly_retired = Some(event.schema);
                        return Ok(());
                    }
                    self.push(revision, mapped.outputs).await?;
                }
                // after a failure nothing more is written, only counted
                mapped => {
                    let limits = self.attempt.target_store.limits();
                    let fail_fast = self.cutover.copy.fail_fast;
                    record(
                        &mut self.failed,
                        MappedEvent { mapped, ..event },
                        limits,
                        fail_fast,
                    )?;
                    self.writer.add(revision.plus(1), [], 0);
                }
            }
        }
        self.cutover.supervisor.report(Report::Copied(amount));
        Ok(())
    }

    async fn push(&mut self, revision: Revision, outputs: Vec<Event>) -> Result<()> {
        let bytes: u64 = outputs.iter().map(Event::approximate_size).sum();
        let limits = self.attempt.target_store.limits();
        if let Some(first) = outputs.first() {
            refuse_too_large(&first.schema(), revision, outputs.len(), bytes, limits)?;
        }
        if self.writer.is_full_for(outputs.len(), bytes) {
            self.flush().await?;
        }
        let events = outputs.into_iter().map(|event| CellEvent {
            event,
            source_revision: Some(revision),
        });
        self.writer.add(revision.plus(1), events, bytes);
        Ok(())
    }

    /// Writes the pending events, if the source was read up to this end.
    async fn finish(mut self, source_end: Revision) -> Result<(u64, Tail)> {
        refuse_failures(&self.failed.counts.ledger)?;
        refuse_shorter(&self.attempt.source, source_end, self.writer.cursor())?;
        if self.writer.is_unfinished() {
            self.flush().await?;
        }
        Ok((self.writer.cells(), self.writer.tail().clone()))
    }
}
