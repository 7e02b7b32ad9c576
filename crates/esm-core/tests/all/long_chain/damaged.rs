//! Work that continues although the version that has an object's earlier streams is damaged: the
//! Closes say the same of streams and migrations.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::backup::{BackupService, RestoreOptions, RestoreTarget};
use esm_core::event::{Position, Revision};
use esm_core::id::MigrationId;
use esm_core::migration::MigrationService;
use esm_core::router::{ObjectReader, ReadPosition};
use esm_core::store::OnRetired;
use esm_core::transform::Identity;
use esm_testkit::damage::{Damage, DamagedRecords};
use esm_testkit::faults::{At, Fault, FaultPlan};
use futures::TryStreamExt as _;

use super::Long;

/// Migrations that come in between: more than a document lists.
const BETWEEN: usize = 20;

impl Long {
    /// The records, with damage to the version that the document leaves streams to.
    async fn damaged(&self, damage: Damage) -> Arc<DamagedRecords> {
        let records = DamagedRecords::new(self.world.storage.records());
        let page = self.document().await.left_out().unwrap().version;
        records.damage(&self.key(), page, damage);
        Arc::new(records)
    }

    /// A process over these records that no lock keeps from anything.
    fn service_over(&self, records: &Arc<DamagedRecords>) -> MigrationService {
        let storage = self.world.storage.with_own_locks();
        let records = Arc::clone(records) as _;
        MigrationService::new(storage.event_store(), records, storage.locks())
            .with_environment(storage.environment.clone())
    }

    fn backups_over(&self, records: &Arc<DamagedRecords>) -> BackupService {
        let storage = &self.world.storage;
        let records = Arc::clone(records) as _;
        BackupService::new(storage.event_store(), records, storage.backups())
            .with_environment(storage.environment.clone())
    }

    /// Begins a migration whose process dies at its Close.
    async fn crash(&self, fault: Fault) -> MigrationId {
        let world = &self.world;
        let plan = FaultPlan::new().with(At::Named("event_store.close", 0), fault);
        let actor = plan.actor("crashing");
        let service = actor.migration_service(&world.storage);
        let migrated = service.migrate(world.order.clone()).transform(Identity);
        assert!(actor.run(migrated.again().execute()).await.is_err());
        let found = crate::world::unfinished(&world.service).await;
        found.expect("it crashed").migration
    }
}

/// It crashed before its Close. The old target is discarded, and the migration completed or undone.
#[tokio::test(start_paused = true)]
async fn a_migration_is_completed_or_undone_although_earlier_streams_cannot_be_read() {
    for damage in [Damage::Unreadable, Damage::Lost] {
        for undo in [false, true] {
            let mut long = Long::chain(1).await;
            let migration = long.crash(Fault::CrashBefore).await;
            long.migrate_meanwhile(BETWEEN).await;
            let streams = long.world.storage.event_store.stream_ids().len();
            let service = long.service_over(&long.damaged(damage).await);
            if undo {
                let undone = service.roll_back(migration).undo_only().execute().await;
                let undone = undone.unwrap();
                assert!(undone.error.is_none(), "{undone:?}");
                long.is_sound(1 + BETWEEN).await;
            } else {
                let resumed = service.resume(migration).transform(Identity);
                let result = long.world.succeeded(resumed.execute().await);
                assert_eq!(result.statistics.migrated, 1, "{result:?}");
                long.is_sound(2 + BETWEEN).await;
            }
            let left = long.world.storage.event_store.stream_ids().len();
            // its first target is discarded, and the one that it completes is new
            assert_eq!(left, streams - usize::from(undo));
        }
    }
}

/// The Closes are no substitute if one of them is lost, too: nothing is then taken for not done.
#[tokio::test(start_paused = true)]
async fn a_damaged_version_is_named_if_a_close_of_the_earlier_streams_is_lost_too() {
    let mut long = Long::chain(1).await;
    let migration = long.crash(Fault::CrashBefore).await;
    long.migrate_meanwhile(BETWEEN).await;
    let records = long.damaged(Damage::Lost).await;
    let page = long.document().await.left_out().unwrap().version;
    let stream = &long.ends[4].stream;
    let store = &long.world.storage.event_store;
    store.lose_from(stream, store.snapshot(stream).len() as u64 - 1);
    let before = store.stream_ids();
    let service = long.service_over(&records);
    let undone = service.roll_back(migration).undo_only().execute().await;
    let undone = undone.unwrap();
    let said = format!("{undone:?}");
    assert!(undone.error.is_some(), "{said}");
    assert!(said.contains(&format!("version {page}")), "{said}");
    assert_eq!(store.stream_ids(), before, "nothing is discarded");
}

#[tokio::test(start_paused = true)]
async fn the_newest_stream_is_read_while_the_document_lags_and_earlier_streams_are_damaged() {
    let long = Long::chain(30).await;
    let last = long.document().await.active;
    long.crash(Fault::CrashAfter).await;
    assert_eq!(long.document().await.active, last, "it lags");
    let close = long.world.storage.close_of(&last.stream).unwrap();
    for damage in [Damage::Unreadable, Damage::Lost] {
        let records = long.damaged(damage).await;
        let reader = ObjectReader::new(records, long.world.storage.event_store());
        let at = ReadPosition::At(Position {
            stream: close.target.clone().unwrap().stream,
            revision: Revision(1),
        });
        let read = reader.read(&long.world.order, at);
        let read: Vec<_> = read.try_collect().await.unwrap();
        assert_eq!(read.len() as u64, close.target_events.0 - 1);
    }
}

/// A restore replaces what is there once: whether it has been done is read from the Closes.
#[tokio::test(start_paused = true)]
async fn a_backup_is_restored_once_although_earlier_streams_are_damaged() {
    for damage in [Damage::Unreadable, Damage::Lost] {
        let mut long = Long::chain(1).await;
        let order = long.world.order.clone();
        let id = long.world.back_up(&[&order]).await;
        let restore = async |service: BackupService| {
            let options = RestoreOptions::new();
            let target = RestoreTarget::FreshStream;
            service.restore(&id, &order, target, options).await
        };
        long.migrate(BETWEEN).await;
        let records = long.damaged(damage).await;
        let restored = restore(long.backups_over(&records)).await.unwrap();
        assert!(!restored.already);
        assert_eq!(long.document().await.active, restored.stream);

        long.migrate(BETWEEN).await;
        let records = long.damaged(damage).await;
        let active = long.document().await.active;
        let again = restore(long.backups_over(&records)).await.unwrap_err();
        let kinds = [ErrorKind::Corrupt, ErrorKind::Gone];
        assert!(kinds.contains(again.kind()), "{again}");
        assert_eq!(long.document().await.active, active, "newer events stay");
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_retired_schemas_are_counted_although_earlier_streams_are_damaged() {
    let mut long = Long::chain(1).await;
    let accepting = long.world.migrate(&long.world.order).transform(Identity);
    let accepting = accepting.on_retired(OnRetired::AcceptUnchanged).again();
    let migration = long.world.succeeded(accepting.execute().await).migration;
    long.migrate(BETWEEN).await;
    let counted = long.world.service.accepted_unchanged(migration);
    let counted = counted.await.unwrap();
    for damage in [Damage::Unreadable, Damage::Lost] {
        let service = long.service_over(&long.damaged(damage).await);
        let found = service.accepted_unchanged(migration).await.unwrap();
        assert_eq!(found, counted);
    }
}
