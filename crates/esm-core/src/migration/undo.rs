//! Undoing a whole migration before its pivots.

use futures::StreamExt as _;

use super::attempt::Attempt;
use super::context::Context;
use super::options::Scope;
use super::report::Statistics;
use super::status::Step;
use super::step::roll_back::{Undone, undo};
use crate::chain;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ObjectId;

/// The undo of all objects of a migration that have not passed their pivot.
#[derive(Debug)]
pub(crate) struct UndoRun<'a> {
    context: &'a Context,
    pub(crate) statistics: Statistics,
    /// Whether there was nothing to undo, because every pivot was behind.
    pub(crate) too_late: bool,
}

impl<'a> UndoRun<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self {
            context,
            statistics: Statistics::default(),
            too_late: false,
        }
    }

    /// Fences and discards what was begun. What has passed its pivot stays migrated.
    ///
    /// A migration of one object that has passed its pivot is not undone at all.
    ///
    /// # Errors
    /// `Stuck` when the only object has passed its pivot, or when something could not be fenced.
    pub(crate) async fn run(&mut self) -> Result<()> {
        let batch = self.context.journal.lock().await.state().batch.clone();
        // a holder that was paused can be at work only on the batch it recorded last
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
        match self.statistics.migrated {
            0 => Ok(()),
            migrated if self.statistics.rolled_back == 0 => {
                self.too_late = true;
                Err(too_late(migrated))
            }
            _ => Ok(()),
        }
    }

    /// Objects of earlier batches: fenced only where something was begun.
    async fn rest(&mut self, done: &[ObjectId]) -> Result<()> {
        let name = match &self.context.plan.scope {
            Scope::Name(name) => Some(name.clone()),
            _ => None,
        };
        let documents = self.context.documents.clone();
        let mut objects = documents.objects(name);
        while let Some(object) = objects.next().await {
            let object = object?;
            if !done.contains(&object) {
                self.object(&object, false).await?;
            }
        }
        Ok(())
    }

    async fn object(&mut self, object: &ObjectId, always_fence: bool) -> Result<()> {
        let context = self.context;
        let (document, _) = match chain::help(&context.store, &context.documents, object).await {
            Ok(found) => found,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Deleted) => return Ok(()),
            Err(e) => return Err(e),
        };
        if document
            .terminated
            .iter()
            .any(|t| t.migration == context.migration())
        {
            self.statistics.migrated += 1;
            return Ok(());
        }
        let name = context
            .plan
            .target_name(object, document.terminated.len())?;
        let attempt = Attempt::current(context, object, document.active.clone(), name).await?;
        let begun = !context.store.tail(&attempt.target.stream).await?.is_empty();
        if !begun && (!always_fence || attempt.number > 0) {
            return Ok(());
        }
        match undo(context, &attempt).await {
            Ok(Undone::TooLate) => self.statistics.migrated += 1,
            Ok(Undone::RolledBack | Undone::Superseded) => self.statistics.rolled_back += 1,
            Err(error) => {
                self.statistics.name_failure(object, Step::RollBack, &error);
                return Err(error);
            }
        }
        Ok(())
    }
}

fn too_late(migrated: u64) -> Error {
    let message =
        format!("the sources were closed already, so there is only forward: {migrated} objects");
    Error::new(ErrorKind::Stuck, message).with_hint("resume the migration to finish it")
}
