//! Conformance suites, which every provider must pass.
//!
//! Each case checks one promise of a trait of [`esm_core::store`]. Its documentation cites the
//! promise: by its number where it is a numbered guarantee or a rule of the protocol ([R4](esm_core::protocol#r4)),
//! otherwise in the words of the method. A harness gives each case a fresh storage, and as many
//! handles on it as the case needs. A handle represents a process, so two of them share nothing but
//! the storage.
//!
//! ```
//! use std::sync::Arc;
//!
//! use esm_core::store::EventStore;
//! use esm_testkit::conformance::EventStoreHarness;
//! use esm_testkit::memory::MemoryWorld;
//!
//! struct Memory(MemoryWorld);
//!
//! #[async_trait::async_trait]
//! impl EventStoreHarness for Memory {
//!     async fn open(&self) -> Arc<dyn EventStore> {
//!         self.0.event_store()
//!     }
//! }
//!
//! // one #[test] per case; the expression runs anew for each and may await
//! esm_testkit::event_store_conformance!(Memory(MemoryWorld::new(esm_testkit::environment(1))));
//! # fn main() {}
//! ```

mod cases;
mod fixtures;
mod harness;
mod race;
mod verdict;

pub mod backup;
pub mod damage;
pub mod event_store;
pub mod lock;
pub mod records;

pub use cases::{Case, run_case};
pub use harness::{
    BackupHarness, DamageHarness, EventStoreHarness, LockHarness, RecordsHarness, Services,
};
pub use verdict::{Failure, Verdict};
