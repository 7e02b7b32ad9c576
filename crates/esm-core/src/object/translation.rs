//! Where a position in an older stream lies now.

use crate::event::{Position, Revision};
use crate::id::{StreamId, StreamRef};
use crate::object::ChainEnd;
use crate::store::Close;

/// Where a position lies now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translation {
    /// In the stream at the end of the chain.
    Active(Position),
    /// In a stream that was closed later: the event after this position is history, and its image
    /// went into the continuation.
    History {
        /// The closed stream.
        stream: StreamRef,
        /// The event's revision there.
        revision: Revision,
    },
    /// Nowhere: a restored backup took the stream's place, and a position at its end or beyond
    /// means nothing in what was restored (R19).
    Replaced(Close),
}

impl ChainEnd {
    /// Where a position lies now; nothing when the stream is none of this chain.
    ///
    /// A position before the end N of a closed stream is history. One at N or beyond goes over to
    /// the continuation: (S, N + x) is (T, M + x), and so on along the chain. So one that copies
    /// events from elsewhere, the k-th event to revision k, finds where the k-th stands, or where
    /// it would have to be appended, although the object was migrated meanwhile.
    pub fn translate(&self, stream: &StreamId, revision: Revision) -> Option<Translation> {
        let begins = |(closed, _): &(StreamRef, Close)| closed.stream == *stream;
        let met = self.closes.iter().position(begins);
        let passed = match met {
            Some(at) => &self.closes[at..],
            None if self.stream.stream == *stream => &[],
            None => return None,
        };
        let mut revision = revision;
        for (closed, close) in passed {
            let Some(beyond) = revision.0.checked_sub(close.events.0) else {
                return Some(Translation::History {
                    stream: closed.clone(),
                    revision,
                });
            };
            if !close.continues {
                return Some(Translation::Replaced(close.clone()));
            }
            revision = close.target_events.plus(beyond);
        }
        Some(Translation::Active(Position {
            stream: self.stream.stream.clone(),
            revision,
        }))
    }

    /// Where an expected position lies now, if what is expected can be said there: all of each
    /// closed stream was known, and the next goes on where it ended (R8).
    pub fn carry(&self, mut revision: Revision) -> Option<Revision> {
        for (_, close) in &self.closes {
            if !close.continues || revision != close.events {
                return None;
            }
            revision = close.target_events;
        }
        Some(revision)
    }
}
