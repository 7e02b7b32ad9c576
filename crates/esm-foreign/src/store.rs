//! The event store that is built on a native one.

use std::sync::Arc;

use async_trait::async_trait;

use crate::cell;
use crate::marker::{self, Marker, SelfTest};
use crate::native::{NativeStore, Profile};
use crate::self_test::{Tested, self_test, still_keeps};
use crate::streams::{Streams, refused};
use crate::trial::Finding;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{CommitId, StoreId, StreamId};
use esm_core::store::{
    Append, Capabilities, CellEvent, CellKind, Close, EventStore, Fence, Page, PageLimit, ReadFrom,
    Shortcoming, StoreLimits, Tail,
};
use esm_core::{Error, ErrorKind, Result};

/// An event store built on a [`NativeStore`].
///
/// Revisions count events; entries that are esm's own (a Close, a Fence, a cell without events)
/// count as native positions only. A tail's token is the native position.
///
/// Two kinds of stream names are reserved: `esm-store`, which holds the store's identity and the
/// outcomes of self-tests, and names that begin with `esm-probe-`.
///
/// # Costs
/// An append is one native append. A tail is one native read, and one or two more where an
/// application wrote the last entry without esm, or the last cell has several entries. The first
/// time a process uses a stream that an application wrote without esm, it reads the stream from its
/// end to the newest entry with a mark, unless the store [finds marks](NativeStore::last_marked).
#[derive(Debug)]
pub struct ForeignEventStore {
    id: StoreId,
    profile: Profile,
    streams: Streams,
    writable: bool,
    tested: bool,
    finding: Option<Finding>,
}

impl ForeignEventStore {
    /// Opens a native store for writing. The first opening gives the store a random id, and tests
    /// the guarantees that a migration rests on, on streams of its own, `esm-probe-…`. Later
    /// openings test only that a closed stream is still closed, and leave nothing behind. A store
    /// that failed, or whose adapter now declares another [proof](crate::CloseProof), is tested in
    /// full again.
    ///
    /// A store that fails is opened nevertheless, with a
    /// [`shortcoming`](Capabilities::shortcoming): see [`finding`](Self::finding).
    ///
    /// # Errors
    /// `Unsupported` for a newer format; errors of the native store, also where they kept a test from
    /// completing.
    pub async fn open(native: Arc<dyn NativeStore>, environment: &Environment) -> Result<Self> {
        let marker = Marker::read_or_create(&*native, environment).await?;
        let finding = test(&native, &marker, environment).await?;
        Ok(Self::new(native, marker.store, true, true, finding))
    }

    /// Opens a native store for reading. Writes nothing, and uses the outcome of the newest self-test
    /// that an opening for writing recorded.
    ///
    /// # Errors
    /// `NotFound` where the store was never opened for writing; as [`open`](Self::open).
    pub async fn open_read_only(native: Arc<dyn NativeStore>) -> Result<Self> {
        let marker = Marker::read(&*native).await?.ok_or_else(|| {
            Error::not_found("this event store has no esm marker")
                .with_hint("open it for writing once, which gives it an id")
        })?;
        let tested = marker.test.is_some();
        let finding = marker.test.and_then(|test| test.finding);
        Ok(Self::new(native, marker.store, false, tested, finding))
    }

    /// Opens a native store that esm never writes to, not even a marker: it has an id that the
    /// caller derives from the store, the same in every process, and this shortcoming.
    pub fn unmarked(native: Arc<dyn NativeStore>, id: StoreId, finding: Finding) -> Self {
        Self::new(native, id, false, true, Some(finding))
    }

    fn new(
        native: Arc<dyn NativeStore>,
        id: StoreId,
        writable: bool,
        tested: bool,
        finding: Option<Finding>,
    ) -> Self {
        Self {
            id,
            profile: native.profile(),
            streams: Streams::new(native),
            writable,
            tested,
            finding,
        }
    }

    /// Returns the guarantee that the store does not keep, if the self-test found one.
    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    fn shortcoming(&self) -> Option<Shortcoming> {
        let finding = self.finding.as_ref().map(|finding| finding.shortcoming);
        finding.or((!self.tested).then_some(Shortcoming::Untested))
    }

    fn check_writable(&self) -> Result<()> {
        if !self.writable {
            return Err(Error::unsupported("the event store was opened for reading")
                .with_hint("open it for writing"));
        }
        match &self.finding {
            Some(finding) if !finding.shortcoming.permits_appends() => {
                let Finding { shortcoming, seen } = finding;
                let message = format!("esm does not write to this event store: {shortcoming}");
                Err(Error::unsupported(message)
                    .with_source(Error::unsupported(seen.clone()))
                    .with_hint(shortcoming.hint()))
            }
            _ => Ok(()),
        }
    }

    /// Writes a cell; every write ends here. It is sent once, and settled by reading back where the
    /// response leaves the outcome open.
    async fn write(&self, stream: &StreamId, expected: &Tail, cell: NewCell) -> Result<Tail> {
        expected_is_open(expected)?;
        let NewCell {
            commit,
            kind,
            events,
        } = cell;
        let closes = matches!(kind, CellKind::Close(_));
        let header = expected.next_header(commit, events.len() as u64, kind);
        let position = self.streams.position_of(stream, expected).await?;
        let mut entries = cell::encode(&header, events)?;
        let native = &self.streams.native;
        let sent = if closes {
            native.close(stream, position, entries.remove(0)).await
        } else {
            native.append(stream, position, entries).await
        };
        let Err(error) = sent else {
            return Ok(self.streams.tail_after(stream, position, header));
        };
        if !matches!(
            error.kind(),
            ErrorKind::Conflict { .. } | ErrorKind::Ambiguous
        ) {
            return Err(error);
        }
        let found = self.streams.find_entry(stream, position).await;
        match found.map_err(unsettled)? {
            Some(found) if cell::is_of(&found.entry, commit)? => {
                Ok(self.streams.tail_after(stream, position, header))
            }
            None if *error.kind() == ErrorKind::Ambiguous => Err(error),
            _ => Err(refused(&self.streams.tail(stream).await?, expected)),
        }
    }

