//! Listing the keys of records as they come.

use esm_core::id::{MigrationId, ObjectId, ObjectKey, ObjectName};
use esm_core::store::{RecordCollection, RecordKey};
use esm_core::{Error, Result};
use futures::future;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use super::envelope;
use super::versions::ObjectRecords;
use crate::key::Key;
use crate::layout::{LATEST, parse_number};
use crate::segment::{decode, encode, is_cut};

impl ObjectRecords {
    /// The keys of a collection. Versions of one record come one after the other, sorted or not:
    /// so a key is new when its folder is not the one before, and nothing has to be remembered.
    pub(super) fn keys(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        let layout = self.backend.layout();
        let (folder, depth) = match &collection {
            RecordCollection::Documents(None) => (layout.documents(), 2),
            RecordCollection::Documents(Some(name)) => {
                (layout.documents().join(&encode(name.as_str())), 1)
            }
            RecordCollection::Journals => (layout.journals(), 1),
            other => {
                let error = Error::unsupported(format!("cannot list the records of {other:?}"));
                return stream::iter([Err(error)]).boxed();
            }
        };
        let within = folder.clone();
        let mut before: Option<Vec<String>> = None;
        self.backend
            .list(&folder)
            .try_filter_map(move |version| {
                let folders = folders_of(&version, &within, depth);
                let fresh = folders.filter(|it| before.as_ref() != Some(it));
                if let Some(fresh) = &fresh {
                    before = Some(fresh.clone());
                }
                future::ok(fresh.map(|folders| (folders, version)))
            })
            .try_filter_map(move |(folders, version)| {
                let collection = collection.clone();
                async move { self.key_of(&collection, &folders, &version).await }
            })
            .boxed()
    }

    /// The key whose versions are in this folder; nothing for what is no folder of a record.
    async fn key_of(
        &self,
        collection: &RecordCollection,
        folders: &[String],
        version: &Key,
    ) -> Result<Option<RecordKey>> {
        if folders.iter().any(|segment| is_cut(segment)) {
            return self.key_inside(version).await;
        }
        let names: Option<Vec<String>> = folders.iter().map(|segment| decode(segment)).collect();
        Ok(match (collection, names.as_deref()) {
            (RecordCollection::Journals, Some([migration])) => migration
                .parse::<MigrationId>()
                .ok()
                .map(RecordKey::Journal),
            (RecordCollection::Documents(Some(name)), Some([key])) => {
                object(name.as_str(), key).map(RecordKey::Document)
            }
            (RecordCollection::Documents(None), Some([name, key])) => {
                object(name, key).map(RecordKey::Document)
            }
            _ => None,
        })
    }

    /// The key as a version itself says it.
    async fn key_inside(&self, version: &Key) -> Result<Option<RecordKey>> {
        let Some(bytes) = self.backend.get(version).await? else {
            return Ok(None);
        };
        let (envelope, _, _) = envelope::decode_first(&bytes)
            .map_err(|e| e.context(format!("record {}", self.backend.place(version))))?;
        Ok(Some(envelope.key.into()))
    }
}

fn object(name: &str, key: &str) -> Option<ObjectId> {
    Some(ObjectId::new(
        ObjectName::new(name).ok()?,
        ObjectKey::new(key).ok()?,
    ))
}

/// The folders between a collection and a version in it; nothing for what is no version.
fn folders_of(version: &Key, collection: &Key, depth: usize) -> Option<Vec<String>> {
    let mut folders: Vec<String> = version.below(collection)?.map(str::to_owned).collect();
    let name = folders.pop()?;
    let is_version = name == LATEST || parse_number(&name).is_some();
    (is_version && folders.len() == depth).then_some(folders)
}
