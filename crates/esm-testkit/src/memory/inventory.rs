//! What a storage in memory holds.

use async_trait::async_trait;
use esm_core::Result;
use esm_core::store::{Inventory, Numbers, StoredContent, StoredItem};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use super::MemoryWorld;

/// Lists what a [`MemoryWorld`] holds, so that a [`Doctor`](esm_core::doctor::Doctor) finds what
/// nothing names.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use esm_core::doctor::{Depth, Doctor, FindingKind, Observed};
/// use esm_core::migration::Scope;
/// use esm_core::store::RecordKey;
/// use esm_testkit::event;
/// use esm_testkit::memory::{MemoryInventory, MemoryWorld};
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let order: esm_core::id::ObjectId = "order/1".parse()?;
/// world.create_object(&order, [vec![event("e1", "Placed")]]).await?;
/// world.records.lose_from(&RecordKey::Document(order), 0);
/// let doctor = Doctor::new(world.event_store(), world.records(), world.locks());
/// let mut found = Vec::new();
/// let observer = |observed| {
///     if let Observed::Finding(finding) = observed {
///         found.push(finding.kind);
///     }
/// };
/// let inventory = std::sync::Arc::new(MemoryInventory::new(&world));
/// doctor.with_inventory(inventory).examine(&Scope::All, observer).await?;
/// assert_eq!(found, [FindingKind::StreamWithoutDocument]);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct MemoryInventory {
    world: MemoryWorld,
}

impl MemoryInventory {
    /// Lists what this storage holds.
    pub fn new(world: &MemoryWorld) -> Self {
        Self {
            world: world.clone(),
        }
    }

    fn contents(&self) -> Vec<StoredContent> {
        let world = &self.world;
        let streams = world.event_store.stream_ids().into_iter().map(|stream| {
            let cells = numbers(world.event_store.snapshot(&stream).len());
            StoredContent::Stream { stream, cells }
        });
        let records = world.records.keys().into_iter().map(|key| {
            let versions = Some(numbers(world.records.snapshot(&key).len()));
            StoredContent::Record { key, versions }
        });
        let locks = world.locks.names().into_iter().map(StoredContent::Lock);
        let backups = (world.backups.ids().into_iter()).map(|backup| StoredContent::Backup {
            backup,
            has_manifest: true,
        });
        streams.chain(records).chain(locks).chain(backups).collect()
    }
}

fn numbers(count: usize) -> Numbers {
    let mut numbers = Numbers::default();
    (0..count as u64).for_each(|number| numbers.add(number));
    numbers
}

#[async_trait]
impl Inventory for MemoryInventory {
    async fn check(&self) -> Result<()> {
        Ok(())
    }

    fn items(&self) -> BoxStream<'_, Result<StoredItem>> {
        let items = self.contents().into_iter().map(|content| {
            let place = format!("{content:?}");
            Ok(StoredItem::new(place, content))
        });
        stream::iter(items).boxed()
    }
}
