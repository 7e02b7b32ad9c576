//! The records provider.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::Etag;
use bytes::Bytes;
use esm_cells::{Backend, Creation, Key, RecordVersion, encode_version};
use esm_core::store::{Lane, Record, RecordCollection, RecordKey, Records};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::BoxStream;
use uuid::Uuid;

use super::page::{Page, record};
use super::pages::Pages;
use crate::blob::Condition;
use crate::container::{Container, REQUEST};
use crate::failure::Failure;

/// A page that would grow beyond this begins anew with the newest version, and the ones before it
/// go into a blob that never changes again.
const LARGEST_PAGE: usize = 64 << 10;
/// How often a put is begun anew after the blob was changed without a new version in it.
const ATTEMPTS: u32 = 3;

/// Versioned records over blobs.
///
/// A record is one blob with its newest versions, replaced on condition of its entity tag: one
/// request to read it, one to put a version. Journals grow and are read from their beginning, so
/// their versions are numbered blobs, as in every other store.
#[derive(Debug)]
pub(crate) struct BlobRecords {
    backend: Arc<Backend>,
    container: Arc<Container>,
    numbered: Arc<dyn Records>,
    pages: Pages,
}

/// What became of a conditional write.
enum Put {
    Done,
    /// Another writer's version exists.
    Taken,
    /// The page is in another state, without this version: build it anew.
    Outdated,
}

impl BlobRecords {
    pub(crate) fn new(
        backend: Arc<Backend>,
        container: Arc<Container>,
        numbered: Arc<dyn Records>,
    ) -> Self {
        Self {
            backend,
            container,
            numbered,
            pages: Pages::default(),
        }
    }

    fn at(&self, error: Error, key: &Key) -> Error {
        error.context(format!("record {}", self.container.place(key)))
    }

    /// The newest page, as it is now.
    async fn fetch(&self, key: &RecordKey) -> Result<Option<(Page, Etag)>> {
        let blob = self.backend.layout().record_latest(key)?;
        let turn = Lane::turn().await;
        let found = self.container.read(&blob, None).await;
        drop(turn);
        let found = found.map_err(|e| e.explain("cannot read", self.container.place(&blob)))?;
        let Some(found) = found else {
            return Ok(None);
        };
        let page = Page::decode(&found.body, key).map_err(|e| self.at(e, &blob))?;
        let etag = found.etag.ok_or_else(|| {
            let error = Error::new(ErrorKind::Unavailable, "service gave no entity tag");
            self.at(error, &blob)
        })?;
        self.pages.note(key, &page, &etag);
        Ok(Some((page, etag)))
    }

    /// A version from a page, or from the ones before it, which were put aside.
    async fn version(
        &self,
        key: &RecordKey,
        page: &Page,
        number: u64,
    ) -> Result<Option<RecordVersion>> {
        let mut first = page.first();
        if number >= first {
            return Ok(page.version(number).cloned());
        }
        loop {
            let blob = self.backend.layout().record_before(key, first)?;
            let Some(bytes) = self.backend.get(&blob).await? else {
                return Err(Error::corrupt(format!(
                    "versions of a record were removed: {}",
                    self.container.place(&blob)
                )));
            };
            let page = Page::decode(&bytes, key).map_err(|e| self.at(e, &blob))?;
            if page.next() != first {
                let what = format!("page ends before version {}, not {first}", page.next());
                return Err(self.at(Error::corrupt(what), &blob));
            }
            if let Some(version) = page.version(number) {
                return Ok(Some(version.clone()));
            }
            first = page.first();
        }
    }

    /// Puts a full page aside. Its name is the number of the version behind it, and for each number
    /// there is one page that ends before it: whoever puts it aside writes the same.
    async fn put_aside(&self, key: &RecordKey, page: &Page) -> Result<()> {
        let blob = self.backend.layout().record_before(key, page.next())?;
        let is_mine = |found: &Bytes| Ok(found == page.bytes());
        match self.backend.create(&blob, page.bytes(), is_mine).await? {
            Creation::Created => Ok(()),
            Creation::Taken(_) => Err(Error::corrupt(format!(
                "other versions of a record are here than there should be: {}",
                self.container.place(&blob)
            ))),
        }
    }

