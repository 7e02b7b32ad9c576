//! Stores of events on local directories, in memory, and on object stores.
//!
//! [`open`] takes an address, [`open_with_client`] a client, and both return a [`Store`], which
//! hands out what esm-core works on: an [`EventStore`](esm_core::store::EventStore),
//! [`Records`](esm_core::store::Records), a [`LockProvider`](esm_core::store::LockProvider) and a
//! [`BackupProvider`](esm_core::store::BackupProvider).
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> esm_core::Result<()> {
//! use esm_objectstore::OpenOptions;
//!
//! let store = esm_objectstore::open_or_create("memory:", OpenOptions::new()).await?;
//! let events = store.event_store();
//! assert_eq!(events.id(), store.id());
//! # Ok(())
//! # }
//! ```
//!
//! The storage must create an object only if it is absent, atomically; creating a store tests that.
//!
//! This crate is not for a storage that `object_store` does not reach: write a provider over
//! `esm-cells`. On Azure prefer `esm-azure`, which uses leases and entity tags. For
//! many small objects on one machine prefer a SQLite file, `esm-sqlite`.
//!
//! Clients of remote stores are behind the features `aws`, `gcp` and `azure`; a local directory and
//! memory are always there. `docs/providers.md` says how each is configured and what it was tested
//! on, `docs/formats.md` what is stored under which key.

mod client;
mod failure;
mod local;
mod location;
mod open;
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
mod remote;

pub use esm_cells::{OpenOptions, Store, Unmarked};
pub use location::{is_local, local_directory};
pub use open::{
    absolute_address, open, open_or_create, open_or_create_with_client, open_unmarked,
    open_with_client,
};
