//! A gate that stalls an actor.

use tokio_util::sync::CancellationToken;

/// Stalls every call that reaches it, until it is opened. A handle: clones are the same gate.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records};
/// use esm_testkit::faults::{At, Fault, FaultPlan, Gate};
/// use esm_testkit::memory::MemoryRecords;
///
/// let gate = Gate::new();
/// let plan = FaultPlan::new().with(At::Operation(0), Fault::Stall(gate.clone()));
/// let records = plan.actor("slow").records(Arc::new(MemoryRecords::new()));
/// let slow = tokio::spawn(async move { records.latest(&RecordKey::Index).await });
/// gate.reached().await;
/// assert!(!slow.is_finished());
/// gate.open();
/// assert!(slow.await.expect("it did not panic")?.is_none());
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Gate {
    reached: CancellationToken,
    opened: CancellationToken,
}

impl Gate {
    /// Returns a closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until a call has reached it.
    pub async fn reached(&self) {
        self.reached.cancelled().await;
    }

    /// Returns whether a call has reached it.
    pub fn is_reached(&self) -> bool {
        self.reached.is_cancelled()
    }

    /// Lets every call through, now and later.
    pub fn open(&self) {
        self.opened.cancel();
    }

    pub(crate) async fn pass(&self) {
        self.reached.cancel();
        self.opened.cancelled().await;
    }
}
