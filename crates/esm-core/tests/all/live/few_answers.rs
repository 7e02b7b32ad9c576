//! A process that cannot answer some of the commands to its migration.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::migration::MigrationService;
use esm_core::store::{Record, RecordCollection, RecordKey, Records};
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::memory::MemoryRecords;
use futures::stream::BoxStream;

use crate::world::World;

/// Records that do not take some of the answers to commands.
#[derive(Debug)]
pub(crate) struct FewAnswers {
    inner: MemoryRecords,
    answers: AtomicUsize,
    /// Which, counted from 0.
    denied: Range<usize>,
}

impl FewAnswers {
    /// A process that cannot write these answers down.
    pub(crate) fn service(f: &World, denied: Range<usize>) -> MigrationService {
        let records = Self {
            inner: f.storage.records.clone(),
            answers: AtomicUsize::default(),
            denied,
        };
        let world = &f.storage;
        MigrationService::new(world.event_store(), Arc::new(records), world.locks())
            .with_environment(world.environment.clone())
    }
}

#[async_trait]
impl Records for FewAnswers {
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.inner.latest(key).await
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        self.inner.get(key, number).await
    }

    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        if matches!(key, RecordKey::Control(_))
            && (self.denied).contains(&self.answers.fetch_add(1, Ordering::Relaxed))
        {
            return Err(Error::new(ErrorKind::PermissionDenied, "not this answer"));
        }
        self.inner.put(key, number, body).await
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        self.inner.list(collection)
    }
}
