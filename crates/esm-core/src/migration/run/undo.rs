//! The undo of a whole migration, before its pivots.

use futures::StreamExt as _;
use tracing::debug;

use crate::cutover::undo::discard_fenced;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ObjectId, StreamRef};
use crate::migration::context::Context;
use crate::migration::run::triage::needs_nothing;
use crate::migration::step::close_books::{OpenBooks, close_books};
use crate::migration::step::undo::{discard_superseded, undo};
use crate::object::{ObjectDocument, chain};
use crate::protocol::decisions::Undone;
use crate::protocol::plan::Scope;
use crate::protocol::statistics::Statistics;
use crate::protocol::status::Step;
use crate::store::{Lane, Tail};

/// Discards what this run wrote to targets after another holder undid them: a run that was frozen
/// past its lease may have had a write under way. Only fenced or superseded targets are discarded
/// (R5, R17), so it needs no lock. A failure leaves that to the next migration of the object.
pub(crate) async fn discard_late_writes(context: &Context) {
    let batch = context.guard.journal.lock().await.state().batch.clone();
    let objects = match (batch, &context.plan.scope) {
        (Some(batch), _) => batch.objects,
        (None, Scope::Objects(objects)) => objects.clone(),
        (None, _) => return,
    };
    for object in objects {
        let discarded = tokio::select! {
            discarded = discard_of(context, &object) => discarded,
            () = context.guard.stop.requested.cancelled() => return,
        };
        if let Err(error) = discarded {
            debug!(%object, %error, "targets that were undone were not searched for late writes");
        }
    }
}

async fn discard_of(context: &Context, object: &ObjectId) -> Result<()> {
    let Some(found) = context.services.documents.find(object).await? else {
        return Ok(());
    };
    discard_superseded(context, &found.document).await?;
    let active = found.document.active.clone();
    let attempt = context.attempt_now(&found.document, active).await?;
    if attempt.has_fences {
        discard_fenced(&attempt).await?;
    }
    Ok(())
}

/// The undo of all objects of a migration that have not passed their pivot.
#[derive(Debug)]
pub(crate) struct UndoRun<'a> {
    context: &'a Context,
    pub(crate) statistics: Statistics,
    /// Whether there was nothing to undo because every object had passed its pivot.
    pub(crate) too_late: bool,
    /// Open objects without a target, which need no undo.
    untouched: u64,
    /// The error of the first object that could not be undone.
    failure: Option<Error>,
    /// Open books of migrated objects: at most those of the last batch.
    open: Vec<OpenBooks>,
}

