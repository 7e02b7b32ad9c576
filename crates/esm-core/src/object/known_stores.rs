//! The stores that streams of a home store may continue in ([R13](crate::protocol#r13)).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::id::StoreId;
use crate::store::{RecordChange, RecordKey, Records, RecordsExt as _, change_record};

/// The ids of the other stores that streams of a home store may continue in. Ids are only added:
/// a stream that went there stays there.
///
/// A migration to another store adds it before anything is copied, so an application can check
/// that it knows them all before the first stream moves.
#[derive(Debug, Clone)]
pub struct KnownStores {
    records: Arc<dyn Records>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    stores: BTreeSet<StoreId>,
    /// Addresses without secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    places: BTreeMap<StoreId, String>,
}

impl KnownStores {
    /// The list in these records of the home store.
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// The stores, without the home store itself.
    ///
    /// # Errors
    /// `Corrupt`; those of the records.
    pub async fn list(&self) -> Result<BTreeSet<StoreId>> {
        let newest = self
            .records
            .latest_as::<List>(&RecordKey::KnownStores)
            .await?;
        Ok(newest.map(|(_, list)| list.stores).unwrap_or_default())
    }

    /// The addresses of stores that were [linked](Self::link).
    ///
    /// # Errors
    /// `Corrupt`; those of the records.
    pub async fn places(&self) -> Result<BTreeMap<StoreId, String>> {
        let newest = self
            .records
            .latest_as::<List>(&RecordKey::KnownStores)
            .await?;
        Ok(newest.map(|(_, list)| list.places).unwrap_or_default())
    }

    /// Adds a store with the address at which programs find it, in place of an earlier address. The
    /// address must not hold secrets: everyone who reads the store reads it.
    ///
    /// # Errors
    /// `Unavailable`, also when concurrent changes won every time; `Corrupt`.
    ///
    /// # Idempotence
    /// May be repeated.
    pub async fn link(&self, store: StoreId, address: &str) -> Result<()> {
        let linked = change_record(&*self.records, &RecordKey::KnownStores, |found| {
            let mut list: List = found.map(|(_, list)| list).unwrap_or_default();
            let added = list.stores.insert(store);
            let before = list.places.insert(store, address.to_owned());
            Ok(if added || before.as_deref() != Some(address) {
                RecordChange::Write(list)
            } else {
                RecordChange::Keep(list)
            })
        });
        linked.await.map(drop)
    }

    /// Adds a store; one that is there already costs a read.
    ///
    /// # Errors
    /// `Unavailable`, also when concurrent changes won every time; `Corrupt`.
    ///
    /// # Idempotence
    /// May be repeated.
    pub async fn add(&self, store: StoreId) -> Result<()> {
        let added = change_record(&*self.records, &RecordKey::KnownStores, |found| {
            let mut list: List = found.map(|(_, list)| list).unwrap_or_default();
            Ok(if list.stores.insert(store) {
                RecordChange::Write(list)
            } else {
                RecordChange::Keep(list)
            })
        });
        added.await.map(drop)
    }
}
