//! A world with one long stream, an application, a migrator and an operator.

use std::time::Duration;

use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, MigrationId, ObjectId, StreamRef};
use esm_core::migration::{
    MigrationBuilder, MigrationControl, MigrationResult, MigrationService, WatchedMigration,
};
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_testkit::environment;
use esm_testkit::memory::MemoryWorld;
use futures::TryStreamExt as _;
use tokio::task::JoinHandle;

pub(crate) struct Fixture {
    pub(crate) environment: Environment,
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
        let environment = environment(7);
        let world = MemoryWorld::new(&environment);
        let service = |seed| {
            MigrationService::new(world.event_store(), world.records(), world.locks())
                .unwrap()
                .with_environment(esm_testkit::environment(seed))
        };
        let (migrator, operator) = (service(11), service(12));
        let object: ObjectId = "order/1".parse().unwrap();
        let events: Vec<_> = (0..count).map(event).collect();
        let cells = events.chunks(10).map(<[Event]>::to_vec);
        let created = world.create_object(&environment, &object, cells);
        created.await.unwrap();
        Self {
            environment,
            world,
            service: migrator,
            operator,
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
        self.environment.clock.sleep(time).await;
    }

    pub(crate) fn client(&self) -> ObjectClient {
        let stores = self.world.event_store();
        ObjectClient::new(self.world.records(), stores, environment(13))
    }

    /// The application appends an event with this number.
    pub(crate) async fn append(&self, number: usize) {
        let appended = (self.client())
            .append(&self.object, ExpectedRevision::Any, vec![event(number)])
            .await;
        appended.unwrap();
    }

    pub(crate) async fn active(&self) -> StreamRef {
        let document = self.world.document(&self.object).await.unwrap().unwrap();
        document.active
    }

    /// The ids of all events, as the application reads them.
    pub(crate) async fn read(&self) -> Vec<String> {
        let client = self.client();
        let events = client.read(&self.object, Default::default());
        let ids = events.map_ok(|recorded| recorded.event.id.to_string());
        ids.try_collect().await.unwrap()
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
    let id = EventId::new(format!("e{number}")).unwrap();
    let event_type = EventType::new("Counted").unwrap();
    Event::new(id, event_type, format!("{{\"n\":{number}}}"))
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
