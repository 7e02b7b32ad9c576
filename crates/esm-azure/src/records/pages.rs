//! Pages that this process has read or written, with the state of the blob that they were in.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use azure_core::http::Etag;
use esm_core::store::RecordKey;
use lru::LruCache;

use super::page::Page;

/// How many bytes are remembered; forgetting a page costs a read.
const REMEMBERED: usize = 8 << 20;

/// Pages used lately. What is remembered may be outdated, which a conditional write finds out; but
/// versions never change, so those that are in it are right.
pub(super) struct Pages(Mutex<Remembered>);

struct Remembered {
    pages: LruCache<RecordKey, (Page, Etag)>,
    bytes: usize,
}

impl Pages {
    pub(super) fn get(&self, key: &RecordKey) -> Option<(Page, Etag)> {
        self.lock().pages.get(key).cloned()
    }

    /// Remembers a page, unless a newer one is.
    pub(super) fn note(&self, key: &RecordKey, page: &Page, etag: &Etag) {
        let mut remembered = self.lock();
        let known = remembered.pages.peek(key);
        if known.is_some_and(|(known, _)| known.next() > page.next()) {
            return;
        }
        let entry = (page.clone(), etag.clone());
        remembered.bytes += page.bytes().len();
        if let Some((before, _)) = remembered.pages.put(key.clone(), entry) {
            remembered.bytes -= before.bytes().len();
        }
        while remembered.bytes > REMEMBERED {
            let Some((_, (oldest, _))) = remembered.pages.pop_lru() else {
                break;
            };
            remembered.bytes -= oldest.bytes().len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self(Mutex::new(Remembered {
            pages: LruCache::unbounded(),
            bytes: 0,
        }))
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pages")
    }
}
