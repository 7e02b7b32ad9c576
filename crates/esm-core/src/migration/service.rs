//! The service: where migrations are begun, resumed, undone and looked at.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use crate::clock::Environment;
use crate::error::{Error, Result};
use crate::id::{HolderId, MigrationId, ObjectId, ObjectName};
use crate::migration::describe::builder::MigrationBuilder;
use crate::migration::describe::resume::ResumeBuilder;
use crate::migration::describe::rollback::RollBackBuilder;
use crate::migration::journal::Journal;
use crate::migration::lock::scope::lock_name;
use crate::protocol::journal::JournalState;
use crate::protocol::planned::{PlannedMigration, Scope};
use crate::protocol::statistics::Statistics;
use crate::protocol::status::{MigrationStatus, Step};
use crate::store::{
    BackupProvider, LockInfo, LockProvider, RecordCollection, RecordKey, Records, Stores,
};

/// Begins, resumes, undoes and looks at migrations.
///
/// Holds no state of its own: everything is in the stores, and any number of services of any number
/// of processes may work on them.
#[derive(Debug, Clone)]
pub struct MigrationService {
    pub(crate) stores: Stores,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) locks: Arc<dyn LockProvider>,
    pub(crate) backups: Option<Arc<dyn BackupProvider>>,
    pub(crate) environment: Environment,
    pub(crate) holder: HolderId,
}

/// What is known of a migration.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MigrationState {
    /// The migration.
    pub migration: MigrationId,
    /// What it is doing, as far as its journal tells: one whose process died is `InProgress` until
    /// somebody resumes it.
    pub status: MigrationStatus,
    /// What it is to do; absent while nothing is planned.
    pub plan: Option<PlannedMigration>,
    /// Who works on it or did so last.
    pub holder: Option<HolderId>,
    /// When it was begun.
    pub started_at: Option<jiff::Timestamp>,
    /// When its journal was last written.
    pub updated_at: Option<jiff::Timestamp>,
    /// In which step it stopped, and why.
    pub stopped: Option<(Step, String)>,
    /// What it came to, at its end or at the begin of its current batch.
    pub statistics: Option<Statistics>,
    /// Its lock, held or not.
    pub lock: Option<LockInfo>,
}

impl MigrationService {
    /// A service over these providers, with the machine's clock. The home store is where new objects
    /// begin, and the records and locks are about its objects; the other stores are those that their
    /// streams have moved to, or are to.
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

    /// Where backups and archives go, unless a migration says otherwise.
    #[must_use]
    pub fn with_backups(mut self, provider: Arc<dyn BackupProvider>) -> Self {
        self.backups = Some(provider);
        self
    }

    /// The clock and the randomness to use.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// How this process is called in locks and journals.
    #[must_use]
    pub fn with_holder(mut self, holder: HolderId) -> Self {
        self.holder = holder;
        self
    }

    /// Begins to describe the migration of one object.
    pub fn migrate(&self, object: ObjectId) -> MigrationBuilder {
        MigrationBuilder::new(self.clone(), Scope::Objects(vec![object]))
    }

    /// Begins to describe the migration of several objects.
    pub fn migrate_many(&self, objects: impl IntoIterator<Item = ObjectId>) -> MigrationBuilder {
        MigrationBuilder::new(self.clone(), Scope::Objects(objects.into_iter().collect()))
    }

    /// Begins to describe the migration of all objects of a name.
    pub fn migrate_named(&self, name: ObjectName) -> MigrationBuilder {
        MigrationBuilder::new(self.clone(), Scope::Name(name))
    }

    /// Begins to describe the migration of all objects of the store.
    pub fn migrate_all(&self) -> MigrationBuilder {
        MigrationBuilder::new(self.clone(), Scope::All)
    }

    /// Begins to describe the migration of a plan, for
    /// [`execute_plan`](MigrationBuilder::execute_plan). A plan holds no code and no connections:
    /// the transformers, the target store, and the providers of backup and archive must be given
    /// again.
    pub fn migrate_as_planned(&self, plan: &PlannedMigration) -> MigrationBuilder {
        MigrationBuilder::of_plan(self.clone(), plan)
    }

    /// Begins to describe how an unfinished migration is resumed: it needs the same transformation
    /// again.
    pub fn resume(&self, migration: MigrationId) -> ResumeBuilder {
        ResumeBuilder::new(self.clone(), migration)
    }

    /// Begins to describe how a migration is rolled back: undone while it has not passed its pivot,
    /// reversed after it.
    pub fn roll_back(&self, migration: MigrationId) -> RollBackBuilder {
        RollBackBuilder::new(self.clone(), migration)
    }

    /// What is known of a migration. Writes nothing.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn status(&self, migration: MigrationId) -> Result<MigrationState> {
        let journal = self.journal(migration).await?;
        let state = journal.state();
        if state.next_number == 0 {
            return Err(unknown(migration));
        }
        let lock = match &state.plan {
            Some(plan) => self.locks.inspect(&lock_name(&plan.scope)?).await?,
            None => None,
        };
        Ok(describe(
            migration,
            state,
            lock.filter(|info| info.migration == Some(migration)),
        ))
    }

    /// All migrations that this store knows of, newest first is not promised. Writes nothing.
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

    /// The migrations that were planned and have not ended. One that died before its plan was
    /// written has touched nothing and is left out. Writes nothing.
    pub fn active(&self) -> BoxStream<'_, Result<MigrationState>> {
        self.migrations()
            .try_filter(|s| std::future::ready(s.plan.is_some() && !s.status.is_terminal()))
            .boxed()
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
        .with_hint("list the migrations of this store to see what there is")
}

fn describe(
    migration: MigrationId,
    state: &JournalState,
    lock: Option<LockInfo>,
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
        lock,
    }
}
