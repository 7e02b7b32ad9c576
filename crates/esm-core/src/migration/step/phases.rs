//! Publishes the phases of an object to applications (R20, R21).

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, warn};

use crate::backoff::BackOff;
use crate::cutover::attempt::Attempt;
use crate::error::Result;
use crate::event::Revision;
use crate::migration::context::Context;
use crate::protocol::phase::MigrationPhase;
use crate::protocol::routing::RoutingEntry;
use crate::router::phases::table::RoutingTable;

/// Attempts to publish the last phase.
const LAST_PHASE: BackOff = BackOff::new(4, Duration::from_millis(50), Duration::from_millis(200));

/// The phase of one attempt that this run has published.
#[derive(Debug, Default)]
pub(crate) struct PublishedPhase {
    phase: Option<MigrationPhase>,
}

impl PublishedPhase {
    /// Whether a phase was published, so that time has passed.
    pub(crate) fn is_begun(&self) -> bool {
        self.phase.is_some()
    }

    /// Publishes that an attempt has reached this phase, if the source is large enough. An error is
    /// only logged: applications can derive the phase from the streams.
    pub(crate) async fn reach(
        &mut self,
        context: &Context,
        attempt: &Attempt,
        source_events: Revision,
        phase: MigrationPhase,
    ) {
        let begun = self.phase.is_some();
        if self.phase >= Some(phase) || !(begun || context.plan.phases.wanted(source_events)) {
            return;
        }
        context.live.reporter.update(|p| p.phase = phase);
        match publish(context, attempt, phase, !begun).await {
            Ok(()) => debug!(object = %attempt.object, %phase, "phase published"),
            Err(error) => warn!(object = %attempt.object, %phase, %error, "phase not published"),
        }
        self.phase = Some(phase);
    }
}

async fn publish(
    context: &Context,
    attempt: &Attempt,
    phase: MigrationPhase,
    first: bool,
) -> Result<()> {
    let table = RoutingTable::new(context.services.records.clone());
    let object = std::slice::from_ref(&attempt.object);
    if first {
        sweep(context, &table).await;
        table.enlist(context.migration(), object).await?;
    }
    table
        .advance_to(&attempt.object, &entry(context, attempt), phase)
        .await?;
    if phase == MigrationPhase::BookClosed {
        table.delist(context.migration(), object).await?;
    }
    Ok(())
}

/// Removes index entries of migrations that have ended and could not publish their last phase. Once
/// in a run, and only if the run publishes phases itself.
async fn sweep(context: &Context, table: &RoutingTable) {
    if context.live.phases_swept.swap(true, Ordering::Relaxed) {
        return;
    }
    if let Err(error) = delist_ended(context, table).await {
        debug!(%error, "phases of ended migrations may be left in the index");
    }
}

async fn delist_ended(context: &Context, table: &RoutingTable) -> Result<()> {
    for (migration, objects) in table.index().await?.migrations {
        if migration != context.migration() && context.services.has_ended(migration).await? {
            let objects: Vec<_> = objects.into_iter().collect();
            table.delist(migration, &objects).await?;
        }
    }
    Ok(())
}

/// Publishes the last phase of an attempt, if this or an earlier holder published any: `Normal`
/// after an undo, `BookClosed` after a cutover. Costs one read if none was published.
pub(crate) async fn end(
    context: &Context,
    attempt: &Attempt,
    source_events: Revision,
    phase: MigrationPhase,
) {
    if !context.plan.phases.wanted(source_events) {
        return;
    }
    let table = RoutingTable::new(context.services.records.clone());
    let ended = || async {
        if !table.index().await?.names(&attempt.object) {
            return Ok(());
        }
        let begin = entry(context, attempt);
        table.advance_to(&attempt.object, &begin, phase).await?;
        let object = std::slice::from_ref(&attempt.object);
        table.delist(context.migration(), object).await
    };
    // an entry left behind costs every application a read on each poll, until another migration
    // publishes phases
    let mut back_off = LAST_PHASE;
    let environment = &context.services.environment;
    loop {
        match ended().await {
            Ok(()) => return,
            Err(error) if error.is_retryable() && back_off.pause(environment).await => {}
            Err(error) => {
                return warn!(object = %attempt.object, %phase, %error, "phase not published");
            }
        }
    }
}

fn entry(context: &Context, attempt: &Attempt) -> RoutingEntry {
    RoutingEntry {
        migration: context.migration(),
        generation: attempt.generation,
        source: attempt.source.clone(),
        target: attempt.target.clone(),
        phase: MigrationPhase::Normal,
    }
}
