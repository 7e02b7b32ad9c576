//! An open store.

use std::fmt;
use std::sync::Arc;

use esm_cells::{Backend, Marker, Objects as _, OpenOptions};
use esm_core::id::StoreId;
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};
use esm_core::{ErrorKind, Result};

use crate::address::Address;
use crate::connection::Connection;
use crate::container::Container;
use crate::lock::LeaseLocks;
use crate::objects::BlobObjects;
use crate::records::BlobRecords;

/// The layout of stores that are made here: streams and backups as in every other store, locks as
/// leases, and records replaced on condition of their entity tags.
const LAYOUT: &str = "esm-azure";
/// What is opened: also stores that `esm-objectstore` made, as they are.
const LAYOUTS: &[&str] = &[LAYOUT, esm_cells::LAYOUT];

/// An open store: streams, records, locks and backups in one container, below a prefix.
///
/// Cheap to clone; what it hands out is shared.
#[derive(Clone)]
pub struct Store(esm_cells::Store);

impl Store {
    /// Whether a text is the address of such a store.
    pub fn is_address(text: &str) -> bool {
        Address::is_one(text)
    }

    /// Opens a store that exists.
    ///
    /// The address is `az://container/prefix`; the prefix may be missing.
    ///
    /// # Errors
    /// - `Invalid` for a wrong address, and for a signature that is of another container.
    /// - `NotFound` when the container does not exist, or no store is in it.
    /// - `PermissionDenied`, for whatever reason the service does not accept the credentials.
    /// - `Unsupported` for a store of another layout or a newer format.
    /// - `Corrupt` for a marker that cannot be read; `Unavailable`.
    pub async fn open(
        connection: &Connection,
        address: &str,
        options: OpenOptions,
    ) -> Result<Self> {
        Self::at(connection, address, options, false).await
    }

    /// Opens a store, or makes one where there is none: the container, where the credentials allow
    /// that, a self-test, and the marker. Two that do this at once get the same store.
    ///
    /// # Errors
    /// As [`open`](Self::open). `PermissionDenied` also where the container does not exist and the
    /// credentials may not create it; `Unsupported` when the options say read-only and there is no
    /// store.
    pub async fn open_or_create(
        connection: &Connection,
        address: &str,
        options: OpenOptions,
    ) -> Result<Self> {
        Self::at(connection, address, options, true).await
    }

    async fn at(
        connection: &Connection,
        address: &str,
        options: OpenOptions,
        create: bool,
    ) -> Result<Self> {
        let address = Address::parse(address)?;
        let environment = options.environment.clone();
        let container = Arc::new(Container::new(
            connection,
            &address.container,
            address.to_string(),
            environment.clone(),
        )?);
        let backend = Arc::new(Backend::new(
            Arc::new(BlobObjects::new(Arc::clone(&container))),
            address.prefix.clone(),
            address.to_string(),
            options.read_only,
            environment,
        ));
        let marker = match Marker::read(&backend, LAYOUTS).await {
            Err(error) if *error.kind() == ErrorKind::NotFound && create && !options.read_only => {
                ensure_container(&container, &backend).await?;
                Marker::read_or_create(&backend, LAYOUTS).await?
            }
            read => read?,
        };
        let is_own = marker.layout == LAYOUT;
        let store = esm_cells::Store::of(Arc::clone(&backend), marker, &options);
        if !is_own {
            return Ok(Self(store));
        }
        let locks = LeaseLocks::new(Arc::clone(&backend), Arc::clone(&container));
        let records = BlobRecords::new(backend, container, store.records());
        Ok(Self(
            store
                .with_records(Arc::new(records))
                .with_locks(Arc::new(locks)),
        ))
    }

    /// The store's random identity: names of containers lie, this does not.
    pub fn id(&self) -> StoreId {
        self.0.id()
    }

    /// Where it is, for people; without credentials.
    pub fn location(&self) -> &str {
        self.0.location()
    }

    /// How it is laid out, as its marker says: `esm-azure`, or `esm-cells` for a store that
    /// `esm-objectstore` made.
    pub fn layout(&self) -> &str {
        self.0.layout()
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

/// Makes the container where the service says that it does not exist.
async fn ensure_container(container: &Arc<Container>, backend: &Backend) -> Result<()> {
    let objects = BlobObjects::new(Arc::clone(container));
    match objects.get(&backend.layout().marker(), None).await {
        Err(error) if *error.kind() == ErrorKind::NotFound => container.create().await,
        _ => Ok(()),
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
