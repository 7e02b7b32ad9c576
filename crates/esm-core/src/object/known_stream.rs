//! The least that a stream must have, by what its object's document and the Close before it say.

use crate::error::{Error, ErrorKind, Result};
use crate::event::Revision;
use crate::id::{ObjectId, StreamRef};
use crate::object::ObjectDocument;
use crate::store::{CellHeader, CellKind, Close, EventStore, Tail};

/// The least that is known of a stream: one that has less lost cells
/// ([R14](crate::protocol#r14)).
///
/// A Close counts the events of its own stream (N) and those that its target had (M). All of them
/// were acknowledged before the Close was written, and the document repeats the counts. So neither is
/// ahead of the streams: a stream that has less was damaged, whatever runs concurrently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownStream {
    object: ObjectId,
    stream: StreamRef,
    /// The fewest events that it has.
    events: Revision,
    /// Whether it has a cell, if only one without events.
    begun: bool,
    /// Whether its last cell is a Close.
    closed: bool,
}

/// Where a stream was found to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamEnd {
    /// Number of its cells.
    pub cells: u64,
    /// Number of its events.
    pub events: Revision,
    /// Whether its last cell is a Close.
    pub closed: bool,
}

impl StreamEnd {
    /// The end of a stream with this last cell.
    pub(crate) fn after(last: &CellHeader) -> Self {
        Self {
            cells: last.seq + 1,
            events: last.next_revision(),
            closed: matches!(last.kind, CellKind::Close(_)),
        }
    }
}

impl From<&Tail> for StreamEnd {
    fn from(tail: &Tail) -> Self {
        tail.last.as_ref().map(Self::after).unwrap_or_default()
    }
}

impl KnownStream {
    /// A stream of which nothing is known.
    pub(crate) fn new(object: &ObjectId, stream: &StreamRef) -> Self {
        Self {
            object: object.clone(),
            stream: stream.clone(),
            events: Revision::START,
            begun: false,
            closed: false,
        }
    }

    /// Returns what an object's document says of a stream.
    pub fn of(document: &ObjectDocument, stream: &StreamRef) -> Self {
        let mut known = Self::new(&document.object, stream);
        if let Some(before) = document.continued_by(stream) {
            known.begun = true;
            known.events = before.continuation_events;
        }
        if let Some(entry) = document.terminated(stream) {
            known.closed = true;
            known.events = known.events.max(entry.events);
        }
        known
    }

    /// Adds what the Close says that the stream continues.
    #[must_use]
    pub fn continuing(mut self, close: &Close) -> Self {
        self.begun = true;
        self.with_events(close.target_events)
    }

    /// Adds that these events were seen, or acknowledged.
    #[must_use]
    pub(crate) fn with_events(mut self, events: Revision) -> Self {
        self.raise(events);
        self
    }

    /// As [`with_events`](Self::with_events), in place.
    pub(crate) fn raise(&mut self, events: Revision) {
        self.events = self.events.max(events);
    }

    /// The object that the stream belongs to.
    pub fn object(&self) -> &ObjectId {
        &self.object
    }

    /// The stream.
    pub fn stream(&self) -> &StreamRef {
        &self.stream
    }

    /// Whether any stream fits, so that nothing can be found to be missing.
    pub(crate) fn is_nothing(&self) -> bool {
        !self.begun && !self.closed && self.events == Revision::START
    }

    /// Checks a stream that was found to end here.
    ///
    /// # Errors
    /// `Gone` when it has less than is known, naming the object, the stream, both counts, and the
    /// first absent cell as its store calls it.
    pub fn check(&self, store: &dyn EventStore, end: StreamEnd) -> Result<()> {
        let what = if end.cells == 0 && (self.begun || self.closed) {
            "stream is absent"
        } else if end.events < self.events {
            "stream lost its last events"
        } else if self.closed && !end.closed {
            "stream lost its Close"
        } else {
            return Ok(());
        };
        let absent = store.place_of_cell(&self.stream.stream, end.cells);
        let absent = absent.unwrap_or_else(|| format!("number {}", end.cells));
        let message = format!(
            "{what}: found {} events, at least {} are known, of {}, {}; the first absent cell is \
             {absent}",
            end.events, self.events, self.object, self.stream
        );
        Err(Error::new(ErrorKind::Gone, message).with_hint(
            "put the absent cells back from a copy of the storage, or restore the object from a \
             backup or an archive",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Environment;
    use crate::id::{StoreId, StreamId};

    fn stream(name: &str) -> StreamRef {
        StreamRef::new(
            StoreId::from_uuid(uuid::Uuid::from_u128(1)),
            StreamId::new(name).unwrap(),
        )
    }

    fn close(to: &str, events: u64, target_events: u64) -> Close {
        Close {
            target: Some(stream(to)),
            events: Revision(events),
            target_events: Revision(target_events),
            migration: Environment::system().migration_id(),
            continues: true,
            target_last: None,
        }
    }

    /// s (5 events) → t (3 events, closed with 4) → u (2 events), which is active.
    fn document() -> ObjectDocument {
        let object = "order/1".parse().unwrap();
        let mut document = ObjectDocument::new(object, stream("s"), jiff::Timestamp::UNIX_EPOCH);
        assert!(document.follow(&stream("s"), &close("t", 5, 3)));
        assert!(document.follow(&stream("t"), &close("u", 4, 2)));
        document
    }

    fn least(known: &KnownStream) -> (u64, bool, bool) {
        (known.events.0, known.begun, known.closed)
    }

    #[test]
    fn a_document_says_how_many_events_each_stream_has_at_least() {
        let document = document();
        let of = |name| KnownStream::of(&document, &stream(name));
        assert_eq!(least(&of("s")), (5, false, true));
        assert_eq!(least(&of("t")), (4, true, true));
        assert_eq!(least(&of("u")), (2, true, false));
        assert!(!of("u").is_nothing());
    }

    #[test]
    fn of_an_object_that_was_never_migrated_a_document_says_nothing() {
        let object = "order/1".parse().unwrap();
        let document = ObjectDocument::new(object, stream("s"), jiff::Timestamp::UNIX_EPOCH);
        let known = KnownStream::of(&document, &stream("s"));
        assert!(known.is_nothing());
        assert!(!known.clone().with_events(Revision(1)).is_nothing());
        assert!(!known.continuing(&close("s", 0, 0)).is_nothing());
    }

    #[test]
    fn what_was_seen_never_lowers_what_is_known() {
        let known = KnownStream::of(&document(), &stream("t"));
        assert_eq!(known.clone().with_events(Revision(1)), known);
        let more = known.continuing(&close("t", 9, 7));
        assert_eq!(least(&more), (7, true, true));
    }
}