    /// Writes a version behind a page.
    async fn write(
        &self,
        key: &RecordKey,
        known: Option<(Page, Etag)>,
        version: &Bytes,
        nonce: Uuid,
    ) -> Result<Put> {
        let blob = self.backend.layout().record_latest(key)?;
        let (page, condition) = match known {
            Some((page, etag)) => (Some(page), Condition::Unchanged(etag)),
            None => (None, Condition::Absent),
        };
        let number = page.as_ref().map_or(0, Page::next);
        let full = page
            .as_ref()
            .filter(|page| page.bytes().len() + version.len() > LARGEST_PAGE);
        if let Some(full) = full {
            self.put_aside(key, full).await?;
        }
        let kept = if full.is_some() { None } else { page.as_ref() };
        let body = Page::with(kept, version);
        let mut back_off = REQUEST;
        let mut in_doubt = false;
        loop {
            let turn = Lane::turn().await;
            let written = self.container.write(&blob, body.clone(), &condition).await;
            drop(turn);
            let failure = match written {
                Ok(Some(etag)) => {
                    let page = Page::decode(&body, key).map_err(|e| self.at(e, &blob))?;
                    self.pages.note(key, &page, &etag);
                    return Ok(Put::Done);
                }
                Ok(None) => return Ok(Put::Done),
                Err(failure) => failure,
            };
            in_doubt |= failure.is_transient() && !failure.was_not_sent();
            if !failure.is_conflict() && !in_doubt {
                if failure.was_not_sent() && self.container.pause(&mut back_off, &failure).await {
                    continue;
                }
                return Err(self.cannot_write(failure, &blob));
            }
            let settled = self.settle(key, number, nonce).await;
            match settled {
                Ok(Some(put)) => return Ok(put),
                Ok(None) if failure.is_conflict() => return Ok(Put::Outdated),
                Ok(None) if self.container.pause(&mut back_off, &failure).await => {}
                Ok(None) => return Err(self.ambiguous(&blob, self.cannot_write(failure, &blob))),
                Err(reading) if in_doubt => return Err(self.ambiguous(&blob, reading)),
                Err(reading) => return Err(reading),
            }
        }
    }

    /// Settles a write that was not acknowledged, by the version that exists; `None` if there is no
    /// such version.
    async fn settle(&self, key: &RecordKey, number: u64, nonce: Uuid) -> Result<Option<Put>> {
        let Some((page, _)) = self.fetch(key).await? else {
            return Ok(None);
        };
        let version = self.version(key, &page, number).await?;
        Ok(version.map(|version| {
            if version.nonce == nonce {
                Put::Done
            } else {
                Put::Taken
            }
        }))
    }

    fn cannot_write(&self, failure: Failure, blob: &Key) -> Error {
        failure.explain("cannot write", self.container.place(blob))
    }

    fn ambiguous(&self, blob: &Key, cause: Error) -> Error {
        Error::new(
            ErrorKind::Ambiguous,
            format!(
                "outcome of a write is unknown: {}",
                self.container.place(blob)
            ),
        )
        .with_source(cause)
        .with_hint("read it back before writing again")
    }
}

fn is_numbered(key: &RecordKey) -> bool {
    matches!(key, RecordKey::Journal(_))
}

#[async_trait]
impl Records for BlobRecords {
    fn seen(&self, key: &RecordKey) -> Option<Record> {
        if is_numbered(key) {
            return self.numbered.seen(key);
        }
        self.pages.get(key).and_then(|(page, _)| page.latest())
    }

    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        if is_numbered(key) {
            return self.numbered.latest(key).await;
        }
        let page = self.fetch(key).await?;
        Ok(page.and_then(|(page, _)| page.latest()))
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        if is_numbered(key) {
            return self.numbered.get(key, number).await;
        }
        let known = self.pages.get(key);
        if let Some(version) = known.and_then(|(page, _)| page.version(number).map(record)) {
            return Ok(Some(version));
        }
        let Some((page, _)) = self.fetch(key).await? else {
            return Ok(None);
        };
        let version = self.version(key, &page, number).await?;
        Ok(version.as_ref().map(record))
    }

    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        if is_numbered(key) {
            return self.numbered.put(key, number, body).await;
        }
        self.backend.check_writable()?;
        let nonce = self.container.environment().uuid_v4();
        let version = encode_version(key, number, nonce, &body)?;
        let next = |known: &Option<(Page, Etag)>| known.as_ref().map_or(0, |(page, _)| page.next());
        let mut known = self.pages.get(key);
        for _ in 0..ATTEMPTS {
            if next(&known) != number {
                known = self.fetch(key).await?;
            }
            if next(&known) != number {
                return Err(conflict(key, number, next(&known)));
            }
            match self.write(key, known, &version, nonce).await? {
                Put::Done => return Ok(()),
                Put::Taken => return Err(conflict(key, number, number + 1)),
                Put::Outdated => known = self.fetch(key).await?,
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("record changes again and again without a new version: {key}"),
        )
        .with_hint("another program writes the same blob"))
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        self.numbered.list(collection)
    }
}

fn conflict(key: &RecordKey, number: u64, next: u64) -> Error {
    let message = if number < next {
        format!("version {number} of a record was written by another: {key}")
    } else {
        format!("version before {number} is missing: {key}")
    };
    Error::new(ErrorKind::Conflict { actual: None }, message)
}
