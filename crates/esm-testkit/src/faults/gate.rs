//! A gate that holds an actor up.

use tokio_util::sync::CancellationToken;

/// Holds up whoever reaches it until it is opened. A handle: clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    reached: CancellationToken,
    opened: CancellationToken,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until somebody stands before it.
    pub async fn reached(&self) {
        self.reached.cancelled().await;
    }

    /// Whether somebody stands, or stood, before it.
    pub fn is_reached(&self) -> bool {
        self.reached.is_cancelled()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.opened.cancel();
    }

    pub(crate) async fn pass(&self) {
        self.reached.cancel();
        self.opened.cancelled().await;
    }
}
