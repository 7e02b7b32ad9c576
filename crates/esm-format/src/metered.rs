//! Readers and writers that count and hash what passes, and remember that they failed themselves.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use esm_core::{Error, ErrorKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Counts and hashes the bytes on their way.
///
/// A decompressor above reports failures of its reader and of its input alike; [`Failure`]
/// distinguishes the two.
#[derive(Debug)]
pub(crate) struct Metered<T> {
    inner: T,
    bytes: u64,
    /// Absent where nobody asks for the hash.
    hasher: Option<Box<blake3::Hasher>>,
    failure: Failure,
}

/// Whether the reader itself failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure(Arc<AtomicBool>);

impl Failure {
    /// The error to report for a failed read through a decompressor: of the reader if that failed
    /// itself, else `bad_input`.
    pub(crate) fn explain(&self, error: io::Error, bad_input: impl FnOnce() -> Error) -> Error {
        if self.0.load(Ordering::Relaxed) {
            return io_error("reading failed", error);
        }
        bad_input().with_source(error)
    }
}

/// An I/O error as esm's own. One that a store made keeps its kind.
pub(crate) fn io_error(what: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::StorageFull
        }
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        _ => ErrorKind::Unavailable,
    };
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::new(kind, format!("{what}: {error}")).with_source(error),
    }
}

impl<T> Metered<T> {
    /// Counts and hashes.
    pub(crate) fn new(inner: T) -> Self {
        Self {
            hasher: Some(Box::default()),
            ..Self::counting(inner)
        }
    }

    /// Only counts.
    pub(crate) fn counting(inner: T) -> Self {
        Self {
            inner,
            bytes: 0,
            hasher: None,
            failure: Failure::default(),
        }
    }

    /// Number of bytes that passed.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// blake3 of them, in hex.
    pub(crate) fn blake3(&self) -> String {
        let hash = self.hasher.as_ref().map(|h| h.finalize().to_hex());
        hash.map_or_else(String::new, |hex| hex.to_string())
    }

    pub(crate) fn failure(&self) -> Failure {
        self.failure.clone()
    }

    pub(crate) fn into_inner(self) -> T {
        self.inner
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Metered<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        if result.is_err() {
            self.failure.0.store(true, Ordering::Relaxed);
        }
        self.passed(&buf.filled()[before..]);
        Poll::Ready(result)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Metered<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.passed(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
