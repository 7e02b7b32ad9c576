//! Triage: whether an object is to be migrated, finished or skipped.

use crate::error::{Error, ErrorKind, Result};
use crate::id::{Fingerprint, ObjectId, StreamRef};
use crate::migration::context::Context;
use crate::migration::step::standing as reverse;
use crate::migration::step::standing::Standing;
use crate::migration::step::undo::discard_superseded;
use crate::object::{Documents, ObjectDocument, TerminatedStream, chain};
use crate::protocol::plan::PlannedMigration;
use crate::store::{EventStoreExt as _, Stores, Tail};

/// The state of an object before this run acts on it.
#[derive(Debug, Clone)]
pub(crate) enum Triage {
    /// To be migrated from its active stream, which had this tail.
    Migrate(Box<ObjectDocument>, Box<Tail>),
    /// Past the pivot of this migration; work may remain.
    Finish(Box<TerminatedStream>),
    /// Its active stream is already the result of this transformation.
    UpToDate(StreamRef),
}

/// Returns the state of an object, and updates its document if that is behind the streams.
///
/// Only an earlier holder or an `earlier_pass` of this run can have closed a stream of it, so a
/// migration that has just begun searches no streams that the document leaves out. Another holder
/// that closes one at the same time has a higher epoch, which stops this run before its own Close
/// ([R24](crate::protocol#r24)). A run that was frozen for that long may leave a target behind that no
/// Close leads to.
///
/// # Errors
/// `NotFound`; `Deleted`; `PlanOutdated` when the planned source is not the active stream;
/// `Unsupported` when its store cannot close a stream during concurrent writes.
pub(crate) async fn triage(
    context: &Context,
    object: &ObjectId,
    earlier_pass: bool,
) -> Result<Triage> {
    let (stores, documents) = (&context.services.stores, &context.services.documents);
    let (mut document, end) = match context.take_found() {
        Some(found) => found?,
        None => chain::help(stores, documents, object).await?,
    };
    let is_resumed = context.guard.is_resumed().await;
    if is_resumed || earlier_pass {
        let is_closed = |d: &ObjectDocument| d.closed_by(context.migration()).is_some();
        document = chain::reaching(stores, documents, document, is_closed).await?;
    }
    if let Some(entry) = document.closed_by(context.migration()) {
        return Ok(Triage::Finish(Box::new(entry.clone())));
    }
    if is_resumed {
        discard_superseded(context, &document).await?;
    }
    if let Some(planned) = context.plan.source.as_ref().filter(|s| **s != end.stream) {
        let message = format!("the active stream is not {planned} but {}", end.stream);
        return Err(Error::new(ErrorKind::PlanOutdated, message).with_hint("make a new plan"));
    }
    if let Some(reverses) = &context.plan.reverses {
        let is_closed = |d: &ObjectDocument| d.closed_by(reverses.migration).is_some();
        document = documents.reaching(document, is_closed).await?;
    }
    if needs_nothing(context, &document, &end.tail).await? {
        return Ok(Triage::UpToDate(end.stream));
    }
    let source_store = stores.of(&end.stream)?;
    source_store.capabilities().ensure_source()?;
    Ok(Triage::Migrate(Box::new(document), Box::new(end.tail)))
}

/// Whether an object whose active stream has this tail needs no migration.
///
/// # Errors
/// Those of [`reverse::standing`].
pub(crate) async fn needs_nothing(
    context: &Context,
    document: &ObjectDocument,
    tail: &Tail,
) -> Result<bool> {
    let (stores, plan) = (&context.services.stores, &context.plan);
    match &plan.reverses {
        Some(reverses) => {
            let documents = &context.services.documents;
            let standing = reverse::standing(stores, documents, reverses, document, tail).await?;
            Ok(!matches!(standing, Standing::Restore(_)))
        }
        None if plan.again => Ok(false),
        None => is_up_to_date(stores, &context.services.documents, plan, document).await,
    }
}

/// Whether the active stream is the result of this transformation, in the planned store. Read from
/// the documents, or, if another process updated one, from the first cell of the stream.
///
/// A stream that restores another is taken for that one: a rollback that was rolled back has brought
/// the results of the transformation back.
pub(crate) async fn is_up_to_date(
    stores: &Stores,
    documents: &Documents,
    plan: &PlannedMigration,
    document: &ObjectDocument,
) -> Result<bool> {
    let elsewhere = |store| store != document.active.store;
    if plan.target_store.is_some_and(elsewhere) {
        return Ok(false);
    }
    let is_done = |program: &Fingerprint| program.is_of_same_program(&plan.fingerprint);
    let mut stream = document.active.clone();
    // a restored stream names an older one, so this ends
    for _ in 0..=document.generation() {
        let leads_to_it = |entry: &TerminatedStream| entry.continuation == stream;
        let Some(entry) = documents.find_terminated(document, leads_to_it).await? else {
            return Ok(false);
        };
        match &entry.fingerprint {
            Some(program) if is_done(program) => return Ok(true),
            Some(_) if document.generation() < RESULTS_AGAIN => return Ok(false),
            _ => {}
        }
        let Some(origin) = stores.of(&stream)?.origin(&stream.stream).await? else {
            return Ok(false);
        };
        match origin.restores {
            None => return Ok(is_done(&origin.fingerprint)),
            Some(restores) => stream = restores.originals,
        }
    }
    Ok(false)
}

/// The Closes of a migration, of its rollback, and of the rollback of that.
const RESULTS_AGAIN: usize = 3;
