//! An open store.

use std::fmt;
use std::sync::Arc;

use esm_cells::{Backend, Key};
use esm_core::id::StoreId;
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};
use esm_core::{Error, Result};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::OpenOptions;
use crate::client::ClientObjects;
use crate::local::sweep_staging_files;
use crate::location::{Clients, Location};

/// An open store: streams, records, locks and backups in one place of an object store.
///
/// Cheap to clone; what it hands out is shared.
#[derive(Clone)]
pub struct Store(esm_cells::Store);

impl Store {
    /// Opens a store that exists.
    ///
    /// The address is `file:///path` or just a path, `s3://bucket/prefix`, `gs://bucket/prefix`,
    /// `az://container/prefix`, or `memory:`, which is a new and empty place each time. Credentials
    /// and options of remote stores come from the usual environment variables.
    ///
    /// # Errors
    /// - `Invalid` for a wrong address.
    /// - `NotFound` when the directory, bucket or container does not exist, or no store is in it.
    /// - `PermissionDenied`.
    /// - `Unsupported` for a store of another layout or a newer format, and for an address that
    ///   this build has no client for.
    /// - `Corrupt` for a marker that cannot be read; `Unavailable`.
    pub async fn open(address: &str, options: OpenOptions) -> Result<Self> {
        Self::at(address, options, false).await
    }

    /// Opens a store, or makes one where there is none: a local directory with those that lead to
    /// it, a self-test of the storage, and the marker. Two that do this at once get the same store.
    ///
    /// # Errors
    /// As [`open`](Self::open). `StorageFull`; `Unsupported` when the storage fails the self-test,
    /// or when the options say read-only and there is no store.
    pub async fn open_or_create(address: &str, options: OpenOptions) -> Result<Self> {
        Self::at(address, options, true).await
    }

    /// Opens a store that exists, over a client of the caller's own making, below a prefix, which
    /// may be empty.
    ///
    /// Of the client it is asked that creating with [`PutMode::Create`](object_store::PutMode) is
    /// atomic, that what was written is durable and seen by every later read, and that it does not
    /// retry conditional writes by itself (a refusal after a retry says nothing of the first try).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_object_store(
        objects: Arc<dyn ObjectStore>,
        prefix: &str,
        options: OpenOptions,
    ) -> Result<Self> {
        let (clients, location) = over(objects, prefix)?;
        Self::with(clients, location, options, false).await
    }

    /// Opens a store over a client of the caller's own making, or makes one.
    ///
    /// # Errors
    /// As [`open_or_create`](Self::open_or_create).
    pub async fn from_object_store_or_create(
        objects: Arc<dyn ObjectStore>,
        prefix: &str,
        options: OpenOptions,
    ) -> Result<Self> {
        let (clients, location) = over(objects, prefix)?;
        Self::with(clients, location, options, true).await
    }

    async fn at(address: &str, options: OpenOptions, create: bool) -> Result<Self> {
        let create = create && !options.read_only;
        let location = Location::parse(address)?;
        let clients = location.connect(create).await?;
        let now = options.environment.clock.now();
        let read_only = options.read_only;
        let store = Self::with(clients, location.to_string(), options, create).await?;
        if let (Location::Directory(path), false) = (location, read_only) {
            sweep_staging_files(path, now).await;
        }
        Ok(store)
    }

    async fn with(
        clients: Clients,
        location: String,
        options: OpenOptions,
        create: bool,
    ) -> Result<Self> {
        let objects = ClientObjects::new(&clients, location.clone());
        let backend = Backend::new(
            Arc::new(objects),
            Key::new(clients.root.as_ref()),
            location,
            options.read_only,
            options.environment.clone(),
        );
        let store = esm_cells::Store::open(Arc::new(backend), options, create).await?;
        Ok(Self(store))
    }

    /// The store's random identity: names of buckets lie, this does not.
    pub fn id(&self) -> StoreId {
        self.0.id()
    }

    /// Where it is, for people; without credentials.
    pub fn location(&self) -> &str {
        self.0.location()
    }

    /// Its streams.
    pub fn event_store(&self) -> Arc<dyn EventStore> {
        self.0.event_store()
    }

    /// Its versioned records.
    pub fn records(&self) -> Arc<dyn Records> {
        self.0.records()
    }

    /// Its locks.
    pub fn locks(&self) -> Arc<dyn LockProvider> {
        self.0.locks()
    }

    /// Its backups and archives.
    pub fn backups(&self) -> Arc<dyn BackupProvider> {
        self.0.backups()
    }
}

fn over(objects: Arc<dyn ObjectStore>, prefix: &str) -> Result<(Clients, String)> {
    let root = Path::parse(prefix).map_err(|e| {
        Error::invalid(format!("prefix is no valid path: {prefix:?}")).with_source(e)
    })?;
    let location = match root.as_ref() {
        "" => objects.to_string(),
        prefix => format!("{prefix} of {objects}"),
    };
    let clients = Clients {
        writes: Arc::clone(&objects),
        objects,
        root,
    };
    Ok((clients, location))
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
