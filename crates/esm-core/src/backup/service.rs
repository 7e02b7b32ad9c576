//! The service.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt as _};
use tokio_util::sync::CancellationToken;

use crate::backup::checked::CheckedReader;
use crate::backup::progress::{BackupProgress, BackupStage, Watch, refuse_cancelled};
use crate::backup::write::read_through;
use crate::clock::Environment;
use crate::error::{ErrorKind, Result};
use crate::id::{BackupId, LockName};
use crate::progress::ProgressOptions;
use crate::router::ObjectReader;
use crate::store::{
    BackupItem, BackupManifest, BackupProvider, BackupSection, LockProvider, Records,
    SectionSummary, Stores,
};

/// Writes, verifies, restores, deletes and prunes backups.
///
/// A handle: clones are the same service, and cheap.
///
/// # Example
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use esm_core::store::{BackupProvider, EventStore, Records};
/// use esm_core::backup::{BackupService, BackupOptions, RestoreOptions, RestoreTarget};
/// use esm_core::migration::Scope;
///
/// # async fn example(
/// #     store: Arc<dyn EventStore>, records: Arc<dyn Records>, provider: Arc<dyn BackupProvider>,
/// # ) -> esm_core::Result<()> {
/// let backups = BackupService::new(store, records, provider);
/// let options = BackupOptions::new().include_document().retention(Duration::from_hours(24 * 90));
/// let backup = backups.create(&Scope::All, options).await?;
/// let order = "order/123".parse()?;
/// let restored = backups
///     .restore(&backup.id, &order, RestoreTarget::FreshStream, RestoreOptions::new())
///     .await?;
/// println!("{} events in {}", restored.events, restored.stream);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BackupService {
    pub(super) reader: ObjectReader,
    pub(super) provider: Arc<dyn BackupProvider>,
    pub(super) environment: Environment,
    pub(super) locks: Option<Arc<dyn LockProvider>>,
    progress: ProgressOptions<BackupProgress>,
    cancel: CancellationToken,
}

impl BackupService {
    /// Works on the objects of these stores and records, and on this provider's backups. New
    /// objects are restored into the home store.
    pub fn new(
        stores: impl Into<Stores>,
        records: Arc<dyn Records>,
        provider: Arc<dyn BackupProvider>,
    ) -> Self {
        Self {
            reader: ObjectReader::new(records, stores),
            provider,
            environment: Environment::default(),
            locks: None,
            progress: ProgressOptions::default(),
            cancel: CancellationToken::new(),
        }
    }

    /// Sets where time, ids and randomness come from.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets where the progress of each call is reported. A callback that blocks or panics neither
    /// stalls nor fails the call.
    #[must_use]
    pub fn with_progress(
        mut self,
        options: impl FnOnce(ProgressOptions<BackupProgress>) -> ProgressOptions<BackupProgress>,
    ) -> Self {
        self.progress = options(self.progress);
        self
    }

    /// Sets the locks that say which backups are in use: see [`lock_name`](Self::lock_name).
    #[must_use]
    pub fn with_locks(mut self, locks: Arc<dyn LockProvider>) -> Self {
        self.locks = Some(locks);
        self
    }

    /// The lock that keeps a backup from being pruned while it is held, such as by a
    /// [`HeldLock`](crate::migration::HeldLock) of a process that restores it. Nothing rests on it: a
    /// restore whose backup is deleted all the same fails, and leaves everything as it was.
    ///
    /// # Errors
    /// `Invalid` for a name that no lock can have.
    pub fn lock_name(id: &BackupId) -> Result<LockName> {
        LockName::new(format!("backup {id}"))
    }

    /// Stops every call at its next safe point, with `Cancelled`, when the token is cancelled.
    #[must_use]
    pub fn cancel_on(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    pub(super) fn watch(&self, stage: BackupStage) -> Watch {
        let (progress, cancel) = (self.progress.clone(), self.cancel.clone());
        Watch::begin(progress, cancel, &self.environment, stage)
    }

    pub(super) fn refuse_cancelled(&self) -> Result<()> {
        refuse_cancelled(&self.cancel)
    }

    /// Returns the manifests of all finished backups and archives, in no particular order.
    pub fn list(&self) -> BoxStream<'_, Result<BackupManifest>> {
        self.provider.list()
    }

    /// Returns the manifest of a backup.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`.
    pub async fn manifest(&self, id: &BackupId) -> Result<BackupManifest> {
        self.provider.manifest(id).await
    }

    /// Reads a whole backup and verifies its checksums and sizes, the count and hash of each section,
    /// and the totals of the manifest. Returns the manifest.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`, naming the backup and the section.
    pub async fn verify(&self, id: &BackupId) -> Result<BackupManifest> {
        let watch = self.watch(BackupStage::Verifying);
        let read = read_through(&*self.provider, id, &watch).await;
        watch.end(read.map(|(manifest, _)| manifest)).await
    }

    /// Returns the sections of a backup, in its order. Reads and verifies all of it, as
    /// [`verify`](Self::verify) does, and yields a section once it is verified. Sections have documents
    /// if the backup includes them.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn sections(
        &self,
        id: &BackupId,
    ) -> BoxStream<'static, Result<(BackupSection, SectionSummary)>> {
        let (provider, cancel) = (Arc::clone(&self.provider), self.cancel.clone());
        let opening = Sections::Closed(provider, id.clone());
        stream::try_unfold(opening, move |sections| {
            let cancel = cancel.clone();
            async move {
                let mut reader = match sections {
                    Sections::Closed(provider, id) => CheckedReader::open(&*provider, &id).await?,
                    Sections::Open(reader) => *reader,
                };
                let mut section = None;
                while let Some(item) = reader.next().await? {
                    refuse_cancelled(&cancel)?;
                    match item {
                        BackupItem::Section(begun) => section = Some(*begun),
                        BackupItem::Events(_) => {}
                        BackupItem::End(summary) => {
                            let found = section.map(|section| (section, summary));
                            return Ok(found.map(|f| (f, Sections::Open(Box::new(reader)))));
                        }
                    }
                }
                Ok(None)
            }
        })
        .boxed()
    }

    /// Deletes a backup, even before its retention ends.
    ///
    /// # Errors
    /// `NotFound`; the rest that an interrupted deletion has left is removed all the same.
    pub async fn delete(&self, id: &BackupId) -> Result<()> {
        let found = self.provider.manifest(id).await.map(drop);
        let kind = found.as_ref().err().map(|error| error.kind().clone());
        match kind {
            // one that cannot be read any more is there to be deleted
            None | Some(ErrorKind::Corrupt) => self.provider.delete(id).await,
            Some(ErrorKind::NotFound) => self.provider.delete(id).await.and(found),
            Some(_) => found,
        }
    }
}

/// A backup whose sections are read.
enum Sections {
    Closed(Arc<dyn BackupProvider>, BackupId),
    Open(Box<CheckedReader>),
}
