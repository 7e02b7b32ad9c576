//! One attempt at one object: its source, its target, and the observed state of both streams.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future;

use crate::cutover::source::originals::Originals;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Revision, Schema};
use crate::id::{Fingerprint, MigrationId, ObjectId, StreamId, StreamName, StreamRef};
use crate::object::{KnownStream, chain};
use crate::protocol::decisions::{Observed, TargetState, Verified};
use crate::store::{CellHeader, CellKind, EventStore, EventStoreExt as _, Origin, Tail};

/// One attempt at one object.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) object: ObjectId,
    pub(crate) migration: MigrationId,
    /// Identity of the transformation.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) source: StreamRef,
    pub(crate) target: StreamRef,
    /// The store of the source.
    pub(crate) source_store: Arc<dyn EventStore>,
    /// The store of the target: the same, unless the migration moves streams to another store.
    pub(crate) target_store: Arc<dyn EventStore>,
    /// Depth of the source in the object's chain of Closes.
    pub(crate) generation: u64,
    /// Number of this migration's Fences in the source.
    pub(crate) number: u64,
    /// Whether the source has Fences, of whichever migration.
    pub(crate) has_fences: bool,
    /// Schemas known to be retired.
    pub(crate) retired: BTreeSet<Schema>,
    /// Retired schemas whose events are accepted unchanged.
    pub(crate) accepted: BTreeSet<Schema>,
    /// The originals that precede the source's events in the target of a reverse migration.
    pub(crate) originals: Option<Arc<Originals>>,
    /// Whether positions in the source translate to the target; not over a restore (R19).
    pub(crate) continues: bool,
}

/// How far this run has compared the streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    pub(crate) compared: Revision,
    /// Absent until every event was compared and the checks passed.
    pub(crate) verified: Option<Verified>,
}

/// The observed state of both streams; the fields are in the order in which they must be read.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    pub(crate) target_tail: Tail,
    pub(crate) origin: Option<Origin>,
    pub(crate) source_tail: Tail,
    pub(crate) fenced: bool,
}

/// Source and target of an object's events, and the migration that moves them.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) object: ObjectId,
    pub(crate) migration: MigrationId,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) source: StreamRef,
    pub(crate) source_store: Arc<dyn EventStore>,
    pub(crate) target_store: Arc<dyn EventStore>,
    /// The target's logical name.
    pub(crate) target_name: StreamName,
    pub(crate) generation: usize,
    pub(crate) originals: Option<Arc<Originals>>,
    /// Whether positions in the source translate to the target; not over a restore (R19).
    pub(crate) continues: bool,
}

impl Attempt {
    /// Returns the current attempt for this tail of the source. Its number is the number of this
    /// migration's Fences there. Observing the attempt finds later Fences.
    pub(crate) async fn current(route: Route, source_tail: &Tail) -> Result<Self> {
        let (mut number, mut has_fences) = (0, false);
        for (_, fence_of) in fences(&route.source_store, &route.source, source_tail).await? {
            has_fences = true;
            number += u64::from(fence_of == route.migration);
        }
        let stream = StreamId::target(&route.target_name, route.migration, &route.source, number);
        Ok(Self {
            object: route.object,
            migration: route.migration,
            fingerprint: route.fingerprint,
            target: StreamRef::new(route.target_store.id(), stream),
            source: route.source,
            source_store: route.source_store,
            target_store: route.target_store,
            generation: route.generation as u64,
            number,
            has_fences,
            retired: BTreeSet::new(),
            accepted: BTreeSet::new(),
            originals: route.originals,
            continues: route.continues,
        })
    }

    /// Reads the tails of target and source. R1: the target's tail before the source's.
    pub(crate) async fn look(&self) -> Result<Sight> {
        let target = self.look_at_target().await;
        let store = &self.source_store;
        let source_tail = store.tail(&self.source.stream).await?;
        let fenced = fences(store, &self.source, &source_tail)
            .await?
            .any(|(target, _)| target == self.target.stream);
        let (target_tail, origin) = match target {
            // the target is being discarded, or a paused holder wrote to it after that (R17)
            Err(e) if *e.kind() == ErrorKind::Gone && is_over(fenced, &source_tail) => {
                (Tail::default(), None)
            }
            seen => seen?,
        };
        Ok(Sight {
            target_tail,
            origin,
            source_tail,
            fenced,
        })
    }

