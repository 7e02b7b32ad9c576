//! What an adapter of a foreign event store implements.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use esm_core::event::Event;
use esm_core::id::StreamId;
use esm_core::store::StoreLimits;
use esm_core::{Error, Result};

/// One entry of a native stream: an event, and esm's mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The event. For an entry that an application wrote without esm: whatever the native store
    /// keeps of it, identical each time it is read.
    pub event: Event,
    /// A line of ASCII JSON, usually about 300 bytes, which the store keeps beside the event and
    /// returns unchanged. Absent in entries that applications write without esm.
    pub mark: Option<String>,
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        Self { event, mark: None }
    }
}

/// An entry and its position in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Number of entries before this one in the stream.
    pub position: u64,
    /// The entry.
    pub entry: Entry,
}

/// Limits of a slice. A slice always contains the first entry, however large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceLimit {
    /// Maximum number of entries.
    pub entries: usize,
    /// Approximate maximum number of bytes; a store that cannot count them may ignore this.
    pub bytes: u64,
}

/// Entries in order, without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slice {
    /// The entries; empty if and only if the stream had none at or after the requested position.
    pub entries: Vec<Recorded>,
    /// Whether the last entry was the last of the stream when it was read. `false` means unknown.
    pub at_end: bool,
}

/// What prevents appends to a stream after its Close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CloseProof {
    /// The store itself refuses every append to a closed stream, from any writer: by a trigger, a
    /// constraint, a stored procedure that is the only way to append, or a permission that the
    /// close revokes.
    StoreRefuses,
    /// Every writer that can write at all checks for the Close: a format marker, or credentials
    /// that only such writers have, keeps older writers out.
    FormatMarker,
    /// Nothing prevents them.
    Nothing,
}

/// The limits and optional capabilities of a native store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// Limits of one append; each event is an entry.
    pub limits: StoreLimits,
    /// What prevents appends after a Close.
    pub proof: CloseProof,
    /// Whether a Fence may be written. A Fence takes a native position. Set this only where all
    /// applications use esm, so that none counts or expects native positions.
    pub fence: bool,
    /// Whether [`NativeStore::delete`] works, and a stream created again under the same name begins
    /// at position 0.
    pub delete: bool,
    /// Whether [`NativeStore::last_marked`] works.
    pub finds_marks: bool,
}

impl Profile {
    /// Returns a profile with this proof, the default limits and no optional capability.
    pub fn new(proof: CloseProof) -> Self {
        Self {
            limits: StoreLimits::default(),
            proof,
            fence: false,
            delete: false,
            finds_marks: false,
        }
    }

    /// Sets the limits of one append.
    #[must_use]
    pub fn with_limits(mut self, limits: StoreLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets whether a Fence may be written. Defaults to `false`.
    #[must_use]
    pub fn with_fence(mut self, fence: bool) -> Self {
        self.fence = fence;
        self
    }

    /// Sets whether streams can be deleted. Defaults to `false`.
    #[must_use]
    pub fn with_delete(mut self, delete: bool) -> Self {
        self.delete = delete;
        self
    }

    /// Sets whether the store finds marks without reading the entries between. Defaults to `false`.
    #[must_use]
    pub fn with_finding_marks(mut self, finds_marks: bool) -> Self {
        self.finds_marks = finds_marks;
        self
    }
}

/// The adapter of an event store that is not esm's own.
///
/// A native position counts the entries of a stream from 0 and without gaps. Where a store numbers
/// them differently, its adapter translates. A stream whose old entries are hidden (truncated,
/// expired) cannot be used: reading it fails with `Corrupt` or `Gone`.
///
/// # Guarantees
/// 1. The entries of one append are written all or not at all, next to each other, and never change.
/// 2. An append succeeds only if the stream has exactly the expected number of entries; of several
///    that expect the same at most one succeeds.
/// 3. An acknowledged append is durable, and every later read of any process sees it.
/// 4. An entry is returned as it was appended, to the byte, with its mark.
/// 5. A close appends one entry, and nothing is appended after it, for the reason that
///    [`Profile::proof`] declares.
///
/// [`ForeignEventStore::open`](crate::ForeignEventStore::open) tests them, except for 3.
#[async_trait]
pub trait NativeStore: Send + Sync + Debug + 'static {
    /// Returns the limits and optional capabilities of the store.
    fn profile(&self) -> Profile;

    /// Returns entries in order, from a position on. The slice is empty for a position beyond the
    /// end, and for a stream that does not exist.
    ///
    /// # Errors
    /// - `Gone` when older entries are hidden.
    /// - `Corrupt` for an entry that is not an event.
    /// - `Unavailable` when the store cannot be reached.
    async fn read(&self, stream: &StreamId, from: u64, limit: SliceLimit) -> Result<Slice>;

    /// Returns the last entry of a stream, if it has any.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    async fn last(&self, stream: &StreamId) -> Result<Option<Recorded>>;

    /// Returns the newest entry before a position that has a mark, without reading the entries
    /// between, for example by an index. Saves each process one pass over entries that applications
    /// wrote without esm.
    ///
    /// # Errors
    /// `Unsupported` without [`Profile::finds_marks`]; as [`read`](Self::read).
    async fn last_marked(&self, stream: &StreamId, before: u64) -> Result<Option<Recorded>> {
        let _ = (stream, before);
        Err(Error::unsupported("this store cannot find marks"))
    }

    /// Appends entries to a stream that has exactly `expected` entries; a stream that does not exist
    /// has 0.
    ///
    /// # Errors
    /// - `Conflict` when the stream has another number of entries, or was closed, and nothing was
    ///   written. Callers ignore its `actual`.
    /// - `TooLarge` over the limits.
    /// - `Unavailable` when the append certainly did not happen; `Ambiguous` when that is unknown.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown, as after `Ambiguous`.
    async fn append(&self, stream: &StreamId, expected: u64, entries: Vec<Entry>) -> Result<()>;

    /// Appends the entry of a Close to a stream that has exactly `expected` entries. Where closing
    /// takes more than the entry, the same transaction closes the stream to all other writers.
    /// Defaults to an append.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    async fn close(&self, stream: &StreamId, expected: u64, entry: Entry) -> Result<()> {
        self.append(stream, expected, vec![entry]).await
    }

    /// Appends an event as the oldest application does that still runs and does not know esm: with
    /// this expected number of entries, or without an expectation. Only the self-test calls this,
    /// on streams of its own.
    ///
    /// # Errors
    /// - Any error that such a writer receives.
    /// - `Unsupported` where such writers cannot append without an expectation.
    /// - `Unavailable` and `Ambiguous` only where the outcome says nothing about the store.
    async fn append_as_old_writer(
        &self,
        stream: &StreamId,
        expected: Option<u64>,
        event: Event,
    ) -> Result<()>;

    /// Removes a stream with all its entries. Succeeds if the stream does not exist.
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
