//! Object documents as versioned records.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{ObjectId, ObjectName, StreamRef};
use crate::object::pages;
use crate::store::{
    ObjectDocument, RecordChange, RecordCollection, RecordKey, Records, RecordsExt as _,
    TerminatedStream, change_record, decode,
};

/// Searches for an entry that is left out, before giving up: each after a concurrent change that
/// left out others.
const LOOK_UPS: usize = 64;
/// How to mend a version that has earlier streams.
const REPAIR: &str = "put it back from a copy of the storage; it concerns only streams that were \
                      closed long ago, and no event is missing without it";

/// Object documents over versioned records.
#[derive(Debug, Clone)]
pub struct Documents {
    records: Arc<dyn Records>,
}

/// A document and the number of the version that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedDocument {
    /// The number of the record's version.
    pub version: u64,
    /// The document.
    pub document: ObjectDocument,
}

impl Documents {
    /// The documents in these records.
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// The newest version of an object's document.
    ///
    /// # Errors
    /// `Corrupt`, naming the record; `Unavailable`.
    pub async fn find(&self, object: &ObjectId) -> Result<Option<VersionedDocument>> {
        let key = RecordKey::Document(object.clone());
        let found = self.records.latest_as(&key).await?;
        Ok(found.map(|(version, document)| VersionedDocument { version, document }))
    }

    /// The newest version of an object's document, which must exist.
    ///
    /// # Errors
    /// As [`find`](Self::find), and `NotFound` for an unknown object.
    pub async fn load(&self, object: &ObjectId) -> Result<VersionedDocument> {
        self.find(object).await?.ok_or_else(|| unknown(object))
    }

