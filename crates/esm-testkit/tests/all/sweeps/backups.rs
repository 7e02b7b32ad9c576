//! Backup providers with one defect each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use esm_core::Result;
use esm_core::id::BackupId;
use esm_core::store::{
    BackupDraft, BackupItem, BackupManifest, BackupProvider, BackupReader, BackupWriter,
};
use esm_testkit::memory::MemoryBackups;
use esm_testkit::tap::{Call, Tap};
use futures::TryStreamExt as _;
use futures::stream::BoxStream;

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

/// Forgets events of what was read once: of backups that were found right.
#[derive(Debug)]
pub(crate) struct ForgetsWhatWasRead {
    pub(crate) inner: Arc<dyn BackupProvider>,
    pub(crate) read: AtomicBool,
}

#[async_trait]
impl BackupProvider for ForgetsWhatWasRead {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn create(&self, draft: BackupDraft) -> Result<Box<dyn BackupWriter>> {
        self.inner.create(draft).await
    }

    async fn manifest(&self, id: &BackupId) -> Result<BackupManifest> {
        self.inner.manifest(id).await
    }

    async fn open(&self, id: &BackupId) -> Result<Box<dyn BackupReader>> {
        let reader = self.inner.open(id).await?;
        if self.read.swap(true, Ordering::Relaxed) {
            Ok(Box::new(Forgetful(reader)))
        } else {
            Ok(reader)
        }
    }

    fn list(&self) -> BoxStream<'_, Result<BackupManifest>> {
        self.inner.list()
    }

    async fn delete(&self, id: &BackupId) -> Result<()> {
        self.inner.delete(id).await
    }
}

/// Leaves out an event of each page.
#[derive(Debug)]
struct Forgetful(Box<dyn BackupReader>);

#[async_trait]
impl BackupReader for Forgetful {
    fn manifest(&self) -> &BackupManifest {
        self.0.manifest()
    }

    async fn next(&mut self) -> Result<Option<BackupItem>> {
        let mut item = self.0.next().await?;
        if let Some(BackupItem::Events(events)) = &mut item {
            events.pop();
        }
        Ok(item)
    }
}
