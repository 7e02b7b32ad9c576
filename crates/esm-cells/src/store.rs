//! An open store of numbered objects.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use esm_core::id::{HolderId, LockName, StoreId};
use esm_core::store::{
    BackupProvider, EventStore, Inventory, LockAttempt, LockProvider, LockRequest, Records,
};
use esm_core::{Error, ErrorKind, Result};

use crate::backend::Backend;
use crate::backup::ObjectBackups;
use crate::event_store::ObjectEventStore;
use crate::inventory::ObjectInventory;
use crate::layout::LAYOUT;
use crate::lock::ObjectLocks;
use crate::marker::Marker;
use crate::records::ObjectRecords;

/// How long the lock is held under which a store gets a new id.
const RENEWAL: Duration = Duration::from_secs(60);

/// An open store: the streams, records, locks and backups of one place.
///
/// Providers open it: `esm_objectstore::open`, `esm_azure::open`, or a provider of your own over
/// [`Objects`](crate::Objects). Cloning is cheap; clones share what they have learned about the
/// store.
#[derive(Clone)]
pub struct Store {
    backend: Arc<Backend>,
    marker: Arc<Marker>,
    events: Arc<dyn EventStore>,
    records: Arc<dyn Records>,
    locks: Arc<dyn LockProvider>,
    backups: Arc<dyn BackupProvider>,
    inventory: Arc<dyn Inventory>,
}

impl Store {
    /// Opens a store that exists, of the layout [`LAYOUT`].
    ///
    /// # Errors
    /// Those of [`Marker::read`].
    pub async fn open(backend: Arc<Backend>) -> Result<Self> {
        let marker = Marker::read(&backend, &[LAYOUT]).await?;
        Ok(Self::new(backend, marker))
    }

    /// Opens a store, or creates one of the layout [`LAYOUT`] where there is none. Concurrent
    /// callers get the same store.
    ///
    /// # Errors
    /// Those of [`Marker::read_or_create`].
    pub async fn open_or_create(backend: Arc<Backend>) -> Result<Self> {
        let marker = Marker::read_or_create(&backend, &[LAYOUT]).await?;
        Ok(Self::new(backend, marker))
    }

    /// Creates the handle of a store whose marker has been read. A provider with a layout of its
    /// own then replaces what differs from [`LAYOUT`].
    pub fn new(backend: Arc<Backend>, marker: Marker) -> Self {
        Self {
            events: Arc::new(ObjectEventStore::new(Arc::clone(&backend), &marker)),
            records: Arc::new(ObjectRecords::new(Arc::clone(&backend))),
            locks: Arc::new(ObjectLocks::new(Arc::clone(&backend))),
            backups: Arc::new(ObjectBackups::new(Arc::clone(&backend))),
            inventory: Arc::new(ObjectInventory::new(Arc::clone(&backend))),
            marker: Arc::new(marker),
            backend,
        }
    }

    /// Replaces the records.
    #[must_use]
    pub fn with_records(mut self, records: Arc<dyn Records>) -> Self {
        self.records = records;
        self
    }

    /// Replaces the locks.
    #[must_use]
    pub fn with_locks(mut self, locks: Arc<dyn LockProvider>) -> Self {
        self.locks = locks;
        self
    }

    /// Returns the stable id from the store's marker; it survives renaming the bucket.
    pub fn id(&self) -> StoreId {
        self.marker.store
    }

    /// Returns the ids that the store had before, newest last. What names them means this store.
    pub fn aliases(&self) -> &[StoreId] {
        &self.marker.aliases
    }

    /// Gives the store a new id, which it returns, and keeps the present one as an alias: for a copy
    /// of a store, whose documents and Closes name the id of the original.
    ///
    /// This handle, and every other open one, keeps the present id; what it writes stays valid. Open
    /// the store again.
    ///
    /// # Errors
    /// `LockHeld` while another process does the same; `Conflict` if another process has done so
    /// since the store was opened; those of the storage.
    pub async fn renew_id(&self) -> Result<StoreId> {
        self.backend.check_writable()?;
        let environment = self.backend.environment();
        let request = LockRequest {
            holder: HolderId::new(format!("process {}", std::process::id()))?,
            lease: RENEWAL,
            migration: None,
            at: environment.clock.now(),
            process: None,
        };
        let name = LockName::new("store id")?;
        let grant = match self.locks.try_acquire(&name, &request).await? {
            LockAttempt::Acquired(grant) => grant,
            LockAttempt::Held(info) => {
                let message = format!("another process gives the store a new id: {}", info.holder);
                return Err(Error::new(ErrorKind::LockHeld(Box::new(info)), message));
            }
        };
        let renewed = self.renew_id_alone().await;
        // a lock that stays behind expires
        let _ = self.locks.release(&grant).await;
        renewed
    }

    async fn renew_id_alone(&self) -> Result<StoreId> {
        let layouts = [self.layout()];
        let present = Marker::read(&self.backend, &layouts).await?;
        if present != *self.marker {
            return Err(self.changed());
        }
        let renewed = present.renew_id(&self.backend).await?;
        let found = Marker::read(&self.backend, &layouts).await?;
        if found == renewed {
            Ok(renewed.store)
        } else {
            Err(self.changed())
        }
    }

    fn changed(&self) -> Error {
        let message = format!("the store got another id meanwhile: {}", self.location());
        Error::new(ErrorKind::Conflict { actual: None }, message)
            .with_hint("open the store again to see its id")
    }

    /// Checks what the storage knows of itself, reading all of it: see
    /// [`Objects::check`](crate::Objects::check). It does not check the objects: those who read them
    /// do.
    ///
    /// # Errors
    /// `Corrupt`; those of the storage.
    pub async fn check(&self) -> Result<()> {
        self.backend.check().await
    }

    /// Returns where the store is, for messages; without credentials.
    pub fn location(&self) -> &str {
        self.backend.location()
    }

    /// Returns the name of the store's layout, from its marker.
    pub fn layout(&self) -> &str {
        &self.marker.layout
    }

    /// Returns the streams.
    pub fn event_store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.events)
    }

    /// Returns the versioned records: documents, journals, routing.
    pub fn records(&self) -> Arc<dyn Records> {
        Arc::clone(&self.records)
    }

    /// Returns the locks.
    pub fn locks(&self) -> Arc<dyn LockProvider> {
        Arc::clone(&self.locks)
    }

    /// Returns the backups and archives.
    pub fn backups(&self) -> Arc<dyn BackupProvider> {
        Arc::clone(&self.backups)
    }

    /// Returns the list of what the store holds, whether or not anything names it.
    pub fn inventory(&self) -> Arc<dyn Inventory> {
        Arc::clone(&self.inventory)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("location", &self.location())
            .field("id", &self.marker.store)
            .finish_non_exhaustive()
    }
}
