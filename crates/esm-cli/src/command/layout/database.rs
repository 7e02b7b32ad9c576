//! The database of the global options.

use esm_core::{Error, Result};
use esm_postgres::{Database, Settings};

use crate::args::Global;
use crate::session::address;

/// Connects to the database of the global options.
///
/// # Errors
/// `Invalid` if none is given, or the address is none of a database; those of the server.
pub(super) async fn connect(global: &Global) -> Result<Database> {
    let address = address(global)?;
    if !Settings::is_address(address) {
        return Err(
            Error::invalid("a layout is of the tables of a PostgreSQL database")
                .with_hint("give --store postgres://USER@HOST/DATABASE"),
        );
    }
    Database::connect(Settings::from_environment(address)?).await
}
