//! The store as an import sees it: which sequences of an object it has, and where they stand.

use std::collections::BTreeSet;

use esm_core::chain::{self, ChainEnd};
use esm_core::document::ObjectDocument;
use esm_core::event::{Event, Revision, Schema};
use esm_core::id::{ObjectId, StreamId, StreamRef};
use esm_core::store::{Append, CellEvent, CellKind, EventStoreExt as _, PageLimit, ReadFrom, Tail};
use esm_core::{Error, ErrorKind, Result};

use crate::objects;
use crate::session::Session;

/// What the store has of an object.
#[derive(Debug)]
pub(crate) struct State {
    /// Streams behind one another, oldest first; the last one is active.
    segments: Vec<Segment>,
    tail: Tail,
    /// Schemas that must not be appended as they are (R11), with who retired them.
    retired: BTreeSet<Schema>,
    /// Whether a document has to be created, or made to follow, before anything is appended.
    document: Document,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Document {
    Missing,
    Behind,
    Right,
}

/// A run of sequences that stand in one stream.
#[derive(Debug, Clone)]
struct Segment {
    stream: StreamId,
    /// A sequence, and the revision that it has in the stream.
    sequence: u64,
    revision: u64,
}

impl State {
    /// Looks an object up.
    ///
    /// # Errors
    /// `Deleted`; `Unsupported` for an object that was restored from a backup, over which
    /// sequences mean nothing (R19); those of [`chain::follow_in`].
    pub(crate) async fn load(session: &Session, object: &ObjectId) -> Result<Self> {
        let Some(found) = session.documents().find(object).await? else {
            return Self::absent(session, object).await;
        };
        let document = found.document;
        let end = chain::follow_in(session.stores(), objects::oldest(&document).clone()).await?;
        if end.tail.close().is_some() {
            return Err(Error::new(
                ErrorKind::Deleted,
                format!("object was deleted: {object}"),
            ));
        }
        let retired = match end.closes.is_empty() {
            true => BTreeSet::new(),
            false => {
                let origin = session.events().origin(&end.stream.stream).await?;
                origin.map_or_else(BTreeSet::new, |o| o.refused().cloned().collect())
            }
        };
        Ok(Self {
            segments: segments(object, &end)?,
            document: match document.active == end.stream {
                true => Document::Right,
                false => Document::Behind,
            },
            tail: end.tail,
            retired,
        })
    }

    async fn absent(session: &Session, object: &ObjectId) -> Result<Self> {
        let stream = StreamId::first(object);
        Ok(Self {
            tail: session.events().tail(&stream).await?,
            segments: vec![Segment {
                stream,
                sequence: 0,
                revision: 0,
            }],
            retired: BTreeSet::new(),
            document: Document::Missing,
        })
    }

    /// The sequence that comes next: how many events of the input the store has.
    pub(crate) fn next_sequence(&self) -> u64 {
        let active = self.active();
        let revision = self.tail.next_revision().0;
        active.sequence + revision.saturating_sub(active.revision)
    }

