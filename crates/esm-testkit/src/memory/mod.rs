//! In-memory fakes of every trait that a provider, or an adapter of an event store, implements.
//!
//! Each is the shortest correct implementation of its trait: read it to learn what the numbered
//! guarantees mean. A fake is a handle and clones share its content. So a simulated process can
//! crash with its handle while another continues with the same storage.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?
//! # .block_on(async {
//! use esm_core::id::ObjectId;
//! use esm_testkit::event;
//! use esm_testkit::memory::MemoryWorld;
//!
//! let world = MemoryWorld::new(esm_testkit::environment(1));
//! let order: ObjectId = "order/1".parse()?;
//! let first = world.create_object(&order, [vec![event("e1", "Placed")]]).await?;
//!
//! let migration = world.migration_service().migrate(order.clone());
//! assert!(migration.execute().await?.is_success());
//! let active = world.document(&order).await?.active;
//! assert_ne!(active, first);
//! assert_eq!(world.events(&active.stream), [event("e1", "Placed")]);
//! # Ok::<(), esm_core::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backup;
mod event_store;
mod inventory;
mod lock;
mod native_store;
mod records;
mod world;

pub use backup::MemoryBackups;
pub use event_store::MemoryEventStore;
pub use inventory::MemoryInventory;
pub use lock::MemoryLocks;
pub use native_store::MemoryNativeStore;
pub use records::MemoryRecords;
pub use world::MemoryWorld;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// State that clones of a handle share.
///
/// Every method of a fake takes the lock once and never waits while it holds it. So each call is
/// atomic, as the guarantees of the traits require.
#[derive(Debug, Default)]
struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        // a test that panicked elsewhere has not damaged the content: no call is left half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
