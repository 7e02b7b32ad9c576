//! In-memory fakes of every trait that a provider implements.
//!
//! Each is the shortest honest implementation of its trait: read it to learn what the numbered
//! guarantees mean. A fake is a handle; clones share its content, so a simulated process can die
//! with its handle while another goes on with the same storage.

mod backup;
mod event_store;
mod lock;
mod records;
mod world;

pub use backup::MemoryBackups;
pub use event_store::MemoryEventStore;
pub use lock::MemoryLocks;
pub use records::MemoryRecords;
pub use world::MemoryWorld;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// State that clones of a handle share.
///
/// Every method of a fake takes the lock once and never waits while it holds it: that makes each
/// call atomic, which is what the guarantees of the traits ask for.
#[derive(Debug, Default)]
struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        // a test that panicked elsewhere has not harmed the content: no call is left half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
