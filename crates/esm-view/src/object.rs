//! An object with its streams: the document of `esm show`.

use std::collections::BTreeMap;

use esm_core::event::Revision;
use esm_core::id::{MigrationId, ObjectId, StreamRef};
use esm_core::migration::MigrationPhase;
use esm_core::object::chain;
use esm_core::object::{ChainEnd, KnownStream, ObjectDocument};
use esm_core::router::{ObjectReader, RoutingTable, accepted_unchanged};
use esm_core::store::{Close, EventStoreExt as _, Origin, Tail};
use esm_core::{ErrorKind, Result};
use serde::Serialize;

/// An object with its streams.
#[derive(Debug, Clone, Serialize)]
pub struct ShownObject {
    /// The object.
    pub object: ObjectId,
    /// Number of events.
    pub events: Revision,
    /// How applications read and write it.
    pub phase: MigrationPhase,
    /// Whether the document names a stream that is no longer the active one.
    pub document_is_behind: bool,
    /// Its streams, oldest first.
    pub streams: Vec<ShownStream>,
    /// The number of the version of its document.
    pub document_version: u64,
    /// Why streams before the newest are missing here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_damage: Option<String>,
    /// Its document.
    pub document: ObjectDocument,
}

/// A stream of an object.
#[derive(Debug, Clone, Serialize)]
pub struct ShownStream {
    /// The stream.
    pub stream: StreamRef,
    /// `active`, `closed`, `deleted` or `damaged`.
    pub state: &'static str,
    /// Number of events.
    pub events: Revision,
    /// Number of cells.
    pub cells: u64,
    /// Where it was copied from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The migration that closed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<MigrationId>,
    /// Revision of its continuation that follows its last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues_at: Option<Revision>,
    /// What the stream lost, by what the document and the Close before it say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// Events of retired schemas that were stored unchanged, by schema.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accepted_unchanged: BTreeMap<String, u64>,
}

/// Which streams of an object are read, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamDepth {
    /// All. Those that accept events of retired schemas are read in full, to count these events.
    All,
    /// The ends of this many of the newest.
    Newest(usize),
}

impl ShownObject {
    /// Loads an object with streams to this depth.
    ///
    /// # Errors
    /// `NotFound`; `UnknownStore` if its streams lead into a store that is not known here; those of
    /// the stores.
    pub async fn load(
        reader: &ObjectReader,
        routing: &RoutingTable,
        object: &ObjectId,
        depth: StreamDepth,
    ) -> Result<Self> {
        let found = reader.documents().load(object).await?;
        let (document, document_damage) = match depth {
            StreamDepth::All => whole(reader, found.document).await?,
            StreamDepth::Newest(_) => (found.document, None),
        };
        let end = chain::follow_damaged(reader.stores(), &document).await?;
        let streams = streams(reader, &document, &end, depth).await?;
        let generation = (document.generation() + end.closes.len()) as u64;
        let entry = routing.entry(object, generation).await?;
        Ok(Self {
            object: object.clone(),
            events: end.tail.next_revision(),
            phase: entry.map(|e| e.phase).unwrap_or_default(),
            document_is_behind: end.stream != document.active,
            streams,
            document_version: found.version,
            document_damage,
            document,
        })
    }

    /// The stream at the end of its chain, which its revisions are of. The document may be behind it.
    pub fn current_stream(&self) -> &StreamRef {
        let newest = self.streams.last().map(|shown| &shown.stream);
        newest.unwrap_or(&self.document.active)
    }

    /// Whether its document or one of its streams is damaged.
    pub fn is_damaged(&self) -> bool {
        self.document_damage.is_some() || self.streams.iter().any(|stream| stream.damage.is_some())
    }
}

/// The document with all its streams; as it is, and the damage, where a version of it that has
/// earlier ones is damaged.
async fn whole(
    reader: &ObjectReader,
    document: ObjectDocument,
) -> Result<(ObjectDocument, Option<String>)> {
    match reader.documents().whole(document.clone()).await {
        Ok(whole) => Ok((whole, None)),
        Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Gone) => {
            Ok((document, Some(e.to_string())))
        }
        Err(e) => Err(e),
    }
}

/// The streams that the document knows to be closed, then those from its active one on.
async fn streams(
    reader: &ObjectReader,
    document: &ObjectDocument,
    end: &ChainEnd,
    depth: StreamDepth,
) -> Result<Vec<ShownStream>> {
    let closed = document.terminated.iter().map(|entry| &entry.stream);
    let followed = end.closes.iter().map(|(stream, _)| stream);
    let all: Vec<_> = closed.chain(followed).chain([&end.stream]).collect();
    let first = match depth {
        StreamDepth::All => 0,
        StreamDepth::Newest(most) => all.len().saturating_sub(most),
    };
    let mut shown = Vec::new();
    let mut before: Option<Close> = None;
    for stream in all.into_iter().skip(first) {
        let mut known = KnownStream::of(document, stream);
        if let Some(close) = before.filter(|close| close.target.as_ref() == Some(stream)) {
            known = known.continuing(&close);
        }
        let tail = reader.stores().of(stream)?.tail(&stream.stream).await?;
        before = tail.close().cloned();
        shown.push(ShownStream::new(reader, &known, &tail, depth).await?);
    }
    Ok(shown)
}

impl ShownStream {
    async fn new(
        reader: &ObjectReader,
        known: &KnownStream,
        tail: &Tail,
        depth: StreamDepth,
    ) -> Result<Self> {
        let stream = known.stream();
        let store = reader.stores().of(stream)?;
        let damage = known.check(&**store, tail.into()).err();
        let accepted = match depth {
            StreamDepth::All => accepted_unchanged(store, &stream.stream).await?,
            StreamDepth::Newest(_) => BTreeMap::new(),
        };
        let accepted = accepted.into_iter();
        let close = tail.close();
        Ok(Self {
            accepted_unchanged: accepted.map(|(s, n)| (s.to_string(), n)).collect(),
            stream: stream.clone(),
            state: match close {
                None if damage.is_some() => "damaged",
                None => "active",
                Some(Close { target: None, .. }) => "deleted",
                Some(_) => "closed",
            },
            events: tail.next_revision(),
            cells: tail.next_seq(),
            origin: store.origin(&stream.stream).await?,
            closed_by: close.map(|c| c.migration),
            continues_at: close.map(|c| c.target_events),
            damage: damage.map(|damage| damage.to_string()),
        })
    }
}
