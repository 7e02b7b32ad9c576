//! The fakes pass the suites.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use esm_core::clock::Environment;
use esm_core::id::{BackupId, StreamId};
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};
use esm_testkit::conformance::{
    BackupHarness, DamageHarness, EventStoreHarness, LockHarness, RecordsHarness, Services,
};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::{SeededRandomness, SteppedClock};

struct Memory {
    world: MemoryWorld,
    clock: SteppedClock,
}

impl Memory {
    fn new() -> Self {
        let clock = SteppedClock::new();
        let environment = Environment {
            clock: Arc::new(clock.clone()),
            randomness: Arc::new(SeededRandomness::new(1)),
        };
        let world = MemoryWorld::new(environment);
        Self { world, clock }
    }
}

#[async_trait]
impl EventStoreHarness for Memory {
    async fn open(&self) -> Arc<dyn EventStore> {
        self.world.event_store()
    }
}

#[async_trait]
impl RecordsHarness for Memory {
    async fn open(&self) -> Arc<dyn Records> {
        self.world.records()
    }
}

#[async_trait]
impl LockHarness for Memory {
    async fn open(&self) -> Arc<dyn LockProvider> {
        self.world.locks()
    }

    async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
    }
}

#[async_trait]
impl BackupHarness for Memory {
    async fn open(&self) -> Arc<dyn BackupProvider> {
        self.world.backups()
    }

    async fn corrupt(&self, id: &BackupId) -> bool {
        self.world.backups.corrupt(id)
    }

    async fn truncate(&self, id: &BackupId) -> bool {
        self.world.backups.truncate(id)
    }

    async fn change_retention(&self, id: &BackupId) -> bool {
        self.world.backups.change_retention(id)
    }
}

#[async_trait]
impl DamageHarness for Memory {
    async fn open(&self) -> Services {
        Services {
            events: self.world.event_store(),
            records: self.world.records(),
            locks: self.world.locks(),
            backups: self.world.backups(),
        }
    }

    async fn lose_from(&self, stream: &StreamId, seq: u64) {
        self.world.event_store.lose_from(stream, seq);
    }

    async fn exchange_first(&self, one: &StreamId, other: &StreamId) {
        self.world.event_store.exchange_first(one, other);
    }
}

mod event_store {
    esm_testkit::event_store_conformance!(super::Memory::new());
}

mod unfenced_event_store {
    use esm_core::store::Capabilities;

    esm_testkit::event_store_conformance!({
        let mut memory = super::Memory::new();
        let capabilities = Capabilities::default().with_fence(false);
        memory.world.event_store = memory.world.event_store.with_capabilities(capabilities);
        memory
    });
}

mod records {
    esm_testkit::records_conformance!(super::Memory::new());
}

mod lock {
    esm_testkit::lock_conformance!(super::Memory::new());
}

mod backup {
    esm_testkit::backup_conformance!(super::Memory::new());
}

mod damage {
    esm_testkit::damage_conformance!(super::Memory::new());
}
