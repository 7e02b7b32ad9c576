//! What an adapter of a foreign event store implements.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use esm_core::event::Event;
use esm_core::id::StreamId;
use esm_core::store::StoreLimits;
use esm_core::{Error, Result};

/// One entry of a native stream: an event, and what esm says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The event. Of an entry that an application wrote by itself, whatever of it the native store
    /// keeps; the same each time it is read.
    pub event: Event,
    /// To be kept beside the event and given back as it is: a line of ASCII JSON, usually some
    /// 300 bytes. Absent in what applications write by themselves.
    pub mark: Option<String>,
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        Self { event, mark: None }
    }
}

/// An entry that stands in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Number of entries before it in its stream.
    pub position: u64,
    /// The entry.
    pub entry: Entry,
}

/// How much a slice may hold. The first entry is always in it, however large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceLimit {
    /// At most this many entries.
    pub entries: usize,
    /// At most about this many bytes; a store that cannot count them need not.
    pub bytes: u64,
}

/// Entries in order, without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slice {
    /// The entries; none if and only if there was nothing at or after the position asked for.
    pub entries: Vec<Recorded>,
    /// Whether the last one was the stream's last when they were read. `false` says nothing.
    pub at_end: bool,
}

/// How it is certain that nobody appends to a stream after its Close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CloseProof {
    /// The store itself refuses every append to a closed stream, whoever sends it: a trigger, a
    /// constraint, a stored procedure that is the only way to append, a permission that the close
    /// takes away.
    StoreRefuses,
    /// Every writer that can write at all looks for the Close: a format marker, or credentials that
    /// only those have, keeps the older ones out.
    FormatMarker,
    /// Nothing does.
    Nothing,
}

/// What a native store accepts and offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// What an append may hold; each event is an entry.
    pub limits: StoreLimits,
    /// How it is certain that nobody appends after a Close.
    pub proof: CloseProof,
    /// Whether a Fence may be written. It takes a native position, so only where no application
    /// counts or expects native positions, because all of them go through esm.
    pub fence: bool,
    /// [`NativeStore::delete`] works, and a stream of a deleted one's name begins at position 0.
    pub delete: bool,
    /// [`NativeStore::last_marked`] works.
    pub finds_marks: bool,
}

impl Profile {
    /// A store with this proof and the default limits, that offers nothing beyond the required.
    pub fn new(proof: CloseProof) -> Self {
        Self {
            limits: StoreLimits::default(),
            proof,
            fence: false,
            delete: false,
            finds_marks: false,
        }
    }

    /// Says what an append may hold.
    #[must_use]
    pub fn with_limits(mut self, limits: StoreLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Says whether a Fence may be written.
    #[must_use]
    pub fn with_fence(mut self, fence: bool) -> Self {
        self.fence = fence;
        self
    }

    /// Says whether streams can be deleted.
    #[must_use]
    pub fn with_delete(mut self, delete: bool) -> Self {
        self.delete = delete;
        self
    }

    /// Says whether marks can be found without reading what is between.
    #[must_use]
    pub fn with_finding_marks(mut self, finds_marks: bool) -> Self {
        self.finds_marks = finds_marks;
        self
    }
}

/// An event store that is not esm's own, as its adapter shows it.
///
/// A native position counts the entries of a stream from 0 and without gaps. A store that numbers
/// them otherwise is translated by its adapter; one that hides old entries (truncated, expired)
/// cannot be used for those streams, and reading them is `Corrupt` or `Gone`.
///
/// # Guarantees
/// 1. The entries of one append are written all or not at all, next to each other, and never change.
/// 2. An append succeeds only if the stream has exactly the expected number of entries; of several
///    that expect the same at most one succeeds.
/// 3. What was acknowledged is durable, and every later read of any process sees it.
/// 4. An entry comes back as it was appended, to the byte, with its mark.
/// 5. A close is an append of one entry, and the last: as [`Profile::proof`] says, nobody appends
///    after it.
///
/// [`ForeignEventStore::open`](crate::ForeignEventStore::open) tests them.
#[async_trait]
pub trait NativeStore: Send + Sync + Debug + 'static {
    /// What the store accepts and offers.
    fn profile(&self) -> Profile;

    /// Entries in order, from a position on. A position beyond the end gives an empty slice, and so
    /// does a stream that does not exist.
    ///
    /// # Errors
    /// `Gone` when older entries are hidden; `Corrupt` for an entry that is no event; `Unavailable`.
    async fn read(&self, stream: &StreamId, from: u64, limit: SliceLimit) -> Result<Slice>;

    /// The last entry of a stream; none when there is none.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    async fn last(&self, stream: &StreamId) -> Result<Option<Recorded>>;

    /// The newest entry before a position that has a mark, found without reading what is between:
    /// by an index, say. It spares a process one pass over what applications wrote by themselves.
    ///
    /// # Errors
    /// `Unsupported` without [`Profile::finds_marks`]; as [`read`](Self::read).
    async fn last_marked(&self, stream: &StreamId, before: u64) -> Result<Option<Recorded>> {
        let _ = (stream, before);
        Err(Error::unsupported("this store cannot find marks"))
    }

    /// Appends entries to a stream that has exactly `expected` of them; 0 for one that does not
    /// exist.
    ///
    /// # Errors
    /// - `Conflict` when the stream has another number of entries, or was closed, and nothing was
    ///   written. The number in it is not looked at.
    /// - `TooLarge` over the limits.
    /// - `Unavailable` when it certainly did not happen; `Ambiguous` when that is unknown.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown, as after `Ambiguous`.
    async fn append(&self, stream: &StreamId, expected: u64, entries: Vec<Entry>) -> Result<()>;

    /// Appends the entry of a Close to a stream that has exactly `expected` entries, and, where that
    /// takes more than the entry, closes the stream to all other writers in the same transaction.
    /// Unless implemented, an append.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    async fn close(&self, stream: &StreamId, expected: u64, entry: Entry) -> Result<()> {
        self.append(stream, expected, vec![entry]).await
    }

    /// Appends an event as the oldest application does that still runs, which never heard of esm:
    /// with this expected number of entries, or with none if it can. Only the self-test calls this,
    /// on streams of its own.
    ///
    /// # Errors
    /// Whatever such a writer is told; `Unavailable` and `Ambiguous` only for what says nothing.
    /// `Unsupported` where such writers cannot append without an expectation.
    async fn append_as_old_writer(
        &self,
        stream: &StreamId,
        expected: Option<u64>,
        event: Event,
    ) -> Result<()>;

    /// Removes a stream with all its entries. Absent is fine.
    ///
    /// # Errors
    /// `Unsupported` without [`Profile::delete`].
    ///
    /// # Idempotence
    /// May be repeated.
    async fn delete(&self, stream: &StreamId) -> Result<()> {
        let _ = stream;
        Err(Error::unsupported("this store cannot delete streams"))
    }
}
