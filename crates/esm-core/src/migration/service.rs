//! The service: begins, resumes, rolls back and lists migrations.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use crate::clock::Environment;
use crate::error::{Error, Result};
use crate::id::{HolderId, MigrationId};
use crate::migration::journal::Journal;
use crate::migration::lock::scope::lock_name;
use crate::protocol::journal::JournalState;
use crate::protocol::plan::PlannedMigration;
use crate::protocol::statistics::Statistics;
use crate::protocol::status::{MigrationStatus, Step};
use crate::store::{
    BackupProvider, HolderState, LockInfo, LockProvider, RecordCollection, RecordKey, Records,
    Stores,
};

/// Begins, resumes, rolls back and lists migrations.
///
/// Holds no state of its own: all state is in the stores. Any number of services in any number of
/// processes may work on the same stores.
#[derive(Debug, Clone)]
pub struct MigrationService {
    pub(crate) stores: Stores,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) locks: Arc<dyn LockProvider>,
    pub(crate) backups: Option<Arc<dyn BackupProvider>>,
    pub(crate) environment: Environment,
    pub(crate) holder: HolderId,
}

/// State of a migration, as recorded in its journal.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MigrationState {
    /// The migration.
    pub migration: MigrationId,
    /// Its status according to its journal. A migration whose process died is `InProgress` until it
    /// is resumed.
    pub status: MigrationStatus,
    /// Its plan; absent until the plan is recorded.
    pub plan: Option<PlannedMigration>,
    /// The current holder, or the last one.
    pub holder: Option<HolderId>,
    /// Time of its first journal record.
    pub started_at: Option<jiff::Timestamp>,
    /// Time of its last journal record.
    pub updated_at: Option<jiff::Timestamp>,
    /// The step in which it stopped, and the reason.
    pub stopped: Option<(Step, String)>,
    /// Statistics at its end, when it last stopped, or at the start of its current batch.
    pub statistics: Option<Statistics>,
    /// Its lock, held or expired; absent if it was last taken for another migration.
    pub lock: Option<LockInfo>,
    /// Whether the holder of that lock is alive.
    pub holder_state: Option<HolderState>,
    /// What is damaged, if the journal cannot be read to its end. The rest is as recorded before
    /// that; such a migration can be neither resumed nor rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// What helps where the journal is damaged: a newer version of esm, or another migration.
    #[serde(skip)]
    pub damage_hint: Option<String>,
}

impl MigrationService {
    /// Returns a service over these providers, with the system clock.
    ///
    /// New objects begin in the home store; records and locks belong to its objects. The other
    /// stores are those that their streams have moved to or will move to.
    pub fn new(
        stores: impl Into<Stores>,
        records: Arc<dyn Records>,
        locks: Arc<dyn LockProvider>,
    ) -> Self {
        let environment = Environment::system();
        Self {
            stores: stores.into(),
            records,
            locks,
            backups: None,
            holder: HolderId::of_process(std::process::id(), environment.uuid_v4()),
            environment,
        }
    }

    /// Sets the default provider of backups and archives. A migration may name another.
    #[must_use]
    pub fn with_backups(mut self, provider: Arc<dyn BackupProvider>) -> Self {
        self.backups = Some(provider);
        self
    }

    /// Sets the clock and the source of randomness. Defaults to those of the system.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets the name of this process in locks and journals. Defaults to its process id and a random
    /// suffix.
    #[must_use]
    pub fn with_holder(mut self, holder: HolderId) -> Self {
        self.holder = holder;
        self
    }

    /// Returns the state of a migration, also of one whose journal is
    /// [damaged](MigrationState::damage). Writes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown migration.
    pub async fn status(&self, migration: MigrationId) -> Result<MigrationState> {
        let (journal, damage) = self.journal_damaged(migration).await?;
        self.state_by(migration, &journal, damage).await
    }

