//! An open store: one of esm's own, or the events of another library.

use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::id::StoreId;
use esm_core::migration::MigrationStrategy;
use esm_core::store::{BackupProvider, EventStore, Inventory, LockProvider, Records, StoreLimits};
use esm_core::{Error, Result};
use esm_objectstore::{OpenOptions, Store};
use esm_postgres::{Database, GlobalEvent, LayoutStore, Settings};
use futures::stream::BoxStream;

use crate::args::Global;
use crate::opened;

/// Access that a command has to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Writes nothing, not even hints.
    Read,
    /// Writes to an existing store.
    Write,
    /// Creates the store if it does not exist.
    Create,
}

impl Access {
    /// This access to a store that must exist.
    pub(crate) fn to_existing(self) -> Self {
        match self {
            Self::Read => Self::Read,
            Self::Write | Self::Create => Self::Write,
        }
    }
}

/// An open store.
#[derive(Debug)]
pub(crate) enum OpenStore {
    /// A store of esm's own.
    Own(Store),
    /// The events of another library, which are only rewritten in place.
    Layout(Box<LayoutStore>),
}

impl OpenStore {
    /// Opens the store at an address.
    ///
    /// # Errors
    /// `Unsupported` for the events of another library if anything is to be written; those of the
    /// provider.
    pub(crate) async fn open(
        global: &Global,
        address: &str,
        access: Access,
        environment: &Environment,
    ) -> Result<Self> {
        let address = global.settings.address(address);
        if Settings::is_address(address) && !esm_postgres::is_store_address(address) {
            let settings = Settings::from_environment(address)?;
            return Self::open_layout(settings, access).await;
        }
        let options = options(global, environment);
        let store = match access {
            Access::Read => opened::open(address, options.read_only()).await,
            Access::Write => opened::open(address, options).await,
            Access::Create => opened::open_or_create(address, options).await,
        };
        store.map(Self::Own)
    }

    async fn open_layout(settings: Settings, access: Access) -> Result<Self> {
        if settings.parameter("schema").is_some() {
            return Err(
                Error::invalid("store address has a layout and a schema").with_hint(
                    "?schema=NAME alone means a store of esm's own; name the schema of another \
                     library's tables with ?search_path=SCHEMA",
                ),
            );
        }
        if access != Access::Read {
            return Err(not_on_layouts());
        }
        let store = LayoutStore::open(Database::connect(settings).await?).await?;
        Ok(Self::Layout(Box::new(store)))
    }

    /// What to say about how it was opened: the layout, if it was not named.
    pub(crate) fn note(&self) -> Option<String> {
        match self {
            Self::Layout(store) if store.is_recognised() => Some(format!(
                "layout {}, recognised by the table {}",
                store.layout().name,
                store.table()
            )),
            _ => None,
        }
    }

    /// The tables of another library, if it is that.
    pub(crate) fn layout(&self) -> Option<&LayoutStore> {
        match self {
            Self::Own(_) => None,
            Self::Layout(store) => Some(store),
        }
    }

    /// How its streams are migrated.
    pub(crate) fn strategy(&self) -> MigrationStrategy {
        match self {
            Self::Own(_) => MigrationStrategy::CopyAndTransform,
            Self::Layout(_) => MigrationStrategy::InPlaceTransform,
        }
    }

    /// All events in their global order.
    ///
    /// # Errors
    /// `Unsupported` where there is no such order; those of the server.
    pub(crate) async fn in_global_order(&self) -> Result<BoxStream<'static, Result<GlobalEvent>>> {
        match self {
            Self::Own(_) => Err(Error::unsupported("a store of esm's has no global order")
                .with_hint("export without --order global")),
            Self::Layout(store) => store.in_global_order().await,
        }
    }

    pub(crate) fn event_store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Own(store) => store.event_store(),
            Self::Layout(store) => store.event_store(),
        }
    }

    pub(crate) fn records(&self) -> Arc<dyn Records> {
        match self {
            Self::Own(store) => store.records(),
            Self::Layout(store) => store.records(),
        }
    }

    pub(crate) fn locks(&self) -> Arc<dyn LockProvider> {
        match self {
            Self::Own(store) => store.locks(),
            Self::Layout(store) => store.locks(),
        }
    }

    pub(crate) fn backups(&self) -> Arc<dyn BackupProvider> {
        match self {
            Self::Own(store) => store.backups(),
            Self::Layout(store) => store.backups(),
        }
    }

    /// The list of what the store holds; none for the tables of another library.
    pub(crate) fn inventory(&self) -> Option<Arc<dyn Inventory>> {
        match self {
            Self::Own(store) => Some(store.inventory()),
            Self::Layout(_) => None,
        }
    }

    pub(crate) fn id(&self) -> StoreId {
        self.event_store().id()
    }

    /// The location, without secrets.
    pub(crate) fn location(&self) -> &str {
        match self {
            Self::Own(store) => store.location(),
            Self::Layout(store) => store.location(),
        }
    }

    /// Checks the structure of the storage, where it has one.
    ///
    /// # Errors
    /// `Corrupt`; those of the storage.
    pub(crate) async fn check(&self) -> Result<()> {
        match self {
            Self::Own(store) => store.check().await,
            Self::Layout(store) => store.check().await,
        }
    }

    /// Checks that what lists all objects leaves out no event.
    ///
    /// # Errors
    /// `Corrupt`; those of the storage.
    pub(crate) async fn ensure_complete(&self) -> Result<()> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Layout(store) => store.ensure_all_in_streams().await,
        }
    }

    /// Gives the store a new id.
    ///
    /// # Errors
    /// Those of [`Store::renew_id`]; `Unsupported` for the events of another library.
    pub(crate) async fn renew_id(&self) -> Result<StoreId> {
        match self {
            Self::Own(store) => store.renew_id().await,
            Self::Layout(_) => Err(Error::unsupported(
                "the id of another library's tables is derived from the database",
            )),
        }
    }
}

/// What each of the stores accepts.
pub(crate) fn limits(global: &Global) -> StoreLimits {
    StoreLimits::default().with_max_event_bytes(global.max_event_size.0)
}

/// The options to open a store with.
pub(crate) fn options(global: &Global, environment: &Environment) -> OpenOptions {
    OpenOptions::new()
        .with_limits(limits(global))
        .with_environment(environment.clone())
}

/// The error of a command that does not work on the tables of another library.
pub(crate) fn not_on_layouts() -> Error {
    Error::unsupported("the command does not work on the tables of another library").with_hint(
        "list, show, read, export, verify, backup create --backup URL, plan, migrate, status, \
         pause, set, cancel, resume, finish, rollback and archive do; for all others, import an export into a store of \
         esm's",
    )
}
