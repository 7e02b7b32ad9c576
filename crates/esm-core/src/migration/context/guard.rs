//! What ends a run: a request, the loss of its lock, or another holder.

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::migration::journal::Journal;
use crate::migration::lock::held_lock::HeldLock;
use crate::protocol::journal::JournalEntry;

/// Ensures that only this run works on its migration, and ends the run otherwise.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) stop: Stop,
    pub(crate) journal: Mutex<Journal>,
}

impl Guard {
    /// Reads the journal and returns an error if another holder has taken this migration over. To
    /// be called before a Close, at the earliest together with the comparison that precedes it, and
    /// right before a Fence.
    ///
    /// An undo claims the journal first and then reads the targets. A target exists before this is
    /// called. So either this reads the claim, or the undo finds the target and fences its source
    /// (R17): a paused holder cannot close a source that was rolled back.
    ///
    /// # Errors
    /// `Fenced`, and from then on at each safe point; those of the records.
    pub(crate) async fn ensure_in_charge(&self) -> Result<()> {
        let watch = self.journal.lock().await.watch();
        let ours = watch.ensure_ours().await;
        if ours.as_ref().is_err_and(|e| *e.kind() == ErrorKind::Fenced) {
            self.stop.taken_over.cancel();
        }
        ours
    }

    /// Whether an earlier holder may have written targets.
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

    /// Whether an error ends the whole run, not only the migration of one object.
    pub(crate) fn ends_the_run(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Cancelled | ErrorKind::LockLost => true,
            ErrorKind::Fenced => self.stop.taken_over.is_cancelled(),
            _ => false,
        }
    }
}

/// The reasons for a run to stop at its next safe point.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) requested: CancellationToken,
    pub(crate) lock: Option<HeldLock>,
    /// Set when the journal shows another holder.
    pub(crate) taken_over: CancellationToken,
}

impl Stop {
    /// Waits until the lock is lost, and returns the error. Never returns without a lock.
    pub(crate) async fn lost(&self) -> Error {
        let Some(lock) = &self.lock else {
            return std::future::pending().await;
        };
        lock.lost().cancelled().await;
        lock.lost_error()
    }

    /// Waits for something, or until the run must stop; [`check`](Self::check) then returns the
    /// reason.
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
            let message = "another holder has taken over this migration";
            return Err(Error::new(ErrorKind::Fenced, message));
        }
        if self.requested.is_cancelled() {
            return Err(
                Error::new(ErrorKind::Cancelled, "stopped at a safe point on request")
                    .with_hint("resume the migration to continue"),
            );
        }
        self.lock.as_ref().map_or(Ok(()), HeldLock::ensure_held)
    }
}