impl<'a> UndoRun<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self {
            context,
            statistics: Statistics::default(),
            too_late: false,
            untouched: 0,
            failure: None,
            open: Vec::new(),
        }
    }

    /// Fences and discards every attempt. Objects that have passed their pivots stay migrated and
    /// are finished here, because no later run does it.
    ///
    /// A migration whose objects have all passed their pivots is not undone: it can only be
    /// completed. A migration with an object that cannot be migrated can still be undone.
    ///
    /// # Errors
    /// `Stuck` when every object has passed its pivot, or when something could not be fenced.
    pub(crate) async fn undo_all(&mut self) -> Result<()> {
        let batch = self
            .context
            .guard
            .journal
            .lock()
            .await
            .state()
            .batch
            .clone();
        // A paused holder that resumes reads the claim in the journal before it closes a source, so
        // no attempt begins after this: see `Guard::ensure_in_charge`. The objects of the last
        // batch are fenced all the same, which stops such a holder earlier.
        let at_work = batch.map(|b| b.objects).unwrap_or_default();
        match &self.context.plan.scope {
            Scope::Objects(objects) => {
                for object in objects {
                    self.object(object, true).await?;
                }
            }
            Scope::Name(_) | Scope::All => {
                for object in &at_work {
                    self.object(object, true).await?;
                }
                self.rest(&at_work).await?;
            }
        }
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        match self.statistics.migrated {
            0 => Ok(()),
            migrated if self.undone() == 0 && self.untouched == 0 => {
                self.too_late = true;
                Err(too_late(migrated))
            }
            _ => self.close_books().await,
        }
    }

    fn undone(&self) -> u64 {
        self.statistics.rolled_back + self.statistics.abandoned
    }

    /// Closes the books of the objects that stay migrated. Without a provider for the archive they
    /// stay open.
    async fn close_books(&mut self) -> Result<()> {
        if self.context.services.archives.is_none() {
            return Ok(());
        }
        if let Some(archive) = close_books(self.context, &self.open).await? {
            self.statistics.name_archive(&archive);
        }
        Ok(())
    }

    /// Undoes the objects of earlier batches: fenced only if they have a target.
    async fn rest(&mut self, done: &[ObjectId]) -> Result<()> {
        let name = match &self.context.plan.scope {
            Scope::Name(name) => Some(name.clone()),
            _ => None,
        };
        let documents = self.context.services.documents.clone();
        let mut objects = documents.objects(name);
        while let Some(object) = objects.next().await {
            let object = object?;
            if !done.contains(&object) {
                self.object(&object, false).await?;
            }
        }
        Ok(())
    }

    /// Undoes one of several objects; its failure does not stop the others.
    async fn object(&mut self, object: &ObjectId, always_fence: bool) -> Result<()> {
        let lane = Lane::default();
        match lane.run(self.undo_object(object, always_fence)).await {
            Err(error) if self.context.guard.ends_the_run(&error) => Err(error),
            Err(error) => {
                self.statistics.name_failure(object, Step::RollBack, &error);
                self.failure.get_or_insert(error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn undo_object(&mut self, object: &ObjectId, always_fence: bool) -> Result<()> {
        let context = self.context;
        let (stores, documents) = (&context.services.stores, &context.services.documents);
        let (document, end) = match chain::help(stores, documents, object).await {
            Ok(found) => found,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Deleted) => return Ok(()),
            Err(e) => return Err(e),
        };
        let leaves_out = document.left_out().is_some();
        let is_closed = |d: &ObjectDocument| d.closed_by(context.migration()).is_some();
        let document = chain::reaching(stores, documents, document, is_closed).await?;
        if let Some(entry) = document.closed_by(context.migration()) {
            return self.finish(object, &entry.stream).await;
        }
        discard_superseded(context, &document).await?;
        let active = document.active.clone();
        let attempt = context.attempt_now(&document, active).await?;
        if context.plan.reverses.is_some() && attempt.originals.is_none() {
            // the reversed migration did not move it, so it has no target
            return Ok(());
        }
        if attempt.has_fences {
            discard_fenced(&attempt).await?;
        }
        let target_tail = attempt.target_store.tail(&attempt.target.stream).await?;
        let begun = !target_tail.is_empty();
        // an older version of esm counts only listed streams, so it names another target
        let is_fenced = attempt.number > 0 && !leaves_out;
        if !begun && (!always_fence || is_fenced) {
            self.untouched += u64::from(!self.is_done(&document, &end.tail).await?);
            return Ok(());
        }
        match undo(context, &attempt).await? {
            Undone::TooLate => self.finish(object, &attempt.source).await?,
            undone => self.statistics.add_undone(undone),
        }
        Ok(())
    }

    /// Finishes an object that has passed its pivot: adds the details of this migration to its
    /// document.
    async fn finish(&mut self, object: &ObjectId, source: &StreamRef) -> Result<()> {
        self.statistics.migrated += 1;
        let document = (self.context.closed(object, source))
            .follow(&self.context.cutover())
            .await?;
        let entry = document.terminated(source);
        let books = self.context.plan.close_books.as_ref();
        let archived = books.is_some_and(|books| books.archive.is_some());
        if archived && entry.is_some_and(|entry| entry.books_closed_at.is_none()) {
            let (object, stream) = (object.clone(), source.clone());
            self.open.push(OpenBooks { object, stream });
        }
        Ok(())
    }

    /// Whether this migration has nothing to do for the object.
    async fn is_done(&self, document: &ObjectDocument, tail: &Tail) -> Result<bool> {
        match needs_nothing(self.context, document, tail).await {
            // another migration has moved the object since, so this one cannot reverse it
            Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. }) => Ok(false),
            done => done,
        }
    }
}

fn too_late(migrated: u64) -> Error {
    let message =
        format!("sources are closed; the migration can only be completed: {migrated} objects");
    Error::new(ErrorKind::Stuck, message).with_hint(
        "resume the migration to complete it, then roll it back: that migrates its objects back and \
         restores the originals",
    )
}
