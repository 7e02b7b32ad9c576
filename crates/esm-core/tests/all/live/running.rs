//! A migration of one long stream that runs, and the operator who steers it.

use std::time::Duration;

use esm_core::event::Event;
use esm_core::id::MigrationId;
use esm_core::migration::ControlOptions;
use esm_core::migration::{
    Limit, MigrationBuilder, MigrationControl, MigrationResult, MigrationService, SettingsChange,
    WatchedMigration,
};
use tokio::task::JoinHandle;

use crate::world::{World, event, unfinished};

pub(crate) const LONG: Duration = Duration::from_secs(3600);

impl World {
    /// With one order of this many events, in cells of ten.
    pub(crate) async fn with_events(count: usize) -> Self {
        let world = Self::new();
        let events = (0..count).map(numbered).collect();
        world.object_of("order/1", events, 10).await;
        world
    }

    /// The migration service of another process.
    pub(crate) fn operator(&self) -> MigrationService {
        self.storage.migration_service()
    }

    /// Starts a migration that polls for commands and publishes its progress every 100 ms.
    pub(crate) fn begin(
        &self,
        describe: impl FnOnce(MigrationBuilder) -> MigrationBuilder,
    ) -> Running {
        Running::of(describe(self.migrate(&self.order)).control(watched()))
    }

    /// Waits until the only migration has begun.
    pub(crate) async fn begun(&self) -> MigrationId {
        for _ in 0..100_000 {
            if let Some(state) = unfinished(&self.operator()).await {
                return state.migration;
            }
            self.let_time_pass(10).await;
        }
        panic!("no migration began")
    }

    pub(crate) async fn control(&self) -> MigrationControl {
        self.operator().control(self.begun().await).author("eve")
    }

    /// Observes the migration from outside until the condition holds.
    pub(crate) async fn observe(
        &self,
        wanted: impl Fn(&WatchedMigration) -> bool,
    ) -> WatchedMigration {
        let (operator, migration) = (self.operator(), self.begun().await);
        for _ in 0..100_000 {
            let seen = operator.observe(migration).await.unwrap();
            if wanted(&seen) {
                return seen;
            }
            self.let_time_pass(50).await;
        }
        panic!(
            "the condition never held: {:?}",
            operator.observe(migration).await
        )
    }

    pub(crate) async fn let_time_pass(&self, millis: u64) {
        let time = Duration::from_millis(millis);
        self.storage.environment.clock.sleep(time).await;
    }
}

pub(crate) struct Running {
    task: JoinHandle<esm_core::Result<MigrationResult>>,
}

impl Running {
    pub(crate) fn of(builder: MigrationBuilder) -> Self {
        let task = tokio::spawn(builder.execute());
        Self { task }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) async fn result(self) -> MigrationResult {
        self.task.await.unwrap().unwrap()
    }

    /// Kills it: a crash.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub(crate) fn numbered(number: usize) -> Event {
    event(format!("e{number}"))
}

/// The ids of [`numbered`] events.
pub(crate) fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("e{n}")).collect()
}

/// Polls for commands and publishes its progress every 100 ms.
pub(crate) fn watched() -> ControlOptions {
    let every = Duration::from_millis(100);
    ControlOptions::default().poll(every).publish(every)
}

/// At most this many events in a second.
pub(crate) fn slowly(events: u64) -> SettingsChange {
    SettingsChange {
        events_per_second: Some(Limit::At(events)),
        ..SettingsChange::default()
    }
}
