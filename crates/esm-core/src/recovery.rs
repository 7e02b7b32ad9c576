//! Finding the id of a store that has lost its marker.
//!
//! Documents, journals, Closes and backups name streams by store and stream. An id under which they
//! name streams that are in the place is one that the store had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::error::Result;
use crate::id::{StoreId, StreamRef};
use crate::object::{Documents, KnownStores, ObjectDocument};
use crate::protocol::journal::{JournalEntry, JournalRecord};
use crate::store::{
    BackupItem, BackupProvider, EventStore, EventStoreExt as _, RecordCollection, Records, decode,
};

/// Streams of one id that are looked for in the place before the id counts as another store's.
const LOOKED_FOR: u64 = 64;
/// Documents that are read at once.
const READ_AT_ONCE: usize = 16;
/// Damaged records that are named; the others are counted.
const NAMED: usize = 10;
/// Records of a journal in which its plan is looked for.
const JOURNAL_START: u64 = 16;

/// A place where a stream is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamReference {
    /// What names it, for messages.
    pub by: String,
    /// The stream.
    pub stream: StreamRef,
}

/// How often an id was found, and where first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdEvidence {
    /// Number of times that it was found.
    pub times: u64,
    /// The first thing that names it.
    pub example: String,
}

/// The ids that were found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FoundIds {
    /// Ids that the store had.
    pub own: BTreeMap<StoreId, IdEvidence>,
    /// Ids of other stores, which hold the streams that are named under them.
    pub others: BTreeSet<StoreId>,
    /// Number of documents, journals and backups that cannot be read, so that what they name is not
    /// known.
    pub unreadable: u64,
    /// The first of them, with the reasons.
    pub unreadable_examples: Vec<String>,
}

/// A search for the ids of a store that has lost its marker. Writes nothing.
#[derive(Debug)]
pub struct IdSearch {
    events: Arc<dyn EventStore>,
    found: FoundIds,
    looked_for: BTreeMap<StoreId, u64>,
}

impl IdSearch {
    /// Searches for ids under which these streams are named.
    pub fn new(events: Arc<dyn EventStore>) -> Self {
        Self {
            events,
            found: FoundIds::default(),
            looked_for: BTreeMap::new(),
        }
    }

    /// Reads the documents, the journals and the list of known stores of the store itself.
    ///
    /// # Errors
    /// Those of the records, except for a damaged record.
    pub async fn own_records(&mut self, records: &Arc<dyn Records>) -> Result<()> {
        self.documents_of(records).await?;
        self.journals(records).await?;
        let known = KnownStores::new(Arc::clone(records)).list().await;
        if let Some(known) = self.readable(known, || "known stores".to_owned())? {
            let own = &self.found.own;
            let others = known.into_iter().filter(|store| !own.contains_key(store));
            self.found.others.extend(others);
        }
        Ok(())
    }

    /// Reads the documents of another store, whose streams have moved here.
    ///
    /// # Errors
    /// As [`own_records`](Self::own_records).
    pub async fn records_of(&mut self, other: StoreId, records: &Arc<dyn Records>) -> Result<()> {
        // its own streams may be here too: this one is a copy of it
        self.looked_for.insert(other, LOOKED_FOR);
        self.documents_of(records).await
    }

    async fn documents_of(&mut self, records: &Arc<dyn Records>) -> Result<()> {
        let documents = Documents::new(Arc::clone(records));
        let mut all = documents
            .objects(None)
            .map_ok(|object| async {
                let found = documents.find(&object).await;
                Ok((object, found))
            })
            .try_buffered(READ_AT_ONCE)
            .boxed();
        while let Some((object, found)) = all.try_next().await? {
            let by = format!("document of {object}");
            if let Some(Some(found)) = self.readable(found, || by.clone())? {
                let whole = documents.whole(found.document.clone()).await;
                let whole = self.readable(whole, || by.clone())?;
                self.document(&by, &whole.unwrap_or(found.document)).await?;
            }
        }
        Ok(())
    }

