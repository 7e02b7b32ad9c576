//! The schemas that a restored stream retires (R11).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cutover::Cutover;
use crate::cutover::attempt::Attempt;
use crate::cutover::source::originals::Originals;
use crate::cutover::source::scan::SourceScan;
use crate::cutover::source::schemas::analyse;
use crate::cutover::source::segment::whole_continuation;
use crate::error::Result;
use crate::event::Schema;
use crate::store::{EventStoreExt as _, OnRetired};
use crate::transform::SchemaAnalysis;

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
    let continuation = vec![whole_continuation(attempt, originals)];
    let scan = SourceScan::over(cutover, attempt, continuation);
    // the events before it stem from the originals, which are copied as they are
    let appended_from = originals.continuation_events;
    let SchemaAnalysis { counts, made } = analyse(cutover, attempt, scan, appended_from).await?;
    let observed = counts.ledger;
    let declared = cutover.mapper.transformer().retired_schemas();
    let own: BTreeSet<_> = declared.into_iter().chain(observed.retired).collect();
    let before = originals.store.origin(&originals.stream.stream).await?;
    let (retired, accepted) = before.map_or_else(Default::default, |b| (b.retired, b.accepted));
    let inherited = retired.difference(&made);
    attempt.retired.extend(own.iter().chain(inherited).cloned());
    let all = cutover.on_retired == Some(OnRetired::AcceptUnchanged);
    let accepts = |schema: &&Schema| {
        if own.contains(*schema) {
            all || observed.reused.contains(*schema)
        } else {
            accepted.contains(*schema)
        }
    };
    attempt.accepted = attempt.retired.iter().filter(accepts).cloned().collect();
    Ok(())
}
