//! The in-memory native store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use esm_core::event::Event;
use esm_core::id::StreamId;
use esm_core::store::StoreLimits;
use esm_core::{Error, ErrorKind, Result};
use esm_foreign::{CLOSE, CloseProof, Entry, NativeStore, Profile, Recorded, Slice, SliceLimit};

use super::Shared;

/// A native store in memory: a list of entries for every stream, whose index is the position.
///
/// Guarantees 1 and 2 of [`NativeStore`] hold because an append compares the number of entries and
/// adds its own under one lock; 3 and 4 because every handle reads the same list, which stores each
/// entry as it came. For 5 it does what its profile declares: it refuses every entry after one of
/// the type [`CLOSE`], as a trigger does, or refuses old writers altogether, or refuses nothing.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_foreign::{CloseProof, ForeignEventStore, NativeStore as _, Profile};
/// use esm_core::id::StreamId;
/// use esm_core::store::EventStore as _;
/// use esm_testkit::event;
/// use esm_testkit::memory::MemoryNativeStore;
///
/// let profile = Profile::new(CloseProof::StoreRefuses).with_delete(true);
/// let native = MemoryNativeStore::new(profile);
/// // an application that does not know esm
/// let orders = StreamId::new("orders")?;
/// native.append(&orders, 0, vec![event("e1", "Placed").into()]).await?;
/// assert_eq!(native.snapshot(&orders).len(), 1);
///
/// let environment = esm_testkit::environment(1);
/// let store = ForeignEventStore::open(Arc::new(native), &environment).await?;
/// assert_eq!(store.finding(), None);
/// assert_eq!(store.tail(&orders).await?.next_revision().0, 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct MemoryNativeStore {
    profile: Profile,
    streams: Shared<BTreeMap<StreamId, Vec<Entry>>>,
}

impl MemoryNativeStore {
    /// Returns an empty store with this profile.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            streams: Shared::default(),
        }
    }

    /// Returns the same store with another profile; for tests of a profile that changes.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Returns all entries of a stream as they are; for assertions, counted by no decorator.
    pub fn snapshot(&self, stream: &StreamId) -> Vec<Entry> {
        self.streams.lock().get(stream).cloned().unwrap_or_default()
    }

    /// Returns the ids of all streams that have an entry, sorted; for assertions.
    pub fn stream_ids(&self) -> Vec<StreamId> {
        self.streams.lock().keys().cloned().collect()
    }

    /// Every append ends here. Either nothing happens, or all entries are added after the expected
    /// ones.
    fn write(&self, stream: &StreamId, expected: Option<u64>, added: Vec<Entry>) -> Result<()> {
        let mut streams = self.streams.lock();
        let entries = streams.get(stream).map_or(&[][..], Vec::as_slice);
        let count = entries.len() as u64;
        if expected.is_some_and(|expected| expected != count) {
            return Err(conflict(format!("{stream} has {count} entries")));
        }
        if self.profile.proof == CloseProof::StoreRefuses && entries.last().is_some_and(closes) {
            return Err(conflict(format!("{stream} is closed")));
        }
        if !added.is_empty() {
            streams.entry(stream.clone()).or_default().extend(added);
        }
        Ok(())
    }

    /// Reads a stream's entries; none when it does not exist.
    fn entries<T>(&self, stream: &StreamId, read: impl FnOnce(&[Entry]) -> T) -> T {
        read(self.streams.lock().get(stream).map_or(&[], Vec::as_slice))
    }

    fn check(&self, entries: &[Entry]) -> Result<()> {
        let StoreLimits {
            max_cell_events,
            max_cell_bytes,
            max_event_bytes,
            ..
        } = self.profile.limits;
        let sizes = entries.iter().map(|e| e.event.approximate_size());
        let (count, bytes) = (entries.len() as u64, sizes.clone().sum::<u64>());
        let too_large = count > max_cell_events
            || bytes > max_cell_bytes
            || sizes.max() > Some(max_event_bytes);
        if too_large {
            Err(Error::new(
                ErrorKind::TooLarge,
                format!("append is over the store's limits: {count} entries, {bytes} bytes"),
            ))
        } else {
            Ok(())
        }
    }
}

fn conflict(message: String) -> Error {
    Error::new(ErrorKind::Conflict { actual: None }, message)
}

fn closes(entry: &Entry) -> bool {
    entry.event.event_type.as_str() == CLOSE
}

/// Returns the entry with this index, as stored in its stream.
fn recorded(entries: &[Entry], index: usize) -> Recorded {
    Recorded {
        position: index as u64,
        entry: entries[index].clone(),
    }
}

/// The index behind the last entry of a slice: the first entry is always in it, however large.
fn end_of_slice(entries: &[Entry], from: usize, limit: SliceLimit) -> usize {
    let mut bytes = 0;
    let fitting = entries[from..].iter().take_while(|entry| {
        bytes += entry.event.approximate_size();
        bytes <= limit.bytes
    });
    let count = fitting.count().min(limit.entries).max(1);
    entries.len().min(from + count)
}

#[async_trait]
impl NativeStore for MemoryNativeStore {
    fn profile(&self) -> Profile {
        self.profile
    }

    async fn read(&self, stream: &StreamId, from: u64, limit: SliceLimit) -> Result<Slice> {
        Ok(self.entries(stream, |entries| {
            let from = entries
                .len()
                .min(usize::try_from(from).unwrap_or(usize::MAX));
            let end = end_of_slice(entries, from, limit);
            Slice {
                entries: (from..end).map(|index| recorded(entries, index)).collect(),
                at_end: end == entries.len(),
            }
        }))
    }

    async fn last(&self, stream: &StreamId) -> Result<Option<Recorded>> {
        Ok(self.entries(stream, |entries| {
            let last = entries.len().checked_sub(1);
            last.map(|index| recorded(entries, index))
        }))
    }

    async fn last_marked(&self, stream: &StreamId, before: u64) -> Result<Option<Recorded>> {
        if !self.profile.finds_marks {
            return Err(Error::unsupported("this store cannot find marks"));
        }
        Ok(self.entries(stream, |entries| {
            let before = entries
                .len()
                .min(usize::try_from(before).unwrap_or(usize::MAX));
            let marked = entries[..before].iter().rposition(|e| e.mark.is_some());
            marked.map(|index| recorded(entries, index))
        }))
    }

    async fn append(&self, stream: &StreamId, expected: u64, entries: Vec<Entry>) -> Result<()> {
        self.check(&entries)?;
        self.write(stream, Some(expected), entries)
    }

    async fn append_as_old_writer(
        &self,
        stream: &StreamId,
        expected: Option<u64>,
        event: Event,
    ) -> Result<()> {
        if self.profile.proof == CloseProof::FormatMarker {
            return Err(Error::new(ErrorKind::PermissionDenied, "an old writer"));
        }
        self.write(stream, expected, vec![event.into()])
    }

    async fn delete(&self, stream: &StreamId) -> Result<()> {
        if !self.profile.delete {
            return Err(Error::unsupported("this store cannot delete streams"));
        }
        self.streams.lock().remove(stream);
        Ok(())
    }
}
