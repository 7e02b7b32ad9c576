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
use crate::options::OpenOptions;
use crate::records::ObjectRecords;

/// The layout in which streams, records, locks and backups are numbered objects that are created
/// only if absent, and nothing else is asked of the storage.
pub const LAYOUT: &str = "esm-cells";

/// An open store of the layout [`LAYOUT`], over any [`Objects`](crate::Objects).
///
/// Cheap to clone; what it hands out is shared.
#[derive(Clone)]
pub struct Store {
    location: String,
    marker: Arc<Marker>,
    events: Arc<ObjectEventStore>,
    records: Arc<dyn Records>,
    locks: Arc<dyn LockProvider>,
    backups: Arc<ObjectBackups>,
}

impl Store {
    /// Opens the store that is there; makes one where there is none, if `create` says so and the
    /// options do not say read-only.
    ///
    /// # Errors
    /// Those of [`Marker::read`] and [`Marker::read_or_create`].
    pub async fn open(backend: Arc<Backend>, options: OpenOptions, create: bool) -> Result<Self> {
        let marker = match create && !options.read_only {
            true => Marker::read_or_create(&backend, &[LAYOUT]).await?,
            false => Marker::read(&backend, &[LAYOUT]).await?,
        };
        Ok(Self::of(backend, marker, &options))
    }

    /// The store whose marker was read already. Of another layout than [`LAYOUT`] what differs has
    /// to be replaced.
    pub fn of(backend: Arc<Backend>, marker: Marker, options: &OpenOptions) -> Self {
        let events = ObjectEventStore::new(Arc::clone(&backend), marker.store, options.limits);
        Self {
            location: backend.location().to_owned(),
            events: Arc::new(events),
            records: Arc::new(ObjectRecords::new(Arc::clone(&backend))),
            locks: Arc::new(ObjectLocks::new(Arc::clone(&backend))),
            backups: Arc::new(ObjectBackups::new(backend)),
            marker: Arc::new(marker),
        }
    }

    /// The same store with these records.
    #[must_use]
    pub fn with_records(mut self, records: Arc<dyn Records>) -> Self {
        self.records = records;
        self
    }

    /// The same store with these locks.
    #[must_use]
    pub fn with_locks(mut self, locks: Arc<dyn LockProvider>) -> Self {
        self.locks = locks;
        self
    }

    /// The store's layout, as its marker says.
    pub fn layout(&self) -> &str {
        &self.marker.layout
    }

    /// The store's random identity: names of buckets lie, this does not.
    pub fn id(&self) -> StoreId {
        self.marker.store
    }

    /// Where it is, for people; without credentials.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Its streams.
    pub fn event_store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.events) as _
    }

    /// Its versioned records.
    pub fn records(&self) -> Arc<dyn Records> {
        Arc::clone(&self.records)
    }

    /// Its locks.
    pub fn locks(&self) -> Arc<dyn LockProvider> {
        Arc::clone(&self.locks)
    }

    /// Its backups and archives.
    pub fn backups(&self) -> Arc<dyn BackupProvider> {
        Arc::clone(&self.backups) as _
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
