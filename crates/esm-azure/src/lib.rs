//! Stores of events on Azure Blob Storage, with Microsoft's SDK.
//!
//! A [`Connection`] is an account with credentials; [`open`] takes it with an address
//! `az://container/prefix`, and returns a [`Store`], which hands out what esm-core works on: an
//! [`EventStore`](esm_core::store::EventStore), [`Records`](esm_core::store::Records), a
//! [`LockProvider`](esm_core::store::LockProvider) and a
//! [`BackupProvider`](esm_core::store::BackupProvider).
//!
//! ```no_run
//! # async fn example() -> esm_core::Result<()> {
//! use esm_azure::{Connection, OpenOptions};
//!
//! let connection = Connection::from_connection_string("UseDevelopmentStorage=true")?;
//! let store =
//!     esm_azure::open_or_create(&connection, "az://events/shop", OpenOptions::new()).await?;
//! let events = store.event_store();
//! assert_eq!(events.id(), store.id());
//! # Ok(())
//! # }
//! ```
//!
//! Streams and backups are laid out as `esm-cells` does it everywhere: numbered blobs, created only
//! if absent. Where Azure has more, it is used: locks are leases, and a record is one blob that is
//! replaced on condition of its entity tag. Stores that `esm-objectstore` created are opened as they
//! are. `docs/azure.md` has set-up, roles, costs and limits.
//!
//! This crate is not for other storages: `esm-objectstore` is.

mod address;
mod blob;
mod connection;
mod container;
mod failure;
mod list;
mod lock;
mod objects;
mod open;
mod records;
mod upload;

pub use connection::Connection;
pub use esm_cells::{OpenOptions, Store, Unmarked};
pub use open::{check_address, is_address, open, open_or_create, open_unmarked};
