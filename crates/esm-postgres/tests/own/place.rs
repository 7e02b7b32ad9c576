//! A database for a test.

use std::sync::Arc;
use std::time::Duration;

use esm_core::clock::{Clock, Environment, SystemClock};
use esm_core::event::Event;
use esm_core::id::{EventId, EventType};
use esm_postgres::{OpenOptions, Settings, Store};
use esm_testkit::SteppedClock;
use esm_testkit::containers::{self, PostgresVersion};

/// A schema in a database of its own, and its time. A handle is a process that has just started: it
/// shares nothing but the database.
pub(crate) struct Place {
    /// With the schema, without the password.
    pub(crate) address: String,
    pub(crate) password: &'static str,
    pub(crate) clock: SteppedClock,
}

impl Place {
    /// On a server of this version; nothing where none can be started.
    pub(crate) async fn fresh(version: PostgresVersion) -> Option<Self> {
        let server = containers::postgres(version).await?;
        let database = server.database().await;
        Some(Self::at(
            format!("{database}?schema=esm"),
            server.password(),
        ))
    }

    pub(crate) fn at(address: String, password: &'static str) -> Self {
        Self {
            address,
            password,
            clock: SteppedClock::default(),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings_of(&self.address)
    }

    pub(crate) fn settings_of(&self, address: &str) -> Settings {
        let password = |name: &str| (name == "PGPASSWORD").then(|| self.password.to_owned());
        Settings::new(address, password).unwrap()
    }

    /// A handle whose leases end by the clock of the place.
    pub(crate) async fn store(&self) -> Store {
        let environment = Environment {
            clock: Arc::new(self.clock.clone()),
            ..Environment::system()
        };
        let options = OpenOptions::new().with_environment(environment);
        esm_postgres::open_or_create_store(self.settings(), options)
            .await
            .unwrap()
    }

    /// A handle that waits in real time.
    pub(crate) async fn store_in_real_time(&self) -> Store {
        esm_postgres::open_or_create_store(self.settings(), OpenOptions::new())
            .await
            .unwrap()
    }

    /// A handle whose pauses take no time.
    pub(crate) async fn brisk_store(&self) -> Store {
        let environment = Environment {
            clock: Arc::new(Brisk::default()),
            ..Environment::system()
        };
        let options = OpenOptions::new().with_environment(environment);
        esm_postgres::open_or_create_store(self.settings(), options)
            .await
            .unwrap()
    }

    /// A connection of another program.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        let database = esm_postgres::Database::connect(self.settings());
        database.await.unwrap().open().await.unwrap()
    }

    /// Changes rows as another program, and returns how many.
    pub(crate) async fn execute(&self, sql: &str) -> u64 {
        self.client().await.execute(sql, &[]).await.unwrap()
    }
}

/// The system's clock, but pauses take no time.
#[derive(Debug, Default)]
struct Brisk(SystemClock);

#[async_trait::async_trait]
impl Clock for Brisk {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn event(id: &str) -> Event {
    let kind = EventType::new("Placed").unwrap();
    Event::new(EventId::new(id).unwrap(), kind, "{}")
}
