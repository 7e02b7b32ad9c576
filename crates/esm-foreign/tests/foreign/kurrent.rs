//! An event store in the style of Kurrent (EventStoreDB), in memory: one log for everything, with a
//! revision for each event in its stream, UUIDs, string types, JSON metadata, and users who may
//! write or not. And its adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::event::Event;
use esm_core::id::{EventId, StreamId};
use esm_core::store::StoreLimits;
use esm_core::{Error, ErrorKind, Result};
use esm_foreign::{CloseProof, Entry, Envelope, NativeStore, Profile, Recorded, Slice, SliceLimit};
use uuid::Uuid;

/// What an appender expects of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Any,
    NoStream,
    Revision(u64),
}

/// An event to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventData {
    pub(crate) id: Uuid,
    pub(crate) event_type: String,
    pub(crate) data: Bytes,
    pub(crate) metadata: String,
}

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolvedEvent {
    pub(crate) revision: u64,
    pub(crate) commit_position: u64,
    pub(crate) event: EventData,
}

/// Why an append was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    WrongExpectedVersion { actual: Option<u64> },
    AccessDenied,
}

/// The server. Clones are connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kurrent(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    log: Vec<ResolvedEvent>,
    streams: BTreeMap<String, Vec<usize>>,
    /// The users who may write; everybody while it is empty.
    writers: BTreeSet<&'static str>,
}

/// The user of applications that do not know esm.
pub(crate) const OLD: &str = "orders";

/// The user of applications that look for a Close.
pub(crate) const NEW: &str = "orders-2";

