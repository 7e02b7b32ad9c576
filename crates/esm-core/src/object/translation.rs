//! Translating a position in an older stream to the active one.

use crate::event::{Position, Revision};
use crate::id::{StreamId, StreamRef};
use crate::object::ChainEnd;
use crate::store::Close;

/// The present place of a position.
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
    /// Nowhere: a restored backup replaced the stream, and a position at its end or beyond has no
    /// counterpart in the restored events ([R19](crate::protocol#r19)).
    Replaced(Close),
}

impl ChainEnd {
    /// Where a position is now; nothing when the stream is not part of this chain.
    ///
    /// A position before the end N of a closed stream is history. One at N or beyond goes over to
    /// the continuation: (S, N + x) is (T, M + x), and so on along the chain. So a program that
    /// imports events, the k-th event to revision k, finds the place of the k-th event, or the
    /// place to append it at, although the object was migrated meanwhile.
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

    /// The present revision of an expected position, if the expectation carries over: all of each
    /// closed stream was known, and the next continues where it ended ([R8](crate::protocol#r8)).
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
