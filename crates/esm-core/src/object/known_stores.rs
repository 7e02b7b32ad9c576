//! The stores that streams of a home store may continue in ([R13](crate::protocol#r13)).

use std::collections::BTreeSet;
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

    /// Adds a store; one that is there already costs a read.
    ///
    /// # Errors
    /// `Unavailable`, also when concurrent changes won every time; `Corrupt`.
    ///
    /// # Idempotence
    /// May be repeated.
    pub async fn add(&self, store: StoreId) -> Result<()> {
        let added = change_record(&*self.records, &RecordKey::KnownStores, |list| {
            let mut list: List = list.unwrap_or_default();
            Ok(if list.stores.insert(store) {
                RecordChange::Write(list)
            } else {
                RecordChange::Keep(list)
            })
        });
        added.await.map(drop)
    }
}