    fn check(&self, append: &Append) -> Result<()> {
        if append.events.is_empty() && append.cursor.is_none() {
            return Err(Error::invalid("cell has neither events nor a cursor"));
        }
        let sizes = append.events.iter().map(|e| e.event.approximate_size());
        let (count, bytes) = (append.events.len() as u64, sizes.clone().sum::<u64>());
        let limits = self.profile.limits;
        let too_large = count > limits.max_cell_events
            || bytes > limits.max_cell_bytes
            || sizes.max() > Some(limits.max_event_bytes);
        if too_large {
            let message = format!("cell is over the store's limits: {count} events, {bytes} bytes");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
}

/// A cell to write.
struct NewCell {
    commit: CommitId,
    kind: CellKind,
    events: Vec<CellEvent>,
}

/// The outcome of a write that cannot be read back is unknown ([R10](esm_core::protocol#r10)).
fn unsettled(reading: Error) -> Error {
    let message = "the outcome of a write is unknown: it could not be read back";
    Error::new(ErrorKind::Ambiguous, message).with_source(reading)
}

/// Refuses a tail that is a Close, with `Closed`.
fn expected_is_open(expected: &Tail) -> Result<()> {
    match expected.close() {
        Some(_) => expected.check_expected(expected),
        None => Ok(()),
    }
}

/// The guarantee that the store does not keep, found now or by an earlier opening.
async fn test(
    native: &Arc<dyn NativeStore>,
    marker: &Marker,
    environment: &Environment,
) -> Result<Option<Finding>> {
    let proof = native.profile().proof;
    let last = marker.test.as_ref().filter(|test| test.proof == proof);
    if let Some(closed) = last.and_then(|test| test.closed.as_ref())
        && is_closed(native, closed).await?
    {
        let finding = still_keeps(native, environment, closed).await?;
        if finding.is_none() {
            return Ok(None);
        }
        let tested = Tested {
            finding,
            closed: None,
        };
        return record(native, marker, environment, tested).await;
    }
    let tested = self_test(native, environment).await?;
    if tested.finding.is_some() && last.is_some_and(|last| last.finding == tested.finding) {
        return Ok(tested.finding);
    }
    record(native, marker, environment, tested).await
}

async fn record(
    native: &Arc<dyn NativeStore>,
    marker: &Marker,
    environment: &Environment,
    tested: Tested,
) -> Result<Option<Finding>> {
    let test = SelfTest::new(&tested, native.profile().proof, environment);
    marker.record(native, &test, environment).await?;
    Ok(tested.finding)
}

/// Whether the closed stream of an earlier self-test still exists.
async fn is_closed(native: &Arc<dyn NativeStore>, probe: &StreamId) -> Result<bool> {
    let last = native.last(probe).await?;
    Ok(last.is_some_and(|last| last.entry.event.event_type.as_str() == cell::CLOSE))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for ForeignEventStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn aliases(&self) -> &[StoreId] {
        &[]
    }

    fn place(&self) -> Option<&str> {
        None
    }

    fn limits(&self) -> StoreLimits {
        self.profile.limits
    }

    fn size_of(&self, event: &Event) -> u64 {
        event.approximate_size()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_discard(self.writable && self.profile.delete)
            .with_fence(self.writable && self.profile.fence)
            .with_shortcoming(self.shortcoming())
    }

    /// A cell is one or several entries, whose places only the store knows.
    fn place_of_cell(&self, _stream: &StreamId, _seq: u64) -> Option<String> {
        None
    }

    fn seen_tail(&self, _stream: &StreamId) -> Option<Tail> {
        None
    }

    fn expect_cell(&self, _stream: &StreamId, _seq: u64) {}

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        self.streams.tail(stream).await
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        self.streams.page(stream, from, limit).await
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        self.check_writable()?;
        self.check(&append)?;
        let cell = NewCell {
            commit: append.commit,
            kind: append.kind(),
            events: append.events,
        };
        self.write(stream, expected, cell).await
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail> {
        self.check_writable()?;
        self.capabilities().ensure_source()?;
        expected_is_open(expected)?;
        if close.events != expected.next_revision() {
            return Err(Error::invalid(format!(
                "close counts {} events at a tail of {}",
                close.events,
                expected.next_revision()
            )));
        }
        let cell = NewCell {
            commit,
            kind: CellKind::Close(close),
            events: Vec::new(),
        };
        self.write(stream, expected, cell).await
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        self.check_writable()?;
        if !self.profile.fence {
            let message = "a Fence would take a position that applications of this store see";
            return Err(Error::unsupported(message));
        }
        let cell = NewCell {
            commit,
            kind: CellKind::Fence(fence),
            events: Vec::new(),
        };
        self.write(stream, expected, cell).await
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        self.check_writable()?;
        if !self.profile.delete {
            return Err(Error::unsupported("this event store cannot delete streams"));
        }
        if *stream == marker::stream()? {
            return Err(Error::invalid("the store's marker cannot be discarded"));
        }
        self.streams.native.delete(stream).await?;
        self.streams.forget(stream);
        Ok(())
    }
}
