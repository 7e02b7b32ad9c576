//! Event streams in PostgreSQL.
//!
//! [`Settings`] say where a database is and how to connect to it, from an address and the `PG…`
//! variables; [`Database`] is the open database. [`LayoutStore`] reads the events of another
//! library where they are, by a layout of `esm-layout`. It needs `SELECT` alone, writes nothing and
//! works on a standby. [`InPlace`] rewrites them, under their own numbers.
//!
//! [`open_store`] opens a store of esm's own in a schema: streams, records, locks and backups in the
//! layout of `esm-cells`, with a row for each object.
//!
//! ```no_run
//! # async fn read() -> esm_core::Result<()> {
//! use esm_postgres::{Database, LayoutStore, Settings};
//!
//! let settings = Settings::from_environment("postgres://eva@localhost/shop?layout=cqrs-es")?;
//! let store = LayoutStore::open(Database::connect(settings).await?).await?;
//! println!("{} are in {}", store.layout().name, store.location());
//! # Ok(())
//! # }
//! ```

mod connection;
mod in_place;
mod layout;
mod own;

pub use connection::{Database, Query, Settings, SslMode};
pub use esm_cells::{OpenOptions, Store, Unmarked};
pub use in_place::{
    Archive, Behind, Description, InPlace, InPlaceOptions, Pass, Rewrite, RewriteStatus, Running,
    Settled, Surroundings, Undone,
};
pub use layout::{GlobalEvent, LayoutStore, LayoutTables, describe_table, layout_named};
pub use own::{is_store_address, open_or_create_store, open_store, open_unmarked_store};
