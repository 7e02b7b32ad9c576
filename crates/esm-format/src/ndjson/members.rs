//! Decompresses gzip members and zstd frames, one behind another.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use super::Packing;

/// Why compressed data is refused that is not damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Something else than a member follows the last one.
    Garbage,
    /// Decompressing it needs more memory than the decoder allows.
    LongWindow,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Garbage => "garbage behind the end",
            Self::LongWindow => "window is too long",
        })
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// Why an error of [`Members`] refuses data, where it does.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        // the decoder has no kind of its own for this; a test notices when its text changes
        if error.to_string().contains("requires too much memory") {
            return Some(Self::LongWindow);
        }
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Reads the content of all members of a compressed file. Zeros behind a gzip member are padding.
pub(super) struct Members<R> {
    packing: Packing,
    /// Always present; taken out only to begin the next one.
    member: Option<Member<R>>,
    ended: bool,
}

enum Member<R> {
    Gzip(GzipDecoder<R>),
    Zstd(ZstdDecoder<R>),
}

impl<R: AsyncBufRead + Unpin> Members<R> {
    /// Reads a file that begins with a member.
    pub(super) fn new(reader: R, packing: Packing) -> Self {
        Self {
            packing,
            member: Some(Member::new(reader, packing)),
            ended: false,
        }
    }
}

impl<R: AsyncBufRead + Unpin> Member<R> {
    fn new(reader: R, packing: Packing) -> Self {
        if packing == Packing::Zstd {
            Self::Zstd(ZstdDecoder::new(reader))
        } else {
            Self::Gzip(GzipDecoder::new(reader))
        }
    }

    fn decoder(&mut self) -> &mut (dyn AsyncRead + Unpin) {
        match self {
            Self::Gzip(decoder) => decoder,
            Self::Zstd(decoder) => decoder,
        }
    }

    fn reader(&mut self) -> &mut R {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }

    fn into_reader(self) -> R {
        match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.into_inner(),
        }
    }
}

impl<R: AsyncBufRead + Unpin> AsyncRead for Members<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let filled = buffer.filled().len();
        while let Some(member) = &mut this.member {
            if !this.ended {
                ready!(Pin::new(member.decoder()).poll_read(context, buffer))?;
                if buffer.filled().len() > filled || buffer.remaining() == 0 {
                    break;
                }
                this.ended = true;
            }
            match ready!(next_byte(member.reader(), this.packing, context))? {
                None => break,
                Some(byte) if this.packing.begins_with(byte) => {}
                Some(_) => return Poll::Ready(Err(io::Error::other(Refused::Garbage))),
            }
            let reader = this.member.take().map(Member::into_reader);
            this.member = reader.map(|reader| Member::new(reader, this.packing));
            this.ended = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// The next byte that is no padding, which stays unread.
fn next_byte<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    packing: Packing,
    context: &mut Context<'_>,
) -> Poll<io::Result<Option<u8>>> {
    loop {
        let bytes = ready!(Pin::new(&mut *reader).poll_fill_buf(context))?;
        let padding = match packing {
            Packing::Gzip => bytes.iter().take_while(|byte| **byte == 0).count(),
            Packing::Zstd | Packing::Plain => 0,
        };
        let next = bytes.get(padding).copied();
        Pin::new(&mut *reader).consume(padding);
        if next.is_some() || padding == 0 {
            return Poll::Ready(Ok(next));
        }
    }
}
