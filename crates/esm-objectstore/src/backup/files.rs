//! Data files as streams of bytes, in constant memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use esm_core::{Error, Result};
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use tokio::io::AsyncWrite;
use tokio_util::io::StreamReader;

use crate::backend::Backend;
use crate::failure::explain;

/// Size of a part. S3 wants at least 5 MiB and at most 10,000 of them: a file may have 48 GiB.
const PART: usize = 5 << 20;
/// How many parts are on their way at once, beside the one that is being filled.
const PARTS_AT_ONCE: usize = 2;
/// How much is read at once, and how many times.
const READ: u64 = 2 << 20;
const READS_AT_ONCE: usize = 2;

/// Writes one data file. It is there when it has been shut down, and not before.
#[derive(Debug)]
pub(super) struct FileWriter {
    inner: BufWriter,
    place: String,
}

impl FileWriter {
    pub(super) fn new(backend: &Backend, key: Path) -> Self {
        let place = backend.place(&key);
        let inner = BufWriter::with_capacity(Arc::clone(backend.objects()), key, PART)
            .with_max_concurrency(PARTS_AT_ONCE);
        Self { inner, place }
    }

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

/// Reads one data file.
pub(super) type FileReader = StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>;

/// Opens a data file of this size.
///
/// Reads a piece at a time, the next one while this one is used: a stream over the whole file
/// would have to begin anew after every interruption, and comes in very small pieces from a local
/// directory.
///
/// # Errors
/// `Corrupt` when it is missing or has another size.
pub(super) async fn open(backend: &Backend, key: Path, size: u64) -> Result<FileReader> {
    let place = backend.place(&key);
    let objects = Arc::clone(backend.objects());
    let found = match objects.head(&key).await {
        Ok(found) => found.size,
        Err(object_store::Error::NotFound { .. }) => {
            return Err(Error::corrupt(format!(
                "file of the backup is missing: {place}"
            )));
        }
        Err(error) => return Err(explain(error, "cannot read", place)),
    };
    if found != size {
        return Err(Error::corrupt(format!(
            "file of the backup has {found} bytes instead of {size}, as its manifest says: {place}"
        )));
    }
    let pieces = (0..size).step_by(READ as usize).map(move |start| {
        let (objects, key, place) = (Arc::clone(&objects), key.clone(), place.clone());
        let range = start..size.min(start + READ);
        async move {
            read_piece(&*objects, &key, range)
                .await
                .map_err(|error| io::Error::other(explain(error, "cannot read", place)))
        }
    });
    Ok(StreamReader::new(
        stream::iter(pieces).buffered(READS_AT_ONCE).boxed(),
    ))
}

async fn read_piece(
    objects: &dyn ObjectStore,
    key: &Path,
    range: std::ops::Range<u64>,
) -> object_store::Result<Bytes> {
    let options = GetOptions::new().with_range(Some(GetRange::Bounded(range)));
    objects.get_opts(key, options).await?.bytes().await
}
