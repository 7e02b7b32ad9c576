//! Counts the requests that reach the storage.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// How often something was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// What was asked, as the storage calls it.
    pub request: &'static str,
    /// The folder right below the root.
    pub folder: String,
    /// Whether it was about something that may be stale, missing or wrong.
    pub is_hint: bool,
    /// How often.
    pub number: u64,
}

impl Count {
    /// Whether the storage changed by it.
    pub fn is_write(&self) -> bool {
        matches!(
            self.request,
            "put" | "upload" | "delete" | "copy" | "rename"
        )
    }
}

/// Everything that was asked.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Mutex<Vec<Count>>>);

impl Counts {
    /// Nothing was asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn count(&self, request: &'static str, key: &Path) {
        let folder = key.parts().next();
        let folder = folder.map_or_else(String::new, |part| part.as_ref().to_owned());
        let is_hint = key.filename() == Some("head");
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            |c: &&mut Count| c.request == request && c.folder == folder && c.is_hint == is_hint;
        match counts.iter_mut().find(same) {
            Some(count) => count.number += 1,
            None => counts.push(Count {
                request,
                folder,
                is_hint,
                number: 1,
            }),
        }
    }

    /// What was counted since the last time.
    pub fn take(&self) -> Vec<Count> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An object store whose requests are counted.
#[derive(Debug)]
pub struct CountingObjectStore<S> {
    inner: S,
    counts: Counts,
}

impl<S> CountingObjectStore<S> {
    /// Counts into these counts what is asked of the inner store.
    pub fn new(inner: S, counts: Counts) -> Self {
        Self { inner, counts }
    }
}

impl<S: fmt::Display> fmt::Display for CountingObjectStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "counting {}", self.inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for CountingObjectStore<S> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.counts.count("put", location);
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.counts.count("upload", location);
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let what = if options.head { "head" } else { "get" };
        self.counts.count(what, location);
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.counts.count("get", location);
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let counts = self.counts.clone();
        let counted = locations.inspect(move |location| {
            if let Ok(location) = location {
                counts.count("delete", location);
            }
        });
        self.inner.delete_stream(counted.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counts
            .count("list", prefix.unwrap_or(&Path::default()));
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counts
            .count("list", prefix.unwrap_or(&Path::default()));
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.counts
            .count("list", prefix.unwrap_or(&Path::default()));
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.counts.count("copy", to);
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.counts.count("rename", to);
        self.inner.rename_opts(from, to, options).await
    }
}
