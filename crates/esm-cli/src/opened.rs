//! Opening a store with the provider that its address belongs to.

use esm_azure::Connection;
use esm_core::Result;
use esm_objectstore::{OpenOptions, Store, Unmarked};
use esm_postgres::Settings;

/// Returns an address in a form to keep in plans and journals: a relative path made absolute. Opens
/// nothing.
///
/// # Errors
/// `Invalid` for a malformed address, and for one with credentials.
pub(crate) fn absolute(address: &str) -> Result<String> {
    if esm_azure::is_address(address) {
        return esm_azure::check_address(address).map(|()| address.to_owned());
    }
    if esm_sqlite::is_address(address) {
        return esm_sqlite::absolute_address(address);
    }
    if Settings::is_address(address) {
        return Settings::from_environment(address).map(|_| address.to_owned());
    }
    esm_objectstore::absolute_address(address)
}

/// Returns whether a store at this address is on this machine: creating one by a mistyped address is
/// cheap there.
pub(crate) fn is_local(address: &str) -> bool {
    esm_sqlite::is_address(address) || esm_objectstore::is_local(address)
}

/// Opens a store that exists.
///
/// # Errors
/// Those of the provider.
pub(crate) async fn open(address: &str, options: OpenOptions) -> Result<Store> {
    if esm_azure::is_address(address) {
        let connection = Connection::from_environment()?;
        return esm_azure::open(&connection, address, options).await;
    }
    if esm_sqlite::is_address(address) {
        return esm_sqlite::open(address, options).await;
    }
    if esm_postgres::is_store_address(address) {
        let settings = Settings::from_environment(address)?;
        return esm_postgres::open_store(settings, options).await;
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
    if esm_sqlite::is_address(address) {
        return esm_sqlite::open_or_create(address, options).await;
    }
    if esm_postgres::is_store_address(address) {
        let settings = Settings::from_environment(address)?;
        return esm_postgres::open_or_create_store(settings, options).await;
    }
    esm_objectstore::open_or_create(address, options).await
}

/// Opens a place that holds a store without its marker.
///
/// # Errors
/// Those of the provider.
pub(crate) async fn open_unmarked(address: &str, options: OpenOptions) -> Result<Unmarked> {
    if esm_azure::is_address(address) {
        let connection = Connection::from_environment()?;
        return esm_azure::open_unmarked(&connection, address, options).await;
    }
    if esm_sqlite::is_address(address) {
        return esm_sqlite::open_unmarked(address, options).await;
    }
    if esm_postgres::is_store_address(address) {
        let settings = Settings::from_environment(address)?;
        return esm_postgres::open_unmarked_store(settings, options).await;
    }
    esm_objectstore::open_unmarked(address, options).await
}
