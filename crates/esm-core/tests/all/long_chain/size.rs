//! What a long chain costs: bytes and requests.

use esm_core::router::ObjectReader;
use esm_testkit::faults::FaultPlan;

use super::Long;

/// After as many migrations as a document lists at most.
const FULL: usize = 16;
/// A document leaves out others after so many migrations.
const CYCLE: usize = 8;

#[tokio::test(start_paused = true)]
async fn a_documents_versions_grow_by_the_same_for_each_migration() {
    let mut long = Long::chain(FULL).await;
    let mut grown = Vec::new();
    for _ in 0..3 {
        let before: usize = long.sizes().iter().sum();
        long.migrate(CYCLE).await;
        let after: usize = long.sizes().iter().sum();
        grown.push(after - before);
    }
    long.is_sound(FULL + 3 * CYCLE).await;
    // numbers with more digits
    let (least, most) = (grown.iter().min().unwrap(), grown.iter().max().unwrap());
    assert!(most - least < least / 20, "{grown:?}");
    let largest = long.sizes().into_iter().max().unwrap();
    let all = serde_json::to_vec(&long.whole().await).unwrap().len();
    assert!(largest * 2 < all, "{largest} of {all}");
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_a_load_and_of_a_migration_do_not_depend_on_the_chain() {
    let mut long = Long::chain(1).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let before = long.world.plan.log().len();
        long.migrate(1).await;
        let migration = long.world.plan.log().len() - before;

        let plan = FaultPlan::new();
        let app = plan.actor("app");
        let records = app.records(std::sync::Arc::new(long.world.storage.records.clone()));
        let store = app.event_store(long.world.storage.event_store());
        let loaded = ObjectReader::new(records, store)
            .load(&long.world.order)
            .await;
        assert_eq!(loaded.unwrap().document.generation(), long.migrations.len());
        seen.push((migration, plan.log().len()));
        long.migrate(18).await;
    }
    assert_eq!(seen[1..], [seen[0], seen[0]], "migration, load");
}

#[tokio::test(start_paused = true)]
async fn rolling_back_one_after_the_other_keeps_every_version_small() {
    const MIGRATIONS: usize = 24;
    let long = Long::chain(MIGRATIONS).await;
    let largest = long.sizes().into_iter().max().unwrap();
    for migration in long.migrations.iter().rev() {
        let back = long.world.service.roll_back(*migration).execute().await;
        long.world.succeeded(back);
    }
    long.is_sound(2 * MIGRATIONS).await;
    // each original is pinned, however long ago it was closed (R18)
    let whole = long.whole().await;
    let pinned = whole
        .terminated
        .iter()
        .filter(|entry| !entry.pins.is_empty());
    assert_eq!(pinned.count(), MIGRATIONS);
    let sizes = long.sizes();
    let after = sizes.iter().max().unwrap();
    assert!(*after < 2 * largest, "{largest}, then {sizes:?}");
    // and every rollback finds that it is done
    for migration in &long.migrations {
        let again = long.world.service.roll_back(*migration).execute().await;
        assert!(long.world.succeeded(again).was_up_to_date());
    }
}