impl Kurrent {
    /// A server on which old writers are kept out already.
    pub(crate) fn rolled_out() -> Self {
        let kurrent = Self::default();
        kurrent.lock().writers = [NEW].into();
        kurrent
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn append(
        &self,
        user: &str,
        stream: &str,
        expected: Expected,
        events: Vec<EventData>,
    ) -> Result<u64, Refused> {
        let mut state = self.lock();
        if !state.writers.is_empty() && !state.writers.contains(user) {
            return Err(Refused::AccessDenied);
        }
        let count = state.streams.get(stream).map_or(0, Vec::len) as u64;
        let fits = match expected {
            Expected::Any => true,
            Expected::NoStream => count == 0,
            Expected::Revision(revision) => count == revision + 1,
        };
        if !fits {
            let actual = count.checked_sub(1);
            return Err(Refused::WrongExpectedVersion { actual });
        }
        for (revision, event) in (count..).zip(events) {
            let index = state.log.len();
            state.log.push(ResolvedEvent {
                revision,
                commit_position: index as u64,
                event,
            });
            state
                .streams
                .entry(stream.to_owned())
                .or_default()
                .push(index);
        }
        Ok(state.streams.get(stream).map_or(0, Vec::len) as u64)
    }

    pub(crate) fn read(&self, stream: &str, from: u64, max: usize) -> Vec<ResolvedEvent> {
        let state = self.lock();
        let Some(all) = state.streams.get(stream) else {
            return Vec::new();
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let indices = all.iter().skip(from).take(max);
        indices.map(|index| state.log[*index].clone()).collect()
    }

    pub(crate) fn last(&self, stream: &str) -> Option<ResolvedEvent> {
        let state = self.lock();
        let index = *state.streams.get(stream)?.last()?;
        Some(state.log[index].clone())
    }

    pub(crate) fn delete(&self, stream: &str) {
        self.lock().streams.remove(stream);
    }

    pub(crate) fn streams(&self) -> Vec<String> {
        self.lock().streams.keys().cloned().collect()
    }
}

/// The adapter.
#[derive(Debug, Clone)]
pub(crate) struct Adapter {
    pub(crate) kurrent: Kurrent,
    pub(crate) profile: Profile,
}

impl Adapter {
    /// For a server whose old writers are kept out, and whose applications see native revisions.
    pub(crate) fn new(kurrent: &Kurrent) -> Self {
        // small, so that the suite meets them soon
        let limits = StoreLimits::default()
            .with_max_cell(700, 8 << 20)
            .with_max_event_bytes(2 << 20);
        Self {
            kurrent: kurrent.clone(),
            profile: Profile::new(CloseProof::FormatMarker)
                .with_delete(true)
                .with_limits(limits),
        }
    }

    pub(crate) fn with(mut self, profile: impl FnOnce(Profile) -> Profile) -> Self {
        self.profile = profile(self.profile);
        self
    }
}

/// As an application writes it: the UUID is its id.
pub(crate) fn data_of(event: &Event) -> EventData {
    let id = Uuid::parse_str(event.id.as_str());
    let hash = blake3::hash(event.id.as_str().as_bytes());
    let hashed = Uuid::from_slice(&hash.as_bytes()[..16]).unwrap();
    EventData {
        id: id.unwrap_or(hashed),
        event_type: event.event_type.as_str().to_owned(),
        data: event.payload.clone(),
        metadata: "{}".to_owned(),
    }
}

fn sealed(entry: &Entry) -> Result<EventData> {
    let Envelope {
        event_type,
        data,
        metadata,
    } = Envelope::seal(entry)?;
    Ok(EventData {
        event_type,
        data,
        metadata,
        ..data_of(&entry.event)
    })
}

fn recorded(resolved: ResolvedEvent) -> Result<Recorded> {
    let id = EventId::new(resolved.event.id.to_string())?;
    let envelope = Envelope {
        event_type: resolved.event.event_type,
        data: resolved.event.data,
        metadata: resolved.event.metadata,
    };
    Ok(Recorded {
        position: resolved.revision,
        entry: envelope.open(id)?,
    })
}

fn expected(count: u64) -> Expected {
    count
        .checked_sub(1)
        .map_or(Expected::NoStream, Expected::Revision)
}

fn error(refused: Refused) -> Error {
    match refused {
        Refused::WrongExpectedVersion { actual } => Error::new(
            ErrorKind::Conflict { actual: None },
            format!("wrong expected version, the actual one is {actual:?}"),
        ),
        Refused::AccessDenied => Error::new(ErrorKind::PermissionDenied, "access denied"),
    }
}

#[async_trait]
impl NativeStore for Adapter {
    fn profile(&self) -> Profile {
        self.profile
    }

    async fn read(&self, stream: &StreamId, from: u64, limit: SliceLimit) -> Result<Slice> {
        // tasks of one thread can overtake each other here, as requests do
        tokio::task::yield_now().await;
        let mut entries = Vec::new();
        let (mut bytes, mut at_end) = (0, true);
        for resolved in self.kurrent.read(stream.as_str(), from, limit.entries + 1) {
            if !entries.is_empty() && (bytes >= limit.bytes || entries.len() == limit.entries) {
                at_end = false;
                break;
            }
            bytes += resolved.event.data.len() as u64;
            entries.push(recorded(resolved)?);
        }
        Ok(Slice { entries, at_end })
    }

    async fn last(&self, stream: &StreamId) -> Result<Option<Recorded>> {
        tokio::task::yield_now().await;
        self.kurrent.last(stream.as_str()).map(recorded).transpose()
    }

    async fn append(&self, stream: &StreamId, count: u64, entries: Vec<Entry>) -> Result<()> {
        tokio::task::yield_now().await;
        let events = entries.iter().map(sealed).collect::<Result<_>>()?;
        let appended = self
            .kurrent
            .append(NEW, stream.as_str(), expected(count), events);
        appended.map(drop).map_err(error)
    }

    async fn append_as_old_writer(
        &self,
        stream: &StreamId,
        count: Option<u64>,
        event: Event,
    ) -> Result<()> {
        let expected = count.map_or(Expected::Any, expected);
        let events = vec![data_of(&event)];
        let appended = self.kurrent.append(OLD, stream.as_str(), expected, events);
        appended.map(drop).map_err(error)
    }

    async fn delete(&self, stream: &StreamId) -> Result<()> {
        self.kurrent.delete(stream.as_str());
        Ok(())
    }
}
