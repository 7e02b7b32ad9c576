//! A cache of where cells begin. What it holds never changes, except that a stream may be deleted:
//! the stream is forgotten when a read shows that.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::native::Recorded;
use crate::place::Place;
use esm_core::id::StreamId;
use esm_core::store::ReadFrom;

/// Streams that are remembered; each takes about a kilobyte.
const STREAMS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// Places of a stream that are remembered: enough for several concurrent readers.
const BOOKMARKS: usize = 8;

/// Slices that reach beyond the page they were read for; each is at most about 512 KiB.
const SURPLUSES: NonZeroUsize = NonZeroUsize::new(32).expect("not zero");

/// A place that was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bookmark {
    pub(super) place: Place,
    /// Whether its revision begins here: no cell without events is directly before it.
    pub(super) begins_revision: bool,
}

/// Consecutive entries that applications wrote without esm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Where they begin.
    pub(super) start: Place,
    /// The position behind the last one that was seen.
    pub(super) end: u64,
}

#[derive(Debug, Default)]
struct Known {
    /// Newest last.
    bookmarks: VecDeque<Bookmark>,
    run: Option<Run>,
}

#[derive(Debug)]
pub(super) struct Places {
    known: Mutex<LruCache<StreamId, Known>>,
    surplus: Mutex<LruCache<(StreamId, u64), Vec<Recorded>>>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            known: Mutex::new(LruCache::new(STREAMS)),
            surplus: Mutex::new(LruCache::new(SURPLUSES)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // hints cannot be left half changed
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    /// Remembers a place.
    pub(super) fn note(&self, stream: &StreamId, bookmark: Bookmark) {
        let mut known = lock(&self.known);
        let bookmarks = &mut known
            .get_or_insert_mut(stream.clone(), Known::default)
            .bookmarks;
        bookmarks.retain(|seen| seen.place.position != bookmark.place.position);
        if bookmarks.len() == BOOKMARKS {
            bookmarks.pop_front();
        }
        bookmarks.push_back(bookmark);
    }

    /// Remembers that these entries have no marks.
    pub(super) fn note_run(&self, stream: &StreamId, run: Run) {
        let mut known = lock(&self.known);
        let known = known.get_or_insert_mut(stream.clone(), Known::default);
        known.run = Some(run);
    }

    /// The run that was seen last.
    pub(super) fn run(&self, stream: &StreamId) -> Option<Run> {
        lock(&self.known).get(stream)?.run
    }

    /// The remembered place at a position.
    pub(super) fn at(&self, stream: &StreamId, position: u64) -> Option<Place> {
        let mut known = lock(&self.known);
        let mut bookmarks = known.get(stream)?.bookmarks.iter();
        let found = bookmarks.find(|seen| seen.place.position == position)?;
        Some(found.place)
    }

    /// The last remembered place that is not behind a position.
    pub(super) fn before(&self, stream: &StreamId, position: u64) -> Place {
        let mut known = lock(&self.known);
        let bookmarks = known.get(stream).map(|known| known.bookmarks.iter());
        let places = bookmarks.into_iter().flatten().map(|seen| seen.place);
        let not_behind = places.filter(|place| place.position <= position);
        not_behind
            .max_by_key(|place| place.position)
            .unwrap_or_default()
    }

    /// The remembered place of this cell.
    pub(super) fn of_seq(&self, stream: &StreamId, seq: u64) -> Option<Place> {
        if seq == 0 {
            return Some(Place::default());
        }
        let mut known = lock(&self.known);
        let mut bookmarks = known.get(stream)?.bookmarks.iter();
        let found = bookmarks.find(|seen| seen.place.seq == seq)?;
        Some(found.place)
    }

    /// Positions between which the wanted cell begins, as far as is remembered: the first may be
    /// where it begins, the second is behind that.
    pub(super) fn bounds(&self, stream: &StreamId, from: ReadFrom) -> (u64, Option<u64>) {
        let is_before = |seen: &Bookmark| match from {
            ReadFrom::Seq(seq) => seen.place.seq <= seq,
            ReadFrom::Revision(at) => {
                seen.place.revision < at || seen.place.revision == at && seen.begins_revision
            }
        };
        let is_behind = |seen: &Bookmark| match from {
            ReadFrom::Seq(seq) => seen.place.seq > seq,
            ReadFrom::Revision(at) => seen.place.revision > at,
        };
        let mut known = lock(&self.known);
        let Some(known) = known.get(stream) else {
            return (0, None);
        };
        let seen = known.bookmarks.iter();
        let low = seen
            .clone()
            .filter(|b| is_before(b))
            .map(|b| b.place.position)
            .max();
        let high = seen
            .filter(|b| is_behind(b))
            .map(|b| b.place.position)
            .min();
        (low.unwrap_or_default(), high)
    }

    /// Keeps entries that were read and not used, for the next page.
    pub(super) fn keep(&self, stream: &StreamId, entries: Vec<Recorded>) {
        if let Some(first) = entries.first() {
            lock(&self.surplus).put((stream.clone(), first.position), entries);
        }
    }

    /// Takes entries that were kept and begin here.
    pub(super) fn take(&self, stream: &StreamId, position: u64) -> Vec<Recorded> {
        let key = (stream.clone(), position);
        lock(&self.surplus).pop(&key).unwrap_or_default()
    }

    /// Forgets a stream; returns whether anything was known of it.
    pub(super) fn forget(&self, stream: &StreamId) -> bool {
        let mut surplus = lock(&self.surplus);
        let kept: Vec<_> = (surplus.iter().map(|(key, _)| key))
            .filter(|key| key.0 == *stream)
            .cloned()
            .collect();
        for key in &kept {
            surplus.pop(key);
        }
        let known = lock(&self.known).pop(stream).is_some();
        known || !kept.is_empty()
    }
}
