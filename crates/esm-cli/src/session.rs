//! An opened store and what every command needs beside it.

use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::object::Documents;
use esm_core::router::ObjectClient;
use esm_core::router::RoutingTable;
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records, StoreLimits, Stores};
use esm_core::{Error, ErrorKind, Result};
use esm_objectstore::{OpenOptions, Store};

use crate::args::Global;
use crate::interrupt::Interrupt;
use crate::opened;
use crate::output::Output;
use crate::progress::{Progress, ProgressMode, Unit};

/// What a command may do to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing is written, not even a hint.
    Read,
    /// Writes to a store that exists.
    Write,
    /// Makes a store where there is none.
    Create,
}

/// How progress is shown.
#[derive(Debug, Clone)]
pub(crate) struct ProgressSettings {
    mode: ProgressMode,
    output: Output,
}

impl ProgressSettings {
    /// Begins to show progress as the user asked.
    pub(crate) fn progress(&self, what: &str, unit: Unit, total: Option<u64>) -> Progress {
        Progress::begin(self.mode, &self.output, what, unit, total)
    }
}

/// An opened store, and how to talk to the user.
#[derive(Debug)]
pub(crate) struct Session {
    global: Global,
    output: Output,
    interrupt: Interrupt,
    environment: Environment,
    store: Store,
    stores: Stores,
    records: Arc<dyn Records>,
    locks: Arc<dyn LockProvider>,
    documents: Documents,
}

impl Session {
    /// Opens the store that the user named.
    ///
    /// # Errors
    /// `Invalid` where none is named; `NotFound` where there is none; what opening fails with.
    pub(crate) async fn open(
        global: Global,
        output: Output,
        interrupt: Interrupt,
        access: Access,
    ) -> Result<Self> {
        let environment = Environment::system();
        let store = connect(&global, address(&global)?, access, &environment).await?;
        let records = store.records();
        let mut stores = Stores::new(store.event_store());
        for other in global.other_stores.iter().filter(|url| !url.is_empty()) {
            let access = match access {
                Access::Read => Access::Read,
                _ => Access::Write,
            };
            let opened = connect(&global, other, access, &environment).await;
            let opened = opened.map_err(|e| e.context("another store cannot be opened"))?;
            stores = stores.with(opened.event_store());
        }
        Ok(Self {
            stores,
            documents: Documents::new(Arc::clone(&records)),
            locks: store.locks(),
            records,
            store,
            environment,
            global,
            output,
            interrupt,
        })
    }

    /// Where backups are: at an address of their own, or in the store itself.
    ///
    /// # Errors
    /// What opening fails with.
    pub(crate) async fn backups_at(
        &self,
        address: Option<&str>,
        access: Access,
    ) -> Result<Arc<dyn BackupProvider>> {
        let Some(address) = address else {
            return Ok(self.store.backups());
        };
        let store = connect(&self.global, address, access, &self.environment).await;
        Ok(store
            .map_err(|e| e.context("backups cannot be reached"))?
            .backups())
    }

    /// A store that streams are to move to, and its address without secrets.
    ///
    /// # Errors
    /// What opening fails with.
    pub(crate) async fn target_at(
        &self,
        address: &str,
        access: Access,
    ) -> Result<(Arc<dyn EventStore>, String)> {
        let store = connect(&self.global, address, access, &self.environment).await;
        let store = store.map_err(|e| e.context("the store to move to cannot be opened"))?;
        Ok((store.event_store(), store.location().to_owned()))
    }

    /// Opens the store for reading, if there is one.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for an absent store.
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

    /// Whether the store is a local directory or memory: a mistyped address costs nothing there.
    pub(crate) fn is_local(global: &Global) -> bool {
        let store = global.store.as_deref().unwrap_or_default();
        !store.contains(':') || store.starts_with("file:") || store.starts_with("memory:")
    }

    /// The address, without secrets.
    pub(crate) fn location(&self) -> &str {
        self.store.location()
    }

    /// The event store where objects begin.
    pub(crate) fn events(&self) -> &Arc<dyn EventStore> {
        self.stores.home()
    }

    /// All event stores that are known.
    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// What appends to objects and reads them, as applications do.
    pub(crate) fn client(&self) -> ObjectClient {
        let (records, environment) = (Arc::clone(&self.records), self.environment.clone());
        ObjectClient::new(records, self.stores.clone(), environment)
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

    /// Time and ids.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Where results go.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Whether the user wants to stop.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// The store's own backups.
    pub(crate) fn backups(&self) -> Arc<dyn BackupProvider> {
        self.store.backups()
    }

    /// The published phases.
    pub(crate) fn routing(&self) -> RoutingTable {
        RoutingTable::new(Arc::clone(&self.records))
    }

    /// How another command is told the same store, for people to copy; nothing where the
    /// environment tells it.
    pub(crate) fn store_argument(&self) -> String {
        let store = self.global.store.as_deref().unwrap_or_default();
        match std::env::var("ESM_STORE") {
            Ok(set) if set == store => String::new(),
            _ => format!(" --store {store}"),
        }
    }

    /// Begins to show progress as the user asked.
    pub(crate) fn progress(&self, what: &str, unit: Unit, total: Option<u64>) -> Progress {
        self.progress_settings().progress(what, unit, total)
    }

    /// How progress is shown, for those who outlive a borrow.
    pub(crate) fn progress_settings(&self) -> ProgressSettings {
        ProgressSettings {
            mode: self.global.progress,
            output: self.output.clone(),
        }
    }
}

fn address(global: &Global) -> Result<&str> {
    global.store.as_deref().ok_or_else(|| {
        Error::invalid("no store was named")
            .with_hint("add --store URL or set ESM_STORE, for example ESM_STORE=file:///tmp/esm")
    })
}

async fn connect(
    global: &Global,
    address: &str,
    access: Access,
    environment: &Environment,
) -> Result<Store> {
    let limits = StoreLimits::default().with_max_event_bytes(global.max_event_size.0);
    let options = OpenOptions::new()
        .with_limits(limits)
        .with_environment(environment.clone());
    match access {
        Access::Read => opened::open(address, options.read_only()).await,
        Access::Write => opened::open(address, options).await,
        Access::Create => opened::open_or_create(address, options).await,
    }
}
