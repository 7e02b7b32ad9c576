//! Objects that were migrated many times: their documents leave older streams to the versions before
//! them, and say as much as if they listed them all.

mod damaged;
mod late;
mod pages;
mod size;

use esm_core::event::Position;
use esm_core::id::MigrationId;
use esm_core::migration::MigrationService;
use esm_core::object::{Documents, ObjectDocument};
use esm_core::store::RecordKey;
use esm_core::transform::Identity;

use crate::world::{World, event};

/// `order/1`, migrated many times.
struct Long {
    world: World,
    /// The migrations, oldest first.
    migrations: Vec<MigrationId>,
    /// The end of each closed stream, oldest first.
    ends: Vec<Position>,
}

impl Long {
    /// Migrates an order this often. An event is appended before each.
    async fn chain(migrations: usize) -> Self {
        Self::of(World::with_order(&["T"]).await, migrations).await
    }

    /// As [`chain`](Self::chain). An observer checks the invariants after every operation.
    async fn watched(migrations: usize) -> Self {
        let world = World::with_order(&["T"]).await;
        let observer = world.observer(std::slice::from_ref(&world.order), []);
        Self::of(world.watched_by(observer), migrations).await
    }

    async fn of(world: World, migrations: usize) -> Self {
        let mut long = Self {
            world,
            migrations: Vec::new(),
            ends: Vec::new(),
        };
        long.migrate(migrations).await;
        long
    }

    /// Migrates the order so many times more.
    async fn migrate(&mut self, times: usize) {
        let service = self.world.service.clone();
        self.migrate_by(&service, times).await;
    }

    /// As [`migrate`](Self::migrate), by a process that no lock keeps from it.
    async fn migrate_meanwhile(&mut self, times: usize) {
        let service = self.another_process();
        self.migrate_by(&service, times).await;
    }

    async fn migrate_by(&mut self, service: &MigrationService, times: usize) {
        for _ in 0..times {
            let number = self.ends.len();
            let end = self.world.append(&self.world.order, event(number)).await;
            self.ends.push(end);
            let migrated = service.migrate(self.world.order.clone());
            let migrated = migrated.transform(Identity).again().execute().await;
            let result = self.world.succeeded(migrated);
            self.migrations.push(result.migration);
        }
    }

    fn documents(&self) -> Documents {
        Documents::new(self.world.storage.records())
    }

    async fn document(&self) -> ObjectDocument {
        self.world.document(&self.world.order).await
    }

    /// The document with all its streams.
    async fn whole(&self) -> ObjectDocument {
        let whole = self.documents().whole(self.document().await).await;
        whole.unwrap()
    }

    fn key(&self) -> RecordKey {
        RecordKey::Document(self.world.order.clone())
    }

    /// The sizes of the document's versions.
    fn sizes(&self) -> Vec<usize> {
        let versions = self.world.storage.records.snapshot(&self.key());
        versions.iter().map(|body| body.len()).collect()
    }

    /// A process that no lock keeps from anything.
    fn another_process(&self) -> MigrationService {
        self.world.unlocked(&self.world.plan.actor("another"))
    }

    /// Checks that the document says the same as the Closes, and leaves streams out.
    async fn is_sound(&self, migrations: usize) {
        let document = self.document().await;
        let left_out = document.left_out().map_or(0, |earlier| earlier.count);
        assert!(left_out > 0, "{document:?}");
        assert_eq!(document.generation(), migrations);
        let whole = self.whole().await;
        assert_eq!(whole.terminated.len(), migrations);
        assert!(whole.left_out().is_none());
        assert_eq!(whole.first_stream(), document.first_stream());
        for (depth, entry) in whole.terminated.iter().enumerate() {
            let close = self.world.storage.close_of(&entry.stream.stream).unwrap();
            assert_eq!(close.target.as_ref(), Some(&entry.continuation));
            assert_eq!(
                (close.events, close.migration),
                (entry.events, entry.migration)
            );
            assert_eq!(whole.generation_of(&entry.stream), Some(depth));
        }
        self.world.unharmed();
    }
}
