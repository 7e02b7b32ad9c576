//! The sweeps' shorter form on a server: a small migration with faults in its storage operations, of
//! which every so many are tried, with an observer that looks after every write. `cargo xtask
//! nightly` tries all.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use esm_cells::{Backend, Key, Objects, OpenOptions, Store, Upload, WriteFailure, buffered_upload};
use esm_core::Result;
use esm_core::backup::BackupOptions;
use esm_testkit::containers::{self, Postgres, PostgresVersion};
use esm_testkit::sweep::{Place, Scenario, Sweep};
use esm_testkit::{Rule, Rules, events};
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::runtime::{Handle, Runtime};

use super::open::rows_for_tests;
use super::rows::Rows;
use crate::connection::Settings;

/// Sends requests in real time, while the run that they belong to is frozen: the time of a sweep
/// jumps ahead whenever it has nothing to do, and waiting for a server would look like that.
#[derive(Debug, Clone)]
struct InRealTime {
    rows: Rows,
    real_time: Handle,
}

impl InRealTime {
    fn run<T: Send>(&self, request: impl Future<Output = T> + Send) -> T {
        std::thread::scope(|scope| {
            let running = scope.spawn(|| self.real_time.block_on(request));
            running.join().expect("a request does not panic")
        })
    }
}

#[async_trait]
impl Objects for InRealTime {
    fn location(&self) -> &str {
        self.rows.location()
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        self.run(self.rows.get(key, range))
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.run(self.rows.size(key))
    }

    async fn create(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        self.run(self.rows.create(key, body))
    }

    async fn overwrite(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        self.run(self.rows.overwrite(key, body))
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.run(self.rows.delete(key))
    }

    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        let listed = self.run(self.rows.list(folder).collect::<Vec<_>>());
        stream::iter(listed).boxed()
    }

    fn upload(&self, key: &Key) -> Upload {
        buffered_upload(self.clone(), key)
    }
}

async fn place(server: Postgres, real_time: Handle) -> Result<Place> {
    let opened = InRealTime {
        rows: real_time
            .spawn(async move {
                let address = format!("{}?schema=esm", server.database().await);
                let password =
                    |name: &str| (name == "PGPASSWORD").then(|| server.password().to_owned());
                rows_for_tests(Settings::new(&address, password)?).await
            })
            .await
            .expect("a database can be opened")?,
        real_time,
    };
    let backend = Backend::new(Arc::new(opened), Key::default(), OpenOptions::new());
    let store = Store::open_or_create(Arc::new(backend)).await?;
    Ok(Place {
        event_store: store.event_store(),
        records: store.records(),
        backups: store.backups(),
        native_store: None,
    })
}

fn scenario(server: Postgres, real_time: Handle) -> Scenario {
    let mut events = events("e", ["Kept", "Dropped", "Split"].into_iter().cycle());
    let cells = [2, 1, 2].map(|size| events.by_ref().take(size).collect());
    let rules = [("Dropped", Rule::Drop), ("Split", Rule::Split(2))];
    Scenario::new("order/1".parse().expect("an object"), cells.to_vec())
        .transform(Rules::new(rules))
        .describe(|migration| {
            let migration = migration.cells(2, 1 << 20);
            migration.backup(BackupOptions::new().include_document())
        })
        .at(move || place(server.clone(), real_time.clone()))
}

fn swept(sweep: impl FnOnce(Scenario) -> Sweep, every: usize, name: &str) {
    let real_time = Runtime::new().expect("a runtime can be started");
    let server = containers::postgres(PostgresVersion::V18);
    let Some(server) = real_time.block_on(server) else {
        return;
    };
    let sweep = sweep(scenario(server, real_time.handle().clone()));
    let command = format!("cargo test -p esm-postgres own::sweeps::{name}");
    let sweep = sweep.thinned().every(every).replayed_by(command);
    println!("{name}: {}", sweep.check());
}

#[test]
fn crashes_and_lost_answers() {
    swept(Sweep::of_crashes, 41, "crashes_and_lost_answers");
}

#[test]
fn zombies() {
    swept(Sweep::of_zombies, 31, "zombies");
}

#[test]
fn writers() {
    swept(Sweep::of_writers, 9, "writers");
}
