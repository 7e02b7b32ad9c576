//! Opening stores.

use std::sync::Arc;

use esm_cells::{Backend, Marker, OpenOptions, Store, Unmarked};
use esm_core::{ErrorKind, Result};

use crate::address::Address;
use crate::connection::Connection;
use crate::container::Container;
use crate::lock::LeaseLocks;
use crate::objects::BlobObjects;
use crate::records::BlobRecords;

/// Name of the layout of stores that this crate creates: streams and backups as in every other
/// store, locks as leases, and records replaced on condition of their entity tags.
const LAYOUT: &str = "esm-azure";
/// The layouts that can be opened; `esm-objectstore` creates the second.
const LAYOUTS: &[&str] = &[LAYOUT, esm_cells::LAYOUT];

/// Returns whether an address is one of this crate's: `az://…`, `azure://…`, `abfs://…` or
/// `abfss://…`.
pub fn is_address(text: &str) -> bool {
    Address::is_one(text)
}

/// Checks an address. Opens nothing.
///
/// # Errors
/// `Invalid` for a malformed address, and for one with credentials.
pub fn check_address(address: &str) -> Result<()> {
    Address::parse(address).map(drop)
}

/// Opens a store that exists.
///
/// The address is `az://container/prefix`; the prefix may be missing.
///
/// # Errors
/// - `Invalid` for a malformed address, and for a signature of another container.
/// - `NotFound` when the container does not exist, or contains no store.
/// - `PermissionDenied` when the service does not accept the credentials, for whatever reason.
/// - `Unsupported` for a store of another layout or a newer format.
/// - `Corrupt` for an unreadable marker; `Unavailable`.
pub async fn open(connection: &Connection, address: &str, options: OpenOptions) -> Result<Store> {
    let place = Place::at(connection, address, options)?;
    let marker = Marker::read(&place.backend, LAYOUTS).await?;
    Ok(place.store(marker))
}

/// Opens a store, or creates one where there is none.
///
/// Creating a store creates a missing container, if the credentials allow that, tests that the
/// service has conditional writes, and writes the marker. Concurrent callers get the same store.
/// With read-only options nothing is created.
///
/// # Errors
/// As [`open`]; `PermissionDenied` also when the container does not exist and the credentials do
/// not allow creating it.
pub async fn open_or_create(
    connection: &Connection,
    address: &str,
    options: OpenOptions,
) -> Result<Store> {
    let place = Place::at(connection, address, options)?;
    let marker = match Marker::read(&place.backend, LAYOUTS).await {
        Err(error) if *error.kind() == ErrorKind::NotFound && !place.backend.is_read_only() => {
            place.ensure_container().await?;
            Marker::read_or_create(&place.backend, LAYOUTS).await?
        }
        read => read?,
    };
    Ok(place.store(marker))
}

/// Opens a place that holds a store which has lost its marker: see
/// [`esm_core::recovery`]. Writes nothing.
///
/// # Errors
/// `AlreadyExists` where there is a marker; `NotFound` where there is nothing of a store; otherwise
/// as [`open`].
pub async fn open_unmarked(
    connection: &Connection,
    address: &str,
    options: OpenOptions,
) -> Result<Unmarked> {
    let place = Place::at(connection, address, options)?;
    let container = place.container;
    Unmarked::open(place.backend, LAYOUTS, |backend, marker| {
        Place { container, backend }.store(marker)
    })
    .await
}

/// A container, and a prefix in it that a store may be below.
struct Place {
    container: Arc<Container>,
    backend: Arc<Backend>,
}

impl Place {
    fn at(connection: &Connection, address: &str, options: OpenOptions) -> Result<Self> {
        let address = Address::parse(address)?;
        let container = Arc::new(Container::new(
            connection,
            &address.container,
            address.to_string(),
            options.environment.clone(),
        )?);
        let mut place = connection.container_url(&address.container)?;
        place.set_query(None);
        let place = format!("{place}/{}", address.prefix);
        let objects = Arc::new(BlobObjects::new(Arc::clone(&container), place));
        Ok(Self {
            container,
            backend: Arc::new(Backend::new(objects, address.prefix, options)),
        })
    }

    /// Creates the container if the service says that it does not exist.
    async fn ensure_container(&self) -> Result<()> {
        match self.backend.get(&self.backend.layout().marker()).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => self.container.create().await,
            _ => Ok(()),
        }
    }

    /// The store that the marker describes.
    fn store(self, marker: Marker) -> Store {
        let is_own = marker.layout == LAYOUT;
        let store = Store::new(Arc::clone(&self.backend), marker);
        if !is_own {
            return store;
        }
        let locks = LeaseLocks::new(Arc::clone(&self.backend), Arc::clone(&self.container));
        let records = BlobRecords::new(self.backend, self.container, store.records());
        store
            .with_records(Arc::new(records))
            .with_locks(Arc::new(locks))
    }
}
