//! A file or standard input, with a progress display.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use esm_core::Result;
use esm_format::ndjson::Content;
use tokio::io::{AsyncRead, ReadBuf};

use crate::exit;
use crate::progress::Progress;

/// Where an input is read from.
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

/// Shows how much of an input was read.
#[derive(Debug)]
pub(crate) struct Meter {
    read: Arc<AtomicU64>,
    progress: Progress,
}

/// An opened input.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) content: Content,
    pub(crate) meter: Meter,
}

impl Input {
    /// Opens an input. `progress` starts the display, given the total size.
    ///
    /// # Errors
    /// `NotFound` and other errors of the operating system.
    pub(crate) async fn open(
        place: &Place,
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
        Ok(Self {
            content: Content::open(counted).await?,
            meter: Meter {
                read,
                progress: progress(size),
            },
        })
    }
}

impl Meter {
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
