//! An own backup provider: every backup is written to two places, so that losing one loses nothing.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::backup::BackupOptions;
use esm_core::event::Event;
use esm_core::id::BackupId;
use esm_core::store::{
    BackupDraft, BackupManifest, BackupProvider, BackupReader, BackupSection, BackupWriter,
    SectionSummary,
};
use esm_core::{ErrorKind, Result};
use esm_library_examples::Shop;
use esm_objectstore::OpenOptions;
use futures::TryStreamExt as _;
use futures::stream::BoxStream;

/// Two providers that hold the same backups.
#[derive(Debug)]
struct Twofold {
    near: Arc<dyn BackupProvider>,
    far: Arc<dyn BackupProvider>,
}

#[async_trait]
impl BackupProvider for Twofold {
    fn name(&self) -> &str {
        "twofold"
    }

    async fn create(&self, draft: BackupDraft) -> Result<Box<dyn BackupWriter>> {
        let far = self.far.create(draft.clone()).await?;
        let near = self.near.create(draft).await?;
        Ok(Box::new(TwofoldWriter { near, far }))
    }

    async fn manifest(&self, id: &BackupId) -> Result<BackupManifest> {
        match self.near.manifest(id).await {
            Err(error) if is_lost(error.kind()) => self.far.manifest(id).await,
            found => found,
        }
    }

    async fn open(&self, id: &BackupId) -> Result<Box<dyn BackupReader>> {
        match self.near.open(id).await {
            Err(error) if is_lost(error.kind()) => self.far.open(id).await,
            opened => opened,
        }
    }

    fn list(&self) -> BoxStream<'_, Result<BackupManifest>> {
        // what is near is far too: it is finished there first
        self.far.list()
    }

    async fn delete(&self, id: &BackupId) -> Result<()> {
        self.near.delete(id).await?;
        self.far.delete(id).await
    }
}

/// Whether the other place is worth asking.
fn is_lost(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::Unavailable | ErrorKind::Corrupt
    )
}

#[derive(Debug)]
struct TwofoldWriter {
    near: Box<dyn BackupWriter>,
    far: Box<dyn BackupWriter>,
}

#[async_trait]
impl BackupWriter for TwofoldWriter {
    async fn section(&mut self, section: BackupSection) -> Result<()> {
        self.far.section(section.clone()).await?;
        self.near.section(section).await
    }

    async fn events(&mut self, events: &[Event]) -> Result<()> {
        self.far.events(events).await?;
        self.near.events(events).await
    }

    async fn end(&mut self, summary: SectionSummary) -> Result<()> {
        self.far.end(summary.clone()).await?;
        self.near.end(summary).await
    }

    /// The far one first: a backup that is found near is found far, and one that was finished far
    /// alone answers `AlreadyExists` the next time, so its name is never used for another.
    async fn finish(self: Box<Self>) -> Result<BackupManifest> {
        self.far.finish().await?;
        self.near.finish().await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let shop = Shop::in_memory().await?;
    let order = shop.place_order(1003, "Zoë").await?;
    let elsewhere = esm_objectstore::open_or_create("memory:", OpenOptions::new()).await?;
    let twofold: Arc<dyn BackupProvider> = Arc::new(Twofold {
        near: shop.store.backups(),
        far: elsewhere.backups(),
    });

    let result = shop
        .service
        .migrate(order)
        .backup(BackupOptions::new().provider(Arc::clone(&twofold)))
        .execute()
        .await?;
    assert!(result.is_success(), "{:?}", result.error);

    let backup = &result.statistics.backups[0];
    println!("{} events in {}, twice", backup.events, backup.id);
    shop.store.backups().delete(&backup.id).await?;
    println!("one place has lost it");

    let mut reader = twofold.open(&backup.id).await?;
    let mut items = 0;
    while reader.next().await?.is_some() {
        items += 1;
    }
    assert!(items > 0);
    let listed: Vec<_> = twofold.list().try_collect().await?;
    assert_eq!(listed.len(), 1);
    println!("the other still has {} events", reader.manifest().events);
    Ok(())
}