    /// Reads the target's tail, and the origin that its first cell records.
    pub(crate) async fn look_at_target(&self) -> Result<(Tail, Option<Origin>)> {
        let store = &self.target_store;
        let stream = &self.target.stream;
        // the first cell never changes, so it may be read at any time
        let (tail, origin) = future::try_join(store.tail(stream), store.origin(stream)).await?;
        Ok(match origin {
            _ if tail.is_empty() => (tail, None),
            // it was written since it was read
            None => (tail, store.origin(stream).await?),
            origin => (tail, origin),
        })
    }

    /// Refuses a source that has fewer events than its target is complete for. The target's tail was
    /// read first ([R1](crate::protocol#r1)), so the source has lost events.
    ///
    /// # Errors
    /// `Gone`.
    pub(crate) fn refuse_lost_events(&self, sight: &Sight) -> Result<()> {
        let is_own = |o: &&Origin| o.source == self.source && o.migration == self.migration;
        let cursor = sight.target_tail.last.as_ref().and_then(CellHeader::cursor);
        let (Some(cursor), Some(_)) = (cursor, sight.origin.as_ref().filter(is_own)) else {
            return Ok(());
        };
        let copied = match &self.originals {
            Some(originals) => originals.in_source(cursor).unwrap_or_default(),
            None => cursor,
        };
        KnownStream::new(&self.object, &self.source)
            .with_events(copied)
            .check(&*self.source_store, (&sight.source_tail).into())
    }

    /// Returns the origin that the first cell of the target records.
    pub(crate) fn origin(&self) -> Origin {
        Origin {
            source: self.source.clone(),
            migration: self.migration,
            attempt: self.number,
            fingerprint: self.fingerprint.clone(),
            retired: self.retired.clone(),
            accepted: self.accepted.clone(),
            restores: (self.originals.as_ref()).map(|originals| Box::new(originals.restores())),
        }
    }

    /// Returns the number of events to copy when the source has this many.
    pub(crate) fn to_copy(&self, source_events: Revision) -> Revision {
        match &self.originals {
            Some(originals) => originals.restored(source_events),
            None => source_events,
        }
    }

    /// Returns the observed state as input of the pure decision.
    ///
    /// # Errors
    /// `Conflict` for a target that another migration wrote.
    pub(crate) fn observed(
        &self,
        sight: &Sight,
        comparison: Comparison,
        document_names_source: bool,
        final_round: u64,
    ) -> Result<Observed> {
        Ok(Observed {
            target: self.target.clone(),
            close: sight.source_tail.close().cloned(),
            fenced: sight.fenced,
            source_events: self.to_copy(sight.source_tail.next_revision()),
            target_state: self.target_state(sight)?,
            compared: comparison.compared,
            verified: comparison.verified,
            document_names_source,
            final_round,
        })
    }

    fn target_state(&self, sight: &Sight) -> Result<TargetState> {
        let Some(last) = &sight.target_tail.last else {
            return Ok(TargetState::Absent);
        };
        if is_over(sight.fenced, &sight.source_tail) {
            // the attempt is decided, so the target may be discarded during the read
            return Ok(TargetState::Absent);
        }
        let origin = sight
            .origin
            .as_ref()
            .filter(|origin| origin.source == self.source && origin.migration == self.migration);
        let Some(origin) = origin else {
            return Err(Error::new(
                ErrorKind::Conflict { actual: None },
                format!("an unrelated stream has the target's name: {}", self.target),
            )
            .with_hint("choose another target name"));
        };
        let ours = origin.fingerprint == self.fingerprint
            && origin.attempt == self.number
            && origin.retired.is_superset(&self.retired);
        Ok(match last.cursor() {
            Some(cursor) => TargetState::Copied {
                cursor,
                events: sight.target_tail.next_revision(),
                ours,
            },
            None => TargetState::Live,
        })
    }
}

/// Whether an attempt is decided, by a Fence or by a Close. The state of its target is then
/// irrelevant.
fn is_over(fenced: bool, source_tail: &Tail) -> bool {
    fenced || source_tail.close().is_some()
}

/// Returns the Fences of a source up to a tail: the target and the migration that each names.
pub(crate) async fn fences(
    store: &Arc<dyn EventStore>,
    source: &StreamRef,
    tail: &Tail,
) -> Result<impl Iterator<Item = (StreamId, MigrationId)> + use<>> {
    let controls = chain::control_cells(store, source, tail).await?;
    Ok(controls.into_iter().filter_map(|control| match control {
        CellKind::Fence(fence) => Some((fence.target, fence.migration)),
        _ => None,
    }))
}
