//! Pruning.

use std::time::Duration;

use esm_core::backup::{BackupOptions, KeepRules, PrunePolicy, PruneReason, Pruned};
use esm_core::migration::Scope;
use futures::TryStreamExt as _;
use jiff::Timestamp;

use crate::world::World;

const DAY: Duration = Duration::from_hours(24);

async fn create(f: &World, id: &str, retention: Option<Duration>) {
    let mut options = BackupOptions::new().id(id.try_into().unwrap());
    if let Some(retention) = retention {
        options = options.retention(retention);
    }
    f.backups().create(&Scope::All, options).await.unwrap();
}

fn ids(pruned: &Pruned) -> Vec<&str> {
    pruned
        .removed
        .iter()
        .map(|p| p.manifest.id.as_str())
        .collect()
}

async fn left(f: &World) -> Vec<String> {
    let manifests: Vec<_> = f.backups().list().try_collect().await.unwrap();
    let mut ids: Vec<_> = manifests.iter().map(|m| m.id.to_string()).collect();
    ids.sort();
    ids
}

#[tokio::test(start_paused = true)]
async fn pruning_removes_what_it_said_it_would_and_nothing_else() {
    let f = World::new();
    f.numbered("order/1", 1).await;
    create(&f, "day", Some(DAY)).await;
    create(&f, "year", Some(DAY * 365)).await;
    create(&f, "ever", None).await;
    let now: Timestamp = f.storage.environment.clock.now() + DAY * 2;

    let dry = f
        .backups()
        .prune(now, &PrunePolicy::new().dry_run())
        .await
        .unwrap();
    assert!(dry.dry_run);
    assert_eq!((ids(&dry), dry.kept.len()), (vec!["day"], 2));
    assert_eq!(left(&f).await, ["day", "ever", "year"]);

    let pruned = f.backups().prune(now, &PrunePolicy::new()).await.unwrap();
    assert_eq!(ids(&pruned), ["day"]);
    assert!(matches!(
        pruned.removed[0].reason,
        PruneReason::Expired { .. }
    ));
    assert_eq!(left(&f).await, ["ever", "year"]);

    let newest = PrunePolicy::new()
        .older_than(DAY)
        .keep(KeepRules::new().last(2));
    assert!(ids(&f.backups().prune(now, &newest).await.unwrap()).is_empty());
    let old = PrunePolicy::new().older_than(DAY);
    let pruned = f.backups().prune(now, &old).await.unwrap();
    assert_eq!(ids(&pruned), ["ever"]);
    assert!(pruned.failed.is_empty());
    assert_eq!(left(&f).await, ["year"]);
}
