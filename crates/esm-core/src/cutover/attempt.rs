//! One attempt at one object: its source, its target, and what the streams show of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cutover::source::originals::Originals;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Revision, Schema};
use crate::id::{MigrationId, ObjectId, StreamId, StreamName, StreamRef};
use crate::migration::run::context::Context;
use crate::object::{ObjectDocument, chain};
use crate::protocol::decisions::{Observed, TargetState, Verified};
use crate::store::{CellKind, EventStore, EventStoreExt as _, Origin, Restores, Tail};

/// One attempt at one object.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) object: ObjectId,
    pub(crate) source: StreamRef,
    pub(crate) target: StreamRef,
    /// Where the source is.
    pub(crate) source_store: Arc<dyn EventStore>,
    /// Where the target is: the same, unless the migration moves streams to another store.
    pub(crate) target_store: Arc<dyn EventStore>,
    /// Depth of the source in the object's chain of Closes.
    pub(crate) generation: u64,
    /// Number of this migration's Fences in the source.
    pub(crate) number: u64,
    /// The schemas that are known to be retired.
    pub(crate) retired: BTreeSet<Schema>,
    /// Of them, those that are accepted as they are.
    pub(crate) accepted: BTreeSet<Schema>,
    /// What stands before the source's events in the target of a reverse migration.
    pub(crate) originals: Option<Arc<Originals>>,
}

/// What was seen, in the order in which it must be looked at.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    pub(crate) target_tail: Tail,
    pub(crate) origin: Option<Origin>,
    pub(crate) source_tail: Tail,
    pub(crate) fenced: bool,
}

impl Attempt {
    /// The attempt that is on: its number is the number of this migration's Fences in the source.
    pub(crate) async fn current(
        context: &Context,
        document: &ObjectDocument,
        source: StreamRef,
        generation: usize,
    ) -> Result<Self> {
        let tail = context.stores.of(&source)?.tail(&source.stream).await?;
        Self::at(context, document, (source, &tail), generation).await
    }

    /// The attempt that is on by this tail of the source. Where a Fence came since, it is found out
    /// when the attempt is looked at.
    pub(crate) async fn at(
        context: &Context,
        document: &ObjectDocument,
        (source, tail): (StreamRef, &Tail),
        generation: usize,
    ) -> Result<Self> {
        let originals = context.originals(document)?;
        let target_store = match &originals {
            // what is restored goes where it was
            Some(originals) => &originals.store,
            None => context.target_store_of(&source)?,
        };
        let stores = (context.stores.of(&source)?, target_store);
        let (migration, object) = (context.migration(), &document.object);
        let name = context.plan.target_name(object, generation)?;
        let attempt = Self::of(stores, migration, object, (source, tail), name).await?;
        Ok(Self {
            generation: generation as u64,
            originals,
            ..attempt
        })
    }

    /// The attempt of this migration, or restore, that is on, from the one store to the other.
    pub(crate) async fn current_of(
        (source_store, target_store): (&Arc<dyn EventStore>, &Arc<dyn EventStore>),
        migration: MigrationId,
        object: &ObjectId,
        source: StreamRef,
        target_name: StreamName,
    ) -> Result<Self> {
        let tail = source_store.tail(&source.stream).await?;
        let source = (source, &tail);
        Self::of(
            (source_store, target_store),
            migration,
            object,
            source,
            target_name,
        )
        .await
    }

    async fn of(
        (source_store, target_store): (&Arc<dyn EventStore>, &Arc<dyn EventStore>),
        migration: MigrationId,
        object: &ObjectId,
        (source, tail): (StreamRef, &Tail),
        target_name: StreamName,
    ) -> Result<Self> {
        let number = fences(source_store, &source, tail)
            .await?
            .filter(|(_, fence_of)| *fence_of == migration)
            .count() as u64;
        let stream = StreamId::target(&target_name, migration, &source, number);
        let target = StreamRef::new(target_store.id(), stream);
        Ok(Self {
            object: object.clone(),
            source,
            target,
            source_store: Arc::clone(source_store),
            target_store: Arc::clone(target_store),
            generation: 0,
            number,
            retired: BTreeSet::new(),
            accepted: BTreeSet::new(),
            originals: None,
        })
    }

    /// Looks at target and source. R1: the target's tail before the source's.
    pub(crate) async fn look(&self) -> Result<Sight> {
        let target = self.look_at_target().await;
        let store = &self.source_store;
        let source_tail = store.tail(&self.source.stream).await?;
        let fenced = fences(store, &self.source, &source_tail)
            .await?
            .any(|(target, _)| target == self.target.stream);
        let (target_tail, origin) = match target {
            // it is being discarded, or was and a paused holder wrote behind that (R17)
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

    async fn look_at_target(&self) -> Result<(Tail, Option<Origin>)> {
        let store = &self.target_store;
        let tail = store.tail(&self.target.stream).await?;
        let origin = match tail.is_empty() {
            true => None,
            false => store.origin(&self.target.stream).await?,
        };
        Ok((tail, origin))
    }

    /// What the first cell of the target says.
    pub(crate) fn origin(&self, context: &Context) -> Origin {
        Origin {
            source: self.source.clone(),
            migration: context.migration(),
            attempt: self.number,
            fingerprint: context.plan.fingerprint.clone(),
            retired: self.retired.clone(),
            accepted: self.accepted.clone(),
            restores: self.restores(context).map(Box::new),
        }
    }

    fn restores(&self, context: &Context) -> Option<Restores> {
        let reverses = context.plan.reverses.as_ref()?;
        let originals = self.originals.as_ref()?;
        Some(originals.restores(reverses.down.clone()))
    }

    /// Number of events that are to be copied of a source with this many.
    pub(crate) fn to_copy(&self, source_events: Revision) -> Revision {
        match &self.originals {
            Some(originals) => originals.restored(source_events),
            None => source_events,
        }
    }

    /// What was seen, as the pure decision wants it.
    ///
    /// # Errors
    /// `Conflict` for a target that another wrote.
    pub(crate) fn observed(
        &self,
        context: &Context,
        sight: &Sight,
        (compared, verified): (Revision, Option<Verified>),
        document_names_source: bool,
    ) -> Result<Observed> {
        Ok(Observed {
            target: self.target.clone(),
            close: sight.source_tail.close().cloned(),
            fenced: sight.fenced,
            source_events: self.to_copy(sight.source_tail.next_revision()),
            target_state: self.target_state(context, sight)?,
            compared,
            verified,
            document_names_source,
            final_round: context.plan.copy.final_round,
        })
    }

    fn target_state(&self, context: &Context, sight: &Sight) -> Result<TargetState> {
        let Some(last) = &sight.target_tail.last else {
            return Ok(TargetState::Absent);
        };
        if is_over(sight.fenced, &sight.source_tail) {
            // it may be discarded while it is looked at, and does not matter any more
            return Ok(TargetState::Absent);
        }
        let origin = sight.origin.as_ref().filter(|origin| {
            origin.source == self.source && origin.migration == context.migration()
        });
        let Some(origin) = origin else {
            return Err(Error::new(
                ErrorKind::Conflict { actual: None },
                format!(
                    "an unrelated stream stands under the target's name: {}",
                    self.target
                ),
            )
            .with_hint("choose another target name"));
        };
        let ours = origin.fingerprint == context.plan.fingerprint
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

/// Whether an attempt is decided, one way or the other: what its target looks like decides nothing.
fn is_over(fenced: bool, source_tail: &Tail) -> bool {
    fenced || source_tail.close().is_some()
}

/// The Fences of a source up to a tail: the targets they name, and the migrations.
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
