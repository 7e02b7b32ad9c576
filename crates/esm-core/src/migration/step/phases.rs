//! Publishing the phases of an object, for applications that want to know (R20, R21).

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, warn};

use crate::cutover::attempt::Attempt;
use crate::error::Result;
use crate::event::Revision;
use crate::migration::context::Context;
use crate::protocol::phase::MigrationPhase;
use crate::protocol::routing::RoutingEntry;
use crate::router::phases::table::RoutingTable;

/// How often the last phase is tried to be published.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// What was published of one attempt in this run.
#[derive(Debug, Default)]
pub(crate) struct Published {
    phase: Option<MigrationPhase>,
}

impl Published {
    /// Whether anything was published, so that time has passed.
    pub(crate) fn is_begun(&self) -> bool {
        self.phase.is_some()
    }

    /// Publishes that an attempt has come to this phase, where the source is large enough. An error
    /// is logged and forgotten: who was not told finds out from the streams.
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
        match publish(context, attempt, (!begun, phase)).await {
            Ok(()) => debug!(object = %attempt.object, %phase, "phase published"),
            Err(error) => warn!(object = %attempt.object, %phase, %error, "phase not published"),
        }
        self.phase = Some(phase);
    }
}

async fn publish(
    context: &Context,
    attempt: &Attempt,
    (first, phase): (bool, MigrationPhase),
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

/// Takes out of the index what migrations left there that have ended: their last phase could not be
/// published then. Once in a run, and only in one that publishes phases itself.
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

/// Brings what this or an earlier holder published of an attempt to its end: to `Normal` for one that
/// is undone, to `BookClosed` for one that has cut over. Costs a read where nothing was published.
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
    // an entry that is left behind costs every application a read at each of its looks, until
    // another migration publishes phases
    for round in 1..=TRIES {
        match ended().await {
            Ok(()) => return,
            Err(error) if round < TRIES && error.is_retryable() => {
                let pause = context.services.environment.jittered(PAUSE * round);
                context.services.environment.clock.sleep(pause).await;
            }
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
