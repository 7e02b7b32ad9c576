//! The schemas that a restored stream retires (R11).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cutover::Cutover;
use crate::cutover::attempt::Attempt;
use crate::cutover::schemas::{SchemaChanges, record, refuse_failures};
use crate::cutover::source::originals::Originals;
use crate::cutover::source::scan::SourceScan;
use crate::cutover::source::segment::whole_continuation;
use crate::error::Result;
use crate::event::{Revision, Schema};
use crate::store::{EventStoreExt as _, OnRetired};
use crate::transform::Ledger;

/// Finds the schemas that the restored stream retires, before anything is written.
///
/// - Schemas that `down` declares as retired.
/// - Schemas that `down` changes, drops or refuses anywhere in the continuation, including its
///   events that stem from the originals: new code writes these schemas.
/// - Schemas that the originals' own stream retires.
///
/// Schemas that the reversed migration retired may be appended again. A schema that `down` changes
/// and keeps is accepted unchanged: old code writes it.
///
/// # Errors
/// `TransformFailed`, naming the first event that needs a `down` and has none; `TooLarge`; those of the
/// store.
pub(crate) async fn determine_retired(
    cutover: &Cutover<'_>,
    attempt: &mut Attempt,
    originals: &Arc<Originals>,
) -> Result<()> {
    let (changes, reused) = analyse(cutover, attempt, originals).await?;
    let declared = cutover.mapper.transformer().retired_schemas();
    let own: BTreeSet<_> = declared.into_iter().chain(changes.retired).collect();
    let before = originals.store.origin(&originals.stream.stream).await?;
    let (retired, accepted) = before.map_or_else(Default::default, |b| (b.retired, b.accepted));
    let inherited = retired.difference(&changes.made);
    attempt.retired.extend(own.iter().chain(inherited).cloned());
    let all = cutover.on_retired == Some(OnRetired::AcceptUnchanged);
    let accepts = |schema: &&Schema| {
        if own.contains(*schema) {
            all || reused.contains(*schema)
        } else {
            accepted.contains(*schema)
        }
    };
    attempt.accepted = attempt.retired.iter().filter(accepts).cloned().collect();
    Ok(())
}

/// Returns the schema changes that `down` makes, and the changed schemas that it keeps.
async fn analyse(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    originals: &Arc<Originals>,
) -> Result<(SchemaChanges, BTreeSet<Schema>)> {
    let (mut changes, mut reused) = (SchemaChanges::default(), BTreeSet::new());
    let mut ledger = Ledger::new();
    let segment = whole_continuation(attempt, originals);
    let mut scan = SourceScan::over(cutover, attempt, vec![segment]);
    let mut at = Revision::START;
    while let Some(page) = scan.next().await? {
        cutover.supervisor.pace(page.amount()).await?;
        for event in page.events {
            let stems_from_originals = at < originals.continuation_events;
            at = at.plus(1);
            changes.record(&event);
            if event.mapped.as_ref().is_ok_and(|m| m.reuses(&event.schema)) {
                reused.insert(event.schema.clone());
            }
            if !stems_from_originals {
                let limits = attempt.target_store.limits();
                record(&mut ledger, event, limits, cutover.copy.fail_fast)?;
            } else if event.mapped.is_err() {
                changes.retired.insert(event.schema);
            }
        }
    }
    refuse_failures(&ledger)?;
    Ok((changes, reused))
}
