//! The suite of damage at rest: see [`damage_conformance!`](crate::damage_conformance).
//!
//! Cells disappear from a storage, or come into the wrong place, while no process looks: a disk
//! fails, a copy is incomplete, files are mixed up. Each case damages a store behind its provider's
//! back, and requires that every access that needs what is missing fails, and that none returns fewer
//! events than were acknowledged.
//!
//! ```
//! use esm_testkit::conformance::damage;
//!
//! let names: Vec<_> = damage::CASES.iter().map(|case| case.name).collect();
//! assert!(names.contains(&"an_absent_target_is_gone"));
//! ```

use esm_core::backup::{BackupOptions, BackupService, RestoreOptions, RestoreTarget};
use esm_core::clock::Environment;
use esm_core::event::{Event, Position, Revision};
use esm_core::id::{BackupId, ObjectId, StreamRef};
use esm_core::migration::{MigrationService, Scope};
use esm_core::router::{ExpectedRevision, ObjectClient, ObjectReader, ReadPosition};
use esm_core::{Error, ErrorKind, Result};
use futures::TryStreamExt as _;

use super::fixtures::event;
use super::harness::{DamageHarness, Services};
use super::verdict::{ensure, ensure_eq, ensure_err};
use super::{Failure, Verdict};

crate::__damage_cases!(__conformance_table!(dyn DamageHarness));

/// The list of cases, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __damage_cases {
    ($then:ident!($($arguments:tt)*)) => {
        $crate::$then! { ($($arguments)*) [
            a_target_without_its_last_cell_is_gone
            an_absent_target_is_gone
            a_closed_stream_without_its_close_is_gone
            an_absent_closed_stream_is_gone
            exchanged_first_cells_are_corrupt
            a_backup_replaces_a_stream_that_lost_cells
            a_backup_replaces_an_absent_stream
        ] }
    };
}

/// One `#[test]` per case of the suite of damage, each with its own harness.
///
/// Takes an expression that makes a [`DamageHarness`](crate::conformance::DamageHarness); it may
/// await.
///
/// ```
/// # struct Mine(esm_testkit::memory::MemoryWorld);
/// # #[async_trait::async_trait]
/// # impl esm_testkit::conformance::DamageHarness for Mine {
/// #     async fn open(&self) -> esm_testkit::conformance::Services {
/// #         esm_testkit::conformance::Services {
/// #             events: self.0.event_store(),
/// #             records: self.0.records(),
/// #             locks: self.0.locks(),
/// #             backups: self.0.backups(),
/// #         }
/// #     }
/// #     async fn lose_from(&self, stream: &esm_core::id::StreamId, seq: u64) {
/// #         self.0.event_store.lose_from(stream, seq);
/// #     }
/// #     async fn exchange_first(&self, one: &esm_core::id::StreamId, other: &esm_core::id::StreamId) {
/// #         self.0.event_store.exchange_first(one, other);
/// #     }
/// # }
/// use esm_testkit::{environment, memory::MemoryWorld};
///
/// // `Mine` is a `DamageHarness`: its documentation shows one
/// esm_testkit::damage_conformance!(Mine(MemoryWorld::new(environment(1))));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! damage_conformance {
    ($harness:expr) => {
        $crate::__damage_cases!(__conformance_tests!(damage, $harness));
    };
}

/// Number of events of the migrated object.
const EVENTS: u64 = 6;

/// An object that was migrated, its two streams, and a backup of it.
struct Migrated {
    object: ObjectId,
    source: StreamRef,
    target: StreamRef,
    backup: BackupId,
}

impl Migrated {
    async fn new(harness: &dyn DamageHarness) -> Result<Self, Failure> {
        let object: ObjectId = "order/1".parse()?;
        let services = harness.open().await;
        let source = create(&services, &object, EVENTS).await?;
        let migrated = migration(&services).migrate(object.clone());
        // three cells, so that the target can lose its last one
        let migrated = migrated.cells(2, 1 << 20).execute().await?;
        ensure!(migrated.is_success(), "the migration failed: {migrated:?}");
        let loaded = reader(&services).load(&object).await?;
        let backup = BackupId::new("before")?;
        let options = BackupOptions::new().id(backup.clone());
        backups(&services).create(&Scope::All, options).await?;
        Ok(Self {
            target: loaded.stream().clone(),
            object,
            source,
            backup,
        })
    }

