//! What `object_store` offers, as the objects that stores are made of.

use std::fmt;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use esm_cells::{Key, Objects, Upload, WriteFailure};
use esm_core::Result;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use tokio::io::AsyncWrite;

use crate::failure::{explain, explain_write};
use crate::location::Clients;

/// Size of a part. S3 wants at least 5 MiB and at most 10,000 of them: a file may have 48 GiB.
const PART: usize = 5 << 20;
/// How many parts are on their way at once, beside the one that is being filled.
const PARTS_AT_ONCE: usize = 2;

/// Objects behind the clients of a location.
pub(crate) struct ClientObjects {
    /// Reads, lists and uploads in parts; may retry by itself.
    objects: Arc<dyn ObjectStore>,
    /// Conditional writes: does not retry by itself, so that a refusal is the answer to the only
    /// request that was sent.
    writes: Arc<dyn ObjectStore>,
    /// The location for messages, without secrets.
    location: String,
    place: Option<String>,
}

impl ClientObjects {
    pub(crate) fn new(clients: Clients, location: String) -> Self {
        Self {
            objects: clients.objects,
            writes: clients.writes,
            location,
            place: clients.place,
        }
    }

    fn key_place(&self, key: &Key) -> String {
        format!("{key} in {}", self.location)
    }

    async fn put(
        &self,
        to: &Arc<dyn ObjectStore>,
        key: &Key,
        body: Bytes,
        mode: PutMode,
    ) -> Result<(), WriteFailure> {
        let options = PutOptions::from(mode);
        match to.put_opts(&path(key), body.into(), options).await {
            Ok(_) => Ok(()),
            Err(error) => Err(explain_write(error, self.key_place(key))),
        }
    }
}

/// The client's name of a key: one that came from it, with segments that it leaves as they are.
fn path(key: &Key) -> Path {
    Path::parse(key.as_str()).unwrap_or_else(|_| Path::from(key.as_str()))
}

impl fmt::Debug for ClientObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // clients print their configuration, which may hold credentials
        f.debug_struct("ClientObjects")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Objects for ClientObjects {
    fn location(&self) -> &str {
        &self.location
    }

    fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        let options = GetOptions::new().with_range(range.map(GetRange::Bounded));
        let path = path(key);
        let read = async { self.objects.get_opts(&path, options).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(explain(error, "cannot read", self.key_place(key))),
        }
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        match self.objects.head(&path(key)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(explain(error, "cannot read", self.key_place(key))),
        }
    }

    async fn create(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        self.put(&self.writes, key, body, PutMode::Create).await
    }

    async fn overwrite(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        self.put(&self.objects, key, body, PutMode::Overwrite).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        match self.objects.delete(&path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(explain(error, "cannot delete", self.key_place(key))),
        }
    }

    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        let place = self.key_place(folder);
        self.objects
            .list(Some(&path(folder)))
            .map_ok(|object| Key::new(object.location.as_ref()))
            .map_err(move |error| explain(error, "cannot list", &place))
            .boxed()
    }

    fn upload(&self, key: &Key) -> Upload {
        let inner = BufWriter::with_capacity(Arc::clone(&self.objects), path(key), PART)
            .with_max_concurrency(PARTS_AT_ONCE);
        Box::pin(FileWriter {
            inner,
            place: self.key_place(key),
        })
    }
}

/// Writes one data file. It is there when it has been shut down, and not before.
#[derive(Debug)]
struct FileWriter {
    inner: BufWriter,
    place: String,
}

impl FileWriter {
    fn explained<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        result.map_err(|error| {
            let error = match error.downcast::<object_store::Error>() {
                Ok(error) => error,
                Err(error) => object_store::Error::Generic {
                    store: "upload",
                    source: Box::new(error),
                },
            };
            io::Error::other(explain(error, "cannot write", &self.place))
        })
    }
}

impl AsyncWrite for FileWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.explained(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.explained(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.explained(shut_down)
    }
}
