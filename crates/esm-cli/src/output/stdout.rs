//! Standard output, and whether it still has a reader.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use esm_core::Error;
use tokio::io::AsyncWrite;

use crate::exit;

/// The reader of standard output closed the pipe. That is no failure of the command, unlike a
/// closed connection to a store.
#[derive(Debug)]
struct NoReader;

impl fmt::Display for NoReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output has no reader")
    }
}

impl StdError for NoReader {}

/// Whether an error says that the reader of standard output closed the pipe.
pub(super) fn has_no_reader(error: &Error) -> bool {
    let mut source = StdError::source(error);
    while let Some(inner) = source {
        let io = inner.downcast_ref::<io::Error>();
        if io
            .and_then(io::Error::get_ref)
            .is_some_and(|e| e.is::<NoReader>())
        {
            return true;
        }
        source = inner.source();
    }
    false
}

/// The error of a write to standard output.
pub(super) fn failed(error: io::Error) -> Error {
    exit::io("writing to standard output", marked(error))
}

fn marked(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        io::Error::new(io::ErrorKind::BrokenPipe, NoReader)
    } else {
        error
    }
}

fn named(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => marked(error),
        kind => io::Error::new(kind, format!("standard output: {error}")),
    }
}

/// Standard output, whose errors say when it has no reader.
#[derive(Debug)]
pub(super) struct Stdout(tokio::io::Stdout);

impl Stdout {
    pub(super) fn new() -> Self {
        Self(tokio::io::stdout())
    }
}

impl AsyncWrite for Stdout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(context, bytes);
        written.map_err(named)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context).map_err(named)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context).map_err(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use esm_core::ErrorKind;

    #[test]
    fn only_standard_output_can_lose_its_reader_without_a_failure() {
        assert!(has_no_reader(&failed(io::ErrorKind::BrokenPipe.into())));
        let connection = exit::io("reading", io::ErrorKind::BrokenPipe.into());
        assert!(!has_no_reader(&connection));
        let full = failed(io::ErrorKind::StorageFull.into());
        assert!(!has_no_reader(&full));
        assert_eq!(full.kind(), &ErrorKind::StorageFull);
    }
}
