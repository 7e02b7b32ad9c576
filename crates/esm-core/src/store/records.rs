//! Versioned records: documents, journals and the index, as numbered versions.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{MigrationId, ObjectId, ObjectName};

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordKey {
    /// The document of an object.
    Document(ObjectId),
    /// The journal of a migration.
    Journal(MigrationId),
    /// The routing entry of an object in migration.
    Routing(ObjectId),
    /// The store-wide index of active migrations that publish phases.
    Index,
    /// The commands to a migration from other processes, and its answers.
    Control(MigrationId),
    /// The progress of a migration, for observers in other processes.
    Progress(MigrationId),
    /// The other stores that streams of this one may continue in.
    KnownStores,
}

/// The record in a message for people: `document of order/1`.
impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document(object) => write!(f, "document of {object}"),
            Self::Journal(migration) => write!(f, "journal of migration {migration}"),
            Self::Routing(object) => write!(f, "routing entry of {object}"),
            Self::Index => f.write_str("index of active migrations"),
            Self::Control(migration) => write!(f, "commands to migration {migration}"),
            Self::Progress(migration) => write!(f, "progress of migration {migration}"),
            Self::KnownStores => f.write_str("known stores"),
        }
    }
}

/// A set of records that can be listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordCollection {
    /// The documents of all objects, or of those of one name.
    Documents(Option<ObjectName>),
    /// The journals of all migrations.
    Journals,
}

/// One version of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The version's number, from 0 without gaps.
    pub number: u64,
    /// What was put.
    pub body: Bytes,
}

/// Records whose versions are created, never changed.
///
/// # Guarantees
/// 1. Of several puts of the same number, at most one succeeds.
/// 2. Versions are numbered from 0 without gaps; a number is never used twice.
/// 3. An acknowledged put is durable, and every later read of any process sees it.
///
/// A call that was begun and is not polled holds up no other: a consumer of a buffered stream makes
/// calls of its own while those of the stream wait.
#[async_trait]
pub trait Records: Send + Sync + Debug + 'static {
    /// Returns the newest version that this process has read or put, without a request. There may be a
    /// newer one: only for another put, which is refused then. Defaults to `None`.
    fn seen(&self, _key: &RecordKey) -> Option<Record> {
        None
    }

    /// The newest version.
    ///
    /// # Guarantees
    /// 4. Never older than any put that was acknowledged to anybody before the call.
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>>;

    /// The version with this number.
    ///
    /// # Guarantees
    /// 5. A version stays readable for as long as the record has newer ones: an object's document
    ///    names [versions before it](crate::store::EarlierStreams).
    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>>;

    /// Creates version `number`, which must be the next.
    ///
    /// # Errors
    /// - `Conflict` when that number is taken by another body or the one before is missing.
    /// - `Ambiguous` when the outcome is unknown and could not be found out.
    ///
    /// # Idempotence
    /// Not idempotent as seen by the caller: put again after `Ambiguous`, an own earlier success
    /// may return `Conflict`; read it back and compare what was to be put.
    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()>;

    /// The keys of a collection, each once, in no particular order. Memory does not grow
    /// with their number. A record that is created meanwhile may be left out.
    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>>;
}

/// Typed reading and writing over any [`Records`].
#[async_trait]
pub trait RecordsExt {
    /// The newest version, decoded from JSON, with its number.
    async fn latest_as<T: DeserializeOwned + Send>(
        &self,
        key: &RecordKey,
    ) -> Result<Option<(u64, T)>>;

    /// Creates a version from a value, as JSON.
    async fn put_as<T: Serialize + Sync>(
        &self,
        key: &RecordKey,
        number: u64,
        value: &T,
    ) -> Result<()>;
}

#[async_trait]
impl<R: Records + ?Sized> RecordsExt for R {
    async fn latest_as<T: DeserializeOwned + Send>(
        &self,
        key: &RecordKey,
    ) -> Result<Option<(u64, T)>> {
        let Some(record) = self.latest(key).await? else {
            return Ok(None);
        };
        Ok(Some((record.number, decode(key, &record)?)))
    }

    async fn put_as<T: Serialize + Sync>(
        &self,
        key: &RecordKey,
        number: u64,
        value: &T,
    ) -> Result<()> {
        let body = serde_json::to_vec(value).map_err(|e| {
            Error::new(
                ErrorKind::Invalid,
                format!("cannot be written as JSON: {key}"),
            )
            .with_source(e)
        })?;
        self.put(key, number, body.into()).await
    }
}

/// What becomes of the newest version of a record.
pub(crate) enum RecordChange<T> {
    /// Write this as the next version.
    Write(T),
    /// This is as it should be: nothing is written.
    Keep(T),
}

/// Reads the newest version of a record, changes it and writes the next version, again whenever
/// a concurrent change won or a response was lost: the next attempt then finds the change done.
/// `change` is called once for each attempt, with the newest version and its number. Returns the
/// record as it is afterwards.
///
/// The first attempt is made with the newest version that this process has [seen](Records::seen). It
/// may be outdated, so it ends with a successful put or not at all: the put of the next number proves
/// that there was no newer version.
///
/// # Errors
/// Those of the change; `Corrupt`; `Unavailable`, also when concurrent changes won every time.
pub(crate) async fn change_record<T>(
    records: &dyn Records,
    key: &RecordKey,
    mut change: impl FnMut(Option<(u64, T)>) -> Result<RecordChange<T>> + Send,
) -> Result<T>
where
    T: Serialize + DeserializeOwned + Send + Sync,
{
    const TRIES: usize = 64;
    let seen = records.seen(key);
    let mut seen = seen.and_then(|record| Some((record.number, decode(key, &record).ok()?)));
    for _ in 0..TRIES {
        let may_be_outdated = seen.is_some();
        let newest = match seen.take() {
            Some(seen) => Some(seen),
            None => records.latest_as::<T>(key).await?,
        };
        let number = newest.as_ref().map_or(0, |(number, _)| number + 1);
        let next = match change(newest) {
            Ok(RecordChange::Write(next)) => next,
            _ if may_be_outdated => continue,
            Ok(RecordChange::Keep(kept)) => return Ok(kept),
            Err(error) => return Err(error),
        };
        match records.put_as(key, number, &next).await {
            Ok(()) => return Ok(next),
            Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::Ambiguous) => {}
            Err(e) => return Err(e),
        }
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("concurrent changes to the record won {TRIES} times in a row: {key}"),
    ))
}

/// Decodes a record's body from JSON.
///
/// # Errors
/// `Corrupt`, naming the record.
pub(crate) fn decode<T: DeserializeOwned>(key: &RecordKey, record: &Record) -> Result<T> {
    serde_json::from_slice(&record.body).map_err(|e| {
        Error::corrupt(format!(
            "{key} cannot be read, version {}: {e}",
            record.number
        ))
        .with_source(e)
    })
}
