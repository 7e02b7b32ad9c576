//! Stores to measure in, and filling them.

use std::sync::Arc;

use anyhow::{Result, ensure};
use esm_core::clock::Environment;
use esm_core::id::ObjectId;
use esm_core::migration::{MigrationResult, MigrationService};
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_objectstore::{OpenOptions, Store};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStore;

use crate::workload;

/// How many events an application appends at a time; as many as a copied cell holds.
pub(crate) const APPEND: u64 = 512;
/// How many objects are worked on at the same time.
pub(crate) const CONCURRENCY: usize = 16;

/// A store with what an application and a migrator need.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) client: ObjectClient,
    pub(crate) service: MigrationService,
}

impl World {
    /// On a local directory, as everybody gets it.
    pub(crate) async fn on_disk(directory: &std::path::Path) -> Result<Self> {
        let address = directory.to_string_lossy();
        let store = esm_objectstore::open_or_create(&address, OpenOptions::new()).await?;
        Ok(Self::over(&store, Environment::system()))
    }

    /// In a SQLite file, whose folder is created.
    pub(crate) async fn in_sqlite(file: &std::path::Path) -> Result<Self> {
        let address = format!("sqlite:{}", file.display());
        let store = esm_sqlite::open_or_create(&address, OpenOptions::new()).await?;
        Ok(Self::over(&store, Environment::system()))
    }

    /// Over any object store.
    pub(crate) async fn over_objects(objects: Arc<dyn ObjectStore>) -> Result<Self> {
        let options = OpenOptions::new();
        let store = esm_objectstore::open_or_create_with_client(objects, "", options).await?;
        Ok(Self::over(&store, Environment::system()))
    }

    /// Over an open store.
    pub(crate) fn over(store: &Store, environment: Environment) -> Self {
        let service = MigrationService::new(store.event_store(), store.records(), store.locks())
            .with_environment(environment.clone());
        Self {
            client: ObjectClient::new(store.records(), store.event_store(), environment),
            service: service.with_backups(store.backups()),
        }
    }

    /// Creates an object with this many events.
    pub(crate) async fn fill(&self, object: &ObjectId, events: u64) -> Result<()> {
        self.fill_cells(object, events, APPEND).await
    }

    /// Creates an object with this many events, so many in each cell.
    pub(crate) async fn fill_cells(&self, object: &ObjectId, events: u64, each: u64) -> Result<()> {
        let mut expected = ExpectedRevision::NoStream;
        for begin in (0..events).step_by(each as usize) {
            let end = events.min(begin + each);
            let batch: Result<Vec<_>> = (begin..end).map(workload::event).collect();
            let appended = self.client.append(object, expected, batch?).await?;
            expected = ExpectedRevision::At(appended.next);
        }
        Ok(())
    }

    /// Creates this many objects, each with this many events.
    pub(crate) async fn fill_many(&self, objects: u64, events: u64) -> Result<()> {
        stream::iter(0..objects)
            .map(|number| async move {
                let object = format!("order/{number}").parse()?;
                self.fill(&object, events).await
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }
}

/// Refuses to measure what did not work.
pub(crate) fn check(result: MigrationResult) -> Result<MigrationResult> {
    ensure!(
        result.is_success(),
        "a migration failed: {:?} {:?}",
        result.error,
        result.statistics.failures
    );
    Ok(result)
}
