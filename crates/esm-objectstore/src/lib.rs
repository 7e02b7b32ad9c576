//! Event streams, records, locks and backups over any object store.
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
//! Everything rests on one promise of the storage, which is tested when a store is made: an object
//! that is created if absent is created by one writer only. Cells of streams, versions of records
//! and acquisitions of locks are objects with numbers for names, each created that way. Whatever a
//! write is answered with, the object that stands there decides what became of it.
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

pub use esm_cells::{OpenOptions, Store};
pub use location::local_directory;
pub use open::{open, open_or_create, open_or_create_with_client, open_with_client};
