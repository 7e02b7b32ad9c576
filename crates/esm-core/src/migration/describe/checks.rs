//! Checks of a description before the first write.

use std::sync::Arc;

use crate::clock::readable;
use crate::cutover::source::schemas::missing_policy;
use crate::error::{Error, Result};
use crate::id::{StreamId, StreamName, StreamRef};
use crate::migration::describe::builder::MigrationBuilder;
use crate::migration::plan::migration_plan::PlanDepth;
use crate::migration::plan::planner::Planner;
use crate::object::{ChainEnd, Documents, ObjectDocument};
use crate::protocol::plan::{CopyOptions, MigrationStrategy, PlannedMigration, Scope};

/// Events of a stream that are read before a migration begins.
const FORESEEN_EVENTS: u64 = 256;
/// Objects that are read before a migration of several begins.
const FORESEEN_OBJECTS: usize = 32;

impl MigrationBuilder {
    pub(super) fn check_strategy(&self) -> Result<()> {
        match self.draft.strategy {
            MigrationStrategy::CopyAndTransform => Ok(()),
            other => Err(
                Error::unsupported(format!("strategy is not implemented: {other:?}"))
                    .with_hint("use CopyAndTransform"),
            ),
        }
    }

    /// Returns whether events are to be rewritten where they are: nothing is closed, and there is
    /// no target.
    pub(super) fn is_in_place(&self) -> bool {
        self.draft.strategy == MigrationStrategy::InPlaceTransform
    }

    /// Checks the home store and the target store. The stores of objects that have moved are
    /// checked when the run reaches those objects.
    pub(super) fn check_stores(&self) -> Result<()> {
        let home = self.service.stores.home();
        if self.is_in_place() {
            return match self.target_store {
                Some(_) => Err(Error::unsupported(
                    "events that are rewritten in place move to no other store",
                )
                .with_hint("export them, and import the export into the other store")),
                None => Ok(()),
            };
        }
        home.capabilities().ensure_source()?;
        let target = self.target_store.as_ref().unwrap_or(home);
        self.service.stores.ensure_apart(&**target)?;
        target.capabilities().ensure_target()
    }

    pub(super) fn check_scope(&self) -> Result<()> {
        if let Scope::Objects(objects) = &self.draft.scope {
            if objects.is_empty() {
                return Err(Error::invalid("no object to migrate"));
            }
            let mut seen = std::collections::HashSet::new();
            if let Some(twice) = objects.iter().find(|o| !seen.insert(*o)) {
                return Err(Error::invalid(format!("object is named twice: {twice}")));
            }
        }
        if self.draft.scope.single().is_none()
            && (self.source.is_some()
                || (self.draft.target.is_some() || self.invalid_target.is_some()))
        {
            return Err(Error::invalid(
                "from_stream and to_stream require a single object",
            ));
        }
        Ok(())
    }

    pub(super) fn check_numbers(&self) -> Result<()> {
        let positive = [
            ("cell events", self.draft.copy.cell_events as u64),
            ("cell bytes", self.draft.copy.cell_bytes),
            ("concurrency", self.draft.bulk.concurrency as u64),
            ("batch", self.draft.bulk.batch_objects as u64),
        ];
        if let Some((what, _)) = positive.iter().find(|(_, n)| *n == 0) {
            return Err(Error::invalid(format!("{what} must not be 0")));
        }
        self.run.check(&self.draft.throttle, &self.draft.cutover)?;
        let limits = self.service.stores.limits();
        // by default cells are as large as the store accepts
        let default = CopyOptions::default();
        let is_chosen = self.draft.copy.cell_events != default.cell_events
            || self.draft.copy.cell_bytes != default.cell_bytes;
        if is_chosen
            && (self.draft.copy.cell_events as u64 > limits.max_cell_events
                || self.draft.copy.cell_bytes > limits.max_cell_bytes)
        {
            let message = format!(
                "cells exceed the store's limits: {} events and {} bytes, at most {} events and {} \
                 bytes",
                self.draft.copy.cell_events,
                self.draft.copy.cell_bytes,
                limits.max_cell_events,
                limits.max_cell_bytes
            );
            return Err(Error::invalid(message));
        }
        let lock = &self.run.lock;
        if lock.heartbeat.is_zero() || lock.heartbeat * 2 > lock.lease {
            return Err(Error::invalid(format!(
                "the lock's heartbeat must be more than 0 and at most half of its lease: {} of {}",
                readable(lock.heartbeat),
                readable(lock.lease)
            )));
        }
        Ok(())
    }

    /// Checks a single object before the first write; returns its document and the end of its
    /// chain.
    pub(super) async fn check_object(
        &self,
        plan: &PlannedMigration,
    ) -> Result<Option<(ObjectDocument, ChainEnd)>> {
        let Some(object) = plan.scope.single() else {
            return Ok(None);
        };
        let documents = Documents::new(Arc::clone(&self.service.records));
        let document = documents.load(object).await?.document;
        let end = crate::object::chain::follow_in(&self.service.stores, &document).await?;
        let stores = &self.service.stores;
        let is_active = |source: &StreamRef| {
            source.stream == end.stream.stream && stores.are_same(source.store, end.stream.store)
        };
        if let Some(source) = plan.source.as_ref().filter(|source| !is_active(source)) {
            let message = format!("not the active stream of {object}: {source}");
            return Err(Error::invalid(message)
                .with_hint(format!("the active stream is {}", end.stream.stream)));
        }
        let source_store = self.service.stores.of(&end.stream)?;
        if !self.is_in_place() {
            source_store.capabilities().ensure_source()?;
        }
        let same = plan
            .target
            .as_ref()
            .is_some_and(|target| is_same(target, &end.stream.stream));
        if same {
            let message = format!("the target is the source: {}", end.stream.stream);
            return Err(Error::invalid(message).with_hint("give the target another name"));
        }
        Ok(Some((document, end)))
    }

    /// Refuses a missing `on_retired` if changed events keep their schema (R11).
    ///
    /// The first events show it for most transformations, so the refusal comes before the first
    /// write. An event that shows it only later stops its object before the first cell of the
    /// target is written.
    pub(super) async fn check_choice(
        &self,
        plan: &PlannedMigration,
        single: Option<(ObjectDocument, ChainEnd)>,
    ) -> Result<()> {
        if plan.on_retired.is_some() || self.run.transformer.is_none() {
            return Ok(());
        }
        let events_per_stream = FORESEEN_EVENTS;
        let depth = PlanDepth::Sample { events_per_stream };
        let planner = Planner::new(&self.service, plan.clone(), &self.run, depth);
        let reused = match single {
            Some((document, end)) => planner.reused(document, &end).await,
            None => planner.reused_by_the_first(FORESEEN_OBJECTS).await,
        };
        match reused {
            Some(schema) => Err(missing_policy(&schema)),
            None => Ok(()),
        }
    }
}

/// Whether a logical name denotes this stream: its id, or its id without the suffix.
fn is_same(name: &StreamName, stream: &StreamId) -> bool {
    let id = stream.as_str();
    let logical = id.rsplit_once('.').map_or(id, |(logical, _)| logical);
    name.as_str() == id || name.as_str() == logical
}
