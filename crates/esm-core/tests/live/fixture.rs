//! A world with one long stream, an application, a migrator and an operator.

use std::time::Duration;

use esm_core::event::Event;
use esm_core::id::{MigrationId, ObjectId, StreamRef};
use esm_core::migration::{
    MigrationBuilder, MigrationControl, MigrationResult, MigrationService, WatchedMigration,
};
use esm_testkit::environment;
use esm_testkit::memory::MemoryWorld;
use futures::TryStreamExt as _;
use tokio::task::JoinHandle;

pub(crate) struct Fixture {
    pub(crate) world: MemoryWorld,
    /// The migrator's process.
    pub(crate) service: MigrationService,
    /// Another process.
    pub(crate) operator: MigrationService,
    pub(crate) object: ObjectId,
}

impl Fixture {
    /// An object with this many events, in cells of ten.
    pub(crate) async fn with_events(count: usize) -> Self {
        let world = MemoryWorld::new(environment(7));
        let object: ObjectId = "order/1".parse().unwrap();
        let events: Vec<_> = (0..count).map(event).collect();
        let cells = events.chunks(10).map(<[Event]>::to_vec);
        world.create_object(&object, cells).await.unwrap();
        Self {
            service: world.migration_service(),
            operator: world.migration_service(),
            world,
            object,
        }
    }

    /// Begins a migration that looks for commands and tells its progress every 100 ms.
    pub(crate) fn begin(
        &self,
        describe: impl FnOnce(MigrationBuilder) -> MigrationBuilder,
    ) -> Running {
        let every = Duration::from_millis(100);
        let builder = self.service.migrate(self.object.clone());
        let builder = describe(builder).control(|c| c.poll(every).publish(every));
        let task = tokio::spawn(builder.execute());
        Running { task }
    }

    /// The only migration of the store, once it is planned.
    pub(crate) async fn migration(&self) -> MigrationId {
        loop {
            let all: Vec<_> = self.operator.active().try_collect().await.unwrap();
            if let Some(state) = all.first() {
                return state.migration;
            }
            self.let_time_pass(10).await;
        }
    }

    pub(crate) async fn control(&self) -> MigrationControl {
        self.operator.control(self.migration().await).author("eve")
    }

    /// Looks from outside until it is as wanted.
    pub(crate) async fn observe(
        &self,
        wanted: impl Fn(&WatchedMigration) -> bool,
    ) -> WatchedMigration {
        let migration = self.migration().await;
        for _ in 0..100_000 {
            let seen = self.operator.observe(migration).await.unwrap();
            if wanted(&seen) {
                return seen;
            }
            self.let_time_pass(50).await;
        }
        panic!(
            "it never came to that: {:?}",
            self.operator.observe(migration).await
        )
    }

    pub(crate) async fn let_time_pass(&self, millis: u64) {
        let time = Duration::from_millis(millis);
        self.world.environment.clock.sleep(time).await;
    }

    /// The application appends an event with this number.
    pub(crate) async fn append(&self, number: usize) {
        let appended = self.world.append(&self.object, vec![event(number)]);
        appended.await.unwrap();
    }

    pub(crate) async fn active(&self) -> StreamRef {
        self.world.document(&self.object).await.unwrap().active
    }

    /// The ids of all events, as the application reads them.
    pub(crate) async fn read(&self) -> Vec<String> {
        esm_testkit::ids(&self.world.read(&self.object).await.unwrap())
    }
}

pub(crate) struct Running {
    task: JoinHandle<esm_core::Result<MigrationResult>>,
}

impl Running {
    pub(crate) async fn result(self) -> MigrationResult {
        self.task.await.unwrap().unwrap()
    }

    /// Kills it: a crash.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub(crate) fn event(number: usize) -> Event {
    esm_testkit::event(format!("e{number}"), "Counted")
}

pub(crate) fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("e{n}")).collect()
}

/// At most this many events in a second.
pub(crate) fn slowly(events: u64) -> esm_core::migration::SettingsChange {
    esm_core::migration::SettingsChange {
        events_per_second: Some(esm_core::migration::Limit::At(events)),
        ..Default::default()
    }
}

pub(crate) const LONG: Duration = Duration::from_secs(3600);
