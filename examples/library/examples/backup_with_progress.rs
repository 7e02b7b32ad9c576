//! A backup before anything is copied, an archive when the books are closed, and progress.

use std::time::Duration;

use esm_core::Result;
use esm_core::backup::BackupOptions;
use esm_core::migration::BookClosingOptions;
use esm_core::migration::ProgressOptions;
use esm_core::store::Compression;
use esm_library_examples::Shop;
use futures::TryStreamExt as _;

#[tokio::main]
async fn main() -> Result<()> {
    let shop = Shop::in_memory().await?;
    for number in 0..100 {
        shop.place_order(1000 + number, "Zoë").await?;
    }

    let day = Duration::from_secs(24 * 60 * 60);
    let result = shop
        .service
        .migrate_all()
        .backup(
            BackupOptions::new()
                .include_document()
                .compression(Compression::Zstd { level: 9 })
                .retention(30 * day)
                .tag("ticket", "SHOP-42"),
        )
        .progress(
            ProgressOptions::default()
                .every(Duration::from_millis(250))
                .on_progress(|p| {
                    println!(
                        "  {:<14} {:>3} orders done",
                        p.step.to_string(),
                        p.objects_done
                    );
                })
                .on_completed(|p| println!("  {} after {:?}", p.status, p.elapsed)),
        )
        .close_books(
            BookClosingOptions::new()
                .archive(BackupOptions::new())
                .metadata("approved by", "Sam"),
        )
        .execute()
        .await?;
    assert!(result.is_success(), "{:?}", result.error);
    assert_eq!(result.statistics.migrated, 100);

    let backups: Vec<_> = shop.store.backups().list().try_collect().await?;
    for backup in &backups {
        println!(
            "{:?} {}: {} events of {} streams in {} bytes",
            backup.kind, backup.id, backup.events, backup.sections, backup.checksums.stored_bytes
        );
    }
    assert!(backups.iter().all(|backup| backup.events == 400));
    assert_eq!(backups.len(), 2);
    Ok(())
}
