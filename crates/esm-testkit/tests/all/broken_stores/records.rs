//! Broken versioned records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::Result;
use esm_core::store::{Record, RecordCollection, RecordKey, Records};
use esm_testkit::conformance::{RecordsHarness, records};
use esm_testkit::memory::MemoryRecords;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::judge::{assert_rejected, rejected_by};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    AcknowledgesTakenNumbers,
    AcknowledgesGaps,
    FillsGaps,
    ChecksThenWrites,
    HasAStaleNewest,
    TrustsItsOwnPuts,
    ForgetsOldVersions,
    TrimsBodies,
    FoldsCaseOfKeys,
    ListsTwice,
    ListsEverything,
    LeavesOneOut,
    KeepsItToItself,
    InventsRecords,
    KeepsTurnsWhileIdle,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryRecords,
    defect: Defect,
    newest: Mutex<BTreeMap<RecordKey, Option<Record>>>,
    turns: Semaphore,
}

impl Broken {
    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// Held during a call.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if !self.has(Defect::KeepsTurnsWhileIdle) {
            return None;
        }
        let turn = self.turns.acquire().await.expect("nobody closes it");
        super::judge::let_others_run().await;
        Some(turn)
    }

    fn key(&self, key: &RecordKey) -> RecordKey {
        match key {
            RecordKey::Document(object) if self.has(Defect::FoldsCaseOfKeys) => {
                let folded = object.to_string().to_lowercase();
                RecordKey::Document(folded.parse().expect("it is still an object"))
            }
            key => key.clone(),
        }
    }
}

#[async_trait]
impl Records for Broken {
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        let _turn = self.turn().await;
        let newest = self.inner.latest(&self.key(key)).await?;
        if self.has(Defect::TrustsItsOwnPuts) {
            let own = self.newest.lock().expect("nobody panics here");
            return Ok(own.get(key).cloned().unwrap_or(newest));
        }
        if self.has(Defect::InventsRecords) && newest.is_none() {
            return Ok(Some(Record {
                number: 0,
                body: Bytes::new(),
            }));
        }
        if self.has(Defect::HasAStaleNewest) {
            let mut cache = self.newest.lock().expect("nobody panics here");
            return Ok(cache.insert(key.clone(), newest.clone()).unwrap_or(newest));
        }
        Ok(newest)
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        let _turn = self.turn().await;
        let newest = self.inner.latest(&self.key(key)).await?;
        if self.has(Defect::ForgetsOldVersions) && newest.is_some_and(|n| n.number != number) {
            return Ok(None);
        }
        self.inner.get(&self.key(key), number).await
    }

    async fn put(&self, key: &RecordKey, number: u64, mut body: Bytes) -> Result<()> {
        let key = &self.key(key);
        let newest = self.inner.latest(key).await?;
        let next = newest.map_or(0, |newest| newest.number + 1);
        match self.defect {
            Defect::AcknowledgesTakenNumbers if number < next => return Ok(()),
            Defect::AcknowledgesGaps if number > next => return Ok(()),
            Defect::FillsGaps if number > next => {
                for gap in next..number {
                    self.inner.put(key, gap, Bytes::new()).await?;
                }
            }
            Defect::ChecksThenWrites if number == next => {
                super::judge::let_others_run().await;
                let newest = self.inner.latest(key).await?;
                let now = newest.map_or(0, |newest| newest.number + 1);
                return self.inner.put(key, now, body).await;
            }
            Defect::TrustsItsOwnPuts => {
                self.inner.put(key, number, body.clone()).await?;
                let mut own = self.newest.lock().expect("nobody panics here");
                own.insert(key.clone(), Some(Record { number, body }));
                return Ok(());
            }
            Defect::TrimsBodies => body = Bytes::copy_from_slice(body.trim_ascii()),
            _ => {}
        }
        self.inner.put(key, number, body).await
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        match self.defect {
            Defect::ListsTwice => {
                let again = self.inner.list(collection.clone());
                self.inner.list(collection).chain(again).boxed()
            }
            Defect::ListsEverything => match collection {
                RecordCollection::Documents(_) => {
                    self.inner.list(RecordCollection::Documents(None))
                }
                other => self.inner.list(other),
            },
            Defect::LeavesOneOut => self.inner.list(collection).skip(1).boxed(),
            _ => self.inner.list(collection),
        }
    }
}

struct Harness {
    inner: MemoryRecords,
    defect: Defect,
}

impl Harness {
    fn boxed(defect: Defect) -> Box<dyn RecordsHarness> {
        Box::new(Self {
            inner: MemoryRecords::new(),
            defect,
        })
    }
}

#[async_trait]
impl RecordsHarness for Harness {
    async fn open(&self) -> Arc<dyn Records> {
        let inner = match self.defect {
            Defect::KeepsItToItself => MemoryRecords::new(),
            _ => self.inner.clone(),
        };
        Arc::new(Broken {
            inner,
            defect: self.defect,
            newest: Mutex::default(),
            turns: Semaphore::new(4),
        })
    }
}

#[test]
fn every_defect_is_rejected_by_its_case() {
    let defects = [
        (Defect::AcknowledgesTakenNumbers, "a_taken_number_conflicts"),
        (Defect::AcknowledgesTakenNumbers, "no_update_is_lost"),
        (Defect::AcknowledgesGaps, "a_gap_is_refused"),
        (Defect::FillsGaps, "a_gap_is_refused"),
        (Defect::ChecksThenWrites, "one_of_many_puts_wins"),
        (Defect::HasAStaleNewest, "the_newest_is_exact_for_everybody"),
        (
            Defect::TrustsItsOwnPuts,
            "the_newest_is_exact_for_everybody",
        ),
        (Defect::ForgetsOldVersions, "versions_are_kept"),
        (Defect::TrimsBodies, "bodies_survive"),
        (Defect::FoldsCaseOfKeys, "keys_do_not_collide"),
        (Defect::ListsTwice, "collections_list_each_key_once"),
        (Defect::ListsEverything, "collections_list_each_key_once"),
        (Defect::LeavesOneOut, "collections_list_each_key_once"),
        (Defect::KeepsItToItself, "versions_are_kept"),
        (
            Defect::KeepsItToItself,
            "a_fresh_handle_finds_a_far_version",
        ),
        (Defect::InventsRecords, "a_missing_record_is_none"),
        (
            Defect::KeepsTurnsWhileIdle,
            "a_call_that_is_not_polled_holds_up_no_other",
        ),
    ];
    assert_rejected(records::CASES, &defects, Harness::boxed);
}

#[test]
fn without_a_defect_every_case_passes() {
    let harness = || Harness::boxed(Defect::None);
    assert_eq!(rejected_by(records::CASES, harness), [""; 0]);
}
