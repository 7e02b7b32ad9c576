//! Opening stores.

use std::sync::Arc;

use esm_cells::{Backend, Key, LAYOUT, OpenOptions, Store, Unmarked};
use esm_core::{Error, Result};

use super::rows::Rows;
use super::schema::{Found, Schema};
use crate::connection::{Database, Settings};

/// The schema of a store, if the address names none.
const SCHEMA: &str = "esm";

/// Returns whether an address is one of a store of esm's own:
/// `postgres://user@host/database?schema=NAME`, without a layout.
pub fn is_store_address(text: &str) -> bool {
    let has =
        |name: &str| text.contains(&format!("?{name}=")) || text.contains(&format!("&{name}="));
    Settings::is_address(text) && has("schema") && !has("layout")
}

/// Opens a store that exists.
///
/// # Errors
/// - `NotFound` when there is no such database, or no store in the schema.
/// - `PermissionDenied`; `Invalid` for a schema of another program.
/// - `Unsupported` for a standby, a server that acknowledges what it may lose
///   (`synchronous_commit = off`) or is older than 15, and for a newer format.
/// - `Corrupt`, `Unavailable`.
pub async fn open_store(settings: Settings, options: OpenOptions) -> Result<Store> {
    Store::open(existing(settings, options).await?).await
}

/// Opens a store, or creates one where there is none: the schema, its tables and the marker.
/// Concurrent callers get the same store. With read-only options nothing is created.
///
/// # Errors
/// As [`open_store`].
pub async fn open_or_create_store(settings: Settings, options: OpenOptions) -> Result<Store> {
    if options.read_only {
        return open_store(settings, options).await;
    }
    let (database, schema) = connected(settings).await?;
    let (found, place) = schema.inspect(&database).await?;
    if found == Found::Nothing {
        schema.create(&database).await?;
    }
    Store::open_or_create(backend(database, &schema, place, options).await).await
}

/// Opens a schema that holds a store which has lost its marker: see [`esm_core::recovery`]. Writes
/// nothing.
///
/// # Errors
/// `AlreadyExists` where there is a marker; `NotFound` where there is nothing of a store; otherwise
/// as [`open_store`].
pub async fn open_unmarked_store(settings: Settings, options: OpenOptions) -> Result<Unmarked> {
    let backend = existing(settings, options).await?;
    Unmarked::open(backend, &[LAYOUT], Store::new).await
}

/// Opens the rows of a store whose tables are created, for tests that put something in between.
#[cfg(all(test, unix))]
pub(super) async fn rows_for_tests(settings: Settings) -> Result<Rows> {
    let (database, schema) = connected(settings).await?;
    schema.create(&database).await?;
    let (_, place) = schema.inspect(&database).await?;
    let environment = esm_core::clock::Environment::system();
    Ok(Rows::new(database, &schema, place, environment))
}

async fn connected(settings: Settings) -> Result<(Database, Schema)> {
    let name = settings.parameter("schema").filter(|name| !name.is_empty());
    let schema = Schema::new(name.unwrap_or(SCHEMA));
    Ok((Database::connect(settings).await?, schema))
}

async fn existing(settings: Settings, options: OpenOptions) -> Result<Arc<Backend>> {
    let (database, schema) = connected(settings).await?;
    let (found, place) = schema.inspect(&database).await?;
    if found == Found::Nothing {
        let message = format!("no esm store is here: {}", database.settings());
        return Err(Error::not_found(message)
            .with_hint("check the address, or create the store: esm store init"));
    }
    Ok(backend(database, &schema, place, options).await)
}

async fn backend(
    database: Database,
    schema: &Schema,
    place: String,
    options: OpenOptions,
) -> Arc<Backend> {
    let rows = Rows::new(database, schema, place, options.environment.clone());
    if !options.read_only {
        rows.sweep().await;
    }
    Arc::new(Backend::new(Arc::new(rows), Key::default(), options))
}
