//! Counts of events that old code appended to a migration's targets (R11).

use std::collections::BTreeMap;

use futures::StreamExt as _;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Schema;
use crate::id::{MigrationId, ObjectId};
use crate::migration::service::{MigrationService, unknown};
use crate::object::{Documents, ObjectDocument, chain};
use crate::protocol::plan::{PlannedMigration, Scope};
use crate::router::accepted_unchanged;
use crate::store::OnRetired;

impl MigrationService {
    /// Returns the number of events of each retired schema that applications appended to the
    /// targets of a migration after the cutover.
    ///
    /// Counts schemas that this migration retired or inherited, if its plan has
    /// [`OnRetired::AcceptUnchanged`] ([R11](crate::protocol#r11)); returns an empty map for any
    /// other migration. A count grows while old code runs; 0 means that no application has appended
    /// the schema since the cutover. Reads all targets, a page at a time. Writes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown migration; those of the stores.
    pub async fn accepted_unchanged(
        &self,
        migration: MigrationId,
    ) -> Result<BTreeMap<Schema, u64>> {
        let journal = self.journal(migration).await?;
        let state = journal.state();
        if state.next_number == 0 {
            return Err(unknown(migration));
        }
        let mut counts = BTreeMap::new();
        let accepts = |plan: &PlannedMigration| plan.on_retired == Some(OnRetired::AcceptUnchanged);
        let Some(plan) = state.plan.as_deref().filter(|plan| accepts(plan)) else {
            return Ok(counts);
        };
        let documents = Documents::new(self.records.clone());
        let mut objects = match &plan.scope {
            Scope::Objects(objects) => {
                futures::stream::iter(objects.iter().cloned().map(Ok)).boxed()
            }
            Scope::Name(name) => documents.objects(Some(name.clone())),
            Scope::All => documents.objects(None),
        };
        while let Some(object) = objects.next().await {
            let found = self.accepted_by(&documents, migration, &object?).await?;
            for (schema, events) in found {
                *counts.entry(schema).or_default() += events;
            }
        }
        Ok(counts)
    }

    async fn accepted_by(
        &self,
        documents: &Documents,
        migration: MigrationId,
        object: &ObjectId,
    ) -> Result<BTreeMap<Schema, u64>> {
        let document = match documents.load(object).await {
            Ok(found) => found.document,
            Err(gone) if is_gone(&gone) => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        };
        let is_closed = |d: &ObjectDocument| d.closed_by(migration).is_some();
        let document = chain::reaching(&self.stores, documents, document, is_closed).await?;
        let Some(entry) = document.closed_by(migration) else {
            return Ok(BTreeMap::new());
        };
        let target = &entry.continuation;
        accepted_unchanged(self.stores.of(target)?, &target.stream).await
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted)
}