    /// The version of an object's document after the newest that this process has seen; the newest, if
    /// it has seen none. It may be outdated by the time that it is returned, as every version may.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub(crate) async fn newer(&self, object: &ObjectId) -> Result<Option<ObjectDocument>> {
        let key = RecordKey::Document(object.clone());
        let Some(seen) = self.records.seen(&key) else {
            return Ok(self.find(object).await?.map(|found| found.document));
        };
        let newer = self.records.get(&key, seen.number + 1).await?;
        newer.map(|record| decode(&key, &record)).transpose()
    }

    /// Creates the document of a new object.
    ///
    /// # Errors
    /// `Conflict` when it exists already: load it.
    pub async fn create(&self, document: &ObjectDocument) -> Result<()> {
        self.records
            .put_as(&RecordKey::Document(document.object.clone()), 0, document)
            .await
    }

    /// Loads a document, changes it and writes the next version, again whenever a concurrent change
    /// won. `change` returns whether there is anything to write; it is called once for each
    /// attempt. Returns the document as it is afterwards.
    ///
    /// Of an object with many terminated streams, the next version leaves older ones
    /// [to this one](crate::store::EarlierStreams). `change` does not see those that are left out:
    /// see [`update_terminated`](Self::update_terminated).
    ///
    /// # Errors
    /// As [`load`](Self::load); `Unavailable` when concurrent changes won every time.
    pub async fn update(
        &self,
        object: &ObjectId,
        mut change: impl FnMut(&mut ObjectDocument) -> bool + Send,
    ) -> Result<ObjectDocument> {
        let key = RecordKey::Document(object.clone());
        let mut changed = None;
        let stored = change_record(
            &*self.records,
            &key,
            |found: Option<(u64, ObjectDocument)>| {
                let (version, mut document) = found.ok_or_else(|| unknown(object))?;
                let before = document.clone();
                if !change(&mut document) {
                    changed = None;
                    return Ok(RecordChange::Keep(document));
                }
                changed = Some(document.clone());
                pages::leave_out(&mut document, version, &before);
                Ok(RecordChange::Write(document))
            },
        );
        let stored = stored.await?;
        // the same, with the entries that `change` has seen
        Ok(changed.unwrap_or(stored))
    }

    /// As [`update`](Self::update), and `change` sees the entry of this stream, if the object has
    /// such a terminated stream, also where the document leaves it out.
    ///
    /// # Errors
    /// As [`update`](Self::update), and those of [`reaching`](Self::reaching).
    pub async fn update_terminated(
        &self,
        object: &ObjectId,
        stream: &StreamRef,
        mut change: impl FnMut(&mut ObjectDocument) -> bool + Send,
    ) -> Result<ObjectDocument> {
        // versions do not change: an entry is the same for as long as the same version has it
        let mut known: Option<(u64, Option<TerminatedStream>)> = None;
        for _ in 0..LOOK_UPS {
            let mut unknown = false;
            let updated = self.update(object, |document| {
                if let Some(earlier) = pages::may_leave_out(document, stream) {
                    match &known {
                        Some((version, entry)) if *version == earlier.version => {
                            earlier.changed.extend(entry.clone());
                        }
                        _ => {
                            unknown = true;
                            return false;
                        }
                    }
                }
                unknown = false;
                change(document)
            });
            let document = updated.await?;
            match document.left_out() {
                Some(earlier) if unknown => {
                    let fits = |entry: &TerminatedStream| entry.stream == *stream;
                    let entry = self.find_terminated(&document, fits).await?;
                    known = Some((earlier.version, entry));
                }
                _ => return Ok(document),
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("concurrent changes won {LOOK_UPS} times in a row: document of {object}"),
        ))
    }

    /// Adds terminated streams that a document [leaves out](ObjectDocument::left_out), the newest
    /// first, until `enough` returns true of it or none is left out. Costs a read for about eight
    /// streams, and none if the document is enough as it is. What is returned says the same as the
    /// document, at greater length.
    ///
    /// # Errors
    /// - `Gone` when a version that has such streams is absent.
    /// - `Corrupt` when it cannot be read, or does not have them.
    pub async fn reaching(
        &self,
        mut document: ObjectDocument,
        enough: impl Fn(&ObjectDocument) -> bool + Send,
    ) -> Result<ObjectDocument> {
        let key = RecordKey::Document(document.object.clone());
        // ends: a version leaves streams only to one before itself
        while !enough(&document)
            && let Some(earlier) = document.left_out()
        {
            let version = earlier.version;
            let record = self.records.get(&key, version).await?;
            let record = record.ok_or_else(|| absent(&key, version))?;
            let page = decode(&key, &record)?;
            document = pages::add(document, &page).ok_or_else(|| contradicts(&key, version))?;
        }
        Ok(document)
    }

    /// As [`reaching`](Self::reaching), until no stream is left out.
    ///
    /// # Errors
    /// As [`reaching`](Self::reaching).
    pub async fn whole(&self, document: ObjectDocument) -> Result<ObjectDocument> {
        self.reaching(document, |_| false).await
    }

    /// The newest entry of a terminated stream that fits, also of those that the document leaves
    /// out.
    ///
    /// # Errors
    /// As [`reaching`](Self::reaching).
    pub async fn find_terminated(
        &self,
        document: &ObjectDocument,
        fits: impl Fn(&TerminatedStream) -> bool + Send + Sync,
    ) -> Result<Option<TerminatedStream>> {
        let found = document.find_terminated(&fits);
        if found.is_some() || document.left_out().is_none() {
            return Ok(found.cloned());
        }
        let enough = |document: &ObjectDocument| document.find_terminated(&fits).is_some();
        let document = self.reaching(document.clone(), enough).await?;
        Ok(document.find_terminated(&fits).cloned())
    }

    /// The objects that have a document, each once, in no particular order.
    pub fn objects(
        &self,
        name: Option<ObjectName>,
    ) -> futures::stream::BoxStream<'_, Result<ObjectId>> {
        use futures::StreamExt as _;
        self.records
            .list(RecordCollection::Documents(name))
            .filter_map(|key| async {
                match key {
                    Ok(RecordKey::Document(object)) => Some(Ok(object)),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                }
            })
            .boxed()
    }
}

fn absent(key: &RecordKey, version: u64) -> Error {
    let message =
        format!("a version that a later one refers to is absent: {key}, version {version}");
    Error::new(ErrorKind::Gone, message).with_hint(REPAIR)
}

fn contradicts(key: &RecordKey, version: u64) -> Error {
    Error::corrupt(format!(
        "a version lacks the earlier streams that a later one leaves to it: {key}, version {version}"
    ))
    .with_hint(REPAIR)
}

fn unknown(object: &ObjectId) -> Error {
    Error::not_found(format!("unknown object: {object}"))
        .with_hint("list the objects of this store to see what there is")
}
