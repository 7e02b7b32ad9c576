//! Standard output for streams of lines.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// Standard output that is written when it is shut down: tokio's own hands what is written to a
/// thread, and its shutdown does not wait for that, so that the end could be missing when the
/// process ends.
#[derive(Debug)]
pub(crate) struct Stdout(tokio::io::Stdout);

impl Stdout {
    /// Standard output.
    pub(crate) fn new() -> Self {
        Self(tokio::io::stdout())
    }
}

impl AsyncWrite for Stdout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
