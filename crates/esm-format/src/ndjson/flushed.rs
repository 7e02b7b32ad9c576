//! Writers that are flushed before they are shut down.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// A writer that is flushed when it is shut down. Tokio's standard output hands what is written to a
/// thread, and its shutdown does not wait for that: the end could be missing when the process ends.
pub(super) struct FlushedAtEnd<W>(Pin<Box<W>>);

impl<W> FlushedAtEnd<W> {
    pub(super) fn new(writer: W) -> Self {
        Self(Box::pin(writer))
    }
}

impl<W: AsyncWrite> AsyncWrite for FlushedAtEnd<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.as_mut().poll_flush(context))?;
        self.0.as_mut().poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    /// Writes what it has when it is flushed, as tokio's standard output does, and not at its end.
    #[derive(Default)]
    struct Lazy {
        waiting: Vec<u8>,
        written: Vec<u8>,
    }

    impl AsyncWrite for Lazy {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.waiting.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let waiting = std::mem::take(&mut self.waiting);
            self.written.extend(waiting);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn nothing_is_left_behind_at_the_end() {
        let mut writer = FlushedAtEnd::new(Lazy::default());
        writer.write_all(b"line\n").await.unwrap();
        assert!(writer.0.written.is_empty());
        writer.shutdown().await.unwrap();
        assert_eq!(writer.0.written, b"line\n");
    }
}
