//! Opening a store with the provider that its address belongs to.

use esm_azure::Connection;
use esm_core::Result;
use esm_objectstore::{OpenOptions, Store};

/// Opens a store that exists.
///
/// # Errors
/// Those of the provider.
pub(crate) async fn open(address: &str, options: OpenOptions) -> Result<Store> {
    if esm_azure::is_address(address) {
        let connection = Connection::from_environment()?;
        return esm_azure::open(&connection, address, options).await;
    }
    esm_objectstore::open(address, options).await
}

/// Opens a store, or creates one where there is none.
///
/// # Errors
/// Those of the provider.
pub(crate) async fn open_or_create(address: &str, options: OpenOptions) -> Result<Store> {
    if esm_azure::is_address(address) {
        let connection = Connection::from_environment()?;
        return esm_azure::open_or_create(&connection, address, options).await;
    }
    esm_objectstore::open_or_create(address, options).await
}
