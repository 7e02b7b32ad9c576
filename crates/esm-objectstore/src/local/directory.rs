//! The local file system with durable folders, and without trust in a disk that failed.

use std::fmt;
use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use super::durable::{DurableFolders, blocking};
use crate::failure::is_device_failure;

/// A directory of the local file system.
///
/// # Durability
/// When a write returns, these were synced in this order: the folders that lead to the file, from
/// the root down, each before anything is put into it; the file's contents; the link to its name;
/// the folder that holds the link. `LocalFileSystem` syncs the file and its own folder; folders it
/// did not make itself it takes for durable, which they need not be while whoever made them has
/// not synced them yet. That is what this adds. Deleting syncs the folders deleted from.
///
/// # Errors
/// After an I/O error of the disk itself nobody can tell any more what is on it: a sync that
/// failed once may succeed the next time without having written anything. From then on every call
/// fails, until the directory is opened anew.
pub(crate) struct LocalDirectory {
    inner: LocalFileSystem,
    folders: Arc<DurableFolders>,
    failed: AtomicBool,
}

impl LocalDirectory {
    /// Opens a directory that exists.
    pub(crate) fn open(root: &FilePath) -> Result<Self> {
        let root = std::fs::canonicalize(root).map_err(failure)?;
        Ok(Self {
            inner: LocalFileSystem::new_with_prefix(&root)?
                .with_fsync(true)
                .with_automatic_cleanup(true),
            folders: Arc::new(DurableFolders::new(root)),
            failed: AtomicBool::new(false),
        })
    }

    fn check(&self) -> Result<()> {
        match self.failed.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(failure(io::Error::other(
                "the disk failed before: nothing is known of what is on it",
            ))),
        }
    }

    fn noted<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && is_device_failure(error)
        {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }

    /// After a put that failed, the file may have its name all the same, and only the sync of the
    /// folder failed. Whoever reads it back would take it for durable: so it is made durable, or
    /// the directory is not trusted any more.
    async fn settle_name(&self, location: &Path) {
        let (folders, location) = (Arc::clone(&self.folders), location.clone());
        if blocking(move || folders.sync_name(&location))
            .await
            .is_err()
        {
            self.failed.store(true, Ordering::Relaxed);
        }
    }

    async fn make_folders(&self, location: &Path) -> Result<()> {
        let made = Arc::clone(&self.folders).make_for(location).await;
        self.noted(made)
    }
}

/// An I/O error as the object store's own.
pub(super) fn failure(error: io::Error) -> Error {
    Error::Generic {
        store: "LocalDirectory",
        source: Box::new(error),
    }
}

impl fmt::Display for LocalDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalDirectory({})", self.folders.root().display())
    }
}

impl fmt::Debug for LocalDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[async_trait]
impl ObjectStore for LocalDirectory {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.check()?;
        self.make_folders(location).await?;
        let put = self.inner.put_opts(location, payload, options).await;
        if let Err(error) = &put
            && !matches!(
                error,
                Error::AlreadyExists { .. } | Error::Precondition { .. }
            )
        {
            self.settle_name(location).await;
        }
        self.noted(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.make_folders(location).await?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<Bytes>> {
        self.check()?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let folders = Arc::clone(&self.folders);
        self.inner
            .delete_stream(locations)
            .then(move |deleted| {
                let folders = Arc::clone(&folders);
                async move {
                    let deleted = deleted?;
                    let gone = deleted.clone();
                    blocking(move || folders.after_delete(&gone)).await?;
                    Ok(deleted)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check()?;
        self.make_folders(to).await?;
        self.noted(self.inner.copy_opts(from, to, options).await)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.check()?;
        self.make_folders(to).await?;
        self.noted(self.inner.rename_opts(from, to, options).await)
    }
}
