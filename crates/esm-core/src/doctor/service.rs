//! The handle that callers use.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::clock::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::id::MigrationId;
use crate::migration::MigrationService;
use crate::object::Documents;
use crate::store::{BackupProvider, Inventory, LockProvider, Records, Stores};

/// Migrations of which it is remembered whether they have ended.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("more than none");

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// The ends of the streams and their control cells, and the newest versions of records.
    Quick,
    /// All cells of all streams too.
    #[default]
    Normal,
    /// All versions of all records too, and the contents of all backups.
    Deep,
}

/// Finds what is damaged, left behind or unfinished. Writes nothing.
///
/// A handle: clones are the same doctor, and cheap.
///
/// # Guarantees
/// 1. Nothing is written, not even a hint.
/// 2. Safe beside everything else: what others are doing right now is not reported as damage. A
///    restore, an import or a backup that is in progress may be reported as unfinished.
/// 3. Memory does not grow with the number of objects, streams, events, records or backups; it does
///    with the number of streams of one object, and up to 16 MiB with the number of streams that are
///    remembered.
///
/// # Example
/// ```
/// # use std::sync::Arc;
/// # use esm_core::store::{EventStore, LockProvider, Records};
/// use esm_core::doctor::{Doctor, Observed};
/// use esm_core::migration::Scope;
///
/// # async fn example(
/// #     store: Arc<dyn EventStore>, records: Arc<dyn Records>, locks: Arc<dyn LockProvider>,
/// # ) -> esm_core::Result<()> {
/// let doctor = Doctor::new(store, records, locks);
/// let examined = doctor
///     .examine(&Scope::All, |observed| {
///         if let Observed::Finding(finding) = observed {
///             println!("{}: {}", finding.subject, finding.detail);
///         }
///     })
///     .await?;
/// println!("{} objects, {} errors", examined.objects, examined.errors);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Doctor {
    pub(super) stores: Stores,
    pub(super) records: Arc<dyn Records>,
    pub(super) locks: Arc<dyn LockProvider>,
    pub(super) backups: Option<Arc<dyn BackupProvider>>,
    pub(super) inventory: Option<Arc<dyn Inventory>>,
    pub(super) environment: Environment,
    pub(super) depth: Depth,
    pub(super) documents: Documents,
    pub(super) migrations: MigrationService,
    cancel: CancellationToken,
    ended: Arc<Mutex<LruCache<MigrationId, bool>>>,
}

impl Doctor {
    /// Examines the objects of these stores and records, and what the home store holds.
    pub fn new(
        stores: impl Into<Stores>,
        records: Arc<dyn Records>,
        locks: Arc<dyn LockProvider>,
    ) -> Self {
        let stores = stores.into().read_only();
        let documents = Documents::new(Arc::clone(&records));
        let migrations =
            MigrationService::new(stores.clone(), Arc::clone(&records), Arc::clone(&locks));
        Self {
            stores,
            records,
            locks,
            backups: None,
            inventory: None,
            environment: Environment::system(),
            depth: Depth::default(),
            documents,
            migrations,
            cancel: CancellationToken::new(),
            ended: Arc::new(Mutex::new(LruCache::new(REMEMBERED))),
        }
    }

    /// Examines these backups too.
    #[must_use]
    pub fn with_backups(mut self, backups: Arc<dyn BackupProvider>) -> Self {
        self.backups = Some(backups);
        self
    }

    /// Looks for what nothing names, too. The inventory must be that of the home store.
    #[must_use]
    pub fn with_inventory(mut self, inventory: Arc<dyn Inventory>) -> Self {
        self.inventory = Some(inventory);
        self
    }

    /// Sets the clock. Defaults to that of the system.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.migrations = self.migrations.with_environment(environment.clone());
        self.environment = environment;
        self
    }

    /// Sets how much is read. Defaults to [`Depth::Normal`].
    #[must_use]
    pub fn with_depth(mut self, depth: Depth) -> Self {
        self.depth = depth;
        self
    }

    /// Stops an examination, with `Cancelled`, when the token is cancelled.
    #[must_use]
    pub fn cancel_on(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    pub(super) fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    pub(super) fn refuse_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            let message = "examination was stopped on request";
            return Err(Error::new(ErrorKind::Cancelled, message));
        }
        Ok(())
    }

    /// Whether a migration has ended, or has no readable journal, so that nobody continues it.
    pub(super) async fn has_ended(&self, migration: MigrationId) -> Result<bool> {
        let known = |ended: &Mutex<LruCache<_, bool>>| {
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.get(&migration).copied()
        };
        if let Some(known) = known(&self.ended) {
            return Ok(known);
        }
        let has_ended = match self.migrations.status(migration).await {
            Ok(state) if state.damage.is_some() => !self.migrations.is_newer(migration).await?,
            Ok(state) => state.status.is_terminal(),
            Err(error) if *error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.put(migration, has_ended);
        Ok(has_ended)
    }
}
