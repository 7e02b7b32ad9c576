//! Which rows a pass is about, and what it did.

use std::collections::BTreeSet;

use esm_core::event::Schema;
use serde::Serialize;

/// What one pass over all streams did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Pass {
    /// Number of streams that were read.
    pub objects: u64,
    /// Number of events that were read.
    pub events: u64,
    /// Number of events that were rewritten, or removed.
    pub rewritten: u64,
    /// Of these, events that were removed.
    pub dropped: u64,
    /// Number of events to be dropped that stay, because they are the last of their streams.
    pub left: u64,
}

/// How a pass goes over the streams.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a> {
    /// The rows that it transforms.
    pub(super) selected: &'a Selected,
    /// Whether it writes; else it only counts.
    pub(super) writes: bool,
    /// Whether it first asks which streams have such rows: where most have none.
    pub(super) asks: bool,
}

/// Which rows of a stream are transformed, and why.
#[derive(Debug, Clone)]
pub(super) enum Selected {
    /// Those that this migration did not write.
    Unwritten,
    /// Those that this migration did not write, of these schemas.
    Schemas(BTreeSet<Schema>),
}

impl Selected {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Unwritten => Kind::Swap,
            Self::Schemas(_) => Kind::Down,
        }
    }

    pub(super) fn includes(&self, schema: &Schema) -> bool {
        match self {
            Self::Unwritten => true,
            Self::Schemas(schemas) => schemas.contains(schema),
        }
    }
}

/// Why a row was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A migration transformed an event.
    Swap,
    /// An undo transformed an event that came since.
    Down,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Swap => "swap",
            Self::Down => "down",
        }
    }
}