    fn source_at(&self, revision: u64) -> ReadPosition {
        at(&self.source, revision)
    }

    /// Whatever needs the active stream is refused.
    async fn ensure_active_is_gone(&self, harness: &dyn DamageHarness) -> Verdict {
        let from_start = Access::Read(ReadPosition::Start);
        for access in [
            Access::Load,
            from_start,
            Access::Read(at(&self.target, 0)),
            Access::Read(at(&self.target, EVENTS)),
            Access::Read(self.source_at(EVENTS)),
            Access::Fold,
            Access::Append,
            Access::Backup,
            Access::Migration,
        ] {
            let found = access.run(&harness.open().await, &self.object).await;
            ensure_err!(found, ErrorKind::Gone, "{access:?}");
        }
        Ok(())
    }

    /// Whatever needs the closed stream is refused; the active one is as it was.
    async fn ensure_closed_is_gone(&self, harness: &dyn DamageHarness) -> Verdict {
        for access in [
            Access::Read(self.source_at(0)),
            Access::Read(self.source_at(EVENTS)),
            Access::Chain(self.source.clone()),
        ] {
            let found = access.run(&harness.open().await, &self.object).await;
            ensure_err!(found, ErrorKind::Gone, "{access:?}");
        }
        let services = harness.open().await;
        let read = read(&services, &self.object, ReadPosition::Start).await?;
        ensure_eq!(read.len() as u64, EVENTS, "events of the active stream");
        Ok(())
    }
}

/// A way to an object's events.
#[derive(Debug)]
enum Access {
    Load,
    Read(ReadPosition),
    Chain(StreamRef),
    Fold,
    Append,
    Backup,
    Migration,
}

impl Access {
    async fn run(&self, services: &Services, object: &ObjectId) -> Result<()> {
        match self {
            Self::Load => reader(services).load(object).await.map(drop),
            Self::Read(from) => read(services, object, from.clone()).await.map(drop),
            Self::Chain(from) => {
                let chain = reader(services).chain(object, &from.stream).await;
                chain.map(drop)
            }
            Self::Fold => {
                let count = |count: &mut u64, _| *count += 1;
                client(services).fold(object, || 0, count).await.map(drop)
            }
            Self::Append => {
                let (client, events) = (client(services), vec![event(99)?]);
                let appended = client.append(object, ExpectedRevision::Any, events).await;
                appended.map(drop).map_err(Error::from)
            }
            Self::Backup => {
                let scope = Scope::Objects(vec![object.clone()]);
                let created = backups(services).create(&scope, BackupOptions::new()).await;
                created.map(drop)
            }
            Self::Migration => {
                let migrated = migration(services).migrate(object.clone()).again();
                migrated.execute().await.map(drop)
            }
        }
    }
}

/// [R14](esm_core::protocol#r14): a Close counts the events of its target, so a target with fewer
/// is `Gone` for everybody.
pub async fn a_target_without_its_last_cell_is_gone(harness: &dyn DamageHarness) -> Verdict {
    let migrated = Migrated::new(harness).await?;
    harness.lose_from(&migrated.target.stream, 2).await;
    migrated.ensure_active_is_gone(harness).await
}

/// [R14](esm_core::protocol#r14), [R2](esm_core::protocol#r2): the target of a Close has a first
/// cell.
pub async fn an_absent_target_is_gone(harness: &dyn DamageHarness) -> Verdict {
    let migrated = Migrated::new(harness).await?;
    harness.lose_from(&migrated.target.stream, 0).await;
    migrated.ensure_active_is_gone(harness).await
}

/// [R14](esm_core::protocol#r14): a stream that its object's document names as closed has a Close.
pub async fn a_closed_stream_without_its_close_is_gone(harness: &dyn DamageHarness) -> Verdict {
    let migrated = Migrated::new(harness).await?;
    harness.lose_from(&migrated.source.stream, EVENTS).await;
    migrated.ensure_closed_is_gone(harness).await
}

