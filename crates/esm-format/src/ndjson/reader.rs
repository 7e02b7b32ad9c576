//! Reading files of lines.

use std::fmt;
use std::io::{self, Cursor};

use esm_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader};

use super::Packing;
use super::members::{Members, Refused};
use crate::lines::{LineError, Lines, RawLine};
use crate::metered::{Failure, Metered, io_error};

const BOM: &[u8] = b"\xef\xbb\xbf";
const BUFFER: usize = 64 << 10;

/// A line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number in the file, from 1 on; lines that are left out count too.
    pub number: u64,
    /// Its text, without the line's end.
    pub text: &'a str,
}

/// Reads a file line by line, in constant memory: a few buffers and the longest line.
///
/// The first bytes say whether it is plain, gzip or zstd. Lines end with LF or CRLF, the last one also
/// with the file. Byte order marks at the start of a line (concatenated files have them inside, too),
/// blank lines, and zeros that pad gzip data are skipped.
pub struct LineReader {
    lines: Lines<Box<dyn AsyncRead + Send + Unpin>>,
    packing: Packing,
    failure: Failure,
    max_line_bytes: usize,
}

impl fmt::Debug for LineReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader")
            .field("packing", &self.packing)
            .field("max_line_bytes", &self.max_line_bytes)
            .finish_non_exhaustive()
    }
}

impl LineReader {
    /// Begins to read a file whose lines have at most this many bytes.
    ///
    /// # Errors
    /// What reading the first bytes fails with.
    pub async fn open<R>(mut reader: R, max_line_bytes: usize) -> Result<Self>
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let begin = begin(&mut reader)
            .await
            .map_err(|e| io_error("reading failed", e))?;
        let packing = Packing::detect(&begin);
        let source = Metered::counting(Cursor::new(begin).chain(reader));
        let failure = source.failure();
        Ok(Self {
            lines: Lines::new(unpack(source, packing), max_line_bytes),
            packing,
            failure,
            max_line_bytes,
        })
    }

    /// How the file is compressed.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// The next line that is not blank; nothing at the end.
    ///
    /// # Errors
    /// `TooLarge` and `Invalid`, naming the line: too long, UTF-16, not UTF-8 (with the column,
    /// 1-based, in bytes), or compressed data that is damaged, ends too early, is followed by garbage
    /// or needs a window of more than 128 MiB. Errors of the reader.
    ///
    /// # Cancel safety
    /// Not safe: an input whose future was dropped cannot be read further.
    pub async fn next(&mut self) -> Result<Option<Line<'_>>> {
        loop {
            match self.lines.advance().await {
                Ok(true) if is_blank(self.lines.current()) => {}
                Ok(true) => break,
                Ok(false) => return Ok(None),
                Err(error) => return Err(self.explain(error)),
            }
        }
        let line = self.lines.current();
        if line.number == 1 && is_utf16(line.bytes) {
            return Err(Error::invalid("line 1: UTF-16, not UTF-8")
                .with_hint("convert it first: iconv -f UTF-16 -t UTF-8 FILE | esm import -"));
        }
        let bytes = trim(line);
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Some(Line {
                number: line.number,
                text,
            })),
            Err(e) => Err(Error::invalid(format!(
                "line {}: not UTF-8, at column {}",
                line.number,
                e.valid_up_to() + 1
            ))),
        }
    }

    fn explain(&self, error: LineError) -> Error {
        let format = match self.packing {
            Packing::Plain => "plain",
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
        };
        match error {
            LineError::TooLong(number) => Error::new(
                ErrorKind::TooLarge,
                format!("line {number}: longer than {} bytes", self.max_line_bytes),
            ),
            LineError::Io(number, error) => {
                let refused = Refused::of(&error);
                let error = self.failure.explain(error, || match refused {
                    Some(Refused::Garbage) => {
                        Error::invalid(format!("garbage behind the end of the {format} data"))
                    }
                    Some(Refused::LongWindow) => {
                        Error::invalid("zstd data has a window of more than 128 MiB")
                            .with_hint("unpack it first: zstd -dc --long=31 FILE | esm import -")
                    }
                    None => Error::invalid(format!("{format} data is damaged or ends too early")),
                });
                error.context(format_args!("after line {number}"))
            }
        }
    }
}

/// The line without byte order marks and the CR of its end.
fn trim(line: RawLine<'_>) -> &[u8] {
    let mut bytes = line.bytes;
    while let Some(rest) = bytes.strip_prefix(BOM) {
        bytes = rest;
    }
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Whether text begins as UTF-16 does: with its byte order mark, or an ASCII character.
fn is_utf16(begin: &[u8]) -> bool {
    matches!(
        begin,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..]
    )
}

fn is_blank(line: RawLine<'_>) -> bool {
    trim(line).trim_ascii().is_empty()
}

async fn begin<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Vec<u8>> {
    let mut begin = Vec::with_capacity(Packing::MAGIC_BYTES);
    reader
        .take(Packing::MAGIC_BYTES as u64)
        .read_to_end(&mut begin)
        .await?;
    Ok(begin)
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
