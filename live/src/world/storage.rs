//! Where a world's store is.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use esm_azure::Connection;
use esm_bench::counting::{CountingObjectStore, Counts};
use esm_objectstore::{OpenOptions, Store, local_directory};
use esm_testkit::containers::Azurite;
use tokio::process::Command;

/// What the programs that are started have the credentials in.
const CREDENTIALS: &str = "AZURE_STORAGE_CONNECTION_STRING";

/// Where a store is: a directory, or a container of an Azurite.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    address: String,
    /// In whose environment nobody has put the credentials.
    credentials: Option<String>,
}

impl Storage {
    /// In this directory.
    pub(crate) fn directory(path: &Path) -> Result<Self> {
        let address = path.to_str().context("the directory's name is no text")?;
        Ok(Self::named(address))
    }

    /// Below this prefix, which nobody else uses.
    pub(crate) fn azurite(azurite: &Azurite, prefix: &str) -> Self {
        Self {
            address: format!("az://{}/{prefix}", azurite.container()),
            credentials: Some(azurite.connection_string()),
        }
    }

    /// At this address, as given to this process, with the credentials in its environment.
    pub(crate) fn named(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            credentials: None,
        }
    }

    /// As `esm` takes it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Whether locks are leases, which are not as short as one likes.
    pub(crate) fn has_leases(&self) -> bool {
        esm_azure::is_address(&self.address)
    }

    /// Gives a program the credentials that it needs.
    pub(crate) fn let_in(&self, program: &mut Command) {
        if let Some(credentials) = &self.credentials {
            program.env(CREDENTIALS, credentials);
        }
    }

    /// Opens the store that is there.
    pub(crate) async fn open(&self, options: OpenOptions) -> Result<Store> {
        if self.has_leases() {
            let connection = self.connection()?;
            let store = esm_azure::open(&connection, &self.address, options);
            return Ok(store.await?);
        }
        Ok(esm_objectstore::open(&self.address, options).await?)
    }

    /// Opens the store, or makes it, and counts the requests of a directory's.
    pub(crate) async fn open_counted(&self, counts: &Counts) -> Result<Store> {
        let options = OpenOptions::new();
        if self.has_leases() {
            let connection = self.connection()?;
            let store = esm_azure::open_or_create(&connection, &self.address, options);
            return Ok(store.await?);
        }
        let directory = local_directory(Path::new(&self.address)).await?;
        let counted = Arc::new(CountingObjectStore::new(directory, counts.clone()));
        let store = esm_objectstore::open_or_create_with_client(counted, "", options);
        Ok(store.await?)
    }

    fn connection(&self) -> Result<Connection> {
        Ok(match &self.credentials {
            Some(credentials) => Connection::from_connection_string(credentials)?,
            None => Connection::from_environment()?,
        })
    }
}