/// [R14](esm_core::protocol#r14): and as many events as that document counts.
pub async fn an_absent_closed_stream_is_gone(harness: &dyn DamageHarness) -> Verdict {
    let migrated = Migrated::new(harness).await?;
    harness.lose_from(&migrated.source.stream, 0).await;
    migrated.ensure_closed_is_gone(harness).await
}

/// A cell says which stream it belongs to: the first cells of two streams look alike otherwise.
pub async fn exchanged_first_cells_are_corrupt(harness: &dyn DamageHarness) -> Verdict {
    let (one, other): (ObjectId, ObjectId) = ("order/1".parse()?, "order/2".parse()?);
    let services = harness.open().await;
    let first = create(&services, &one, 1).await?;
    let second = create(&services, &other, 1).await?;
    harness.exchange_first(&first.stream, &second.stream).await;
    for object in [&one, &other] {
        for access in [
            Access::Load,
            Access::Read(ReadPosition::Start),
            Access::Fold,
            Access::Append,
            Access::Backup,
            Access::Migration,
        ] {
            let found = access.run(&harness.open().await, object).await;
            ensure_err!(found, ErrorKind::Corrupt, "{access:?} of {object}");
        }
    }
    Ok(())
}

/// [R19](esm_core::protocol#r19): a stream that lost cells does not keep a backup from taking its
/// place.
pub async fn a_backup_replaces_a_stream_that_lost_cells(harness: &dyn DamageHarness) -> Verdict {
    ensure_replaced(harness, 2).await
}

/// [R19](esm_core::protocol#r19): neither does one that is absent.
pub async fn a_backup_replaces_an_absent_stream(harness: &dyn DamageHarness) -> Verdict {
    ensure_replaced(harness, 0).await
}

/// A restore takes the place of a target that has only these many cells left.
async fn ensure_replaced(harness: &dyn DamageHarness, left: u64) -> Verdict {
    let migrated = Migrated::new(harness).await?;
    let (object, target) = (&migrated.object, RestoreTarget::FreshStream);
    harness.lose_from(&migrated.target.stream, left).await;
    let service = backups(&harness.open().await);
    let restored = service
        .restore(&migrated.backup, object, target, RestoreOptions::new())
        .await?;
    ensure_eq!(restored.events, EVENTS, "number of restored events");
    let found = read(&harness.open().await, object, ReadPosition::Start).await?;
    ensure_eq!(found, numbered(EVENTS)?, "events of the object");
    Ok(())
}

fn numbered(events: u64) -> Result<Vec<Event>> {
    (0..events).map(event).collect()
}

fn at(stream: &StreamRef, revision: u64) -> ReadPosition {
    ReadPosition::At(Position {
        stream: stream.stream.clone(),
        revision: Revision(revision),
    })
}

/// Creates an object with these many events, each in a cell of its own, and returns its stream.
async fn create(services: &Services, object: &ObjectId, events: u64) -> Result<StreamRef, Failure> {
    let client = client(services);
    for event in numbered(events)? {
        let appended = client.append(object, ExpectedRevision::Any, vec![event]);
        appended.await.map_err(Error::from)?;
    }
    Ok(client.load(object).await?.stream().clone())
}

async fn read(services: &Services, object: &ObjectId, from: ReadPosition) -> Result<Vec<Event>> {
    let recorded = reader(services).read(object, from);
    recorded
        .map_ok(|recorded| recorded.event)
        .try_collect()
        .await
}

fn reader(services: &Services) -> ObjectReader {
    ObjectReader::new(services.records.clone(), services.events.clone())
}

fn client(services: &Services) -> ObjectClient {
    let (records, events) = (services.records.clone(), services.events.clone());
    ObjectClient::new(records, events, Environment::system())
}

fn migration(services: &Services) -> MigrationService {
    let Services {
        events,
        records,
        locks,
        ..
    } = services.clone();
    MigrationService::new(events, records, locks)
}

fn backups(services: &Services) -> BackupService {
    let Services {
        events,
        records,
        backups,
        ..
    } = services.clone();
    BackupService::new(events, records, backups)
}
