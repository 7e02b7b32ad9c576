//! What a reverse migration takes over from the plan of the one that it reverses: which objects, and
//! how they are copied; nothing that was said for that one alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::backup::BackupOptions;
use esm_core::migration::BookClosingOptions;
use esm_core::migration::{
    CutoverOptions, MigrationStatus, OnFailure, PlannedMigration, PublishPhases, RollBackBuilder,
    RollBackPlan, SettingsChange,
};
use esm_core::protocol::plan::WayBack;
use esm_core::store::{EventStore, OnRetired};

use super::back::{down, up};
use crate::world::World;

const HOUR: Duration = Duration::from_secs(3_600);

fn limits(concurrency: usize) -> SettingsChange {
    SettingsChange {
        concurrency: Some(concurrency),
        ..SettingsChange::default()
    }
}

/// The plan of a migration that was done, and of which everything was said that can be said.
async fn forward(w: &World, other: &Arc<dyn EventStore>) -> PlannedMigration {
    let source = w.active("order/1").await.stream;
    let builder = w
        .process_with(other)
        .migrate("order/1".parse().unwrap())
        .transform(up())
        .from_stream(source)
        .to_stream("elsewhere")
        .to_store(Arc::clone(other))
        .backup(BackupOptions::new())
        .close_books(BookClosingOptions::new().archive(BackupOptions::new()))
        .phases(PublishPhases::Always)
        .cutover(CutoverOptions::default().attempts(9))
        .limits(limits(3))
        .with_rollback()
        .again()
        .fail_fast(false)
        .on_retired(OnRetired::AcceptUnchanged)
        .reversible_with(down())
        .reversible_for(HOUR)
        .concurrency(5)
        .on_failure(OnFailure::Continue)
        .annotate("ticket", "42");
    let plan = builder.clone().dry_run().await.unwrap();
    let result = builder.execute_plan(&plan).await.unwrap();
    assert!(result.is_success(), "{result:?}");
    plan.planned
}

async fn reversed(back: RollBackBuilder) -> PlannedMigration {
    let RollBackPlan::Reverse { plan } = back.dry_run().await.unwrap() else {
        panic!("it has ended");
    };
    plan.planned
}

#[tokio::test(start_paused = true)]
async fn it_moves_the_same_objects_in_its_own_way() {
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let other: Arc<dyn EventStore> = Arc::new(w.storage.another_event_store());
    let forward = forward(&w, &other).await;
    assert!(forward.backup.is_some() && forward.close_books.is_some());
    assert!(forward.source.is_some() && forward.target_store.is_some());
    w.storage.environment.clock.sleep(HOUR / 2).await;
    let back = w.process_with(&other).roll_back(forward.migration);
    let back = back.down(down()).reason("a mistake");
    let plain = reversed(back.clone()).await;
    assert_eq!(
        plain.reverses.as_ref().unwrap().migration,
        forward.migration
    );
    assert_ne!(plain.migration, forward.migration);
    assert_ne!(plain.fingerprint, forward.fingerprint);
    let reason = || ("esm.reason".to_owned(), "a mistake".to_owned());
    let expected = PlannedMigration {
        migration: plain.migration,
        created_at: w.storage.environment.clock.now(),
        source: None,
        target: None,
        target_store: None,
        fingerprint: plain.fingerprint.clone(),
        phases: PublishPhases::Never,
        cutover: CutoverOptions::default(),
        throttle: SettingsChange::default(),
        backup: None,
        close_books: None,
        rollback_on_failure: false,
        again: false,
        reverses: plain.reverses.clone(),
        way_back: WayBack::default(),
        annotations: BTreeMap::from([reason()]),
        bulk: {
            let mut bulk = forward.bulk;
            bulk.on_failure = OnFailure::Stop;
            bulk
        },
        ..forward.clone()
    };
    assert_eq!(plain, expected);
    assert_eq!((plain.bulk.concurrency, plain.copy.fail_fast), (5, false));

    let told = back
        .cutover(CutoverOptions::default().attempts(2))
        .limits(limits(7))
        .concurrency(6)
        .on_failure(OnFailure::Continue)
        .annotate("ticket", "43");
    let told = reversed(told).await;
    let mut expected = PlannedMigration {
        migration: told.migration,
        throttle: limits(7),
        annotations: BTreeMap::from([reason(), ("ticket".to_owned(), "43".to_owned())]),
        ..expected
    };
    expected.cutover.attempts = 2;
    expected.bulk.concurrency = 6;
    expected.bulk.on_failure = OnFailure::Continue;
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn that_appends_of_retired_schemas_are_refused_is_said() {
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let migration = w.migrated("order/1").await;
    let back = reversed(w.back(migration)).await;
    assert_eq!(back.on_retired, Some(OnRetired::Refuse));
}

#[tokio::test(start_paused = true)]
async fn who_means_only_to_undo_begins_no_migration_back() {
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let migration = w.migrated("order/1").await;
    let before = w.everything();
    let refused = w.back(migration).undo_only().execute().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::AlreadyExists, "{refused}");
    assert!(
        refused.to_string().contains(&migration.to_string()),
        "{refused}"
    );
    assert_eq!(w.everything(), before);
    let result = w.back(migration).execute().await.unwrap();
    assert_eq!(result.status, MigrationStatus::Completed);
}
