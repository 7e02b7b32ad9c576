//! Migrates streams that are in an event store of another kind, and stay there: a table, Kurrent,
//! anything that appends at an expected position.
//!
//! You write a [`NativeStore`], a small adapter. It reads the entries of a stream from a position
//! on, and appends entries at an exact expected position. [`ForeignEventStore`] makes an
//! [`EventStore`](esm_core::store::EventStore) of it, which every part of esm-core accepts. It
//! counts revisions without the entries that are esm's own. It treats an entry that an application
//! wrote without esm as a cell of one event. [`adopt`] makes an object of a stream that exists
//! already.
//!
//! A stream can be migrated while applications write to it only if nothing is ever appended after
//! its Close. The adapter declares how the store ensures that ([`CloseProof`]).
//! [`ForeignEventStore::open`] tests the declaration, and the other guarantees that a migration
//! rests on, on streams of its own. A store that fails can still be read; a migration refuses it
//! and gives the [`Finding`] as the reason.
//!
//! The crate is not for new stores: a storage without an event store is better served by a
//! provider (`esm-objectstore`, `esm-azure`, or one on `esm-cells`). It keeps no documents, journals
//! or locks; those need a provider beside the event store. It connects to no database: the
//! adapter does.
//!
//! # Example
//!
//! An adapter for a table of events, here a map under a lock. The lock is the transaction.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::{Arc, Mutex};
//!
//! use async_trait::async_trait;
//! use esm_core::clock::Environment;
//! use esm_core::event::Event;
//! use esm_core::id::StreamId;
//! use esm_core::{Error, ErrorKind, Result};
//! use esm_foreign::{
//!     CLOSE, CloseProof, Entry, ForeignEventStore, NativeStore, Profile, Recorded, Slice, SliceLimit,
//! };
//!
//! #[derive(Debug, Default)]
//! struct Table(Mutex<BTreeMap<StreamId, Vec<Entry>>>);
//!
//! impl Table {
//!     fn entries(&self, stream: &StreamId) -> Vec<Recorded> {
//!         let table = self.0.lock().expect("no panic under the lock");
//!         let entries = table.get(stream).cloned().unwrap_or_default();
//!         (0..).zip(entries).map(|(position, entry)| Recorded { position, entry }).collect()
//!     }
//!
//!     fn insert(&self, stream: &StreamId, expected: Option<u64>, new: Vec<Entry>) -> Result<()> {
//!         let mut table = self.0.lock().expect("no panic under the lock");
//!         let entries = table.entry(stream.clone()).or_default();
//!         let count = entries.len() as u64;
//!         let closed = entries.last().is_some_and(|e| e.event.event_type.as_str() == CLOSE);
//!         if closed || expected.is_some_and(|expected| expected != count) {
//!             let kind = ErrorKind::Conflict { actual: None };
//!             return Err(Error::new(kind, format!("{stream} has {count} entries, closed: {closed}")));
//!         }
//!         entries.extend(new);
//!         Ok(())
//!     }
//! }
//!
//! #[async_trait]
//! impl NativeStore for Table {
//!     fn profile(&self) -> Profile {
//!         Profile::new(CloseProof::StoreRefuses)
//!     }
//!
//!     async fn read(&self, stream: &StreamId, from: u64, limit: SliceLimit) -> Result<Slice> {
//!         let later = self.entries(stream).into_iter().filter(|entry| entry.position >= from);
//!         let entries = later.take(limit.entries).collect();
//!         Ok(Slice { entries, at_end: false })
//!     }
//!
//!     async fn last(&self, stream: &StreamId) -> Result<Option<Recorded>> {
//!         Ok(self.entries(stream).pop())
//!     }
//!
//!     async fn append(&self, stream: &StreamId, expected: u64, entries: Vec<Entry>) -> Result<()> {
//!         self.insert(stream, Some(expected), entries)
//!     }
//!
//!     async fn append_as_old_writer(
//!         &self,
//!         stream: &StreamId,
//!         expected: Option<u64>,
//!         event: Event,
//!     ) -> Result<()> {
//!         self.insert(stream, expected, vec![event.into()])
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = ForeignEventStore::open(Arc::new(Table::default()), &Environment::system()).await?;
//! assert_eq!(store.finding(), None, "the self-test found no fault");
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! ```
//!
//! `esm-testkit` runs the suite of event stores, with faults, and sweeps of whole migrations on an
//! adapter. `docs/own-event-store.md` describes what the store must do and what applications see.
//!
//! # Files
//!
//! | file | idea |
//! |---|---|
//! | `native` | what an adapter implements |
//! | `envelope` | an event as type, bytes and JSON metadata, as most stores keep it |
//! | `mark`, `cell` | cells as native entries, and back |
//! | `place`, `places` | which cell begins at which native position: pure, and remembered |
//! | `streams` | finding a cell, reading pages |
//! | `store` | the event store |
//! | `marker` | the store's identity, and the outcomes of its self-tests |
//! | `self_test`, `probe`, `trial` | the self-test, its trials, and the outcome of one |
//! | `adopt` | objects whose streams exist already |

mod adopt;
mod cell;
mod envelope;
mod mark;
mod marker;
mod native;
mod place;
mod places;
mod probe;
mod self_test;
mod store;
mod streams;
mod trial;

pub use adopt::adopt;
pub use cell::{CELL, CLOSE, FENCE};
pub use envelope::Envelope;
pub use native::{CloseProof, Entry, NativeStore, Profile, Recorded, Slice, SliceLimit};
pub use store::ForeignEventStore;
pub use trial::Finding;
