//! Lines of a file or of standard input, with a progress display.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use esm_core::Result;
use esm_format::ndjson::{Line, LineReader};
use tokio::io::{AsyncRead, ReadBuf};

use crate::exit;
use crate::progress::Progress;

/// A source of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Standard input.
    Stdin,
    /// A file, or anything else with a path.
    Path(std::path::PathBuf),
}

impl Place {
    /// `-` is standard input, anything else a path.
    pub(crate) fn new(text: &str) -> Self {
        match text {
            "-" => Self::Stdin,
            path => Self::Path(path.into()),
        }
    }

    /// The size of a regular file, which can be read twice; `None` for anything else.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a directory.
    pub(crate) async fn regular_size(&self) -> Result<Option<u64>> {
        let Self::Path(path) = self else {
            return Ok(None);
        };
        let found = tokio::fs::metadata(path).await;
        let found = found.map_err(|e| exit::io(format_args!("reading {}", path.display()), e))?;
        if found.is_dir() {
            let message = format!("is a directory, not a file: {}", path.display());
            return Err(esm_core::Error::invalid(message));
        }
        Ok(found.is_file().then_some(found.len()))
    }
}

/// An opened source of lines.
#[derive(Debug)]
pub(crate) struct Input {
    lines: LineReader,
    read: Arc<AtomicU64>,
    progress: Progress,
}

impl Input {
    /// Opens a source whose lines have at most `max_line_bytes`. `progress` starts the display, given
    /// the total size.
    ///
    /// # Errors
    /// `NotFound` and other errors of the operating system.
    pub(crate) async fn open(
        place: &Place,
        max_line_bytes: u64,
        progress: impl FnOnce(Option<u64>) -> Progress,
    ) -> Result<Self> {
        let size = place.regular_size().await?;
        let reader: Box<dyn AsyncRead + Send + Unpin> = match place {
            Place::Stdin => Box::new(tokio::io::stdin()),
            Place::Path(path) => {
                let file = tokio::fs::File::open(path).await;
                Box::new(file.map_err(|e| exit::io(format_args!("opening {}", path.display()), e))?)
            }
        };
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            reader,
            read: Arc::clone(&read),
        };
        let longest = usize::try_from(max_line_bytes).unwrap_or(usize::MAX);
        Ok(Self {
            lines: LineReader::open(counted, longest).await?,
            read,
            progress: progress(size),
        })
    }

    /// The next line that is not blank.
    ///
    /// # Errors
    /// Those of reading and decompressing, with the number of the line.
    pub(crate) async fn next(&mut self) -> Result<Option<Line<'_>>> {
        self.lines.next().await
    }

    /// Updates the progress display.
    pub(crate) fn tell(&self) {
        self.progress.at(self.read.load(Ordering::Relaxed));
    }

    /// Removes the progress display.
    pub(crate) fn end(&self) {
        self.progress.end();
    }
}

struct Counted {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    read: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.reader).poll_read(context, buffer);
        let read = (buffer.filled().len() - before) as u64;
        self.read.fetch_add(read, Ordering::Relaxed);
        polled
    }
}
