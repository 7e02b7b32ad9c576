//! Lines of a reader, one at a time, in bounded memory.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

const BUFFER: usize = 64 << 10;

/// Why a line could not be read.
#[derive(Debug)]
pub(crate) enum LineError {
    /// The line with this number is longer than the limit.
    TooLong(u64),
    /// The reader failed after the line with this number.
    Io(u64, io::Error),
}

/// A line without its end, and its number from 1 on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawLine<'a> {
    pub(crate) number: u64,
    pub(crate) bytes: &'a [u8],
}

/// Reads lines that end with LF; the last one may end with the input.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    limit: usize,
    number: u64,
    /// The current line where it goes beyond the buffer, else empty.
    long: Vec<u8>,
    /// Length of the current line where it is in the buffer.
    length: usize,
    /// What the current line takes of the buffer.
    taken: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `limit` bytes without their ends.
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            limit,
            number: 0,
            long: Vec::new(),
            length: 0,
            taken: 0,
        }
    }

    /// The reader below.
    pub(crate) fn get_ref(&self) -> &R {
        self.reader.get_ref()
    }

    /// Goes to the next line; `false` at the end.
    ///
    /// # Cancel safety
    /// Not safe to drop and continue.
    pub(crate) async fn advance(&mut self) -> Result<bool, LineError> {
        self.reader.consume(std::mem::take(&mut self.taken));
        self.long.clear();
        loop {
            let buffer = match self.reader.fill_buf().await {
                Ok(buffer) => buffer,
                Err(e) => return Err(LineError::Io(self.number, e)),
            };
            let end = memchr::memchr(b'\n', buffer);
            let length = end.unwrap_or(buffer.len());
            if self.long.len() + length > self.limit {
                return Err(LineError::TooLong(self.number + 1));
            }
            if length == 0 && end.is_none() {
                // the end of the input, and of a last line without an end
                self.length = 0;
                self.number += u64::from(!self.long.is_empty());
                return Ok(!self.long.is_empty());
            }
            if end.is_some() && self.long.is_empty() {
                self.length = length;
                self.taken = length + 1;
                self.number += 1;
                return Ok(true);
            }
            self.long.extend_from_slice(&buffer[..length]);
            self.reader.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                self.number += 1;
                return Ok(true);
            }
        }
    }

    /// The line that [`advance`](Self::advance) went to.
    pub(crate) fn current(&self) -> RawLine<'_> {
        let bytes = if self.long.is_empty() {
            &self.reader.buffer()[..self.length]
        } else {
            &self.long
        };
        RawLine {
            number: self.number,
            bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: &[u8], limit: usize) -> Result<Vec<(u64, Vec<u8>)>, LineError> {
        let mut lines = Lines::new(input, limit);
        let mut found = Vec::new();
        while lines.advance().await? {
            let line = lines.current();
            found.push((line.number, line.bytes.to_vec()));
        }
        Ok(found)
    }

    #[tokio::test]
    async fn lines_have_numbers_and_the_last_needs_no_end() {
        let lines = read(b"a\n\nbc", 10).await.unwrap();
        assert_eq!(
            lines,
            [(1, b"a".to_vec()), (2, vec![]), (3, b"bc".to_vec())]
        );
        assert_eq!(read(b"a\n", 10).await.unwrap().len(), 1);
        assert_eq!(read(b"", 10).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_line_may_be_longer_than_the_buffer_but_not_than_the_limit() {
        let long = vec![b'x'; 3 * BUFFER + 5];
        let mut input = b"a\n".to_vec();
        input.extend_from_slice(&long);
        input.extend_from_slice(b"\nb\n");
        let lines = read(&input, long.len()).await.unwrap();
        assert_eq!(lines[1], (2, long.clone()));
        assert_eq!(lines[2], (3, b"b".to_vec()));
        let error = read(&input, long.len() - 1).await.unwrap_err();
        assert!(matches!(error, LineError::TooLong(2)), "{error:?}");
    }
}