    /// Whether the store has all events before a sequence.
    ///
    /// # Errors
    /// `Invalid` for a gap.
    pub(crate) fn reaches(&self, object: &ObjectId, sequence: u64) -> Result<()> {
        let next = self.next_sequence();
        if sequence <= next {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "gap in the events of {object}: sequence {next} must come next, found {sequence}"
        ))
        .with_hint(match next {
            0 => "an object's events begin at sequence 0".to_owned(),
            _ => format!("the store has the first {next} events; import those that follow"),
        }))
    }

    fn active(&self) -> &Segment {
        self.segments
            .last()
            .unwrap_or_else(|| unreachable!("an object has a stream"))
    }

    /// The stored events from a sequence on, in pages: none where nothing is stored.
    ///
    /// # Errors
    /// `Gone` where the events were deleted; what the store fails with.
    pub(crate) async fn page(&self, session: &Session, sequence: u64) -> Result<Vec<Event>> {
        let behind = self.segments.iter().rposition(|s| s.sequence <= sequence);
        let Some(at) = behind else {
            return Ok(Vec::new());
        };
        let segment = &self.segments[at];
        let revision = Revision(segment.revision + (sequence - segment.sequence));
        let from = ReadFrom::Revision(revision);
        let limit = PageLimit {
            cells: 8,
            bytes: 1 << 20,
        };
        let page = session.events().read(&segment.stream, from, limit).await?;
        let mut events = Vec::new();
        for cell in page.cells {
            match cell.header.kind {
                CellKind::Data { .. } => (),
                CellKind::Tombstone => return Err(gone(&segment.stream)),
                CellKind::Close(_) | CellKind::Fence(_) => continue,
            }
            let before = revision.0.saturating_sub(cell.header.first_revision.0);
            let wanted = cell.events.into_iter().skip(before as usize);
            events.extend(wanted.map(|e| e.event));
        }
        if let Some(next) = self.segments.get(at + 1) {
            events.truncate(usize::try_from(next.sequence - sequence).unwrap_or(usize::MAX));
        }
        Ok(events)
    }

    /// Appends events behind the last one.
    ///
    /// # Errors
    /// `Conflict`, `Closed` or `Ambiguous`: load the state again and see what is there. `Invalid`
    /// for a schema that a migration retired.
    pub(crate) async fn append(
        &mut self,
        session: &Session,
        object: &ObjectId,
        events: Vec<Event>,
    ) -> Result<()> {
        self.put_document_right(session, object).await?;
        let commit = session.environment().commit_id();
        let cells = events.into_iter().map(CellEvent::from).collect();
        let append = Append::events(commit, cells);
        let stream = self.active().stream.clone();
        self.tail = session.events().append(&stream, &self.tail, append).await?;
        Ok(())
    }

    /// Whether an event may be appended as it is.
    ///
    /// # Errors
    /// `Invalid` for a schema that the object's last migration retired (R11).
    pub(crate) fn accepts(&self, event: &Event) -> Result<()> {
        let schema = event.schema();
        match self.retired.contains(&schema) {
            false => Ok(()),
            true => Err(Error::invalid(format!(
                "the object's last migration retired this schema: {schema}"
            ))
            .with_hint("transform new events the same way before importing them")),
        }
    }

    async fn put_document_right(&mut self, session: &Session, object: &ObjectId) -> Result<()> {
        match self.document {
            Document::Right => return Ok(()),
            Document::Behind => {
                chain::help(session.stores(), session.documents(), object).await?;
            }
            Document::Missing => {
                let active = StreamRef::new(session.events().id(), StreamId::first(object));
                let now = session.environment().clock.now();
                let document = ObjectDocument::new(object.clone(), active, now);
                session.documents().create(&document).await?;
            }
        }
        self.document = Document::Right;
        Ok(())
    }
}

fn segments(object: &ObjectId, end: &ChainEnd) -> Result<Vec<Segment>> {
    let mut sequence = 0;
    let mut revision = 0;
    let mut segments = Vec::new();
    for (stream, close) in &end.closes {
        segments.push(Segment {
            stream: stream.stream.clone(),
            sequence,
            revision,
        });
        if !close.continues {
            return Err(Error::unsupported(format!(
                "object was restored from a backup, so that sequences mean nothing for it: {object}"
            ))
            .with_hint("import into an object of another name, with --name"));
        }
        sequence += close.events.0.saturating_sub(revision);
        revision = close.target_events.0;
    }
    segments.push(Segment {
        stream: end.stream.stream.clone(),
        sequence,
        revision,
    });
    Ok(segments)
}

fn gone(stream: &StreamId) -> Error {
    Error::new(
        ErrorKind::Gone,
        format!("stored events cannot be compared, they were deleted: {stream}"),
    )
}
