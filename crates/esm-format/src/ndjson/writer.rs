//! Writing files of lines.

use std::fmt;
use std::pin::Pin;

use async_compression::Level;
use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use esm_core::Result;
use tokio::io::{AsyncWrite, AsyncWriteExt as _, BufWriter};

use super::Packing;
use super::flushed::FlushedAtEnd;
use crate::metered::io_error;

const BUFFER: usize = 64 << 10;

/// Writes a file line by line, in constant memory.
///
/// Dropping it without [`finish`](Self::finish) leaves a file that ends too early.
pub struct LineWriter {
    out: Pin<Box<dyn AsyncWrite + Send>>,
}

impl fmt::Debug for LineWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineWriter").finish_non_exhaustive()
    }
}

impl LineWriter {
    /// Begins a file.
    pub fn new<W>(writer: W, packing: Packing) -> Self
    where
        W: AsyncWrite + Send + 'static,
    {
        let writer = FlushedAtEnd::new(writer);
        let out: Pin<Box<dyn AsyncWrite + Send>> = match packing {
            Packing::Plain => Box::pin(BufWriter::with_capacity(BUFFER, writer)),
            Packing::Gzip => Box::pin(BufWriter::with_capacity(BUFFER, GzipEncoder::new(writer))),
            Packing::Zstd => Box::pin(BufWriter::with_capacity(BUFFER, zstd(writer))),
        };
        Self { out }
    }

    /// Adds a line; `line` is without its end and holds no LF.
    ///
    /// # Errors
    /// What the writer fails with.
    pub async fn write(&mut self, line: &[u8]) -> Result<()> {
        debug_assert!(!line.contains(&b'\n'), "a line has no end inside");
        let result = async {
            self.out.write_all(line).await?;
            self.out.write_all(b"\n").await
        };
        result.await.map_err(|e| io_error("writing failed", e))
    }

    /// Writes what is buffered and the end of the compression, flushes the writer and shuts it down.
    ///
    /// # Errors
    /// What the writer fails with.
    pub async fn finish(mut self) -> Result<()> {
        self.out
            .shutdown()
            .await
            .map_err(|e| io_error("writing failed", e))
    }
}

/// With a checksum, as the `zstd` program writes it: so that a reader notices damage.
fn zstd<W: AsyncWrite>(writer: W) -> ZstdEncoder<W> {
    let parameters = [CParameter::checksum_flag(true)];
    ZstdEncoder::with_quality_and_params(writer, Level::Default, &parameters)
}
