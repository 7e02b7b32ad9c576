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
    /// Earlier ids of linked stores that have some.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    aliases: BTreeMap<StoreId, BTreeSet<StoreId>>,
}

/// What the list has of a store that was [linked](KnownStores::link): enough to know which streams
/// are in it, without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLink {
    /// The id of the store.
    pub store: StoreId,
    /// The earlier ids of the store, which never change while it keeps its id.
    pub aliases: BTreeSet<StoreId>,
    /// The address at which programs find the store, without secrets.
    pub address: String,
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

    /// The stores that were [linked](Self::link), in the order of their ids.
    ///
    /// # Errors
    /// `Corrupt`; those of the records.
    pub async fn links(&self) -> Result<Vec<StoreLink>> {
        let newest = self
            .records
            .latest_as::<List>(&RecordKey::KnownStores)
            .await?;
        let List {
            places,
            mut aliases,
            ..
        } = newest.map(|(_, list)| list).unwrap_or_default();
        let links = places.into_iter().map(|(store, address)| StoreLink {
            store,
            aliases: aliases.remove(&store).unwrap_or_default(),
            address,
        });
        Ok(links.collect())
    }

    /// Adds a store with its earlier ids and the address at which programs find it, in place of what
    /// an earlier link said. The address must not hold secrets: everyone who reads the store reads it.
    ///
    /// # Errors
    /// `Unavailable`, also when concurrent changes won every time; `Corrupt`.
    ///
    /// # Idempotence
    /// May be repeated.
    pub async fn link(&self, link: &StoreLink) -> Result<()> {
        let linked = change_record(&*self.records, &RecordKey::KnownStores, |found| {
            let mut list: List = found.map(|(_, list)| list).unwrap_or_default();
            Ok(if list.set(link) {
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

impl List {
    /// Takes over a link. Returns whether that changed anything.
    fn set(&mut self, link: &StoreLink) -> bool {
        let StoreLink {
            store,
            aliases,
            address,
        } = link;
        let is_new = self.stores.insert(*store);
        let place = self.places.insert(*store, address.clone());
        let earlier = if aliases.is_empty() {
            self.aliases.remove(store)
        } else {
            self.aliases.insert(*store, aliases.clone())
        };
        is_new || place.as_ref() != Some(address) || earlier.unwrap_or_default() != *aliases
    }
}
