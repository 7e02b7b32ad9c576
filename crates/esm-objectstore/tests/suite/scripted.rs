//! An object store that fails on demand, and records its requests.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What a request was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Put,
    Get,
    List,
    Delete,
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing happens, and the answer is a broken connection.
    Lost,
    /// It happens, and the answer is a broken connection.
    AnswerLost,
    /// It happens, and the response is that the object exists: that of a client that sent the
    /// request again by itself.
    OwnRetry,
    /// Nothing happens, and the answer is that a condition failed: what S3 answers when two
    /// conditional requests meet.
    Met,
    /// Nothing happens, and the answer is that it is not allowed.
    Forbidden,
    /// The object is overwritten although that was not asked for, and all seems well.
    Lawless,
}

/// Memory behind a script: the next requests of a kind whose key contains a text fail.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    inner: InMemory,
    script: Mutex<Vec<(Op, String, Fault)>>,
    log: Mutex<Vec<(Op, String)>>,
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The next `times` requests of this kind, on keys that contain this, fail so.
    pub(crate) fn fail(&self, times: usize, op: Op, key: &str, fault: Fault) {
        let mut script = self.script.lock().unwrap();
        script.extend((0..times).map(|_| (op, key.to_owned(), fault)));
    }

    /// Whether all that was to fail did.
    pub(crate) fn is_done(&self) -> bool {
        self.script.lock().unwrap().is_empty()
    }

    /// What was asked for since the last time.
    pub(crate) fn asked(&self) -> Vec<(Op, String)> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    fn next(&self, op: Op, key: &Path) -> Option<Fault> {
        self.log.lock().unwrap().push((op, key.to_string()));
        let mut script = self.script.lock().unwrap();
        let at = script
            .iter()
            .position(|(of, part, _)| *of == op && key.as_ref().contains(part))?;
        Some(script.remove(at).2)
    }
}

impl Fault {
    fn happens(self) -> bool {
        matches!(self, Self::AnswerLost | Self::OwnRetry)
    }

    fn error(self, key: &Path) -> Error {
        let (path, source) = (key.to_string(), format!("{self:?}").into());
        match self {
            Self::Lost | Self::AnswerLost => Error::Generic {
                store: "scripted",
                source,
            },
            Self::OwnRetry => Error::AlreadyExists { path, source },
            Self::Met => Error::Precondition { path, source },
            Self::Forbidden | Self::Lawless => Error::PermissionDenied { path, source },
        }
    }
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted memory")
    }
}

#[async_trait]
impl ObjectStore for Scripted {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let Some(fault) = self.next(Op::Put, location) else {
            return self.inner.put_opts(location, payload, options).await;
        };
        if fault == Fault::Lawless {
            return self
                .inner
                .put_opts(location, payload, PutOptions::default())
                .await;
        }
        if fault.happens() {
            self.inner.put_opts(location, payload, options).await?;
        }
        Err(fault.error(location))
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.next(Op::Put, location);
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.next(Op::Get, location) {
            Some(fault) => Err(fault.error(location)),
            None => self.inner.get_opts(location, options).await,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.next(Op::Delete, &Path::default());
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.next(Op::List, &prefix.cloned().unwrap_or_default());
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.next(Op::List, &prefix.cloned().unwrap_or_default());
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
