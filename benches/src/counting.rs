//! Counts the requests that reach the storage, and makes each take a given time.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::clock::Environment;
use futures::FutureExt as _;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use tokio::time::Instant;

/// Keys in a page of a listing, as S3 and Azure return them.
const LIST_PAGE: usize = 1_000;

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
pub struct Counts {
    all: Arc<Mutex<Vec<Count>>>,
    /// Since when each request is printed, if that is wanted.
    traced: Arc<Mutex<Option<Instant>>>,
}

impl Counts {
    /// Nothing was asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Prints each later request: after how many milliseconds it was sent, and what it is.
    pub fn trace(&self, begun: Instant) {
        *self.traced.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
    }

    fn print(&self, request: &str, key: &Path) {
        let traced = *self.traced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = traced {
            println!("{:>8} ms  {request:<6} {key}", begun.elapsed().as_millis());
        }
    }

    fn count(&self, request: &'static str, key: &Path) {
        self.print(request, key);
        let folder = key.parts().next();
        let folder = folder.map_or_else(String::new, |part| part.as_ref().to_owned());
        let is_hint = key.filename() == Some("head");
        let mut counts = self.all.lock().unwrap_or_else(PoisonError::into_inner);
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
        std::mem::take(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How long a request takes; no time at first. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Latency(Arc<Requests>);

/// The time of a request, and those that take it.
#[derive(Debug, Default)]
struct Requests {
    millis: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
}

/// A request that is in flight, until it ended or nobody waits for it any more.
struct InFlight<'a>(&'a Requests);

impl<'a> InFlight<'a> {
    fn begin(requests: &'a Requests) -> Self {
        let before = requests.in_flight.fetch_add(1, Ordering::Relaxed);
        (requests.most_in_flight).fetch_max(before + 1, Ordering::Relaxed);
        Self(requests)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Latency {
    /// The most requests that were in flight at the same time since the last call.
    pub fn take_most_in_flight(&self) -> u64 {
        self.0.most_in_flight.swap(0, Ordering::Relaxed)
    }

    /// Makes each later request take this time, in whole milliseconds.
    pub fn set(&self, latency: Duration) {
        let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        self.0.millis.store(millis, Ordering::Relaxed);
    }

    /// Lets half of the time pass before a request takes effect, and the rest before its response.
    async fn around<F: Future>(&self, request: F) -> F::Output {
        let _in_flight = InFlight::begin(&self.0);
        let millis = self.0.millis.load(Ordering::Relaxed);
        pass(millis / 2).await;
        let done = request.await;
        pass(millis - millis / 2).await;
        done
    }

    /// A listing, of which each page is a request.
    fn paged(
        &self,
        list: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (first, later) = (self.clone(), self.clone());
        let pages = list.chunks(LIST_PAGE).enumerate();
        let pages = pages.then(move |(number, page)| {
            let latency = later.clone();
            async move {
                // the first page was waited for before, because an empty listing has one, too
                if number > 0 {
                    latency.around(std::future::ready(())).await;
                }
                stream::iter(page)
            }
        });
        async move {
            first.around(std::future::ready(())).await;
            pages.flatten()
        }
        .flatten_stream()
        .boxed()
    }
}

async fn pass(millis: u64) {
    if millis > 0 {
        let clock = Environment::system().clock;
        clock.sleep(Duration::from_millis(millis)).await;
    }
}

/// An upload in parts, each of which is a request.
#[derive(Debug)]
struct SlowUpload {
    upload: Box<dyn MultipartUpload>,
    latency: Latency,
}

#[async_trait]
impl MultipartUpload for SlowUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let part = self.upload.put_part(data);
        let latency = self.latency.clone();
        async move { latency.around(part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.latency.around(self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.latency.around(self.upload.abort()).await
    }
}

/// An object store whose requests are counted.
#[derive(Debug)]
pub struct CountingObjectStore<S> {
    inner: S,
    counts: Counts,
    latency: Latency,
}

impl<S> CountingObjectStore<S> {
    /// Counts into these counts what is asked of the inner store.
    pub fn new(inner: S, counts: Counts) -> Self {
        let latency = Latency::default();
        Self {
            inner,
            counts,
            latency,
        }
    }

    /// Makes each request take this time.
    #[must_use]
    pub fn with_latency(self, latency: Latency) -> Self {
        Self { latency, ..self }
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
        let put = self.inner.put_opts(location, payload, opts);
        self.latency.around(put).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.counts.count("upload", location);
        let begin = self.inner.put_multipart_opts(location, opts);
        let upload = self.latency.around(begin).await?;
        let latency = self.latency.clone();
        Ok(Box::new(SlowUpload { upload, latency }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let what = if options.head { "head" } else { "get" };
        self.counts.count(what, location);
        let get = self.inner.get_opts(location, options);
        self.latency.around(get).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.counts.count("get", location);
        let get = self.inner.get_ranges(location, ranges);
        self.latency.around(get).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let counts = self.counts.clone();
        let latency = self.latency.clone();
        let counted = locations.then(move |location| {
            if let Ok(location) = &location {
                counts.count("delete", location);
            }
            let latency = latency.clone();
            async move { latency.around(std::future::ready(location)).await }
        });
        self.inner.delete_stream(counted.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counts
            .count("list", prefix.unwrap_or(&Path::default()));
        self.latency.paged(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counts
            .count("list", prefix.unwrap_or(&Path::default()));
        self.latency
            .paged(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.counts
            .count("list", prefix.unwrap_or(&Path::default()));
        let list = self.inner.list_with_delimiter(prefix);
        self.latency.around(list).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.counts.count("copy", to);
        let copy = self.inner.copy_opts(from, to, options);
        self.latency.around(copy).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.counts.count("rename", to);
        let rename = self.inner.rename_opts(from, to, options);
        self.latency.around(rename).await
    }
}
