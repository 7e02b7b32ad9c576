//! The local file system with durable folders, and without trust in a disk that failed.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::calls::Calls;
use super::disk::{Disk, blocking, done, failure};
use super::staging::Publish;
use super::upload::DirectoryUpload;

/// How many files are removed at once.
const REMOVED_AT_ONCE: usize = 10;

/// A directory of the local file system. Reads and lists with `LocalFileSystem`, writes and removes
/// by itself.
///
/// # Durability
/// When a write returns, these were synced in this order: the folders that lead to the file, from
/// the root down, each before anything is put into it; the file's contents; the folder that holds
/// its name. Removing syncs the folders removed from.
///
/// # Several processes
/// A write that returned success has written the bytes that the caller gave, whatever other
/// processes did meanwhile, and however long this one was stopped: see [`Staged`].
///
/// # Errors
/// After an I/O error of the disk itself nobody can tell any more what is on it: a sync that
/// failed once may succeed the next time without having written anything. From then on every call
/// fails, until the directory is opened anew.
///
/// [`Staged`]: super::staging::Staged
pub(crate) struct LocalDirectory {
    inner: LocalFileSystem,
    disk: Arc<Disk>,
}

impl LocalDirectory {
    /// Opens a directory that exists.
    pub(crate) fn open(root: &FilePath) -> Result<Self> {
        Self::with_calls(root, Calls::default())
    }

    pub(super) fn with_calls(root: &FilePath, calls: Calls) -> Result<Self> {
        let root = std::fs::canonicalize(root).map_err(failure)?;
        Ok(Self {
            inner: LocalFileSystem::new_with_prefix(&root)?,
            disk: Arc::new(Disk::new(root, calls)),
        })
    }

    /// The directory's canonical path.
    pub(crate) fn root(&self) -> &FilePath {
        self.disk.root()
    }

    fn file(&self, location: &Path) -> Result<PathBuf> {
        self.inner.path_to_filesystem(location)
    }

    fn unsupported(&self, operation: &str) -> Error {
        Error::NotImplemented {
            operation: operation.to_owned(),
            implementer: self.to_string(),
        }
    }
}

impl fmt::Display for LocalDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalDirectory({})", self.disk.root().display())
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
        let how = match options.mode {
            PutMode::Create => Publish::Create,
            PutMode::Overwrite => Publish::Overwrite,
            PutMode::Update(_) => return Err(self.unsupported("conditional update")),
        };
        if !options.attributes.is_empty() {
            return Err(self.unsupported("attributes"));
        }
        let (disk, file) = (Arc::clone(&self.disk), self.file(location)?);
        blocking(move || disk.put(&file, &payload, how)).await?;
        Ok(done())
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(self.unsupported("attributes"));
        }
        let (disk, file) = (Arc::clone(&self.disk), self.file(location)?);
        let begun = blocking(move || Ok((disk.begin(&file)?, disk, file)));
        let (staged, disk, file) = begun.await?;
        Ok(Box::new(DirectoryUpload::new(disk, file, staged)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.disk.check()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<Bytes>> {
        self.disk.check()?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (disk, inner) = (Arc::clone(&self.disk), self.inner.clone());
        locations
            .map(move |location| {
                let (disk, inner) = (Arc::clone(&disk), inner.clone());
                blocking(move || {
                    let location = location?;
                    disk.remove(&inner.path_to_filesystem(&location)?)?;
                    Ok(location)
                })
            })
            .buffered(REMOVED_AT_ONCE)
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

    /// Stores never copy; nothing here stages a copy safely.
    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(self.unsupported("copy"))
    }
}
