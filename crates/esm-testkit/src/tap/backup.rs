//! The decorator of backup providers; the writers and readers that it hands out go through the tap
//! as well.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::Result;
use esm_core::event::Event;
use esm_core::id::BackupId;
use esm_core::store::{
    BackupDraft, BackupItem, BackupManifest, BackupProvider, BackupReader, BackupSection,
    BackupWriter, SectionSummary,
};
use futures::stream::BoxStream;

use super::{Call, Tap, tapped, tapped_once, tapped_stream};

/// A backup provider whose calls go through a [`Tap`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::id::BackupId;
/// use esm_core::store::BackupProvider as _;
/// use esm_testkit::memory::MemoryBackups;
/// use esm_testkit::record::Recorder;
/// use esm_testkit::tap::{OperationLog, TappedBackups};
///
/// let tap = Recorder::new("app", OperationLog::new());
/// let backups = TappedBackups::new(Arc::new(MemoryBackups::new()), tap.clone());
/// assert!(backups.manifest(&BackupId::new("none")?).await.is_err());
/// assert_eq!(tap.log().names()["backups.manifest"], 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TappedBackups<T> {
    inner: Arc<dyn BackupProvider>,
    tap: T,
}

impl<T: Tap> TappedBackups<T> {
    /// Decorates this provider with this tap.
    pub fn new(inner: Arc<dyn BackupProvider>, tap: T) -> Self {
        Self { inner, tap }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Tap> BackupProvider for TappedBackups<T> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn create(&self, draft: BackupDraft) -> Result<Box<dyn BackupWriter>> {
        let id = draft.id.clone();
        let call = Call::write("backups.create", &id);
        let inner = tapped!(self.tap, call, self.inner.create(draft.clone()))?;
        let tap = self.tap.clone();
        Ok(Box::new(TappedBackupWriter { inner, id, tap }))
    }

    async fn manifest(&self, id: &BackupId) -> Result<BackupManifest> {
        let call = Call::read("backups.manifest", id);
        tapped!(self.tap, call, self.inner.manifest(id))
    }

    async fn open(&self, id: &BackupId) -> Result<Box<dyn BackupReader>> {
        let call = Call::read("backups.open", id);
        let inner = tapped!(self.tap, call, self.inner.open(id))?;
        let tap = self.tap.clone();
        Ok(Box::new(TappedBackupReader { inner, tap }))
    }

    fn list(&self) -> BoxStream<'_, Result<BackupManifest>> {
        let call = Call::read("backups.list", "");
        tapped_stream(&self.tap, call, || self.inner.list())
    }

    fn sections(&self, id: &BackupId) -> BoxStream<'_, Result<BackupSection>> {
        let (call, id) = (Call::read("backups.sections", id), id.clone());
        tapped_stream(&self.tap, call, move || self.inner.sections(&id))
    }

    async fn has_files(&self, id: &BackupId) -> Result<bool> {
        let call = Call::read("backups.has_files", id);
        tapped!(self.tap, call, self.inner.has_files(id))
    }

    async fn delete(&self, id: &BackupId) -> Result<()> {
        let call = Call::write("backups.delete", id);
        tapped!(self.tap, call, self.inner.delete(id))
    }

    async fn delete_unchanged(&self, judged: &BackupManifest) -> Result<bool> {
        let call = Call::write("backups.delete_unchanged", &judged.id);
        tapped!(self.tap, call, self.inner.delete_unchanged(judged))
    }

    async fn delete_manifest(&self, judged: &BackupManifest) -> Result<bool> {
        let call = Call::write("backups.delete_manifest", &judged.id);
        tapped!(self.tap, call, self.inner.delete_manifest(judged))
    }
}

/// A backup writer whose calls go through a [`Tap`].
#[derive(Debug)]
struct TappedBackupWriter<T> {
    inner: Box<dyn BackupWriter>,
    id: BackupId,
    tap: T,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Tap> BackupWriter for TappedBackupWriter<T> {
    async fn section(&mut self, section: BackupSection) -> Result<()> {
        let call = Call::write("backups.section", &self.id);
        tapped_once!(self.tap, call, self.inner.section(section))
    }

    async fn events(&mut self, events: &[Event]) -> Result<()> {
        let call = Call::write("backups.events", &self.id);
        tapped_once!(self.tap, call, self.inner.events(events))
    }

    async fn end(&mut self, summary: SectionSummary) -> Result<()> {
        let call = Call::write("backups.end", &self.id);
        tapped_once!(self.tap, call, self.inner.end(summary))
    }

    async fn finish(self: Box<Self>) -> Result<BackupManifest> {
        let Self { inner, id, tap } = *self;
        let call = Call::write("backups.finish", id);
        tapped_once!(tap, call, inner.finish())
    }
}

/// A backup reader whose calls go through a [`Tap`].
#[derive(Debug)]
struct TappedBackupReader<T> {
    inner: Box<dyn BackupReader>,
    tap: T,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Tap> BackupReader for TappedBackupReader<T> {
    fn manifest(&self) -> &BackupManifest {
        self.inner.manifest()
    }

    async fn next(&mut self) -> Result<Option<BackupItem>> {
        let call = Call::read("backups.next", &self.inner.manifest().id);
        tapped_once!(self.tap, call, self.inner.next())
    }
}
