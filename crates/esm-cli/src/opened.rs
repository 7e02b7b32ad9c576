//! An open store, whichever provider it is of.

use std::sync::Arc;

use esm_azure::Connection;
use esm_core::Result;
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};
use esm_objectstore::OpenOptions;

/// An open store: one of Azure's blob storage with Microsoft's SDK, or one of any other object
/// store.
#[derive(Debug)]
pub(crate) enum Store {
    Azure(esm_azure::Store),
    Object(esm_objectstore::Store),
}

impl Store {
    /// Opens a store that exists.
    ///
    /// # Errors
    /// Those of the provider.
    pub(crate) async fn open(address: &str, options: OpenOptions) -> Result<Self> {
        Ok(match connection(address)? {
            Some(connection) => {
                Self::Azure(esm_azure::Store::open(&connection, address, options).await?)
            }
            None => Self::Object(esm_objectstore::Store::open(address, options).await?),
        })
    }

    /// Opens a store, or makes one where there is none.
    ///
    /// # Errors
    /// Those of the provider.
    pub(crate) async fn open_or_create(address: &str, options: OpenOptions) -> Result<Self> {
        Ok(match connection(address)? {
            Some(connection) => {
                Self::Azure(esm_azure::Store::open_or_create(&connection, address, options).await?)
            }
            None => Self::Object(esm_objectstore::Store::open_or_create(address, options).await?),
        })
    }

    pub(crate) fn location(&self) -> &str {
        match self {
            Self::Azure(store) => store.location(),
            Self::Object(store) => store.location(),
        }
    }

    pub(crate) fn event_store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Azure(store) => store.event_store(),
            Self::Object(store) => store.event_store(),
        }
    }

    pub(crate) fn records(&self) -> Arc<dyn Records> {
        match self {
            Self::Azure(store) => store.records(),
            Self::Object(store) => store.records(),
        }
    }

    pub(crate) fn locks(&self) -> Arc<dyn LockProvider> {
        match self {
            Self::Azure(store) => store.locks(),
            Self::Object(store) => store.locks(),
        }
    }

    pub(crate) fn backups(&self) -> Arc<dyn BackupProvider> {
        match self {
            Self::Azure(store) => store.backups(),
            Self::Object(store) => store.backups(),
        }
    }
}

/// The connection that the environment describes, for an address that needs one.
fn connection(address: &str) -> Result<Option<Connection>> {
    match esm_azure::Store::is_address(address) {
        true => Connection::from_environment().map(Some),
        false => Ok(None),
    }
}
