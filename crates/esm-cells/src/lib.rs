//! A store of events over any storage that can create an object only if it is absent.
//!
//! Use this crate to write a provider: implement [`Objects`] for a storage, and [`Store`] makes
//! streams, records, locks and backups of it. Do not use it to open a store on a local directory, an
//! object store, on Azure, in a SQLite file or in PostgreSQL: `esm-objectstore`, `esm-azure`,
//! `esm-sqlite` and `esm-postgres` do that, and return the same [`Store`]. This crate knows no network, no file system and no addresses.
//!
//! Cells of streams, versions of records and acquisitions of locks are objects with numbers for
//! names, each created once. After a write that did not succeed, the object is read back and
//! decides the outcome ([`Backend::create`]). `docs/formats.md` describes what is stored under
//! which key; `docs/providers.md` shows a whole provider.
//!
//! ```
//! use std::sync::Arc;
//!
//! use esm_cells::{Backend, Key, Objects, OpenOptions, Store};
//!
//! /// Opens a store below a folder of a storage, or creates one.
//! async fn shop(storage: impl Objects) -> esm_core::Result<Store> {
//!     let root = Key::new("shop");
//!     let backend = Backend::new(Arc::new(storage), root, OpenOptions::new());
//!     Store::open_or_create(Arc::new(backend)).await
//! }
//! ```

mod backend;
mod backup;
mod buffered;
mod event_store;
mod inventory;
mod key;
mod known;
mod layout;
mod listing;
mod lock;
mod marker;
mod objects;
mod options;
mod parts;
mod probe;
mod records;
mod redact;
mod remains;
mod segment;
mod self_test;
mod store;
mod unmarked;

pub use backend::{Backend, Creation};
pub use buffered::buffered_upload;
pub use key::Key;
pub use layout::{LAYOUT, Layout};
pub use listing::list_in_pages;
pub use marker::Marker;
pub use objects::{Objects, Upload, UploadWriter, WriteFailure};
pub use options::OpenOptions;
pub use parts::{PART_BYTES, PartStore, Uploaded, upload_in_parts};
pub use records::{RecordVersion, encode_version, split_version};
pub use redact::Cause;
pub use store::Store;
pub use unmarked::Unmarked;
