//! Migrations in place on one table.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use esm_core::event::Schema;
use esm_core::id::MigrationId;
use esm_core::protocol::control::Limit;
use esm_core::store::OnRetired;
use esm_core::transform::EventTransformer;
use esm_core::{Error, ErrorKind, Result};

use super::change::Columns;
use super::claim::{self, Claim, at_work};
use super::migration::{self, Description, Rewrite, RewriteStatus, Schemas};
use super::refuse::Refusal;
use super::run::Running;
use super::shared::{InPlaceOptions, Shared};
use super::statements::Statements;
use super::transformer::{InPlaceTransformer, Shape};
use super::wire::Wire;
use super::{checks, lag, refuse, schema};
use crate::layout::LayoutStore;

/// Migrations in place on the table of a layout.
#[derive(Clone)]
pub struct InPlace(pub(super) Arc<Shared>);

impl fmt::Debug for InPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InPlace")
            .field("table", &self.0.relation())
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl InPlace {
    /// Prepares migrations of the table of a layout. Nothing is read or written.
    pub fn new(store: &LayoutStore, options: InPlaceOptions) -> Self {
        let table = store.event_table().clone();
        let rows = store.rows().clone();
        let shape = Shape {
            class_column: rows
                .class_column()
                .filter(|_| table.class.is_some())
                .map(str::to_owned),
            version_column: rows
                .version_column()
                .filter(|_| table.version.is_some())
                .map(str::to_owned),
            version_member: rows.version_in_metadata().map(str::to_owned),
            has_metadata: table.metadata.is_some(),
            can_drop: store.layout().events.holes
                && store
                    .layout()
                    .streams
                    .as_ref()
                    .is_some_and(|s| s.counter.is_some()),
            payload: table.payload.kind.clone(),
            type_is_tag: store.layout().events.type_is_tag,
        };
        Self(Arc::new(Shared {
            streams: Arc::clone(store.streams()),
            wire: Wire::new(store.streams().database.clone()),
            statements: Statements::new(table.clone()),
            columns: Columns { rows, table },
            shape,
            options,
        }))
    }

    /// Returns a transformation as the table can hold it: events that it cannot hold fail.
    pub fn transformer(&self, inner: Arc<dyn EventTransformer>) -> Arc<dyn EventTransformer> {
        Arc::new(InPlaceTransformer {
            inner,
            shape: self.0.shape.clone(),
        })
    }

    /// Checks that the table can be rewritten in this way, and returns what to know before. Writes
    /// nothing.
    ///
    /// # Errors
    /// `Unsupported` and `Invalid` with the reason and what to change; `PermissionDenied` with the
    /// `GRANT` that is missing; those of the server.
    pub async fn check(&self, description: &Description) -> Result<Vec<String>> {
        ensure_unchained(description)?;
        let refuses = description.planned.on_retired == Some(OnRetired::Refuse);
        let warnings = checks::check(&self.0, description.dropped > 0, refuses).await?;
        if refuses {
            refuse::check(&self.0, description).await?;
        }
        if description.planned.settings().replication_lag_bytes != Limit::Unlimited {
            lag::check(&self.0).await?;
        }
        Ok(warnings)
    }

    /// Returns the migrations of the table, the newest first.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn migrations(&self) -> Result<Vec<Rewrite>> {
        if !schema::exists(&self.0.wire).await? {
            return Ok(Vec::new());
        }
        let mut all = Rewrite::all(&self.0.wire, self.0.relation()).await?;
        let has_ended = |process| self.0.options.processes.has_ended(process);
        for known in &mut all {
            known.is_at_work &= !known.process.as_ref().is_some_and(has_ended);
        }
        Ok(all)
    }

    /// Returns a migration.
    ///
    /// # Errors
    /// `NotFound`; those of the server.
    pub async fn migration(&self, migration: MigrationId) -> Result<Rewrite> {
        let found = self.migrations().await?.into_iter();
        let mut found = found.filter(|known| known.migration == migration);
        found.next().ok_or_else(|| {
            Error::not_found(format!("unknown migration: {migration}"))
                .with_hint("list the migrations of this table with `esm status --all`")
        })
    }

    /// Begins a migration. The transformation is one of [`transformer`](Self::transformer).
    ///
    /// # Errors
    /// `AlreadyExists` while another migration is at work on the table, or where the same
    /// transformation was applied and not undone; those of [`check`](Self::check).
    pub async fn begin(
        &self,
        description: Description,
        transformer: Arc<dyn EventTransformer>,
    ) -> Result<Running> {
        self.check(&description).await?;
        let planned = &description.planned;
        let migration = planned.migration;
        self.ensure_first(&description).await?;
        let shared = &self.0;
        schema::create(&shared.wire).await?;
        let process = shared.options.processes.current();
        let holder = &shared.options.holder;
        let relation = shared.relation();
        let record = migration::insert(&description, relation, holder, process.as_ref())?;
        let claim = Claim::acquire(&shared.wire, relation, migration, &record).await?;
        Ok(Running::new(
            Arc::clone(shared),
            claim,
            planned,
            Schemas::from(&description),
            transformer,
        ))
    }

    /// Checks that no other migration is at work on the table, and that its events were not
    /// transformed in this way already. Writes nothing; [`begin`](Self::begin) checks it too.
    ///
    /// # Errors
    /// `AlreadyExists`, naming the other migration; those of the server.
    pub async fn ensure_first(&self, description: &Description) -> Result<()> {
        let planned = &description.planned;
        let (migration, fingerprint) = (planned.migration, &planned.fingerprint);
        if !schema::exists(&self.0.wire).await? {
            return Ok(());
        }
        let relation = self.0.relation();
        if let Some(other) = claim::holder(&self.0.wire, relation).await? {
            return Err(at_work(relation, other));
        }
        let applied = self.migrations().await?.into_iter().find(|known| {
            known.status == RewriteStatus::Finished && &known.fingerprint == fingerprint
        });
        match applied {
            Some(applied) if !planned.again && applied.migration != migration => {
                let message = format!(
                    "the same transformation was applied to {relation} already: {}",
                    applied.migration
                );
                Err(Error::new(ErrorKind::AlreadyExists, message)
                    .with_hint("add --again to transform all events once more"))
            }
            _ => Ok(()),
        }
    }

    /// Continues a migration: another process that ran it commits nothing from now on.
    ///
    /// # Errors
    /// `Fenced` while another process runs it; `Invalid` for one that has ended or is being undone;
    /// `PermissionDenied` with the `GRANT` that is missing; `Corrupt` where its archive is incomplete.
    pub async fn resume(
        &self,
        known: &Rewrite,
        transformer: Arc<dyn EventTransformer>,
    ) -> Result<Running> {
        if !matches!(
            known.status,
            RewriteStatus::Rewriting | RewriteStatus::Rewritten
        ) {
            let status = known.status.name();
            let message = format!(
                "migration cannot be resumed, it is {status}: {}",
                known.migration
            );
            return Err(Error::invalid(message));
        }
        if transformer.fingerprint() != known.fingerprint {
            let message = format!("not the transformation of migration {}", known.migration);
            let hint = known.fingerprint.hint_for(&transformer.fingerprint());
            return Err(Error::invalid(message).with_hint(hint));
        }
        checks::check_rights(&self.0).await?;
        self.ensure_lag_is_seen(known).await?;
        if let Some(refusal) = self.refusal_of(known) {
            schema::ensure_rights(&self.0.wire, true).await?;
            refusal.check_rights(true).await?;
        }
        let claim = self.take(known, None).await?;
        Ok(Running::new(
            Arc::clone(&self.0),
            claim,
            &known.planned,
            known.schemas.clone(),
            transformer,
        ))
    }

    /// The trigger of a migration that refuses old code.
    pub(super) fn refusal_of(&self, known: &Rewrite) -> Option<Refusal<'_>> {
        let refuses = known.planned.on_retired == Some(OnRetired::Refuse);
        refuses.then(|| Refusal {
            shared: &self.0,
            migration: known.migration,
        })
    }

    /// Checks that lag can be seen where it is limited, by the plan or a command.
    pub(super) async fn ensure_lag_is_seen(&self, known: &Rewrite) -> Result<()> {
        let commands = self.commands(known.migration).await?;
        let settings = commands.desired.settings(known.planned.settings());
        if settings.replication_lag_bytes != Limit::Unlimited {
            lag::check(&self.0).await?;
        }
        Ok(())
    }

    /// Makes this process the holder of a migration, with a new epoch and perhaps another status.
    pub(super) async fn take(&self, known: &Rewrite, status: Option<&str>) -> Result<Claim> {
        self.ensure_not_held(known)?;
        migration::ensure_whole(&self.0.wire, known).await?;
        let process = self.0.options.processes.current();
        let holder = &self.0.options.holder;
        let mut record = migration::take(known.migration, holder, process.as_ref())?;
        if let Some(status) = status {
            record = format!("{record}; {status}");
        }
        // it may have been ended, undone or robbed of its archive since it was read
        let unchanged = format!(
            "SELECT 1 / count(*) FROM esm_in_place.migration WHERE id = '{}' AND status = '{}' \
             AND archive_dropped_at IS NULL; {record}",
            known.migration,
            known.status.name()
        );
        let claimed = Claim::acquire(&self.0.wire, &known.table, known.migration, &unchanged).await;
        match claimed {
            Err(error) => Err(self.changed_since(known).await?.unwrap_or(error)),
            claim => claim,
        }
    }

    /// The error of a migration that is not as it was read.
    async fn changed_since(&self, known: &Rewrite) -> Result<Option<Error>> {
        let now = self.migration(known.migration).await?;
        if now.status == known.status && now.archive_dropped_at.is_none() {
            return Ok(None);
        }
        let message = format!(
            "migration has changed meanwhile, it is {} now: {}",
            now.status.name(),
            known.migration
        );
        let error = Error::new(ErrorKind::Fenced, message);
        Ok(Some(error.with_hint(
            "see `esm status --all`, and repeat the command if it still applies",
        )))
    }

    fn ensure_not_held(&self, known: &Rewrite) -> Result<()> {
        if !known.is_at_work || known.holder == self.0.options.holder {
            return Ok(());
        }
        let message = format!("another process runs the migration: {}", known.holder);
        Err(Error::new(ErrorKind::Fenced, message)
            .with_hint("wait until it ends; 15 s after its last sign of life it can be resumed"))
    }
}

/// Refuses sweeps that would rewrite what new code appends: events become a schema that is rewritten
/// itself.
fn ensure_unchained(description: &Description) -> Result<()> {
    let accepted = description.planned.on_retired == Some(OnRetired::AcceptUnchanged);
    if accepted || description.chained.is_empty() {
        return Ok(());
    }
    let chained: Vec<_> = description
        .chained
        .iter()
        .map(ToString::to_string)
        .collect();
    Err(Error::invalid(format!(
        "events become a schema that is rewritten itself, so that new events of it would be, too: {}",
        chained.join(", ")
    ))
    .with_hint("migrate in two steps, that schema first, or choose --on-retired accept-unchanged"))
}

/// Returns the schemas of events that came since a migration and only it can have made.
pub(super) fn only_introduced(schemas: &Schemas) -> BTreeSet<Schema> {
    let made = schemas.introduced.difference(&schemas.before);
    made.cloned().collect()
}
