//! An object as the store has it: which sequences, and where they are.

use esm_core::event::{Event, Position, Revision};
use esm_core::id::{ObjectId, StreamId};
use esm_core::object::ChainEnd;
use esm_core::router::{ExpectedRevision, ObjectClient, ObjectReader, ReadPosition, Translation};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

/// An object as the store has it. Sequence k was event k of its first stream, before any migration.
#[derive(Debug)]
pub(super) struct State {
    end: End,
    /// Absent where the object is, and where the object is known from an append.
    history: Option<History>,
}

/// Where an object ends.
#[derive(Debug, Clone)]
pub(super) struct End {
    /// The sequence that comes next.
    pub(super) next: u64,
    /// What the next append expects.
    expected: ExpectedRevision,
}

#[derive(Debug)]
struct History {
    first: StreamId,
    chain: ChainEnd,
}

impl State {
    /// Loads an object; without a reader there is no store. Writes nothing.
    ///
    /// # Errors
    /// `Unsupported` for an object that was restored from a backup, for which sequences mean
    /// nothing (R19); those of [`ObjectReader::chain`], except for an unknown object.
    pub(super) async fn load(reader: Option<&ObjectReader>, object: &ObjectId) -> Result<Self> {
        let absent = Self::at(End {
            next: 0,
            expected: ExpectedRevision::NoStream,
        });
        let Some(reader) = reader else {
            return Ok(absent);
        };
        let Some(found) = reader.documents().find(object).await? else {
            return Ok(absent);
        };
        let first = found.document.first_stream().stream.clone();
        let chain = reader.chain(object, &first).await?;
        let end = End {
            next: count(object, &chain)?,
            expected: ExpectedRevision::At(Position {
                stream: chain.stream.stream.clone(),
                revision: chain.tail.next_revision(),
            }),
        };
        Ok(Self {
            end,
            history: Some(History { first, chain }),
        })
    }

    /// An object of which only the end is known.
    pub(super) fn at(end: End) -> Self {
        Self { end, history: None }
    }

    /// Where the object ends.
    pub(super) fn into_end(self) -> End {
        self.end
    }

    /// The sequence that comes next: how many events of the input the store has.
    pub(super) fn next_sequence(&self) -> u64 {
        self.end.next
    }

    /// Whether the store has all events before a sequence.
    ///
    /// # Errors
    /// `Invalid` for a gap.
    pub(super) fn reaches(&self, object: &ObjectId, sequence: u64) -> Result<()> {
        let next = self.end.next;
        if sequence <= next {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "gap in the events of {object}: sequence {next} must come next, found {sequence}"
        ))
        .with_hint(match next {
            0 => "an object's events begin at sequence 0; number them anew with --renumber"
                .to_owned(),
            _ => format!("the store has the first {next} events; import those that follow"),
        }))
    }

    /// The stored events from a sequence on.
    pub(super) fn stored(
        &self,
        reader: &ObjectReader,
        object: &ObjectId,
        sequence: u64,
    ) -> BoxStream<'static, Result<Event>> {
        let place = self.history.as_ref().and_then(|h| h.place_of(sequence));
        match place {
            Some(place) => reader
                .read(object, ReadPosition::At(place))
                .map_ok(|recorded| recorded.event)
                .boxed(),
            None => stream::empty().boxed(),
        }
    }

    /// Appends events behind the last one.
    ///
    /// # Errors
    /// Those of [`ObjectClient::append`]. After `Conflict`, `AlreadyExists` or `Ambiguous`, load
    /// the state again.
    pub(super) async fn append(
        &mut self,
        client: &ObjectClient,
        object: &ObjectId,
        events: Vec<Event>,
    ) -> Result<()> {
        let count = events.len() as u64;
        let appended = client
            .append(object, self.end.expected.clone(), events)
            .await?;
        self.end.next += count;
        self.end.expected = ExpectedRevision::At(appended.next);
        Ok(())
    }
}

impl History {
    fn place_of(&self, sequence: u64) -> Option<Position> {
        match self.chain.translate(&self.first, Revision(sequence))? {
            Translation::Active(place) => Some(place),
            Translation::History { stream, revision } => Some(Position {
                stream: stream.stream,
                revision,
            }),
            Translation::Replaced(_) => None,
        }
    }
}

/// Counts the events that were appended to an object: those of its first stream, and those of each
/// later one behind its copy.
fn count(object: &ObjectId, chain: &ChainEnd) -> Result<u64> {
    let (mut count, mut begin) = (0, Revision::START);
    for (_, close) in &chain.closes {
        if !close.continues {
            return Err(Error::unsupported(format!(
                "object was restored from a backup, so that sequences mean nothing for it: {object}"
            ))
            .with_hint("import into an object of another name, with --name"));
        }
        count += close.events.0.saturating_sub(begin.0);
        begin = close.target_events;
    }
    Ok(count + chain.tail.next_revision().0.saturating_sub(begin.0))
}

/// Whether the object has to be loaded again before anything is appended.
pub(super) fn is_settled_by_reading(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict { .. } | ErrorKind::AlreadyExists | ErrorKind::Ambiguous
    )
}
