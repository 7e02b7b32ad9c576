//! An open store of numbered objects.

use std::fmt;
use std::sync::Arc;

use esm_core::Result;
use esm_core::id::StoreId;
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};

use crate::backend::Backend;
use crate::backup::ObjectBackups;
use crate::event_store::ObjectEventStore;
use crate::lock::ObjectLocks;
use crate::marker::Marker;
use crate::records::ObjectRecords;

/// Name of the layout in which streams, records, locks and backups are numbered objects, each
/// created only if absent. It needs no other feature of a storage.
pub const LAYOUT: &str = "esm-cells";

/// An open store: the streams, records, locks and backups of one place.
///
/// Providers open it: `esm_objectstore::open`, `esm_azure::open`, or a provider of your own over
/// [`Objects`](crate::Objects). Cloning is cheap; clones share what they have learned about the
/// store.
#[derive(Clone)]
pub struct Store {
    location: String,
    marker: Arc<Marker>,
    events: Arc<dyn EventStore>,
    records: Arc<dyn Records>,
    locks: Arc<dyn LockProvider>,
    backups: Arc<dyn BackupProvider>,
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
            location: backend.location().to_owned(),
            events: Arc::new(ObjectEventStore::new(Arc::clone(&backend), marker.store)),
            records: Arc::new(ObjectRecords::new(Arc::clone(&backend))),
            locks: Arc::new(ObjectLocks::new(Arc::clone(&backend))),
            backups: Arc::new(ObjectBackups::new(backend)),
            marker: Arc::new(marker),
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

    /// Returns where the store is, for messages; without credentials.
    pub fn location(&self) -> &str {
        &self.location
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
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("location", &self.location)
            .field("id", &self.marker.store)
            .finish_non_exhaustive()
    }
}
