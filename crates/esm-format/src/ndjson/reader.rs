//! Reading files of lines.

use std::fmt;

use esm_core::{Error, ErrorKind, Result};
use tokio::io::AsyncRead;

use super::Packing;
use super::content::{Content, Explainer};
use crate::lines::{LineError, Lines, RawLine};

const BOM: &[u8] = b"\xef\xbb\xbf";

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
    explainer: Explainer,
    max_line_bytes: usize,
}

impl fmt::Debug for LineReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader")
            .field("packing", &self.explainer.packing)
            .field("max_line_bytes", &self.max_line_bytes)
            .finish_non_exhaustive()
    }
}

impl LineReader {
    /// Begins to read a file whose lines have at most this many bytes.
    ///
    /// # Errors
    /// What reading the first bytes fails with.
    pub async fn open<R>(reader: R, max_line_bytes: usize) -> Result<Self>
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        Ok(Self::of(Content::open(reader).await?, max_line_bytes))
    }

    /// Reads content whose lines have at most this many bytes.
    pub fn of(content: Content, max_line_bytes: usize) -> Self {
        Self {
            lines: Lines::new(content.reader, max_line_bytes),
            explainer: content.explainer,
            max_line_bytes,
        }
    }

    /// How the file is compressed.
    pub fn packing(&self) -> Packing {
        self.explainer.packing
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
            return Err(utf16());
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
        match error {
            LineError::TooLong(number) => Error::new(
                ErrorKind::TooLarge,
                format!("line {number}: longer than {} bytes", self.max_line_bytes),
            )
            .with_hint("raise the limit of an event's size"),
            LineError::Io(number, error) => {
                let error = self.explainer.explain(error);
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

/// The error of text that [is UTF-16](is_utf16).
pub fn utf16() -> Error {
    Error::invalid("line 1: UTF-16, not UTF-8")
        .with_hint("convert it first: iconv -f UTF-16 -t UTF-8 FILE | esm import -")
}

/// Whether text begins as UTF-16 does: with its byte order mark, or an ASCII character.
pub fn is_utf16(begin: &[u8]) -> bool {
    matches!(
        begin,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..]
    )
}

fn is_blank(line: RawLine<'_>) -> bool {
    trim(line).trim_ascii().is_empty()
}
