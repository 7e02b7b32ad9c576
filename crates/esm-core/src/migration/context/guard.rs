//! What ends a run: a request, the loss of its lock, or another holder.

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::migration::journal::Journal;
use crate::migration::lock::held_lock::HeldLock;
use crate::protocol::journal::JournalEntry;

/// What makes sure that this run alone works on its migration, and ends it when it does not.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) stop: Stop,
    pub(crate) journal: Mutex<Journal>,
}

impl Guard {
    /// Makes sure that no other holder has taken this migration over, by reading its journal.
    ///
    /// Together with the order of an undo (it claims the journal, and then looks for targets that
    /// were begun) this keeps a holder that was paused from closing a source that was rolled back:
    /// a target is begun before this is called, so either the claim is seen here, or the undo sees
    /// the target and fences it (R17). To be called right before a Close or a Fence.
    ///
    /// # Errors
    /// `Fenced`, and from then on at every safe point; those of the records.
    pub(crate) async fn ensure_in_charge(&self) -> Result<()> {
        let watch = self.journal.lock().await.watch();
        let ours = watch.ensure_ours().await;
        if ours.as_ref().is_err_and(|e| *e.kind() == ErrorKind::Fenced) {
            self.stop.taken_over.cancel();
        }
        ours
    }

    /// Whether an earlier holder may have begun something.
    pub(crate) async fn is_resumed(&self) -> bool {
        self.journal.lock().await.state().epoch > Epoch(1)
    }

    /// Appends to the journal.
    ///
    /// # Errors
    /// `Fenced`; those of the records.
    pub(crate) async fn record(&self, entry: JournalEntry) -> Result<()> {
        self.journal.lock().await.append(entry).await
    }

    /// Whether an error concerns the run and not only the object at which it showed.
    pub(crate) fn ends_the_run(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Cancelled | ErrorKind::LockLost => true,
            ErrorKind::Fenced => self.stop.taken_over.is_cancelled(),
            _ => false,
        }
    }
}

/// What makes a run stop at its next safe point.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) requested: CancellationToken,
    pub(crate) lock: Option<HeldLock>,
    /// Whether another holder was seen in the journal.
    pub(crate) taken_over: CancellationToken,
}

impl Stop {
    /// Waits until the lock is lost, and returns the error that says so. Never returns without a lock.
    pub(crate) async fn lost(&self) -> Error {
        let Some(lock) = &self.lock else {
            return std::future::pending().await;
        };
        lock.lost().cancelled().await;
        lock.lost_error()
    }

    /// Waits for something, or until the run must stop; [`check`](Self::check) then returns the reason.
    pub(crate) async fn or(&self, something: impl Future) {
        tokio::select! {
            _ = something => {}
            () = self.requested.cancelled() => {}
            () = self.taken_over.cancelled() => {}
            _ = self.lost() => {}
        }
    }

    /// Returns an error when the run must stop.
    ///
    /// # Errors
    /// `Cancelled`, `Fenced` or `LockLost`.
    pub(crate) fn check(&self) -> Result<()> {
        if self.taken_over.is_cancelled() {
            let message = "another has taken over this migration";
            return Err(Error::new(ErrorKind::Fenced, message));
        }
        if self.requested.is_cancelled() {
            return Err(
                Error::new(ErrorKind::Cancelled, "stopped at a safe point on request")
                    .with_hint("resume the migration to go on"),
            );
        }
        self.lock.as_ref().map_or(Ok(()), HeldLock::ensure_held)
    }
}