    async fn document(&mut self, by: &str, document: &ObjectDocument) -> Result<()> {
        self.named(by, &document.active).await?;
        for terminated in &document.terminated {
            self.named(by, &terminated.stream).await?;
            self.named(by, &terminated.continuation).await?;
        }
        Ok(())
    }

    /// A plan names the store that its journal is in.
    async fn journals(&mut self, records: &Arc<dyn Records>) -> Result<()> {
        let mut journals = records.list(RecordCollection::Journals);
        while let Some(key) = journals.try_next().await? {
            for number in 0..JOURNAL_START {
                let by = format!("{key:?}");
                let record = records.get(&key, number).await;
                let Some(Some(record)) = self.readable(record, || by.clone())? else {
                    break;
                };
                let record = decode::<JournalRecord>(&key, &record);
                let Some(record) = self.readable(record, || by.clone())? else {
                    break;
                };
                if let JournalEntry::Planned { plan } = record.entry {
                    self.add(
                        plan.store,
                        &format!("journal of migration {}", plan.migration),
                    );
                    break;
                }
            }
        }
        Ok(())
    }

    /// Reads the sections of all backups. Reads all events of a backup.
    ///
    /// # Errors
    /// Those of the provider, except for a damaged backup.
    pub async fn backups(&mut self, backups: &Arc<dyn BackupProvider>) -> Result<()> {
        let mut manifests = backups.list();
        while let Some(manifest) = manifests.next().await {
            let by = || "manifest of a backup".to_owned();
            let Some(manifest) = self.readable(manifest, by)? else {
                continue;
            };
            let by = || format!("backup {}", manifest.id);
            let opened = backups.open(&manifest.id).await;
            let Some(mut reader) = self.readable(opened, by)? else {
                continue;
            };
            loop {
                let item = reader.next().await;
                match self.readable(item, by)?.flatten() {
                    Some(BackupItem::Section(section)) => {
                        self.named(&by(), &section.stream).await?;
                    }
                    Some(_) => {}
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Reads references from elsewhere.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn references(
        &mut self,
        mut references: BoxStream<'_, Result<StreamReference>>,
    ) -> Result<()> {
        while let Some(reference) = references.try_next().await? {
            self.named(&reference.by, &reference.stream).await?;
        }
        Ok(())
    }

    /// Whether an id was found that the store had.
    pub fn has_found(&self) -> bool {
        !self.found.own.is_empty()
    }

    /// Returns the ids that were found.
    pub fn finish(self) -> FoundIds {
        self.found
    }

    async fn named(&mut self, by: &str, stream: &StreamRef) -> Result<()> {
        let store = stream.store;
        if self.found.own.contains_key(&store) {
            self.add(store, by);
            return Ok(());
        }
        let looked_for = self.looked_for.entry(store).or_default();
        if *looked_for < LOOKED_FOR {
            *looked_for += 1;
            if self.is_here(stream).await? {
                self.add(store, by);
                return Ok(());
            }
        }
        self.found.others.insert(store);
        Ok(())
    }

    async fn is_here(&self, stream: &StreamRef) -> Result<bool> {
        match self.events.cell(&stream.stream, 0).await {
            Ok(cell) => Ok(cell.is_some()),
            Err(e) if e.is_damage() => Ok(true),
            Err(e) => Err(e),
        }
    }

    fn add(&mut self, store: StoreId, by: &str) {
        self.found.others.remove(&store);
        let evidence = self.found.own.entry(store).or_insert_with(|| IdEvidence {
            times: 0,
            example: by.to_owned(),
        });
        evidence.times += 1;
    }

    /// What was read; nothing, and a note, where it is damaged.
    fn readable<T>(&mut self, read: Result<T>, what: impl Fn() -> String) -> Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(e) if e.is_damage() => {
                self.found.unreadable += 1;
                if self.found.unreadable_examples.len() < NAMED {
                    self.found
                        .unreadable_examples
                        .push(format!("{}: {e}", what()));
                }
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }
}
