//! The opened stores of a command, and how it communicates with the user.

use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::id::StoreId;
use esm_core::migration::MigrationStrategy;
use esm_core::object::{Documents, KnownStores};
use esm_core::router::RoutingTable;
use esm_core::router::{ObjectClient, ObjectReader};
use esm_core::store::{
    BackupProvider, EventStore, Inventory, LockProvider, PageLimit, ProcessAwareLocks, Records,
    Stores,
};
use esm_core::transform::MaskingKey;
use esm_core::{Error, ErrorKind, Result};
use esm_postgres::{GlobalEvent, LayoutStore};
use futures::stream::BoxStream;

use crate::args::Global;
use crate::interrupt::Interrupt;
use crate::linked_store::LinkedStore;
use crate::open_store::OpenStore;
use crate::opened;
use crate::output::Output;
use crate::processes::LocalProcesses;
use crate::progress::{Progress, Unit};

pub(crate) use crate::open_store::Access;

/// Page size of reads. A command holds a few pages in memory.
const PAGE: PageLimit = PageLimit {
    cells: 4,
    bytes: 1 << 20,
};

/// The opened stores, and how to communicate with the user.
#[derive(Debug)]
pub(crate) struct Session {
    global: Global,
    output: Output,
    interrupt: Interrupt,
    environment: Environment,
    masking_key: Option<MaskingKey>,
    store: OpenStore,
    stores: Stores,
    /// Those of the stores that are opened when they are needed.
    linked: Vec<Arc<LinkedStore>>,
    records: Arc<dyn Records>,
    locks: Arc<dyn LockProvider>,
    documents: Documents,
}

impl Session {
    /// Opens the store of the global options, and the other stores. Linked ones are opened when
    /// something in them is needed.
    ///
    /// # Errors
    /// `Invalid` if no store is named; `NotFound` if it does not exist; those of the provider.
    pub(crate) async fn open(
        global: Global,
        output: Output,
        interrupt: Interrupt,
        access: Access,
    ) -> Result<Self> {
        let environment = Environment::system();
        let masking_key = global.masking_key().await?;
        let store = OpenStore::open(&global, address(&global)?, access, &environment).await?;
        if let Some(note) = store.note() {
            output.note(note);
        }
        let records = store.records();
        let mut stores = Stores::new(store.event_store());
        for other in global.other_stores.iter().filter(|url| !url.is_empty()) {
            let opened = OpenStore::open(&global, other, access.to_existing(), &environment).await;
            let opened = opened.map_err(|e| e.context("cannot open the other store"))?;
            stores.ensure_apart(&*opened.event_store())?;
            stores = stores.with(opened.event_store());
        }
        let linked = linked_stores(&global, &stores, &records, access, &environment).await;
        for store in &linked {
            stores = stores.with(Arc::clone(store) as Arc<dyn EventStore>);
        }
        Ok(Self {
            stores,
            linked,
            documents: Documents::new(Arc::clone(&records)),
            locks: Arc::new(ProcessAwareLocks::new(store.locks(), LocalProcesses)),
            records,
            masking_key,
            store,
            environment,
            global,
            output,
            interrupt,
        })
    }

    /// The key of pseudonyms, if one was given.
    pub(crate) fn masking_key(&self) -> Option<&MaskingKey> {
        self.masking_key.as_ref()
    }

    /// The backups at a URL; without one, those in the store itself.
    ///
    /// # Errors
    /// Those of opening the store at the URL.
    pub(crate) async fn backups_at(
        &self,
        address: Option<&str>,
        access: Access,
    ) -> Result<Arc<dyn BackupProvider>> {
        let Some(address) = address else {
            return Ok(self.store.backups());
        };
        let store = OpenStore::open(&self.global, address, access, &self.environment).await;
        let store = store.map_err(|e| e.context("cannot open the store of backups"))?;
        self.open_linked(store.id()).await;
        self.stores.ensure_no_copy(&*store.event_store())?;
        Ok(store.backups())
    }

    /// Opens the linked store with this id, if there is one: only open stores have a place to compare.
    /// One that does not open is no obstacle here, because the store may have moved.
    async fn open_linked(&self, id: StoreId) {
        if let Some(store) = self.linked.iter().find(|store| store.id() == id)
            && let Err(error) = store.open().await
        {
            tracing::warn!(%error, "places of stores are not compared");
        }
    }

    /// The store that streams move to, and its location without secrets.
    ///
    /// # Errors
    /// Those of opening the store.
    pub(crate) async fn target_at(
        &self,
        address: &str,
        access: Access,
    ) -> Result<(Arc<dyn EventStore>, String)> {
        let store = OpenStore::open(&self.global, address, access, &self.environment).await;
        let store = store.map_err(|e| e.context("cannot open the target store"))?;
        self.open_linked(store.id()).await;
        self.stores.ensure_apart(&*store.event_store())?;
        Ok((store.event_store(), store.location().to_owned()))
    }

