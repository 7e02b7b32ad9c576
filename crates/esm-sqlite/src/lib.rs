//! A store of events in one SQLite file: streams, records, locks and backups.
//!
//! Use this crate for many short streams on one machine. A directory of `esm-objectstore` takes a
//! file for each cell; here a cell is a row, so that a small stream costs a few hundred bytes
//! instead of several blocks of a disk. Any number of processes of one machine may use the file at
//! the same time.
//!
//! Do not use it on a network file system: SQLite's locks and its write-ahead log need a local one.
//! On Linux a network file system is recognised and refused.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> esm_core::Result<()> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let address = format!("sqlite:{}", folder.path().join("shop.db").display());
//! use esm_sqlite::OpenOptions;
//!
//! // address: sqlite:/var/lib/shop.db, or sqlite:shop.db
//! let store = esm_sqlite::open_or_create(&address, OpenOptions::new()).await?;
//! let events = store.event_store();
//! assert_eq!(events.id(), store.id());
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! 1. An acknowledged write is on the disk: the log is synced before a write returns
//!    (`synchronous = FULL`), as far as the disk keeps its word about syncing.
//! 2. Of several writes that create the same key, in any number of processes, one succeeds: the key
//!    is unique in the database.
//! 3. Writes that wait at the same time share a transaction, and so a sync.
//! 4. After an error of the disk itself every later call of the process fails, because nobody knows
//!    what is on it.
//!
//! The file is a store of the layout `esm-cells`, with a row for each object; `docs/formats.md`
//! describes the tables.

mod address;
mod change;
mod database;
mod failure;
mod folder;
mod holder;
mod objects;
mod open;
mod schema;
mod upload;
mod writer;

pub use esm_cells::{OpenOptions, Store, Unmarked};
pub use open::{absolute_address, is_address, open, open_or_create, open_unmarked};
