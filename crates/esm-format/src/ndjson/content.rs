//! The unpacked content of a file.

use std::fmt;
use std::io::{self, Cursor};

use esm_core::{Error, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader};

use super::Packing;
use super::members::{Members, Refused};
use crate::metered::{Failure, Metered, io_error};

const BUFFER: usize = 64 << 10;

/// The content of a plain, gzip or zstd file; its first bytes say which it is.
pub struct Content {
    pub(super) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) explainer: Explainer,
}

/// Explains what reading a file's content fails with.
#[derive(Debug, Clone)]
pub(super) struct Explainer {
    pub(super) packing: Packing,
    failure: Failure,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("packing", &self.explainer.packing)
            .finish_non_exhaustive()
    }
}

impl Content {
    /// Begins to read a file.
    ///
    /// # Errors
    /// What reading the first bytes fails with.
    pub async fn open<R>(mut reader: R) -> Result<Self>
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let mut begin = Vec::with_capacity(Packing::MAGIC_BYTES);
        read_up_to(&mut reader, Packing::MAGIC_BYTES, &mut begin)
            .await
            .map_err(|e| io_error("reading failed", e))?;
        let packing = Packing::detect(&begin);
        let source = Metered::counting(Cursor::new(begin).chain(reader));
        let failure = source.failure();
        Ok(Self {
            reader: unpack(source, packing),
            explainer: Explainer { packing, failure },
        })
    }

    /// How the file is compressed.
    pub fn packing(&self) -> Packing {
        self.explainer.packing
    }

    /// Returns the first bytes of the content, at most so many, which are read again afterwards.
    /// Fewer where the content is shorter or cannot be read further.
    pub async fn begin(&mut self, bytes: usize) -> Vec<u8> {
        let mut begin = Vec::new();
        let failed = read_up_to(&mut self.reader, bytes, &mut begin).await.err();
        let rest = std::mem::replace(&mut self.reader, Box::new(tokio::io::empty()));
        let again = Cursor::new(begin.clone());
        self.reader = match failed {
            None => Box::new(again.chain(rest)),
            Some(error) => Box::new(again.chain(Failed(Some(error)))),
        };
        begin
    }

    /// Appends the next bytes to a buffer. Returns how many there were, 0 at the end.
    ///
    /// # Errors
    /// `Invalid` for compressed data that is damaged, ends too early, is followed by garbage or needs
    /// a window of more than 128 MiB. Errors of the reader.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<usize> {
        buffer.reserve(BUFFER);
        let read = self.reader.read_buf(buffer).await;
        read.map_err(|error| self.explainer.explain(error))
    }
}

impl Explainer {
    /// The error to report for a failed read.
    pub(super) fn explain(&self, error: io::Error) -> Error {
        let format = match self.packing {
            Packing::Plain => "plain",
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
        };
        let refused = Refused::of(&error);
        self.failure.explain(error, || match refused {
            Some(Refused::Garbage) => {
                Error::invalid(format!("garbage behind the end of the {format} data"))
            }
            Some(Refused::LongWindow) => {
                Error::invalid("zstd data has a window of more than 128 MiB")
                    .with_hint("unpack it first: zstd -dc --long=31 FILE | esm import -")
            }
            None => Error::invalid(format!("{format} data is damaged or ends too early")),
        })
    }
}

/// A reader whose first read fails.
struct Failed(Option<io::Error>);

impl AsyncRead for Failed {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(self.0.take().map_or(Ok(()), Err))
    }
}

/// Reads until there are so many bytes, or to the end.
async fn read_up_to<R: AsyncRead + Unpin>(
    reader: &mut R,
    bytes: usize,
    begin: &mut Vec<u8>,
) -> io::Result<usize> {
    reader.take(bytes as u64).read_to_end(begin).await
}

fn unpack<R>(source: R, packing: Packing) -> Box<dyn AsyncRead + Send + Unpin>
where
    R: AsyncRead + Send + Unpin + 'static,
{
    match packing {
        Packing::Plain => Box::new(source),
        packed => {
            let buffered = BufReader::with_capacity(BUFFER, source);
            Box::new(Members::new(buffered, packed))
        }
    }
}