    /// The state of a migration by its journal as far as it was read, and by its lock.
    ///
    /// # Errors
    /// `NotFound` for an unknown migration; those of the locks.
    pub(super) async fn state_by(
        &self,
        migration: MigrationId,
        journal: &Journal,
        damage: Option<Error>,
    ) -> Result<MigrationState> {
        let state = journal.state();
        if state.next_number == 0 && damage.is_none() {
            return Err(unknown(migration));
        }
        let lock = match &state.plan {
            Some(plan) => self.locks.inspect(&lock_name(&plan.scope)?).await?,
            None => None,
        };
        let lock = lock.filter(|info| info.migration == Some(migration));
        let now = self.environment.clock.now();
        let mut described = describe(migration, state, lock, now);
        described.damage_hint = damage.as_ref().and_then(|d| d.hint().map(str::to_owned));
        described.damage = damage.map(|damage| damage.to_string());
        Ok(described)
    }

    /// Returns all migrations of this store, in no particular order. Writes nothing.
    pub fn migrations(&self) -> BoxStream<'_, Result<MigrationState>> {
        self.records
            .list(RecordCollection::Journals)
            .map_ok(move |key| async move {
                match key {
                    RecordKey::Journal(migration) => self.status(migration).await.map(Some),
                    _ => Ok(None),
                }
            })
            .try_buffered(8)
            .try_filter_map(|state| async move { Ok(state) })
            .boxed()
    }

    /// Returns the migrations that have a plan and have not ended. Writes nothing.
    ///
    /// A migration that stopped before its plan was written has changed nothing and is left out;
    /// so is one whose journal is damaged, because it cannot be resumed.
    pub fn active(&self) -> BoxStream<'_, Result<MigrationState>> {
        let resumable =
            |s: &MigrationState| s.plan.is_some() && !s.status.is_terminal() && s.damage.is_none();
        self.migrations()
            .try_filter(move |state| std::future::ready(resumable(state)))
            .boxed()
    }

    /// A journal, also a damaged one up to the damage; see [`Journal::open_damaged`].
    pub(super) async fn journal_damaged(
        &self,
        migration: MigrationId,
    ) -> Result<(Journal, Option<Error>)> {
        let (records, environment) = (Arc::clone(&self.records), self.environment.clone());
        Journal::open_damaged(records, environment, migration, self.holder.clone()).await
    }

    /// Whether the damage of a journal is that a newer version of esm has written it, which can read it.
    ///
    /// # Errors
    /// Those of the records.
    pub(crate) async fn is_newer(&self, migration: MigrationId) -> Result<bool> {
        let (journal, damage) = self.journal_damaged(migration).await?;
        if damage.is_none() {
            return Ok(false);
        }
        journal.is_newer().await
    }

    pub(super) async fn journal(&self, migration: MigrationId) -> Result<Journal> {
        let records = Arc::clone(&self.records);
        Journal::open(
            records,
            self.environment.clone(),
            migration,
            self.holder.clone(),
        )
        .await
    }
}

pub(super) fn unknown(migration: MigrationId) -> Error {
    Error::not_found(format!("unknown migration: {migration}"))
        .with_hint("list the migrations of this store to find its id")
}

fn describe(
    migration: MigrationId,
    state: &JournalState,
    lock: Option<LockInfo>,
    now: jiff::Timestamp,
) -> MigrationState {
    let so_far = state.batch.as_ref().map(|b| b.so_far.as_ref().clone());
    MigrationState {
        migration,
        status: state.status(),
        plan: state.plan.as_deref().cloned(),
        holder: state.holder.clone(),
        started_at: state.started_at,
        updated_at: state.updated_at,
        stopped: state.stopped.as_ref().map(|s| (s.step, s.reason.clone())),
        statistics: state.statistics.as_deref().cloned().or(so_far),
        holder_state: lock.as_ref().map(|lock| lock.holder_state(now)),
        lock,
        damage: None,
        damage_hint: None,
    }
}
