//! The stores that streams of a home store may go on in (R13).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::id::StoreId;
use crate::store::{RecordKey, Records, RecordsExt as _};

/// Tries before others have changed the list too often.
const TRIES: usize = 64;

/// The ids of the other stores that streams of a home store may go on in. They are only ever added:
/// a stream that went there stays there.
///
/// A migration to another store adds it before anything is copied, so an application can be asked
/// whether it knows them all before the first stream moves.
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
        Ok(self.newest().await?.1.stores)
    }

    /// Adds a store; one that is there already costs a read.
    ///
    /// # Errors
    /// `Unavailable` when others changed the list every time; those of the records.
    ///
    /// # Idempotence
    /// May be repeated.
    pub async fn add(&self, store: StoreId) -> Result<()> {
        for _ in 0..TRIES {
            let (next, mut list) = self.newest().await?;
            if !list.stores.insert(store) {
                return Ok(());
            }
            match self
                .records
                .put_as(&RecordKey::KnownStores, next, &list)
                .await
            {
                Ok(()) => return Ok(()),
                // the next round reads back what became of it
                Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::Ambiguous) => {
                }
                Err(e) => return Err(e),
            }
        }
        let message = format!("others changed the list of known stores {TRIES} times in a row");
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// The number of the next version, and the newest list.
    async fn newest(&self) -> Result<(u64, List)> {
        let newest = self.records.latest_as(&RecordKey::KnownStores).await?;
        Ok(newest.map_or_else(Default::default, |(number, list)| (number + 1, list)))
    }
}
