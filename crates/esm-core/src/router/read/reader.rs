//! Loading and reading objects, without ever writing.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::Position;
use crate::id::{ObjectId, StreamId, StreamRef};
use crate::object::chain::{follow_all, follow_damaged, follow_from, follow_in, refuse_deleted};
use crate::object::{ChainEnd, Documents, ObjectDocument, Translation};
use crate::store::{PageLimit, Records, Stores, Tail};

/// Loads and reads objects. Never writes, not even to help a document that has fallen behind
/// ([R12](crate::protocol#r12)): for readers and read-only commands.
///
/// # Example
/// ```
/// # use std::sync::Arc;
/// # use esm_core::store::{EventStore, Records};
/// use esm_core::router::{ObjectReader, ReadPosition};
/// use futures::TryStreamExt as _;
///
/// # async fn example(store: Arc<dyn EventStore>, records: Arc<dyn Records>) -> esm_core::Result<()> {
/// let reader = ObjectReader::new(records, store);
/// let mut events = reader.read(&"order/123".parse()?, ReadPosition::Start);
/// while let Some(recorded) = events.try_next().await? {
///     println!("{} {}", recorded.position, recorded.event.event_type);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ObjectReader {
    stores: Stores,
    documents: Documents,
    page: PageLimit,
}

/// An object as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedObject {
    /// Its document, which names the stream at the end of the chain, also where the stored one has
    /// fallen behind.
    pub document: ObjectDocument,
    /// The tail of that stream.
    pub tail: Tail,
}

impl LoadedObject {
    /// The object at the end of its chain.
    ///
    /// # Errors
    /// `Deleted`.
    fn at(mut document: ObjectDocument, end: &ChainEnd) -> Result<Self> {
        refuse_deleted(&document.object, end)?;
        follow_all(&mut document, end);
        let tail = end.tail.clone();
        Ok(Self { document, tail })
    }

    /// The stream that appends go to.
    pub fn stream(&self) -> &StreamRef {
        &self.document.active
    }

    /// The end of that stream: what an append expects that knows all events. An object without
    /// events is at revision 0.
    pub fn position(&self) -> Position {
        Position {
            stream: self.document.active.stream.clone(),
            revision: self.tail.next_revision(),
        }
    }
}

impl ObjectReader {
    /// Reads from these records and event stores. A single store is enough where streams never move
    /// to another.
    pub fn new(records: Arc<dyn Records>, stores: impl Into<Stores>) -> Self {
        Self {
            stores: stores.into(),
            documents: Documents::new(records),
            page: PageLimit::default(),
        }
    }

    /// Reads pages of this size.
    #[must_use]
    pub fn with_pages(mut self, limit: PageLimit) -> Self {
        self.page = limit;
        self
    }

    /// The event stores.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The object documents.
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    pub(in crate::router) fn page(&self) -> PageLimit {
        self.page
    }

    /// An object's document and the end of its chain, following every Close that the document does
    /// not know of yet.
    ///
    /// # Errors
    /// - `NotFound` for an unknown object, `Deleted` for one that was deleted.
    /// - `UnknownStore` when the chain leads to a store that is not known here, or to a stream that
    ///   does not say that it continues the closed one ([R13](crate::protocol#r13)).
    /// - `Gone` when a stream has less than the document, or the Close that leads to it, says.
    /// - `Corrupt` when the chain meets a stream twice.
    pub async fn load(&self, object: &ObjectId) -> Result<LoadedObject> {
        Ok(self.follow(object).await?.0)
    }

    /// As [`load`](Self::load), but accepts streams that lost cells: to replace them by a backup.
    ///
    /// # Errors
    /// As [`load`](Self::load), except for `Gone`.
    pub(crate) async fn load_damaged(&self, object: &ObjectId) -> Result<LoadedObject> {
        let document = self.documents.load(object).await?.document;
        let end = follow_damaged(&self.stores, &document).await?;
        LoadedObject::at(document, &end)
    }

    /// [`load`](Self::load), and what was followed on the way.
    pub(in crate::router) async fn follow(
        &self,
        object: &ObjectId,
    ) -> Result<(LoadedObject, ChainEnd)> {
        let document = self.documents.load(object).await?.document;
        let end = follow_in(&self.stores, &document).await?;
        Ok((LoadedObject::at(document, &end)?, end))
    }

    /// The chain of an object's streams from this one to the end: read once, it
    /// [translates](ChainEnd::translate) any number of positions.
    ///
    /// # Errors
    /// As [`load`](Self::load); `NotFound` also when the stream is none of the object's.
    pub async fn chain(&self, object: &ObjectId, from: &StreamId) -> Result<ChainEnd> {
        let (loaded, end) = self.follow(object).await?;
        self.chain_of(&loaded, end, from).await
    }

    pub(in crate::router) async fn chain_of(
        &self,
        loaded: &LoadedObject,
        end: ChainEnd,
        from: &StreamId,
    ) -> Result<ChainEnd> {
        let (document, from) = self.locate(loaded.document.clone(), from).await?;
        let known = end.closes.iter().any(|(closed, _)| *closed == from);
        if known || end.stream == from {
            Ok(from_there(end, &from))
        } else {
            follow_from(&self.stores, &document, from).await
        }
    }

    /// The stream of an object that has this id, and the document with all streams from that one
    /// on.
    ///
    /// # Errors
    /// `NotFound` when the stream is none of the object's; those of [`Documents::reaching`].
    pub(in crate::router) async fn locate(
        &self,
        document: ObjectDocument,
        stream: &StreamId,
    ) -> Result<(ObjectDocument, StreamRef)> {
        let is_listed = |document: &ObjectDocument| listed(document, stream).is_some();
        let document = self.documents.reaching(document, is_listed).await?;
        match listed(&document, stream).cloned() {
            Some(found) => Ok((document, found)),
            None => Err(not_of(&document.object, stream)),
        }
    }

    /// Where a position lies now. For more than one of the same object, see [`chain`](Self::chain).
    ///
    /// # Errors
    /// As [`chain`](Self::chain).
    pub async fn translate(&self, object: &ObjectId, position: &Position) -> Result<Translation> {
        let chain = self.chain(object, &position.stream).await?;
        let translated = chain.translate(&position.stream, position.revision);
        translated.ok_or_else(|| not_of(object, &position.stream))
    }
}

fn from_there(mut chain: ChainEnd, from: &StreamRef) -> ChainEnd {
    let before = chain.closes.iter().position(|(closed, _)| closed == from);
    chain.closes.drain(..before.unwrap_or(chain.closes.len()));
    chain
}

/// The stream with this id, if the document lists all streams from that one on.
fn listed<'a>(document: &'a ObjectDocument, stream: &StreamId) -> Option<&'a StreamRef> {
    let newest = document.newest().iter().rev().map(|t| &t.stream);
    let mut streams = [&document.active].into_iter().chain(newest);
    streams.find(|known| known.stream == *stream)
}

fn not_of(object: &ObjectId, stream: &StreamId) -> Error {
    Error::not_found(format!("{object} has no stream {stream}"))
        .with_hint("load the object and use a position that it gave")
}
