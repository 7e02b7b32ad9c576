//! A backup provider with a defect.

use esm_core::Result;
use esm_core::store::BackupProvider as _;
use esm_testkit::memory::MemoryBackups;
use esm_testkit::tap::{Call, Tap};
use futures::TryStreamExt as _;

/// Loses all backups when they are listed.
#[derive(Debug, Clone)]
pub(crate) struct LosesWhatIsListed(pub(crate) MemoryBackups);

impl Tap for LosesWhatIsListed {
    type Started = ();

    async fn begin(&self, call: Call) -> Result<()> {
        if call.name == "backups.list" {
            let manifests: Vec<_> = self.0.list().try_collect().await?;
            for manifest in manifests {
                self.0.delete(&manifest.id).await?;
            }
        }
        Ok(())
    }

    fn twice(&self, _started: &()) -> bool {
        false
    }

    async fn end<T: Send>(&self, _started: (), result: Result<T>) -> Result<T> {
        result
    }
}
