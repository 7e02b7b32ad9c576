//! Removing a stream that never mattered.

use esm_core::Result;
use esm_core::id::StreamId;
use futures::TryStreamExt as _;

use super::cells::ObjectEventStore;

impl ObjectEventStore {
    /// Removes every object of a stream, one after the other: the hint, then the cells from the
    /// last to the first.
    ///
    /// In that order the rest is always a stream without gaps, only shorter: a concurrent reader,
    /// or one after a crash, finds a valid state. The first cell, which names the migration, is
    /// deleted last. The cells are listed rather than counted, so that those are found too that a
    /// paused writer put behind an earlier discard.
    pub(super) async fn remove(&self, stream: &StreamId) -> Result<()> {
        self.backend.check_writable()?;
        let folder = self.backend.layout().stream(stream);
        let mut keys: Vec<_> = self.backend.list(&folder).try_collect().await?;
        // "head" sorts behind "c/…"
        keys.sort_unstable_by(|a, b| b.cmp(a));
        let removed = self.backend.delete(keys).await;
        self.known.forget(stream);
        self.seen.forget(stream);
        removed
    }
}