    /// Opens the store for reading; returns `None` if it does not exist.
    ///
    /// # Errors
    /// As [`open`](Self::open), except for a missing store.
    pub(crate) async fn open_if_there(
        global: &Global,
        output: &Output,
        interrupt: &Interrupt,
    ) -> Result<Option<Self>> {
        let opened = Self::open(
            global.clone(),
            output.clone(),
            interrupt.clone(),
            Access::Read,
        );
        match opened.await {
            Ok(session) => Ok(Some(session)),
            Err(e) if *e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether the store is on this machine: see [`opened::is_local`].
    pub(crate) fn is_local(global: &Global) -> bool {
        opened::is_local(global.store.as_deref().unwrap_or_default())
    }

    /// Gives the store a new id, which the session does not use yet.
    ///
    /// # Errors
    /// Those of [`OpenStore::renew_id`].
    pub(crate) async fn renew_id(&self) -> Result<StoreId> {
        self.store.renew_id().await
    }

    /// Checks the structure of the storage, where it has one: see [`OpenStore::check`].
    ///
    /// # Errors
    /// `Corrupt`; those of the storage.
    pub(crate) async fn check_storage(&self) -> Result<()> {
        self.store.check().await
    }

    /// Checks that what lists all objects leaves out no event: see [`OpenStore::ensure_complete`].
    ///
    /// # Errors
    /// `Corrupt`; those of the storage.
    pub(crate) async fn ensure_complete(&self) -> Result<()> {
        self.store.ensure_complete().await
    }

    /// The address that the text of an option names: a name of a configuration file is replaced.
    pub(crate) fn address<'a>(&'a self, text: &'a str) -> &'a str {
        self.global.settings.address(text)
    }

    /// The location of the store, without secrets.
    pub(crate) fn location(&self) -> &str {
        self.store.location()
    }

    /// The tables of another library, if the store is that.
    pub(crate) fn layout(&self) -> Option<&LayoutStore> {
        self.store.layout()
    }

    /// How the streams of the store are migrated.
    pub(crate) fn strategy(&self) -> MigrationStrategy {
        self.store.strategy()
    }

    /// All events of the store in their global order.
    ///
    /// # Errors
    /// Those of [`OpenStore::in_global_order`].
    pub(crate) async fn in_global_order(&self) -> Result<BoxStream<'static, Result<GlobalEvent>>> {
        self.store.in_global_order().await
    }

    /// The home store, where objects are created.
    pub(crate) fn events(&self) -> &Arc<dyn EventStore> {
        self.stores.home()
    }

    /// All known event stores.
    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// A client that appends to and reads objects, as applications use it.
    pub(crate) fn client(&self) -> ObjectClient {
        let (records, environment) = (Arc::clone(&self.records), self.environment.clone());
        ObjectClient::new(records, self.stores.clone(), environment)
    }

    /// A reader of objects that writes nothing.
    pub(crate) fn reader(&self) -> ObjectReader {
        ObjectReader::new(Arc::clone(&self.records), self.stores.clone()).with_pages(PAGE)
    }

    /// The versioned records.
    pub(crate) fn records(&self) -> &Arc<dyn Records> {
        &self.records
    }

    /// The object documents.
    pub(crate) fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The locks.
    pub(crate) fn locks(&self) -> &Arc<dyn LockProvider> {
        &self.locks
    }

    /// The clock and the source of ids.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The output for results and notes.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Whether the user requested to stop.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// The store's own backups.
    pub(crate) fn backups(&self) -> Arc<dyn BackupProvider> {
        self.store.backups()
    }

    /// The list of what the store holds; none for the tables of another library.
    pub(crate) fn inventory(&self) -> Option<Arc<dyn Inventory>> {
        self.store.inventory()
    }

    /// The published phases.
    pub(crate) fn routing(&self) -> RoutingTable {
        RoutingTable::new(Arc::clone(&self.records))
    }

    /// The --store argument for a suggested command; empty if ESM_STORE already names the store.
    pub(crate) fn store_argument(&self) -> String {
        let store = self.global.store.as_deref().unwrap_or_default();
        match std::env::var("ESM_STORE") {
            Ok(set) if set == store => String::new(),
            _ => format!(" --store {store}"),
        }
    }

    /// Starts to display progress in the requested mode.
    pub(crate) fn progress(&self, what: &str, unit: Unit, total: Option<u64>) -> Progress {
        Progress::begin(self.global.progress, &self.output, what, unit, total)
    }
}

/// The linked stores that no option names, none of them opened.
async fn linked_stores(
    global: &Global,
    stores: &Stores,
    records: &Arc<dyn Records>,
    access: Access,
    environment: &Environment,
) -> Vec<Arc<LinkedStore>> {
    match KnownStores::new(Arc::clone(records)).links().await {
        Ok(links) => links
            .into_iter()
            .filter(|link| stores.get(link.store).is_err())
            .map(|link| Arc::new(LinkedStore::new(link, access, global, environment)))
            .collect(),
        // a store that holds no records links none
        Err(error) if *error.kind() == ErrorKind::Unsupported => Vec::new(),
        Err(error) => {
            tracing::warn!(%error, "the list of linked stores cannot be read");
            Vec::new()
        }
    }
}

/// The address of the store of the global options.
///
/// # Errors
/// `Invalid` if none is given.
pub(crate) fn address(global: &Global) -> Result<&str> {
    global.store.as_deref().ok_or_else(|| {
        Error::invalid("no store given").with_hint(
            "add --store URL or set ESM_STORE, for example ESM_STORE=file:///tmp/esm; or name a \
             store in ~/.config/esm/config.toml",
        )
    })
}
