//! What a store accepts and offers, and what keeps its streams from being moved while they are
//! written to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a store accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreLimits {
    /// Largest event, uncompressed as a line of the codec, in bytes.
    pub max_event_bytes: u64,
    /// Largest data cell, uncompressed, in bytes; the outputs of one source event must fit.
    pub max_cell_bytes: u64,
    /// Most events in a data cell.
    pub max_cell_events: u64,
}

impl Default for StoreLimits {
    /// Events up to 8 MiB, cells up to 32 MiB and 10,000 events.
    fn default() -> Self {
        Self {
            max_event_bytes: 8 << 20,
            max_cell_bytes: 32 << 20,
            max_cell_events: 10_000,
        }
    }
}

impl StoreLimits {
    /// The same limits with this largest event, in bytes; cells grow to hold at least four.
    #[must_use]
    pub fn with_max_event_bytes(mut self, bytes: u64) -> Self {
        self.max_event_bytes = bytes;
        self.max_cell_bytes = self.max_cell_bytes.max(bytes.saturating_mul(4));
        self
    }

    /// The same limits with this largest data cell.
    #[must_use]
    pub fn with_max_cell(mut self, events: u64, bytes: u64) -> Self {
        (self.max_cell_events, self.max_cell_bytes) = (events, bytes);
        self.max_event_bytes = self.max_event_bytes.min(bytes);
        self
    }
}

/// What a store offers. The default is what every store of esm's own must do and nothing beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// [`EventStore::discard`](super::EventStore::discard) works.
    pub discard: bool,
    /// [`EventStore::fence`](super::EventStore::fence) works, and a Fence costs no revision that
    /// applications see. Where not, an undo keeps the target permanently, because a late Close to
    /// it stays possible, and ends as `Abandoned`.
    pub fence: bool,
    /// Why its streams cannot be moved while they are written to, if so.
    pub shortcoming: Option<Shortcoming>,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            discard: false,
            fence: true,
            shortcoming: None,
        }
    }
}

impl Capabilities {
    /// Says whether streams can be discarded.
    #[must_use]
    pub fn with_discard(mut self, discard: bool) -> Self {
        self.discard = discard;
        self
    }

    /// Says whether streams can be fenced.
    #[must_use]
    pub fn with_fence(mut self, fence: bool) -> Self {
        self.fence = fence;
        self
    }

    /// Says what keeps streams from being moved while they are written to.
    #[must_use]
    pub fn with_shortcoming(mut self, shortcoming: impl Into<Option<Shortcoming>>) -> Self {
        self.shortcoming = shortcoming.into();
        self
    }

    /// Whether streams of this store can be closed while applications write: asked before anything
    /// is touched.
    ///
    /// # Errors
    /// `Unsupported`, with the reason and what would mend it.
    pub fn ensure_source(&self) -> Result<()> {
        self.shortcoming
            .map_or(Ok(()), |shortcoming| Err(shortcoming.refuse()))
    }

    /// Whether streams can be moved into this store: it need not be able to close them.
    ///
    /// # Errors
    /// `Unsupported`, with the reason and what would mend it.
    pub fn ensure_target(&self) -> Result<()> {
        match self.shortcoming {
            Some(shortcoming) if !shortcoming.permits_appends() => Err(shortcoming.refuse()),
            _ => Ok(()),
        }
    }
}

/// What a store does not do that a live migration needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shortcoming {
    /// Appends that expect the same position do not exclude each other.
    InexactAppends,
    /// An event does not come back as it was appended.
    ContentChanged,
    /// A close and an append at the same position do not exclude each other.
    CloseNotAtomic,
    /// Writers that know nothing of Close can append to a closed stream.
    CloseNotHonoured,
    /// Whether the store does what is needed was never tested.
    Untested,
}

impl Shortcoming {
    /// Whether streams can be written all the same, if not closed.
    pub fn permits_appends(self) -> bool {
        matches!(self, Self::CloseNotAtomic | Self::CloseNotHonoured)
    }

    /// What would mend it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::InexactAppends => {
                "let the adapter append with an exact expected version, checked and written as one \
                 (a unique key of stream and version, or the store's own expected version)"
            }
            Self::ContentChanged => {
                "let the adapter keep every part of an event; its envelope shows where each may go"
            }
            Self::CloseNotAtomic => {
                "let the adapter close a stream by the same conditional write as an append, or in \
                 one transaction with it"
            }
            Self::CloseNotHonoured => {
                "let the store itself refuse appends to a closed stream (a trigger, a permission), \
                 or keep old writers out by a format marker that they refuse; else stop all \
                 writers, export the streams and import them elsewhere"
            }
            Self::Untested => "open the store for writing once, which tests it",
        }
    }

    /// The refusal, with reason and hint.
    pub fn refuse(self) -> Error {
        Error::unsupported(format!(
            "this event store cannot be migrated while it is written to: {self}"
        ))
        .with_hint(self.hint())
    }
}

impl fmt::Display for Shortcoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InexactAppends => {
                "appends that expect the same position do not exclude each other"
            }
            Self::ContentChanged => "an event does not come back as it was appended",
            Self::CloseNotAtomic => {
                "a close and an append at the same position do not exclude each other"
            }
            Self::CloseNotHonoured => {
                "writers that know nothing of a close can append to a closed stream"
            }
            Self::Untested => "whether it can was never tested",
        })
    }
}
