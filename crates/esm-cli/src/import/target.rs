//! The store as an import sees it: which sequences of an object it has, and where they stand.

use esm_core::event::{Event, Position, Revision};
use esm_core::id::{ObjectId, StreamId};
use esm_core::object::ChainEnd;
use esm_core::router::{ExpectedRevision, ObjectClient, ObjectReader, ReadPosition, Translation};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

/// What the store has of an object. Sequence k was event k of its first stream, before whatever
/// migrations went over it.
#[derive(Debug)]
pub(crate) struct State {
    /// Absent where the object is.
    history: Option<History>,
    /// The sequence that comes next.
    next: u64,
    /// What the next append expects.
    end: ExpectedRevision,
}

#[derive(Debug)]
struct History {
    first: StreamId,
    chain: ChainEnd,
}

impl State {
    /// Looks an object up. Writes nothing.
    ///
    /// # Errors
    /// `Unsupported` for an object that was restored from a backup, over which sequences mean
    /// nothing (R19); those of [`ObjectReader::chain`], but for an unknown object.
    pub(crate) async fn load(reader: &ObjectReader, object: &ObjectId) -> Result<Self> {
        let Some(found) = reader.documents().find(object).await? else {
            return Ok(Self {
                history: None,
                next: 0,
                end: ExpectedRevision::NoStream,
            });
        };
        let first = found.document.first_stream().stream.clone();
        let chain = reader.chain(object, &first).await?;
        Ok(Self {
            next: count(object, &chain)?,
            end: ExpectedRevision::At(Position {
                stream: chain.stream.stream.clone(),
                revision: chain.tail.next_revision(),
            }),
            history: Some(History { first, chain }),
        })
    }

    /// The sequence that comes next: how many events of the input the store has.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Whether the store has all events before a sequence.
    ///
    /// # Errors
    /// `Invalid` for a gap.
    pub(crate) fn reaches(&self, object: &ObjectId, sequence: u64) -> Result<()> {
        let next = self.next;
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

    /// The stored events from a sequence on.
    pub(crate) fn stored(
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
    /// Those of [`ObjectClient::append`]. After `Conflict`, `AlreadyExists` or `Ambiguous`: load
    /// the state again and see what is there.
    pub(crate) async fn append(
        &mut self,
        client: &ObjectClient,
        object: &ObjectId,
        events: Vec<Event>,
    ) -> Result<()> {
        let count = events.len() as u64;
        let appended = client.append(object, self.end.clone(), events).await?;
        self.next += count;
        self.end = ExpectedRevision::At(appended.next);
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

/// How many events an object has had: those of its first stream, and what came to each later one
/// after it took over.
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

/// Whether what is in the store has to be looked at again before anything is appended.
pub(crate) fn is_settled_by_reading(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict { .. } | ErrorKind::AlreadyExists | ErrorKind::Ambiguous
    )
}
