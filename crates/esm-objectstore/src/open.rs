//! Opening stores: by address, or over a client of the caller's.

use std::sync::Arc;

use esm_cells::{Backend, Key, LAYOUT, OpenOptions, Store, Unmarked};
use esm_core::{Error, Result};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::client::ClientObjects;
use crate::local::sweep_staging_files;
use crate::location::{Clients, Location};

/// Returns an address in a form to keep: a relative path made absolute. Opens nothing.
///
/// # Errors
/// `Invalid` for a malformed address, and for one with credentials; `Unsupported` for one whose
/// client is not compiled in.
pub fn absolute_address(address: &str) -> Result<String> {
    Location::parse(address).map(|location| location.to_string())
}

/// Opens a store that exists.
///
/// The address is `file:///path` or a plain path, `s3://bucket/prefix`, `gs://bucket/prefix`,
/// `az://container/prefix`, or `memory:`, which is a new and empty store each time. Credentials and
/// options of remote stores come from the usual environment variables.
///
/// # Errors
/// - `Invalid` for a malformed address.
/// - `NotFound` when the directory, bucket or container does not exist, or contains no store.
/// - `PermissionDenied`.
/// - `Unsupported` for a store of another layout or a newer format, and for an address whose client
///   is not compiled in.
/// - `Corrupt` for an unreadable marker; `Unavailable`.
pub async fn open(address: &str, options: OpenOptions) -> Result<Store> {
    let location = Location::parse(address)?;
    let clients = location.connect(false).await?;
    let store = Store::open(backend(clients, location.to_string(), options.clone())).await?;
    sweep(location, &options).await;
    Ok(store)
}

/// Opens a store, or creates one where there is none.
///
/// Creating a store makes a missing local directory with its parents, tests that the storage has
/// conditional writes, and writes the marker. Concurrent callers get the same store. With
/// read-only options nothing is created.
///
/// # Errors
/// As [`open`]; also `StorageFull`, and `Unsupported` when the storage fails the self-test.
pub async fn open_or_create(address: &str, options: OpenOptions) -> Result<Store> {
    let location = Location::parse(address)?;
    let clients = location.connect(!options.read_only).await?;
    let backend = backend(clients, location.to_string(), options.clone());
    let store = Store::open_or_create(backend).await?;
    sweep(location, &options).await;
    Ok(store)
}

/// Opens a place that holds a store which has lost its marker: see
/// [`esm_core::recovery`]. Writes nothing.
///
/// # Errors
/// `AlreadyExists` where there is a marker; `NotFound` where there is nothing of a store;
/// `Unsupported` for a store of another layout; otherwise as [`open`].
pub async fn open_unmarked(address: &str, options: OpenOptions) -> Result<Unmarked> {
    let location = Location::parse(address)?;
    let clients = location.connect(false).await?;
    let backend = backend(clients, location.to_string(), options);
    Unmarked::open(backend, &[LAYOUT], Store::new).await
}

/// Opens a store that exists, over a client of your own, below a prefix, which may be empty.
///
/// The client must
/// - create atomically with [`PutMode::Create`](object_store::PutMode),
/// - acknowledge a write only once it is durable and visible to every later read,
/// - not retry conditional writes: a refusal after a retry says nothing about the first attempt.
///
/// # Errors
/// As [`open`]; `Invalid` also for a malformed prefix.
pub async fn open_with_client(
    client: Arc<dyn ObjectStore>,
    prefix: &str,
    options: OpenOptions,
) -> Result<Store> {
    Store::open(over(client, prefix, options)?).await
}

/// Opens a store over a client of your own, or creates one where there is none.
///
/// The client must behave as [`open_with_client`] demands.
///
/// # Errors
/// As [`open_or_create`]; `Invalid` also for a malformed prefix.
pub async fn open_or_create_with_client(
    client: Arc<dyn ObjectStore>,
    prefix: &str,
    options: OpenOptions,
) -> Result<Store> {
    Store::open_or_create(over(client, prefix, options)?).await
}

/// Removes what crashes left in a local directory that is open for writing.
async fn sweep(location: Location, options: &OpenOptions) {
    if let Location::Directory(path) = location
        && !options.read_only
    {
        sweep_staging_files(path, options.environment.clock.now()).await;
    }
}

fn over(client: Arc<dyn ObjectStore>, prefix: &str, options: OpenOptions) -> Result<Arc<Backend>> {
    let root = Path::parse(prefix).map_err(|e| {
        Error::invalid(format!("prefix is no valid path: {prefix:?}")).with_source(e)
    })?;
    let location = match root.as_ref() {
        "" => client.to_string(),
        prefix => format!("{prefix} of {client}"),
    };
    let clients = Clients {
        // clients do not say whether two of them lead to the same place
        place: None,
        writes: Arc::clone(&client),
        objects: client,
        root,
    };
    Ok(backend(clients, location, options))
}

fn backend(clients: Clients, location: String, options: OpenOptions) -> Arc<Backend> {
    let root = Key::new(clients.root.as_ref());
    let objects = ClientObjects::new(clients, location);
    Arc::new(Backend::new(Arc::new(objects), root, options))
}
