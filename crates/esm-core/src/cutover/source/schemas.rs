//! Step 3: analyse all events of the source before the first is copied.

use crate::cutover::Cutover;
use crate::cutover::attempt::Attempt;
use crate::cutover::meter::Phase;
use crate::cutover::source::scan::{MappedEvent, SourceScan};
use crate::cutover::supervisor::Report;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Revision, Schema};
use crate::store::StoreLimits;
use crate::transform::{Failure, Ledger, SchemaAnalysis};

/// Transforms all events of a scan without writing anything. Finds events that fail or are too
/// large, and the retired schemas (R11), which the target's first cell must name.
///
/// The events before the revision `copied_from` are analysed but not copied: they may be too large,
/// and the schema of one that fails counts as retired.
///
/// # Errors
/// `TransformFailed`, `TooLarge`; those of the store.
pub(crate) async fn analyse(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    mut scan: SourceScan,
    copied_from: Revision,
) -> Result<SchemaAnalysis> {
    let limits = attempt.target_store.limits();
    let mut analysis = SchemaAnalysis::default();
    let mut at = Revision::START;
    let mut lap = cutover.lap(Phase::Analyse);
    while let Some(page) = scan.next().await? {
        let amount = page.amount();
        cutover.supervisor.pace(amount).await?;
        for event in page.events {
            if at >= copied_from {
                record(&mut analysis, event, limits, cutover.copy.fail_fast)?;
            } else if let Ok(mapped) = &event.mapped {
                analysis.record(&event.schema, event.bytes, mapped);
            } else {
                analysis.counts.ledger.retired.insert(event.schema);
            }
            at = at.plus(1);
        }
        lap.done(amount.events);
        cutover.supervisor.report(Report::Analysed(amount.events));
    }
    refuse_failures(&analysis.counts.ledger)?;
    Ok(analysis)
}

/// Records the result of transforming an event that is copied.
///
/// # Errors
/// `TransformFailed` at the first failure with `fail_fast`; `TooLarge`.
pub(crate) fn record(
    analysis: &mut SchemaAnalysis,
    event: MappedEvent,
    limits: StoreLimits,
    fail_fast: bool,
) -> Result<()> {
    match event.mapped {
        Ok(mapped) => {
            let bytes: u64 = mapped.outputs.iter().map(Event::approximate_size).sum();
            refuse_too_large(
                &event.schema,
                event.revision,
                mapped.outputs.len(),
                bytes,
                limits,
            )?;
            analysis.record(&event.schema, event.bytes, &mapped);
        }
        Err(failure) if fail_fast => return Err(failure.into()),
        Err(failure) => analysis.record_failure(event.bytes, failure),
    }
    Ok(())
}

/// R11: where changed events keep their schema, old code's appends are indistinguishable from new
/// code's, so the plan must choose how to treat them.
///
/// # Errors
/// `Invalid` where the plan does not choose.
pub(crate) fn refuse_without_policy(cutover: &Cutover<'_>, schema: &Schema) -> Result<()> {
    match cutover.on_retired {
        Some(_) => Ok(()),
        None => Err(missing_policy(schema).with_hint(format!(
            "{CHOOSE}; the migration has begun, so roll it back first"
        ))),
    }
}

/// Returns the error for a plan without a policy for a retired schema that outputs keep.
pub(crate) fn missing_policy(schema: &Schema) -> Error {
    Error::invalid(format!(
        "changed events keep their type and schema version, so appends of old code cannot be \
         distinguished from those of new code: {schema}"
    ))
    .with_hint(CHOOSE)
}

const CHOOSE: &str = "let the transformation give them a new type or schema version; or choose \
                      whether appends of that schema are refused or accepted unchanged: on_retired, \
                      --on-retired refuse or accept-unchanged";

/// R3: all outputs of one source event must fit into one cell.
pub(crate) fn refuse_too_large(
    schema: &Schema,
    revision: Revision,
    outputs: usize,
    bytes: u64,
    limits: StoreLimits,
) -> Result<()> {
    if bytes <= limits.max_cell_bytes && outputs as u64 <= limits.max_cell_events {
        return Ok(());
    }
    let message = format!(
        "the outputs of one event exceed the limits of a cell: {outputs} events, {bytes} bytes; at \
         most {} events, {} bytes: {schema} at revision {revision}",
        limits.max_cell_events, limits.max_cell_bytes
    );
    Err(Error::new(ErrorKind::TooLarge, message).with_hint(
        "split the event into fewer or smaller events, or raise the limits of the store",
    ))
}

fn described(failure: &Failure) -> String {
    match failure.count {
        1 => failure.to_string(),
        count => format!("{failure} (the first of {count} alike)"),
    }
}

/// Refuses to continue when failures were collected.
///
/// # Errors
/// `TransformFailed`, with the count of each rule and the first failures.
pub(crate) fn refuse_failures(ledger: &Ledger) -> Result<()> {
    if ledger.failed.is_empty() {
        return Ok(());
    }
    let total: u64 = ledger.failed.values().sum();
    let rules: Vec<_> = ledger
        .failed
        .iter()
        .map(|(rule, n)| format!("{rule}: {n}"))
        .collect();
    let first: Vec<_> = ledger.failures.iter().take(10).map(described).collect();
    let message = format!(
        "{total} events cannot be transformed ({}); first failures: {}",
        rules.join(", "),
        first.join("; ")
    );
    let error = Error::new(ErrorKind::TransformFailed, message)
        .with_hint("fix the transformation; the object was not cut over");
    Err(match ledger.failures.first() {
        Some(failure) => error.with_source(failure.clone()),
        None => error,
    })
}
