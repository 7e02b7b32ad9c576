//! An own provider: a whole store over a table of keys and values, and its conformance tests.
//!
//! `docs/providers.md` quotes the first part. `cargo test -p esm-library-examples --example
//! custom_provider` runs the tests.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use esm_cells::{Backend, Key, Objects, OpenOptions, Store, Upload, WriteFailure, buffered_upload};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::{self, BoxStream, StreamExt as _};

/// Rows of a key and its bytes. Replace the map by your database.
#[derive(Debug, Clone, Default)]
struct Table(Arc<Mutex<BTreeMap<Key, Bytes>>>);

impl Table {
    async fn store(&self, options: OpenOptions) -> Result<Store> {
        let backend = Backend::new(Arc::new(self.clone()), Key::default(), options);
        Store::open_or_create(Arc::new(backend)).await
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Key, Bytes>> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

#[async_trait]
impl Objects for Table {
    fn location(&self) -> &str {
        "the table"
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        Ok(self.rows().get(key).map(|row| {
            let Some(range) = range else {
                return row.clone();
            };
            let [start, end] = [range.start, range.end].map(|at| row.len().min(at as usize));
            row.slice(start..end)
        }))
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        Ok(self.rows().get(key).map(|row| row.len() as u64))
    }

    async fn create(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        match self.rows().entry(key.clone()) {
            Entry::Vacant(row) => {
                row.insert(body);
                Ok(())
            }
            Entry::Occupied(_) => Err(WriteFailure::Exists(Error::new(
                ErrorKind::AlreadyExists,
                format!("row exists: {key}"),
            ))),
        }
    }

    async fn overwrite(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        self.rows().insert(key.clone(), body);
        Ok(())
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.rows().remove(key);
        Ok(())
    }

    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        let rows = self.rows();
        let below = rows.keys().filter(|key| key.below(folder).is_some());
        let keys: Vec<Result<Key>> = below.cloned().map(Ok).collect();
        stream::iter(keys).boxed()
    }

    fn upload(&self, key: &Key) -> Upload {
        buffered_upload(self.clone(), key)
    }
}
// the end of what docs/providers.md quotes

#[tokio::main]
async fn main() -> Result<()> {
    let table = Table::default();
    let shop = esm_library_examples::Shop::over(table.store(OpenOptions::new()).await?)?;
    let order = shop.place_order(1003, "Zoë").await?;
    let result = shop.service.migrate(order.clone()).execute().await?;
    assert!(result.is_success(), "{:?}", result.error);
    shop.print(&order).await?;
    println!("{} rows in {}", table.rows().len(), shop.store.location());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use esm_core::clock::Environment;
    use esm_core::id::BackupId;
    use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};
    use esm_testkit::SteppedClock;
    use esm_testkit::conformance::{BackupHarness, EventStoreHarness, LockHarness, RecordsHarness};

    use super::*;

    /// An empty table for one case, and its time. A handle is a process that has just started: it
    /// shares the table with the others, and nothing else.
    #[derive(Default)]
    struct Harness {
        table: Table,
        clock: SteppedClock,
    }

    impl Harness {
        async fn store(&self) -> Store {
            let environment = Environment {
                clock: Arc::new(self.clock.clone()),
                ..Environment::system()
            };
            let options = OpenOptions::new().with_environment(environment);
            self.table.store(options).await.expect("it opens")
        }

        /// Changes the file of a backup's events.
        fn damage(&self, id: &BackupId, change: impl FnOnce(&mut Vec<u8>)) -> bool {
            let mut rows = self.table.rows();
            let folder = format!("backups/{id}/");
            let file = rows.iter_mut().find(|(key, _)| {
                key.as_str().starts_with(&folder) && key.as_str().ends_with(".events.ndjson.zst")
            });
            let (_, file) = file.expect("the backup has events");
            let mut bytes = file.to_vec();
            change(&mut bytes);
            *file = bytes.into();
            true
        }
    }

    #[async_trait]
    impl EventStoreHarness for Harness {
        async fn open(&self) -> Arc<dyn EventStore> {
            self.store().await.event_store()
        }
    }

    #[async_trait]
    impl RecordsHarness for Harness {
        async fn open(&self) -> Arc<dyn Records> {
            self.store().await.records()
        }
    }

    #[async_trait]
    impl LockHarness for Harness {
        async fn open(&self) -> Arc<dyn LockProvider> {
            self.store().await.locks()
        }

        async fn pass(&self, duration: Duration) {
            self.clock.advance(duration);
        }
    }

    #[async_trait]
    impl BackupHarness for Harness {
        async fn open(&self) -> Arc<dyn BackupProvider> {
            self.store().await.backups()
        }

        async fn corrupt(&self, id: &BackupId) -> bool {
            self.damage(id, |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            })
        }

        async fn truncate(&self, id: &BackupId) -> bool {
            self.damage(id, |bytes| bytes.truncate(bytes.len() / 2))
        }
    }

    mod event_store {
        esm_testkit::event_store_conformance!(super::Harness::default());
    }
    mod records {
        esm_testkit::records_conformance!(super::Harness::default());
    }
    mod lock {
        esm_testkit::lock_conformance!(super::Harness::default());
    }
    mod backup {
        esm_testkit::backup_conformance!(super::Harness::default());
    }

    #[test]
    fn the_program_migrates_an_order_on_the_table() {
        main().expect("it succeeds");
    }

    #[test]
    fn the_page_on_providers_quotes_this_program() {
        let program = include_str!("custom_provider.rs");
        let page = include_str!("../../../docs/providers.md");
        let begin = program.find("use std::").expect("it imports something");
        let end = program.find("// the end of what").expect("it has an end");
        let quoted = format!("```rust\n{}```\n", &program[begin..end]);
        assert!(page.contains(&quoted), "quote it anew:\n{quoted}");
    }
}
