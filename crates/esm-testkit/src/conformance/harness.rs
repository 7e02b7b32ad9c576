//! What a provider brings to its conformance suite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use esm_core::id::BackupId;
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};

/// An empty storage for one case.
#[async_trait]
pub trait EventStoreHarness: Send + Sync {
    /// A handle on the storage, as a process gets it that has just started.
    async fn open(&self) -> Arc<dyn EventStore>;
}

/// An empty storage for one case.
#[async_trait]
pub trait RecordsHarness: Send + Sync {
    /// A handle on the storage, as a process gets it that has just started.
    async fn open(&self) -> Arc<dyn Records>;
}

/// An empty storage for one case, and its time.
#[async_trait]
pub trait LockHarness: Send + Sync {
    /// A handle on the storage, as a process gets it that has just started. All handles share a
    /// clock.
    async fn open(&self) -> Arc<dyn LockProvider>;

    /// The lease that the cases ask for: short where time passes for real, yet far longer than a
    /// call takes.
    fn lease(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Lets this much time pass: sets a clock forward, such as a
    /// [`SteppedClock`](crate::SteppedClock), or waits.
    async fn pass(&self, duration: Duration);
}

/// An empty storage for one case.
#[async_trait]
pub trait BackupHarness: Send + Sync {
    /// A handle on the storage, as a process gets it that has just started.
    async fn open(&self) -> Arc<dyn BackupProvider>;

    /// Changes a byte of this backup's stored events behind the provider's back. Answers whether
    /// it could; where it cannot, nothing is checked.
    async fn corrupt(&self, id: &BackupId) -> bool;
}
