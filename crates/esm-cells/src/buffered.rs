//! Uploads for storages that write an object only as a whole.

use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::io::AsyncWrite;

use crate::key::Key;
use crate::objects::{Objects, Upload, WriteFailure};

/// Returns an upload that collects the object in memory and writes it with one
/// [`overwrite`](Objects::overwrite) when it is shut down.
///
/// For storages without uploads in parts, as the whole of [`Objects::upload`]. The objects are the
/// data files of backups: the memory must hold two of them.
pub fn buffered_upload(objects: impl Objects, key: &Key) -> Upload {
    Box::pin(BufferedUpload {
        objects: Arc::new(objects),
        key: key.clone(),
        state: State::Collecting(Vec::new()),
    })
}

struct BufferedUpload {
    objects: Arc<dyn Objects>,
    key: Key,
    state: State,
}

enum State {
    Collecting(Vec<u8>),
    Writing(BoxFuture<'static, Result<(), WriteFailure>>),
    ShutDown,
}

impl fmt::Debug for BufferedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedUpload")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl AsyncWrite for BufferedUpload {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let State::Collecting(collected) = &mut self.state else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        collected.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Does nothing: the object does not exist before [`poll_shutdown`](Self::poll_shutdown).
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let State::Collecting(collected) = &mut self.state {
            let body = Bytes::from(mem::take(collected));
            let (objects, key) = (Arc::clone(&self.objects), self.key.clone());
            self.state =
                State::Writing(Box::pin(async move { objects.overwrite(&key, body).await }));
        }
        if let State::Writing(writing) = &mut self.state {
            let written = ready!(writing.as_mut().poll(cx));
            self.state = State::ShutDown;
            written.map_err(|failure| io::Error::other(failure.into_error()))?;
        }
        Poll::Ready(Ok(()))
    }
}
